// One entry of a tar archive, as it would be unpacked: what the header says, put right by PAX records, with its path from the root,
// and what about it is a trap. OCI Image Specification 1.1, "Image Layer Filesystem Changeset".
import { ParseError } from '@ringwall/bytes';
import { ATTRIBUTE, paxNumber, type PaxRecords } from './pax.ts';
import type { TarHeader } from './tar-header.ts';

/** PATH_MAX of Linux. */
export const MAX_PATH_BYTES = 4096;
/** What Linux stores for one file, with room for their text form. */
const MAX_ATTRIBUTE_CHARACTERS: number = 128 * 1024;

export type EntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'other';

/** `outside`: its path, or `link-outside`: its target, leaves the root. `device`: it would open the host's. */
export type Hazard = 'outside' | 'link-outside' | 'device';

export interface TarEntry {
  /** From the root, without a slash at either end; what would leave the root is cut at it. Empty for the root. */
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Of the file as it would be unpacked, its holes too. */
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly modified: number;
  /** Of links, as written. */
  readonly target: string;
  /** `security.capability` and the like, as PAX writes them. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly isSparse: boolean;
  readonly hazards: readonly Hazard[];
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  S: 'file',
};
export function entryTypeOf({ typeflag }: TarHeader): EntryType {
  return TYPES[typeflag] ?? 'other';
}

/** `stored`: how many bytes of contents follow. Throws ParseError. */
export function parseTarEntry(
  header: TarHeader,
  records: PaxRecords,
  { stored, isSparse }: { readonly stored: number; readonly isSparse: boolean },
  offset: number,
): TarEntry {
  const type = entryTypeOf(header);
  const error = (code: 'limit' | 'invalid', field: string, detail: string): ParseError =>
    new ParseError(code, field, offset, detail);

  const sparseSize = paxNumber(records, 'GNU.sparse.realsize', offset) ?? paxNumber(records, 'GNU.sparse.size', offset);
  const name = records.get('GNU.sparse.name') ?? records.get('path') ?? header.name;
  const target = type === 'symlink' || type === 'hardlink' ? (records.get('linkpath') ?? header.linkname) : '';
  if (name.length > MAX_PATH_BYTES || target.length > MAX_PATH_BYTES)
    throw error('limit', 'path', `longer than ${MAX_PATH_BYTES}`);
  if (name.includes('\0') || target.includes('\0')) throw error('invalid', 'path', 'holds a zero');
  const { path, leaves } = pathFromRoot(name);
  const hazards: Hazard[] = leaves ? ['outside'] : [];
  if (linkLeaves(type, path, target)) hazards.push('link-outside');
  if (type === 'character-device' || type === 'block-device') hazards.push('device');
  const isFolder = type === 'file' && name.endsWith('/');
  const attributes = attributesOf(records);
  let attributeCharacters = 0;
  for (const [key, value] of attributes) attributeCharacters += key.length + value.length;
  if (attributeCharacters > MAX_ATTRIBUTE_CHARACTERS)
    throw error('limit', 'attributes', `have more than ${MAX_ATTRIBUTE_CHARACTERS} characters`);
  const realSize = sparseSize ?? (header.typeflag === 'S' ? (header.gnu?.realSize ?? stored) : stored);
  if (isSparse && (isFolder || type !== 'file'))
    throw error('invalid', 'sparse map', `of a ${isFolder ? 'directory' : type}`);
  if (realSize < 0) throw error('invalid', 'realsize', `${realSize}, expected a length`);
  const number = (key: string): number | undefined => paxNumber(records, key, offset);
  return {
    path,
    type: isFolder ? 'directory' : type,
    mode: header.mode & 0o7777,
    uid: number('uid') ?? header.uid,
    gid: number('gid') ?? header.gid,
    userName: records.get('uname') ?? header.uname,
    groupName: records.get('gname') ?? header.gname,
    bytes: type === 'file' ? realSize : 0,
    modified: number('mtime') ?? header.mtime,
    target,
    attributes,
    isSparse,
    hazards: hazards.length === 0 ? NO_HAZARDS : hazards,
  };
}

const NO_HAZARDS: readonly Hazard[] = [];
/** Most entries have none, and share the one that is empty: of a million maps each would have some hundred bytes. */
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function attributesOf(records: PaxRecords): ReadonlyMap<string, string> {
  if (records.size === 0) return NO_ATTRIBUTES;
  const own = [...records].filter(([key]) => key.startsWith(ATTRIBUTE));
  return own.length === 0 ? NO_ATTRIBUTES : new Map(own.map(([key, value]) => [key.slice(ATTRIBUTE.length), value]));
}

/** What is no name of a part: empty ones, `.` and `..`. */
const NO_NAME = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** `./a//b/../c` → `a/c`; `..` at the root stays at the root, and is told. */
export function pathFromRoot(name: string): { readonly path: string; readonly leaves: boolean } {
  // As nearly all are written.
  const plain = name.slice(name.startsWith('./') ? 2 : 0, name.endsWith('/') ? -1 : undefined);
  if (!NO_NAME.test(plain)) return { path: plain, leaves: false };
  const parts: string[] = [];
  let leaves = false;
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) leaves = true;
  }
  return { path: parts.join('/'), leaves };
}

/** A symbolic link counts from its folder or from the root; a hard link always from the root. */
function linkLeaves(type: EntryType, path: string, target: string): boolean {
  if (type === 'hardlink') return pathFromRoot(target).leaves;
  if (type !== 'symlink' || target.startsWith('/')) return false;
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return pathFromRoot(`${folder}/${target}`).leaves;
}
