// The Authenticode digest of an image's kernel as QEMU patches it for a machine of a given memory. It is computed once
// for each size of memory, from a kernel that still is what the image was built with, and kept beside the manifest:
// a kernel that is replaced later is then measured, compared with what is kept here, and refused by name.
import { createHash, randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { authenticodeRanges, patchKernelAsQemu, type QemuBoot } from '@ringwall/evidence';
import { HASH_CHUNK_BYTES, sha256File, type Image } from './image.ts';

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

  const source = join(image.dir, 'kernel');
  if ((await sha256File(source)) !== kernel.sha256) {
    throw new RingwallError('image-failed', `the kernel of ${image.manifest.name} is not the one that was built`, {
      hint: 'build the image again',
    });
  }
  const digest = await patchedDigest(source, { initrdBytes: initrd.bytes, memoryBytes: memoryMiB * MIB });
  if (Object.keys(kept).length < MAX_KEPT) {
    await keep(path, JSON.stringify({ version: 1, basis, digests: { ...kept, [memoryMiB]: toHex(digest) } }));
  }
  return digest;
}

/** Of the kernel as the firmware finds it. What QEMU changes is in the headers; the rest is read in pieces. */
async function patchedDigest(path: string, boot: QemuBoot): Promise<Uint8Array> {
  await using file = await open(path);
  const { size } = await file.stat();
  const buffer = new Uint8Array(HASH_CHUNK_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  const headers = patchKernelAsQemu(buffer.subarray(0, bytesRead), boot);
  const hash = createHash('sha256');
  for (const { start, end } of authenticodeRanges(headers, size)) {
    hash.update(headers.subarray(start, end));
    for (let at = Math.max(start, headers.length); at < end;) {
      const read = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (read.bytesRead === 0) throw new RingwallError('image-failed', `${path} ends before its own end`);
      hash.update(buffer.subarray(0, read.bytesRead));
      at += read.bytesRead;
    }
  }
  return new Uint8Array(hash.digest());
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
