import { describe, expect, it } from 'vitest';
import { imageDigest, parseManifest, renderManifest, type ImageManifest } from './manifest.ts';

const PARTS = {
  name: 'hello',
  title: 'a title',
  verityRootHash: 'ab'.repeat(32),
  hashOffset: 8192,
  kernelVersion: '6.1.0-56-cloud-amd64',
  files: {
    kernel: { sha256: '01'.repeat(32), bytes: 100 },
    initrd: { sha256: '02'.repeat(32), bytes: 200 },
    'system.img': { sha256: '03'.repeat(32), bytes: 12_288 },
    'files.json': { sha256: '06'.repeat(32), bytes: 300 },
  },
  sources: [
    { name: 'libc6', version: '2:2.36-9+deb12u14', sha256: '04'.repeat(32) },
    { name: 'systemd', version: '252' },
  ],
};
const GOOD: ImageManifest = { version: 2, digest: imageDigest(PARTS), ...PARTS };

describe('parseManifest()', () => {
  it('reads what renderManifest() writes', () => {
    expect(parseManifest(renderManifest(GOOD))).toEqual(GOOD);
    const saying = { ...GOOD, guestScripts: '07'.repeat(32) };
    expect(parseManifest(renderManifest(saying))).toEqual(saying);
  });

  it.each<[string, unknown]>([
    ['nothing', ''],
    ['a list', []],
    ['a field more', { ...GOOD, more: 1 }],
    ['scripts that are no digest', { ...GOOD, guestScripts: 'x' }],
    ['a field less', { ...GOOD, title: undefined }],
    ['the version before', { ...GOOD, version: 1 }],
    ['another version', { ...GOOD, version: 3 }],
    ['a name that is a path', { ...GOOD, name: '../x' }],
    ['a title that moves the cursor', { ...GOOD, title: '\u001b[2J' }],
    ['a digest of something else', { ...GOOD, digest: 'ff'.repeat(32) }],
    ['another root hash under the same digest', { ...GOOD, verityRootHash: 'ff'.repeat(32) }],
    ['a hash offset behind the end', { ...GOOD, hashOffset: 12_288 }],
    ['a hash offset inside a block', { ...GOOD, hashOffset: 8193 }],
    ['a file less', { ...GOOD, files: { kernel: GOOD.files.kernel } }],
    ['a file more', { ...GOOD, files: { ...GOOD.files, '../x': GOOD.files.kernel } }],
    ['a size that is text', { ...GOOD, files: { ...GOOD.files, kernel: { ...GOOD.files.kernel, bytes: '100' } } }],
    ['a size below zero', { ...GOOD, files: { ...GOOD.files, kernel: { ...GOOD.files.kernel, bytes: -1 } } }],
    ['a source that is an option', { ...GOOD, sources: [{ name: '-x', version: '1' }] }],
    ['a source with a field more', { ...GOOD, sources: [{ name: 'x', version: '1', url: 'x' }] }],
    ['sources without end', { ...GOOD, sources: Array.from({ length: 3000 }, () => ({ name: 'x', version: '1' })) }],
  ])('refuses %s', (_name, value) => {
    expect(() => parseManifest(typeof value === 'string' ? value : JSON.stringify(value))).toThrow(/^image manifest: /);
  });

  it('refuses text that is too long before it parses it', () => {
    expect(() => parseManifest(' '.repeat(300_000))).toThrow('300000 bytes, expected at most 262144');
  });
});

describe('imageDigest()', () => {
  it('depends on everything that decides what boots, and on nothing else', () => {
    const digest = imageDigest(PARTS);
    expect(imageDigest({ ...PARTS, name: 'other' })).not.toBe(digest);
    expect(imageDigest({ ...PARTS, hashOffset: 4096 })).not.toBe(digest);
    expect(imageDigest({ ...PARTS, verityRootHash: 'ac'.repeat(32) })).not.toBe(digest);
    for (const name of ['kernel', 'initrd', 'system.img', 'files.json'] as const) {
      const files = { ...PARTS.files, [name]: { ...PARTS.files[name], sha256: '05'.repeat(32) } };
      expect(imageDigest({ ...PARTS, files })).not.toBe(digest);
    }
  });
});
