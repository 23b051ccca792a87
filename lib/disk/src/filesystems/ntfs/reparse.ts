// Reparse points ([MS-FSCC], section 2.1.2): symbolic links, junctions, and what only other systems' drivers can read. And links
// as Interix wrote them, which ntfs-3g still does.
import { ParseError } from '@ringwall/bytes';
import { decodeFileName } from '../file-name.ts';
import { utf16 } from './record.ts';

const SYMLINK = 0xa000_000c;
const MOUNT_POINT = 0xa000_0003;
const LX_SYMLINK = 0xa000_001d;

const HEADER_BYTES = 8;

const INTERIX_LINK = [...new TextEncoder().encode('IntxLNK\u0001')];
/** A path has 4096 characters at most (PATH_MAX of Linux). */
export const MAX_INTERIX_BYTES: number = INTERIX_LINK.length + 2 * 4096;

/** Contents that lie elsewhere or are packed in a way that the attribute does not say: `open` would give zeros. */
const TAGS_THAT_HIDE_CONTENTS: ReadonlyMap<number, string> = new Map([
  [0x8000_0013, 'deduplicated'],
  [0x8000_0017, 'compressed by the Windows overlay (WOF)'],
  [0x8000_0021, 'kept by a cloud'],
  [0x9000_001a, 'kept by a cloud'],
]);

export interface ReparsePoint {
  /** Where it leads, with the separators of a path, as a path of this volume: a drive's letter is not part of it. */
  readonly target?: string;
  /** Why its contents cannot be read. */
  readonly hides?: string;
}

export function parseReparsePoint(bytes: Uint8Array, position: number): ReparsePoint {
  if (bytes.length < HEADER_BYTES)
    throw new ParseError('truncated', 'reparse point', position, `has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = view.getUint32(0, true);
  if (tag === SYMLINK) return { target: windowsPath(bytes, HEADER_BYTES + 12, position) };
  if (tag === MOUNT_POINT) return { target: windowsPath(bytes, HEADER_BYTES + 8, position) };
  // A version of four bytes, then the target as Linux has it.
  if (tag === LX_SYMLINK) return { target: decodeFileName(bytes.subarray(HEADER_BYTES + 4)) };
  const hides = TAGS_THAT_HIDE_CONTENTS.get(tag & 0xffff_0fff) ?? TAGS_THAT_HIDE_CONTENTS.get(tag);
  return hides === undefined ? {} : { hides };
}

/** The target of a file that Interix takes for a link; undefined for another file. */
export function interixTarget(contents: Uint8Array): string | undefined {
  if (!INTERIX_LINK.every((byte, index) => contents[index] === byte)) return undefined;
  return utf16(contents.subarray(INTERIX_LINK.length));
}

/** The substitute name: offset and length are the first two fields behind the header, and count from `buffer`. */
function windowsPath(bytes: Uint8Array, buffer: number, position: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < buffer) throw new ParseError('truncated', 'reparse point', position, `has ${bytes.length} bytes`);
  const start = buffer + view.getUint16(HEADER_BYTES, true);
  const end = start + view.getUint16(HEADER_BYTES + 2, true);
  if (end > bytes.length) {
    throw new ParseError('truncated', 'SubstituteName', position, `ends at ${end} of ${bytes.length} bytes`);
  }
  return utf16(bytes.subarray(start, end))
    .replace(/^\\\?\?\\(?:[A-Za-z]:)?/, '')
    .replaceAll('\\', '/');
}
