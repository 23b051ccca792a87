// A copy of an image as an OCI layout in a folder: contents by digest, each checked while it is written, and an index at the end, so
// that a copy that was cut off is no image yet. What an earlier try left is used.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { OciError, type Descriptor } from '@ringwall/oci';
import type { CopiedAttachment } from './attachment-store.ts';
import { algorithmOf, memoryBlob, readPart, type Blob } from './blob.ts';
import type { StoredImage } from './image-in-store.ts';
import { COSIGN_KIND, COSIGN_KINDS, REF_NAME, WHOLE_NAME } from './layout-annotations.ts';

/** Registries slow down who asks for more at once. */
const PARALLEL = 3;
const READ_BYTES: number = 1024 * 1024;

export interface WriteOptions {
  /** `org.opencontainers.image.ref.name` of the index. */
  readonly name: string;
  /** As a registry has it, for `io.containerd.image.name`. */
  readonly wholeName?: string;
  /** Written beside the image, and into the index. */
  readonly attached?: readonly CopiedAttachment[];
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/** `folder` must hold no layout yet. Throws OciError, or what reading and writing throw. */
export async function writeLayout(image: StoredImage, folder: string, options: WriteOptions): Promise<void> {
  if (existsSync(join(folder, 'index.json'))) throw new OciError('malformed', `${folder} holds a layout already`);
  const manifest = image.contents[0]?.descriptor;
  if (manifest === undefined) throw new OciError('malformed', 'image has no manifest to copy');
  const open = [...image.contents];
  const copyNext = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined; next = open.shift())
      // oxlint-disable-next-line no-await-in-loop -- as many at once as there are such loops
      await copyBlob(next.descriptor, next.blob, folder, options);
  };
  await Promise.all(Array.from({ length: PARALLEL }, copyNext));
  const { wholeName = '', attached = [] } = options;
  for (const { digest, bytes } of attached.flatMap(({ contents }) => contents))
    // oxlint-disable-next-line no-await-in-loop -- small, and in memory
    await copyBlob({ digest, size: bytes.length }, memoryBlob(bytes), folder, options);
  const annotations = {
    [REF_NAME]: options.name,
    ...(wholeName === '' ? {} : { [WHOLE_NAME]: wholeName }),
    ...(attached.length === 0 ? {} : { [COSIGN_KIND]: COSIGN_KINDS.image }),
  };
  const { mediaType, digest, size } = manifest;
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
  const others = attached.map(({ entry }) => entry);
  const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size, annotations }, ...others] };
  const beside = join(folder, '.index.json');
  writeFileSync(beside, `${JSON.stringify(index)}\n`, { flush: true });
  renameSync(beside, join(folder, 'index.json'));
}

async function copyBlob(
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  blob: Blob,
  folder: string,
  { signal, onBytes }: WriteOptions,
): Promise<void> {
  const [algorithm = '', hex = ''] = digest.split(':');
  const place = join(folder, 'blobs', algorithm);
  const file = join(place, hex);
  // It was renamed only after its digest was checked.
  if (statSync(file, { throwIfNoEntry: false })?.size === size) return onBytes(size);
  mkdirSync(place, { recursive: true });
  const beside = `${file}.partial`;
  const descriptor = openSync(beside, 'w', 0o644);
  try {
    const hash = createHash(algorithmOf(digest));
    let written = 0;
    for await (const chunk of chunksOf(blob, signal)) {
      written += chunk.length;
      if (written > size)
        throw new OciError('malformed', `${digest} has more than the ${String(size)} bytes that were said`);
      hash.update(chunk);
      writeSync(descriptor, chunk);
      onBytes(chunk.length);
    }
    const found = `${algorithm}:${hash.digest('hex')}`;
    if (found !== digest) throw new OciError('malformed', `what came as ${digest} is ${found}`);
    fsyncSync(descriptor);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

async function* chunksOf(blob: Blob, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (blob.kind === 'stream') yield* blob.open(signal);
  else
    for (let at = 0; at < blob.bytes; at += READ_BYTES)
      yield readPart(blob.descriptor, blob.offset + at, Math.min(READ_BYTES, blob.bytes - at));
}
