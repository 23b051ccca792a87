import { ParseError, concatBytes, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { nodeCodecs } from '../../node/codecs.ts';
import { fixture } from '../../../testing/fixtures.ts';
import { altered, layout, le32, le64 } from '../../../testing/image-maker.ts';
import { memorySource } from '../../source/byte-source.ts';
import { openImage, parseImageHeader } from '../open-image.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../../../bytes/testing/processor-time.ts';

const sparse = fixture('image-vmdk');
const stream = fixture('image-vmdk-stream');
/** As VMware streams it: where the directory lies is only known at the end, in a footer between two markers. */
const footed = concatBytes(
  altered(stream, 56, le64(2n ** 64n - 1n)),
  layout(512, { 0: le64(1), 12: le32(3) }),
  stream.subarray(0, 512),
  new Uint8Array(512),
);
const FOOTER = footed.length - 1024;

function readAll(bytes: Uint8Array): Uint8Array {
  const image = openImage(memorySource(bytes), { codecs: nodeCodecs, format: 'vmdk' });
  return image.read(0, image.size);
}

function descriptor(...lines: readonly string[]): Uint8Array {
  return utf8(
    ['# Disk DescriptorFile', 'version=1', 'CID=0000abcd', 'parentCID=ffffffff', 'createType="custom"', ...lines].join(
      '\n',
    ),
  );
}

/** The sparse image with another descriptor inside. */
function describedBy(...lines: readonly string[]): Uint8Array {
  const text = descriptor(...lines);
  return altered(altered(sparse, 512, new Uint8Array(4096)), 512, text);
}

test('all fixtures show the same disk', () => {
  expect(Buffer.compare(readAll(sparse), readAll(stream))).toBe(0);
  expect(Buffer.compare(readAll(sparse), readAll(footed))).toBe(0);
});

test('a descriptor tells every extent, and follows none', () => {
  const bytes = descriptor('RW 8 FLAT "/etc/shadow" 0', 'RW 8 ZERO', 'RW 8 SPARSE "../x.vmdk"');
  const header = parseImageHeader(memorySource(bytes));
  expect(header.virtualSize).toBe(24 * 512);
  expect(header.references.map(({ kind, name, format }) => [kind, name, format])).toEqual([
    ['extent', '/etc/shadow', 'FLAT'],
    ['extent', '../x.vmdk', 'SPARSE'],
  ]);
  const [first] = header.references;
  expect(new TextDecoder().decode(bytes.subarray(first?.offset, (first?.offset ?? 0) + 11))).toBe('/etc/shadow');
  expect(() => openImage(memorySource(bytes))).toThrow(/^extent at \d+ names another file \(extent\): "\/etc\/shadow"/);
});

test('flat extents are read where their offset says, zeros between', () => {
  const bytes = descriptor('RW 1 FLAT "a" 1', 'RW 1 ZERO', 'RW 1 FLAT "a" 0');
  const flat = new Uint8Array(1024).fill(1, 0, 512).fill(2, 512);
  const image = openImage(memorySource(bytes), { resolve: () => memorySource(flat) });
  expect([0, 512, 1024].map((at) => image.read(at, 1)[0])).toEqual([2, 0, 1]);
});

describe('openImage() refuses a VMDK', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['of version 4', altered(sparse, 4, le32(4)), /^version 4/],
    ['of 2^63 sectors', altered(sparse, 12, le64(2n ** 63n)), /^capacity/],
    ['with grains of nothing', altered(sparse, 20, le64(0)), /^grainSize makes 0 bytes/],
    ['with grains of 2^40 sectors', altered(sparse, 20, le64(2 ** 40)), /^grainSize makes/],
    ['with tables of no entries', altered(sparse, 44, le32(0)), /^numGTEsPerGT 0/],
    ['with tables of 2^32 entries', altered(sparse, 44, le32(2 ** 32 - 1)), /^numGTEsPerGT 4294967295/],
    ['with its directory beyond its end', altered(sparse, 56, le64(2 ** 40)), /^gdOffset says/],
    ['with its directory at its header', altered(sparse, 56, le64(0)), /^gdOffset 0/],
    ['with a descriptor of gigabytes', altered(sparse, 36, le64(2 ** 24)), /^descriptorSize makes/],
    ['that was sent as text', altered(sparse, 73, utf8('\n \n\n')), /^newline characters were changed/],
    ['compressed in an unknown way', altered(sparse, 77, new Uint8Array([2])), /^compressAlgorithm 2/],
    [
      'whose descriptor names files beside it',
      describedBy('RW 1200 FLAT "/etc/shadow" 0'),
      /^extents of an embedded descriptor/,
    ],
    ['whose descriptor has another size', describedBy('RW 1 SPARSE "x.vmdk"'), /^extent sectors make 512 bytes/],
    ['with a setting twice', describedBy('CID=1', 'RW 1200 SPARSE "x"'), /^CID a second time/],
    [
      'with a parent that has no name',
      utf8('# Disk DescriptorFile\nCID=1\nparentCID=2\ncreateType="x"\n'),
      /^parentCID 2/,
    ],
    ['with an extent of no type', descriptor('RW 8 WHAT "x"'), /^extent "RW 8 WHAT/],
    ['with an extent of 2^53 sectors', descriptor('RW 9007199254740993 FLAT "x" 0'), /^extent sectors/],
    ['with an extent of no name', descriptor('RW 8 FLAT'), /^extent has no name/],
    ['without a footer', footed.subarray(0, -512), /^footer marker type/],
    ['whose footer points to the end again', altered(footed, FOOTER + 56, le64(2n ** 64n - 1n)), /^footer gdOffset/],
    ['of ESXi (COWD)', altered(sparse, 0, utf8('COWD')), /^magic of COWD/],
    ['of ESXi (SESparse)', altered(sparse, 0, le32(0xcafebabe)), /^magic of SESparse/],
  ])('%s', (_, bytes, message) => {
    expect(() => readAll(bytes)).toThrow(message);
    expect(() => readAll(bytes)).toThrow(ParseError);
  });

  test('with a descriptor that takes long to match', () => {
    const spent = startProcessorClock();
    expect(() =>
      readAll(descriptor(`x=${' '.repeat(500_000)}y${' '.repeat(400_000)}"`, `RW 8 FLAT "x"${' '.repeat(90_000)}z`)),
    ).toThrow(ParseError);
    expect(spent()).toBeLessThan(RUNAWAY_MS);
  });

  test('whose grains say another place, or are larger than a grain can be', () => {
    const at = stream.findIndex((byte, index) => index % 512 === 12 && byte === 0x78 && index > 1024) - 12;
    expect(() => readAll(altered(stream, at, le64(77)))).toThrow(/^grain marker lba 77/);
    expect(() => readAll(altered(stream, at + 8, le32(2 ** 31)))).toThrow(/^grain marker size 2147483648/);
    expect(() => readAll(altered(stream, at + 20, le32(0xffffffff)))).toThrow(/^compressed grain does not unpack/);
  });
});
