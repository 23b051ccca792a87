// What it is that shall be scanned: its bytes say it, not its name.
import { closeSync, existsSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { usage } from './names.ts';

export type SubjectKind = 'image' | 'root' | 'disk' | 'dockerfile' | 'sbom' | 'name';

/** Where no Dockerfile has a zero, and every disk and archive has. */
const HEAD_BYTES = 4096;
const TAR_MAGIC = { offset: 257, text: 'ustar' } as const;

/** Throws `RingwallError` for what cannot be any of them. */
export function kindOf(subject: string): SubjectKind {
  const stat = statSync(subject, { throwIfNoEntry: false });
  // A path is meant where it begins as one; a name of an image never does.
  if (stat === undefined && !/^[./~]/.test(subject)) return 'name';
  if (stat === undefined) throw usage(`there is no ${subject}`, 'name a file, a folder, or an image');
  if (stat.isDirectory()) return kindOfFolder(subject);
  if (!stat.isFile()) throw usage(`${subject} is no file`, 'name a Dockerfile, an archive, a folder, or an image');
  const head = headOf(subject);
  if (head.subarray(TAR_MAGIC.offset, TAR_MAGIC.offset + TAR_MAGIC.text.length).toString() === TAR_MAGIC.text)
    return 'image';
  if (head.includes(0)) return 'disk';
  // No Dockerfile begins with a brace; bills of materials are JSON.
  return /^(?:\uFEFF)?\s*\{/.test(head.toString()) ? 'sbom' : 'dockerfile';
}

function kindOfFolder(folder: string): SubjectKind {
  if (existsSync(join(folder, 'oci-layout')) && existsSync(join(folder, 'index.json'))) return 'image';
  const looksLikeRoot = ['etc', 'usr', 'bin', 'lib', 'app'].some(
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
