import { ParseError, concatBytes, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { DiskError } from '../../disk-error.ts';
import { memorySource } from '../../source/byte-source.ts';
import { openImage } from '../open-image.ts';
import { openOva } from './ova.ts';

interface Entry {
  readonly name: string;
  readonly contents?: string;
  readonly type?: string;
}

function tar(...entries: readonly Entry[]): Uint8Array {
  const parts = entries.flatMap(({ name, contents = '', type = '0' }) => {
    const header = new Uint8Array(512);
    const bytes = utf8(contents);
    header.set(utf8(name), 0);
    header.set(utf8(`${bytes.length.toString(8).padStart(11, '0')}\0`), 124);
    header.set(utf8('        '), 148);
    header.set(utf8(type), 156);
    header.set(utf8('ustar\x0000'), 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
    return [header, bytes, new Uint8Array(-bytes.length & 511)];
  });
  return concatBytes(...parts, new Uint8Array(1024));
}

const DESCRIPTOR = `<?xml version="1.0"?>
<!-- made by hand -->
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <ovf:References><ovf:File ovf:id="f1" ovf:href="a&amp;b.vmdk" ovf:size="7"/><ovf:File ovf:id="f2" ovf:href='http://x/y' /></ovf:References>
  <ovf:DiskSection>
    <ovf:Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^30" ovf:format="u"/>
    <ovf:Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="1024" ovf:parentRef="d1"/>
    <ovf:Disk ovf:diskId="d3" ovf:capacity="\${size}"/>
  </ovf:DiskSection>
</ovf:Envelope>`;

const GOOD: readonly Entry[] = [
  { name: 'x.ovf', contents: DESCRIPTOR },
  { name: 'x.mf', contents: 'SHA256(x.ovf)= 00ff\nSHA1 (a&b.vmdk) = AB\n' },
  { name: 'a&b.vmdk', contents: 'content' },
];

const open = (...entries: readonly Entry[]): ReturnType<typeof openOva> => openOva(memorySource(tar(...entries)));

describe('openOva()', () => {
  test('shows disks as windows of the archive, and what the manifest says', () => {
    const ova = open(...GOOD);
    expect(ova.disks.map(({ id, file, capacity, parent }) => [id, file, capacity, parent])).toEqual([
      ['d1', 'a&b.vmdk', 2 ** 31, undefined],
      ['d2', 'http://x/y', 1024, 'd1'],
      ['d3', undefined, undefined, undefined],
    ]);
    const [disk, elsewhere] = ova.disks;
    expect(new TextDecoder().decode(disk?.source?.read(0, 7))).toBe('content');
    expect(elsewhere?.source).toBeUndefined();
    expect(ova.digests).toEqual([
      { file: 'x.ovf', algorithm: 'SHA256', hex: '00ff' },
      { file: 'a&b.vmdk', algorithm: 'SHA1', hex: 'ab' },
    ]);
    expect(ova.signed).toBe(false);
  });

  test.each<[string, readonly Entry[], RegExp]>([
    ['a symbolic link', [...GOOD, { name: 'l', type: '2' }], /tar typeflag "2"/],
    ['a hard link', [...GOOD, { name: 'l', type: '1' }], /tar typeflag "1"/],
    ['a device', [...GOOD, { name: 'l', type: '3' }], /tar typeflag "3"/],
    ['a name that comes twice', [...GOOD, { name: 'x.mf' }], /tar name "x.mf" a second time/],
    ['a descriptor that is not first', GOOD.toReversed(), /expected the descriptor/],
    ['a declared entity', [{ name: 'x.ovf', contents: '<!DOCTYPE x [<!ENTITY a "b">]><x/>' }], /document type/],
    ['an unknown entity', [{ name: 'x.ovf', contents: '<x a="&boom;"/>' }], /entity &boom;/],
    ['tags that cross', [{ name: 'x.ovf', contents: '<a><b></a></b>' }], /closes a, which is not open/],
    ['a tag without an end', [{ name: 'x.ovf', contents: '<a><b' }], /does not end/],
    ['elements without an end', [{ name: 'x.ovf', contents: '<a>' }], /ends within a/],
    [
      'a size that only the header has',
      [{ name: 'x.ovf', contents: DESCRIPTOR.replace('"2"', '"9007199254740993"') }],
      /capacity/,
    ],
    ['a disk of no file', [{ name: 'x.ovf', contents: DESCRIPTOR.replace('id="f1"', 'id="f9"') }], /fileRef "f1"/],
    [
      'a manifest of something else',
      [GOOD[0] ?? { name: '' }, { name: 'x.mf', contents: 'MD5(x)= 1' }],
      /manifest line/,
    ],
  ])('refuses %s', (_, entries, message) => {
    expect(() => open(...entries)).toThrow(message);
    expect(() => open(...entries)).toThrow(ParseError);
  });

  test('refuses every truncation within its entries', () => {
    const bytes = tar(...GOOD);
    for (let length = 1; length < bytes.length - 1024 - 512; length += 97) {
      const cut = memorySource(bytes.subarray(0, length));
      expect(() => {
        if (openOva(cut).files.length < GOOD.length) throw new ParseError('truncated', 'files', length, 'are missing');
      }).toThrow(ParseError);
    }
  });
});

test('openImage() never takes an archive for a raw disk', () => {
  expect(() => openImage(memorySource(tar(...GOOD)))).toThrow(DiskError);
  expect(openImage(memorySource(tar(...GOOD)), { format: 'raw' }).format).toBe('raw');
});
