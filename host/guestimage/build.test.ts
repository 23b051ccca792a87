import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { authenticodeDigest, patchKernelAsQemu } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeRun } from '../exec/index.ts';
import { buildImage, checkImage, imageDigest, readImage, renderManifest } from './index.ts';
import { makeKernel, makePe } from '../../lib/evidence/testing/pe-image.ts';
import { HASH_CHUNK_BYTES } from './image.ts';
import { kernelDigest, parseDigests } from './kernel-digest.ts';

const SHA256_OF_X = '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ringwall-build-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function writeImage(kernel = { sha256: SHA256_OF_X, bytes: 1 }): Promise<void> {
  const file = { sha256: SHA256_OF_X, bytes: 1 };
  const parts = {
    name: 'hello',
    title: 'x',
    verityRootHash: 'ab'.repeat(32),
    hashOffset: 4096,
    kernelVersion: '6.1',
    files: { kernel, initrd: file, 'system.img': { ...file, bytes: 8192 }, 'files.json': file },
    sources: [],
  };
  await writeFile(join(dir, 'manifest.json'), renderManifest({ version: 2, digest: imageDigest(parts), ...parts }));
  for (const name of ['kernel', 'initrd', 'system.img', 'files.json']) await writeFile(join(dir, name), 'x');
}

describe('buildImage()', () => {
  const build = (name: string, outDir = join(dir, 'out')): ReturnType<typeof buildImage> =>
    buildImage(name, { outDir, cacheDir: join(dir, 'cache'), guestDir: dir, run: fakeRun({}).run });

  it.each(['unknown', '../hello', '--help', ''])('knows no image %j, and names those that it knows', async (name) => {
    await expect(build(name)).rejects.toMatchObject({ code: 'image-unknown', hint: 'there are: hello, debian' });
  });

  it('leaves an empty directory behind where it fails', async () => {
    await expect(build('hello')).rejects.toMatchObject({ code: 'image-failed' });
    expect(await readdir(join(dir, 'out'))).toEqual([]);
  });

  it('does not build over something else', async () => {
    await mkdir(join(dir, 'out'));
    await writeFile(join(dir, 'out/precious'), '');
    await expect(build('hello')).rejects.toMatchObject({ code: 'conflict' });
    expect(await readdir(join(dir, 'out'))).toEqual(['precious']);
  });

  it('says where it may not write', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(build('hello', join(dir, 'file/out'))).rejects.toThrow(/ENOTDIR/);
  });
});

describe('readImage() and checkImage()', () => {
  it('find no image where the manifest is missing', async () => {
    expect(await readImage(dir)).toBeUndefined();
    expect(await readImage(join(dir, 'nothing'))).toBeUndefined();
    await expect(checkImage(dir)).rejects.toMatchObject({ code: 'image-unknown' });
  });

  it('take an image whose files are those of its manifest', async () => {
    await writeImage();
    expect((await readImage(dir))?.manifest.name).toBe('hello');
    await checkImage(dir);
  });

  it.each(['kernel', 'initrd', 'system.img', 'files.json'])('miss %s, and see it changed', async (name) => {
    await writeImage();
    await writeFile(join(dir, name), 'y');
    await expect(checkImage(dir)).rejects.toThrow(`${name} is not the file that the image was built with`);
    await rm(join(dir, name));
    await expect(readImage(dir)).rejects.toMatchObject({ code: 'image-failed' });
  });

  it('refuse a manifest that broke off', async () => {
    await writeFile(join(dir, 'manifest.json'), '{"version":2,');
    await expect(readImage(dir)).rejects.toMatchObject({
      code: 'image-failed',
      hint: 'the image is damaged, or of another version of Ringwall: build it again',
    });
  });
});

/** A PE image with the setup header of a kernel in its first section, where nothing else looks. */
function kernelOf(trailingBytes: number): Uint8Array {
  const { image } = makePe({ trailingBytes, certificateBytes: 0 });
  image.set(makeKernel().subarray(0x200, 0x260), 0x200);
  return image;
}

describe('kernelDigest()', () => {
  const keepDigests = (value: unknown): Promise<void> =>
    writeFile(join(dir, 'kernel-digests.json'), JSON.stringify(value));
  const kept = { version: 1, basis: `${SHA256_OF_X} 1`, digests: { 512: 'cd'.repeat(32) } };

  it('is what was recorded when the kernel still was the one that was built', async () => {
    await writeImage();
    await keepDigests(kept);
    await writeFile(join(dir, 'kernel'), 'replaced');
    const image = await readImage(dir);
    if (image === undefined) throw new Error('no image');
    expect(Buffer.from(await kernelDigest(image, 512)).toString('hex')).toBe('cd'.repeat(32));
    await expect(kernelDigest(image, 1024)).rejects.toThrow('the kernel of hello is not the one that was built');
  });

  it('is that of the whole file, which is read in pieces', async () => {
    const kernel = kernelOf(2 * HASH_CHUNK_BYTES + 77);
    await writeImage({ sha256: createHash('sha256').update(kernel).digest('hex'), bytes: kernel.length });
    await writeFile(join(dir, 'kernel'), kernel);
    const image = await readImage(dir);
    if (image === undefined) throw new Error('no image');
    const patched = patchKernelAsQemu(kernel, { initrdBytes: 1, memoryBytes: 512 * 1024 * 1024 });
    expect(toHex(await kernelDigest(image, 512))).toBe(toHex(await authenticodeDigest(patched)));
  });

  it.each<[string, unknown]>([
    ['of another kernel', { ...kept, basis: 'x 1' }],
    ['of another version', { ...kept, version: 2 }],
    ['with a digest that is none', { ...kept, digests: { 512: 'x' } }],
    ['for a size that is none', { ...kept, digests: { __proto__x: 'cd'.repeat(32) } }],
    ['that are none', []],
  ])('takes no recorded digests %s', (_name, value) => {
    expect(parseDigests(JSON.stringify(value), kept.basis)).toEqual({});
    expect(parseDigests('{', kept.basis)).toEqual({});
  });
});
