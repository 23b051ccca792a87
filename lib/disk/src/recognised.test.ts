import { describe, expect, test } from 'vitest';
import { recognise } from './recognised.ts';
import { memorySource } from './source/byte-source.ts';

function volume(
  size: number,
  ...parts: readonly (readonly [offset: number, bytes: string | readonly number[]])[]
): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const [offset, part] of parts) {
    bytes.set(typeof part === 'string' ? new TextEncoder().encode(part) : part, offset);
  }
  return bytes;
}

const found = (bytes: Uint8Array): unknown => recognise(memorySource(bytes));
const toGo = [0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01];

describe('recognise()', () => {
  test.each([
    ['BitLocker', volume(512, [3, '-FVE-FS-']), { format: 'bitlocker', encrypted: true }],
    ['BitLocker To Go', volume(512, [3, 'MSWIN4.1'], [424, toGo]), { format: 'bitlocker', encrypted: true }],
    ['exFAT', volume(512, [3, 'EXFAT   '], [100, [0x78, 0x56, 0x34, 0x12]]), { format: 'exfat', uuid: '1234-5678' }],
    ['APFS', volume(4096, [32, 'NXSB']), { format: 'apfs', encrypted: false }],
    ['HFS+', volume(2048, [1024, 'H+'], [1026, [0, 4]]), { format: 'hfs+' }],
    [
      'swap',
      volume(4096, [4086, 'SWAPSPACE2'], [1052, 'pages']),
      { format: 'swap', label: 'pages', hibernated: false },
    ],
    ['swap with a system in it', volume(4096, [4086, 'S1SUSPEND']), { format: 'swap', hibernated: true }],
    [
      'LVM',
      volume(4096, [512, 'LABELONE'], [532, [32]], [536, 'LVM2 001'], [544, 'abcdef0123456789ABCDEF0123456789']),
      { format: 'lvm', uuid: 'abcdef-0123-4567-89AB-CDEF-0123-456789' },
    ],
    [
      'mdraid 1.2',
      volume(16_384, [4096, [0xfc, 0x4e, 0x2b, 0xa9, 1]], [4128, 'host:0']),
      { format: 'mdraid', label: 'host:0' },
    ],
    ['mdraid 1.0', volume(65_536, [57_344, [0xfc, 0x4e, 0x2b, 0xa9, 1]]), { format: 'mdraid' }],
    ['mdraid 0.90', volume(196_608, [131_072, [0xfc, 0x4e, 0x2b, 0xa9, 0]]), { format: 'mdraid', label: '' }],
    ['ZFS', volume(262_144, [131_072 + 3072, [0x0c, 0xb1, 0xba]]), { format: 'zfs' }],
    ['ZFS of a big-endian machine', volume(262_144, [131_072 + 4, [0, 0xba, 0xb1, 0x0c]]), { format: 'zfs' }],
  ])('knows %s', (_, bytes, facts) => {
    expect(found(bytes)).toMatchObject(facts);
  });

  test('knows nothing in zeros, in noise, and in less than a sector', () => {
    expect(found(new Uint8Array(300_000))).toBeUndefined();
    expect(found(new Uint8Array(300_000).fill(0x5a))).toBeUndefined();
    for (const size of [0, 1, 3, 10, 511]) expect(found(new Uint8Array(size))).toBeUndefined();
  });
});
