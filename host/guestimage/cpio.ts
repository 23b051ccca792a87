// Writes a cpio archive in the "newc" format (070701), which the kernel unpacks as its first root file system
// (Documentation/driver-api/early-userspace/buffer-format.rst). The same entries always give the same bytes: sorted,
// owned by root, without times, inodes numbered in order.
import { concatBytes, utf8 } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';

/** An entry's path is relative, without `.` or `..`; a directory is made for each parent that is not listed. */
export type CpioEntry =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number };

const FILE_TYPE = { file: 0o100000, link: 0o120000, directory: 0o040000 } as const;
const LINK_MODE = 0o777;
const PARENT_MODE = 0o755;
/** Headers and contents start at multiples of four bytes. */
const ALIGNMENT_BYTES = 4;
const TRAILER = 'TRAILER!!!';

export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [index, entry] of withParents(entries).entries()) parts.push(...member(entry, index + 1));
  parts.push(...record({ path: TRAILER, inode: 0, mode: 0, content: new Uint8Array(0) }));
  return concatBytes(...parts);
}

function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const byPath = new Map<string, CpioEntry>();
  for (const entry of entries) {
    requireRelative(entry.path);
    if (byPath.has(entry.path)) throw new RingwallError('internal', `two entries for ${entry.path} in one archive`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const parent = path.slice(0, cut);
      const known = byPath.get(parent);
      if (known === undefined) byPath.set(parent, { kind: 'directory', path: parent, mode: PARENT_MODE });
      else if (known.kind !== 'directory') throw new RingwallError('internal', `${parent} is not a directory`);
    }
  }
  // Sorted by code units, so that a parent comes before what is in it and no locale has a say.
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function requireRelative(path: string): void {
  const names = path.split('/');
  if (path === TRAILER || names.some((name) => name === '' || name === '.' || name === '..' || name.includes('\0'))) {
    throw new RingwallError('internal', `${JSON.stringify(path)} is no path for an archive`);
  }
}

function member(entry: CpioEntry, inode: number): Uint8Array[] {
  const { path } = entry;
  if (entry.kind === 'file') {
    return record({ path, inode, mode: FILE_TYPE.file | entry.mode, content: entry.content });
  }
  if (entry.kind === 'link') {
    return record({ path, inode, mode: FILE_TYPE.link | LINK_MODE, content: utf8(entry.target) });
  }
  return record({ path, inode, mode: FILE_TYPE.directory | entry.mode, content: new Uint8Array(0) });
}

interface Member {
  readonly path: string;
  readonly inode: number;
  readonly mode: number;
  readonly content: Uint8Array;
}

function record({ path, inode, mode, content }: Member): Uint8Array[] {
  const name = utf8(`${path}\0`);
  const [uid, gid, links, mtime, device, check] = [0, 0, 1, 0, 0, 0];
  const numbers = [
    inode,
    mode,
    uid,
    gid,
    links,
    mtime,
    content.length,
    device,
    device,
    device,
    device,
    name.length,
    check,
  ];
  const header = utf8(`070701${numbers.map((number) => number.toString(16).toUpperCase().padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), content, padding(content.length)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((ALIGNMENT_BYTES - (length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES);
}
