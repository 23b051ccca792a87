// The Authenticode digest of an image's kernel as QEMU patches it for a machine of a given memory. It is computed once
// for each size of memory, from a kernel that still is what the image was built with, and kept beside the manifest:
// a kernel that is replaced later is then measured, compared with what is kept here, and refused by name.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { authenticodeDigest, patchKernelAsQemu } from '@ringwall/evidence';
import type { Image } from './image.ts';

const FILE = 'kernel-digests.json';
const MIB = 1024 * 1024;
/** One for each size of memory that machines of this image have had. */
const MAX_KEPT = 4096;

/** By size of memory in MiB. */
type Digests = Readonly<Record<string, string>>;

/** About 60 ms the first time for a size of memory. Throws `image-failed` where nothing is kept and the kernel is another. */
export async function kernelDigest(image: Image, memoryMiB: number): Promise<Uint8Array> {
  const { kernel, initrd } = image.manifest.files;
  const path = join(image.dir, FILE);
  const basis = `${kernel.sha256} ${initrd.bytes}`;
  const kept = parseDigests(await readFile(path, 'utf8').catch(() => ''), basis);
  const known = kept[memoryMiB];
  if (known !== undefined) return fromHex(known);

  const bytes = await readFile(join(image.dir, 'kernel'));
  if (createHash('sha256').update(bytes).digest('hex') !== kernel.sha256) {
    throw new RingwallError('image-failed', `the kernel of ${image.manifest.name} is not the one that was built`, {
      hint: 'build the image again',
    });
  }
  const patched = patchKernelAsQemu(bytes, { initrdBytes: initrd.bytes, memoryBytes: memoryMiB * MIB });
  const digest = await authenticodeDigest(patched);
  if (Object.keys(kept).length < MAX_KEPT) {
    await keep(path, JSON.stringify({ version: 1, basis, digests: { ...kept, [memoryMiB]: toHex(digest) } }));
  }
  return digest;
}

/** What is kept for this kernel and this initrd; nothing where the file is missing, damaged or of another image. */
export function parseDigests(text: string, basis: string): Digests {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof value !== 'object' || value === null || !('version' in value) || value.version !== 1) return {};
  if (!('basis' in value) || value.basis !== basis || !('digests' in value)) return {};
  const { digests } = value;
  if (typeof digests !== 'object' || digests === null) return {};
  const kept: Record<string, string> = {};
  for (const [memory, digest] of Object.entries(digests)) {
    if (!/^[0-9]{1,9}$/.test(memory) || typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) return {};
    kept[memory] = digest;
  }
  return kept;
}

/** As a whole or not at all. Who may read the image but not write it computes the digest each time. */
async function keep(path: string, text: string): Promise<void> {
  const next = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(next, text, { flag: 'wx', mode: 0o644 });
    await rename(next, path);
  } catch {
    await rm(next, { force: true });
  }
}
