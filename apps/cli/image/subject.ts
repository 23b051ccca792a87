// What it is that shall be scanned: its bytes say it, not its name.
import { closeSync, existsSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Invocation } from '../invocation.ts';
import { usage, withoutSignatures } from './given.ts';

export type SubjectKind = 'image' | 'root' | 'root-tar' | 'disk' | 'dockerfile' | 'sbom' | 'name';

/** One of them is in the root of every system that anybody runs. */
export const ROOT_FOLDERS: readonly string[] = ['etc', 'usr', 'bin', 'lib', 'app'];
/** Where no Dockerfile has a zero, and every disk and archive has. */
const HEAD_BYTES = 4096;
const TAR_MAGIC = { offset: 257, text: 'ustar' } as const;
/** RFC 1952 and RFC 8878: what layers may be packed with. */
const PACKED: readonly Uint8Array[] = [Uint8Array.of(0x1f, 0x8b), Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)];
/** What nothing here unpacks. */
const UNREAD: readonly (readonly [program: string, magic: Uint8Array])[] = [
  ['xz', Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a)],
  ['bzip2', Uint8Array.of(0x42, 0x5a, 0x68)],
];

/** Throws `RingwallError` for what cannot be any of them, and for what nobody can have signed where signatures are asked for. */
export function subjectKind({ values }: Invocation, subject: string): SubjectKind {
  const kind = kindOf(subject);
  if (kind === 'name' || kind === 'image' || !values.has('signatures')) return kind;
  throw withoutSignatures(subject);
}

function kindOf(subject: string): SubjectKind {
  const stat = statSync(subject, { throwIfNoEntry: false });
  // A path is meant where it begins as one; a name of an image never does.
  if (stat === undefined && !/^[./~]/.test(subject)) return 'name';
  if (stat === undefined) throw usage(`there is no ${subject}`, 'name a file, a folder, or an image');
  if (stat.isDirectory()) return kindOfFolder(subject);
  if (!stat.isFile()) throw usage(`${subject} is no file`, 'name a Dockerfile, an archive, a folder, or an image');
  const head = headOf(subject);
  if (head.subarray(TAR_MAGIC.offset, TAR_MAGIC.offset + TAR_MAGIC.text.length).toString() === TAR_MAGIC.text)
    return 'image';
  const begins = (magic: Uint8Array): boolean => head.subarray(0, magic.length).equals(magic);
  if (PACKED.some(begins)) return 'root-tar';
  const unread = UNREAD.find(([, magic]) => begins(magic));
  if (unread !== undefined)
    throw usage(`${subject} is packed with ${unread[0]}`, `unpack it first: ${unread[0]} -dk ${subject}`);
  if (head.includes(0)) return 'disk';
  // No Dockerfile begins with a brace; bills of materials are JSON.
  return /^(?:\uFEFF)?\s*\{/.test(head.toString()) ? 'sbom' : 'dockerfile';
}

function kindOfFolder(folder: string): SubjectKind {
  if (existsSync(join(folder, 'oci-layout')) && existsSync(join(folder, 'index.json'))) return 'image';
  const looksLikeRoot = ROOT_FOLDERS.some(
    (name) => lstatSync(join(folder, name), { throwIfNoEntry: false }) !== undefined,
  );
  if (looksLikeRoot) return 'root';
  throw usage(
    `${folder} is neither an OCI layout nor the root of a system`,
    'name a folder with index.json, or with etc and usr',
  );
}

function headOf(file: string): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(HEAD_BYTES);
    return buffer.subarray(0, readSync(descriptor, buffer));
  } finally {
    closeSync(descriptor);
  }
}
