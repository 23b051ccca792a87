// What is expected of a boot stays what it was when the image was put in place, whatever somebody does to the files.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageDigest, parseManifest, renderManifest, FIRMWARE_CODE } from '@ringwall/host/guestimage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { predictBootOf, recordImage, settleImage, type ExpectedImage } from './expected-image.ts';
import { writeSyntheticImage } from './testing/synthetic-image.ts';

const BOOT = { brokerKey: 'ab'.repeat(64), memoryMiB: 512, cpus: 1 };
const lacks = existsSync(FIRMWARE_CODE) ? '' : ' (skipped: needs OVMF)';

let dir: string;
let image: ExpectedImage;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'warden-expected-'));
  image = { imageDir: join(dir, 'hello'), expectedDir: join(dir, 'expected') };
  await writeSyntheticImage(image.imageDir);
});
afterEach(() => rmSync(dir, { recursive: true }));

const flip = (name: string): void => {
  const path = join(image.imageDir, name);
  const bytes = readFileSync(path);
  bytes[300] = (bytes[300] ?? 0) ^ 1;
  writeFileSync(path, bytes);
};

describe.skipIf(lacks !== '')(`predictBootOf()${lacks}`, () => {
  it('answers nothing where there is no image', async () => {
    rmSync(image.imageDir, { recursive: true });
    expect(await predictBootOf(image, BOOT)).toBeUndefined();
  });

  it('names the image, the kernel, the initrd and the command line', async () => {
    const prediction = await predictBootOf(image, BOOT);
    expect(prediction?.commandLine).toContain(`ringwall.broker=${BOOT.brokerKey}`);
    expect(prediction?.reference).toMatchObject({
      for: { image: { name: 'hello' }, kernel: { name: expect.stringContaining('vmlinuz-') } },
      events: expect.arrayContaining(
        ['kernel', 'initrd', 'command line'].map((what) => expect.objectContaining({ what })),
      ),
    });
  });

  it.each(['kernel', 'initrd', 'system.img'])('expects the same after %s was exchanged', async (name) => {
    const before = await predictBootOf(image, BOOT);
    flip(name);
    expect(await predictBootOf(image, BOOT)).toEqual(before);
  });

  it('expects the old command line after the manifest was made to fit another system', async () => {
    const before = await predictBootOf(image, BOOT);
    const path = join(image.imageDir, 'manifest.json');
    const changed = { ...parseManifest(readFileSync(path, 'utf8')), verityRootHash: 'cd'.repeat(32) };
    writeFileSync(path, renderManifest({ ...changed, digest: imageDigest(changed) }));
    const after = await predictBootOf(image, BOOT);
    expect(after?.reference).toEqual(before?.reference);
    expect(after?.commandLine).toContain('cd'.repeat(32));
  });

  it('refuses an image that was damaged before its first use', async () => {
    flip('kernel');
    await expect(predictBootOf(image, BOOT)).rejects.toMatchObject({ code: 'image-failed' });
    await expect(predictBootOf(image, BOOT)).rejects.toMatchObject({ code: 'image-failed' });
  });

  it('is the same for machines that start at once with an image that nobody has used', async () => {
    const predictions = await Promise.all([1, 2, 3].map(() => predictBootOf(image, BOOT)));
    expect(predictions[0]).toBeDefined();
    expect(predictions).toEqual(predictions.map(() => predictions[0]));
  });

  it('expects another kernel with another memory', async () => {
    const small = await predictBootOf(image, BOOT);
    expect(await predictBootOf(image, { ...BOOT, memoryMiB: 1024, cpus: 1 })).not.toEqual(small);
  });
});

describe.skipIf(lacks !== '')('an exchange of an image', () => {
  const staged = (): string => join(dir, 'staged');
  const place = (): void => {
    rmSync(image.imageDir, { recursive: true });
    renameSync(staged(), image.imageDir);
  };

  it('brings new expectations with it', async () => {
    const before = await predictBootOf(image, BOOT);
    await writeSyntheticImage(staged(), 1);
    await recordImage(staged(), image.expectedDir);
    place();
    await settleImage(image);
    const after = await predictBootOf(image, BOOT);
    expect(after?.reference).not.toEqual(before?.reference);
    expect(readdirSync(image.expectedDir)).toEqual(['current']);
  });

  it('that did not come to pass changes nothing', async () => {
    const before = await predictBootOf(image, BOOT);
    await writeSyntheticImage(staged(), 1);
    await recordImage(staged(), image.expectedDir);
    await settleImage(image);
    expect(await predictBootOf(image, BOOT)).toEqual(before);
    expect(readdirSync(image.expectedDir)).toEqual(['current']);
  });

  it('that was cut off between its two renames is finished', async () => {
    await predictBootOf(image, BOOT);
    await writeSyntheticImage(staged(), 1);
    await recordImage(staged(), image.expectedDir);
    place();
    rmSync(join(image.expectedDir, 'current'), { recursive: true });
    await settleImage(image);
    await settleImage(image);
    expect(await predictBootOf(image, BOOT)).toBeDefined();
  });

  it('refuses files that are not what their manifest says, and keeps none of them', async () => {
    await writeSyntheticImage(staged(), 1);
    cpSync(join(image.imageDir, 'kernel'), join(staged(), 'kernel'));
    await expect(recordImage(staged(), image.expectedDir)).rejects.toMatchObject({ code: 'image-failed' });
    await settleImage(image);
    expect(existsSync(join(image.expectedDir, 'pending'))).toBe(false);
  });
});
