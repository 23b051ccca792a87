import { describe, expect, test } from 'vitest';
import type { ExternalReference, ImageHeader } from './images/disk-image.ts';
import { judgeImport, MAX_IMPORTED_DISK_BYTES } from './import-gate.ts';

const LIMITS = { maxDiskBytes: MAX_IMPORTED_DISK_BYTES };
const GOOD: ImageHeader = {
  format: 'qcow2',
  virtualSize: 2 ** 30,
  facts: {},
  references: [],
  snapshots: [],
  encryption: undefined,
};

function naming(name: string, kind: ExternalReference['kind'] = 'backing'): ImageHeader {
  return { ...GOOD, references: [{ kind, name, format: undefined, field: 'backing_file', offset: 8 }] };
}

describe('judgeImport()', () => {
  test('lets an image through that needs nothing but itself', () => {
    expect(judgeImport(GOOD, LIMITS)).toEqual([]);
  });

  test.each([
    ['base.qcow2', 'other-file'],
    ['sub/base.qcow2', 'other-file'],
    ['', 'other-file'],
    ['/etc/shadow', 'host-path'],
    ['\\\\server\\share\\x', 'host-path'],
    ['C:\\Windows\\System32\\config\\SAM', 'host-path'],
    ['../../etc/shadow', 'host-path'],
    ['sub/../../x', 'host-path'],
    ['sub\\..\\..\\x', 'host-path'],
    ['/dev/sda', 'not-a-file'],
    ['//dev/sda', 'not-a-file'],
    ['/proc/self/mem', 'not-a-file'],
    ['\\\\.\\PhysicalDrive0', 'not-a-file'],
    ['nbd://10.0.0.1/x', 'not-a-file'],
    ['nbd:unix:/run/x', 'not-a-file'],
    ['http://169.254.169.254/x', 'not-a-file'],
    ['HTTPS://example.org/x', 'not-a-file'],
    ['file:/etc/shadow', 'not-a-file'],
    ['json:{"driver":"file","filename":"/etc/shadow"}', 'not-a-file'],
    ['fd:3', 'not-a-file'],
  ])('refuses a backing file named %j: %s', (name, code) => {
    expect(judgeImport(naming(name), LIMITS)).toEqual([
      { code, field: 'backing_file', value: name, reason: expect.any(String) },
    ]);
  });

  test('lets a part through that was given along, by its plain name only', () => {
    const given = { ...LIMITS, given: new Set(['disk-s001.vmdk', '/etc/shadow', '../x', 'nbd:x']) };
    expect(judgeImport(naming('disk-s001.vmdk', 'extent'), given)).toEqual([]);
    for (const name of ['/etc/shadow', '../x', 'nbd:x', 'disk-s002.vmdk']) {
      expect(judgeImport(naming(name, 'extent'), given), name).toHaveLength(1);
    }
  });

  test('refuses sizes that are none', () => {
    expect(judgeImport({ ...GOOD, virtualSize: 0 }, LIMITS)).toMatchObject([{ code: 'no-disk' }]);
    expect(judgeImport({ ...GOOD, virtualSize: MAX_IMPORTED_DISK_BYTES + 512 }, LIMITS)).toMatchObject([
      { code: 'size', value: String(MAX_IMPORTED_DISK_BYTES + 512) },
    ]);
    expect(judgeImport({ ...GOOD, virtualSize: MAX_IMPORTED_DISK_BYTES }, LIMITS)).toEqual([]);
  });

  test('asks for the key of an encrypted image', () => {
    const locked: ImageHeader = { ...GOOD, encryption: { method: 'luks', header: undefined } };
    expect(judgeImport(locked, LIMITS)).toMatchObject([{ code: 'encrypted', value: 'luks' }]);
    expect(judgeImport(locked, { ...LIMITS, hasKey: true })).toEqual([]);
  });

  test('tells all that is wrong at once', () => {
    const { references } = naming('/etc/shadow');
    const bad = { ...GOOD, virtualSize: 0, references: [...references, ...naming('x').references] };
    expect(judgeImport(bad, LIMITS).map(({ code }) => code)).toEqual(['host-path', 'other-file', 'no-disk']);
  });
});
