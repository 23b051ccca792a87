// Where the files of an archive lie in it, without reading their contents: archives of images have few files, and large ones.
import { ParseError } from '@ringwall/bytes';
import { OciError } from '../oci-error.ts';
import { BLOCK_BYTES } from './tar-header.ts';
import type { TarEntry } from './tar-entry.ts';
import { openTarReader } from './tar-reader.ts';

/** Layers, configurations and the folders around them; ten thousand images in one archive have as many. */
const MAX_INDEXED_FILES = 100_000;

export interface IndexedFile {
  readonly offset: number;
  readonly bytes: number;
}

export interface TarIndex {
  /** Follows links within the archive. */
  readonly find: (path: string) => IndexedFile | undefined;
}

/** `read` gives less than asked for only at the end. Throws OciError. */
export function indexTar(size: number, read: (offset: number, length: number) => Uint8Array): TarIndex {
  const files = new Map<string, IndexedFile>();
  const links = new Map<string, string>();
  let at = 0;
  while (at < size) {
    const found = nextEntry(at, size, read);
    if (found === undefined) break;
    const { entry, offset } = found;
    if (files.size + links.size >= MAX_INDEXED_FILES)
      throw new OciError('limit', `archive has more than ${MAX_INDEXED_FILES} files`);
    const isFile = entry.type === 'file' && !entry.isSparse;
    const bytes = isFile ? entry.bytes : 0;
    if (offset + bytes > size) throw new OciError('malformed', `archive ends within “${entry.path}”`);
    // One name twice would mean one thing here and another to whoever reads it next.
    if (files.has(entry.path)) throw new OciError('malformed', `archive has “${entry.path}” twice`);
    if (isFile) files.set(entry.path, { offset, bytes });
    else if (entry.type === 'symlink' || entry.type === 'hardlink') links.set(entry.path, targetOf(entry));
    else if (entry.type === 'file') throw new OciError('malformed', `archive has “${entry.path}” with holes`);
    at = offset + Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return { find: (path) => files.get(path) ?? files.get(links.get(path) ?? '') };
}

interface FoundEntry {
  readonly entry: TarEntry;
  /** Of its contents. */
  readonly offset: number;
}

/** A reader for each entry: what lies between them is never read. */
function nextEntry(
  start: number,
  size: number,
  read: (offset: number, length: number) => Uint8Array,
): FoundEntry | undefined {
  let found: TarEntry | undefined;
  const reader = openTarReader({
    entry: (entry) => {
      found = entry;
      return undefined;
    },
  });
  try {
    for (let at = start; at < size; at += BLOCK_BYTES) {
      reader.push(read(at, BLOCK_BYTES));
      if (found !== undefined) return { entry: found, offset: at + BLOCK_BYTES };
    }
    reader.end();
    return undefined;
  } catch (cause) {
    if (!(cause instanceof ParseError)) throw cause;
    throw new OciError('malformed', `archive, at byte ${start}: ${cause.message}`, { cause });
  }
}

/** `docker save` of old writes a layer that two images share as a link to `../ID/layer.tar`. */
function targetOf({ path, target, type }: TarEntry): string {
  if (type === 'hardlink') return target;
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
