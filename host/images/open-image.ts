// Opens the image that a path leads to: an OCI layout as a folder or a tar, or what `docker save` and `podman save` write. What
// it is, its contents say.
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { indexTar, OciError, type TarIndex } from '@ringwall/oci';
import type { AttachmentStore } from './attachment-store.ts';
import { readPart, type FileBlob } from './blob.ts';
import { checkSameImage, isDockerArchive, namesInArchive, openDockerArchive } from './docker-archive.ts';
import type { StoredImage, StoreOptions } from './image-in-store.ts';
import { isOciLayout, namesInLayout, openOciLayout, type FindFile } from './oci-layout.ts';

/** Headers lie between layers; those of small files side by side. */
const READ_AHEAD_BYTES = 64 * 1024;

export interface OpenedImage extends StoredImage, Disposable {
  readonly format: 'oci-layout' | 'docker-archive';
  /** As the archive has it, '' where it has none. */
  readonly name: string;
  /** As it is called in a registry, by its own word; '' where it does not say so. */
  readonly wholeName: string;
  /** undefined where the format has no place for signatures. */
  readonly attached: AttachmentStore | undefined;
}

export interface OpenImageOptions extends StoreOptions {
  /** Which one, where there are several; '' for the only one. */
  readonly image: string;
}

/** What `image` of the options may be, for each image; undefined where it holds none. Throws as `openImage` does. */
export function namesOfImages(path: string): readonly string[] | undefined {
  using open = new DisposableStack();
  const find = findIn(path, open);
  if (find === undefined) return undefined;
  if (isOciLayout(find)) return namesInLayout(find);
  return isDockerArchive(find) ? namesInArchive(find) : undefined;
}

/** undefined where it is none. Throws OciError, or what node:fs throws. */
export async function openImage(path: string, options: OpenImageOptions): Promise<OpenedImage | undefined> {
  using guard = new DisposableStack();
  // What is attached is opened only when somebody asks for it.
  const open = guard.use(new DisposableStack());
  const find = findIn(path, open);
  if (find === undefined) return undefined;
  const opened = await openWith(find, options);
  if (opened === undefined) return undefined;
  guard.move();
  return { ...opened, [Symbol.dispose]: () => open.dispose() };
}

function findIn(path: string, open: DisposableStack): FindFile | undefined {
  return statSync(path).isDirectory() ? filesBelow(path, open) : filesInTar(path, open);
}

async function openWith(
  find: FindFile,
  options: OpenImageOptions,
): Promise<Omit<OpenedImage, typeof Symbol.dispose> | undefined> {
  if (isOciLayout(find)) {
    const image = await openOciLayout(find, options.image, options);
    checkSameImage(find, image.contents[1]?.descriptor.digest ?? '');
    return { ...image, format: 'oci-layout' };
  }
  if (!isDockerArchive(find)) return undefined;
  const image = openDockerArchive(find, options.image);
  return { ...image, wholeName: '', attached: undefined, format: 'docker-archive' };
}

/** Files as they are when they are first asked for: what replaces one later is not read. */
function filesBelow(folder: string, open: DisposableStack): FindFile {
  const found = new Map<string, FileBlob>();
  return (path) => {
    const known = found.get(path);
    if (known !== undefined) return known;
    const blob = openFile(join(folder, path), open);
    if (blob !== undefined) found.set(path, blob);
    return blob;
  };
}

function filesInTar(path: string, open: DisposableStack): FindFile | undefined {
  const file = openFile(path, open);
  if (file === undefined) return undefined;
  let index: TarIndex;
  try {
    index = indexTar(file.bytes, readingAhead(file.descriptor));
  } catch (error) {
    // What does not even begin as an archive is something else.
    if (error instanceof OciError && error.message.startsWith('archive, at byte 0:')) return undefined;
    throw error;
  }
  return (name) => {
    const { offset, bytes } = index.find(name) ?? { offset: 0, bytes: -1 };
    return bytes < 0 ? undefined : { kind: 'file', descriptor: file.descriptor, offset, bytes };
  };
}

function openFile(path: string, open: DisposableStack): FileBlob | undefined {
  try {
    const descriptor = open.adopt(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), closeSync);
    const stat = fstatSync(descriptor);
    return stat.isFile() ? { kind: 'file', descriptor, offset: 0, bytes: stat.size } : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
}

function readingAhead(descriptor: number): (offset: number, length: number) => Uint8Array {
  let start = 0;
  let held: Uint8Array = new Uint8Array();
  return (offset, length) => {
    if (offset < start || offset + length > start + held.length) {
      held = readPart(descriptor, offset, READ_AHEAD_BYTES);
      start = offset;
    }
    return held.subarray(offset - start, offset - start + length);
  };
}
