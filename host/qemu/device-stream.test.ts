// Streams as QEMU 7.2 lays them out, made here piece by piece, and what becomes of them when a piece is another.
import { Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RingwallError } from '@ringwall/api';
import { withoutTpm } from './index.ts';

interface Device {
  readonly name: string;
  readonly contents: Uint8Array;
  /** As the description has them. */
  readonly fields: readonly object[];
  readonly subsections?: readonly object[];
}

const BEFORE: Buffer = Buffer.from('QEVM, then memory that is not shared');
const FORGED: Buffer = Buffer.from('\x04\0\0\0\x09\x0ctpm-emulator\0\0\0\0\0\0\0\0', 'latin1');

function tpmOf(...blobs: readonly Uint8Array[]): Device {
  const contents = new Writer();
  for (const blob of blobs) contents.u32be(1).u32be(blob.length).bytes(blob);
  return { name: 'tpm-emulator', contents: contents.finish(), fields: [{ name: 'all', size: contents.length }] };
}

const TIMER: Device = {
  name: 'timer',
  contents: Buffer.concat([
    Buffer.alloc(24, 7),
    Buffer.from('\x05\x08timer/ex\0\0\0\x01\x05\x09timer/ex2\0\0\0\x01ABC'),
  ]),
  fields: [
    { name: 'ticks', size: 8 },
    { name: 'pair', array_len: 2, size: 8 },
  ],
  subsections: [
    {
      vmsd_name: 'timer/ex',
      fields: [],
      subsections: [{ vmsd_name: 'timer/ex2', fields: [{ name: 'x', size: 3 }] }],
    },
  ],
};
/** What a guest may well have in a buffer of a device. */
const SERIAL: Device = {
  name: '0000:00:05.0/virtio-console',
  contents: Buffer.concat([FORGED, Buffer.from([0, 6, 0, 0, 0, 2]), Buffer.from('{}')]),
  fields: [{ name: 'data', size: FORGED.length + 8, type: 'buffer' }],
};
const SECRET: Buffer = Buffer.from('an endorsement seed');
const TPM: Device = tpmOf(SECRET, Buffer.from('volatile'), Buffer.alloc(0));

interface Changes {
  readonly description?: (text: string) => string;
  readonly section?: (bytes: Buffer, device: Device) => Uint8Array;
}

function streamOf(devices: readonly Device[], { description, section }: Changes = {}): Buffer {
  const stream = new Writer().bytes(BEFORE);
  for (const [index, device] of devices.entries()) {
    const idstr = Buffer.from(device.name, 'latin1');
    const header = new Writer().u8(4).u32be(index).u8(idstr.length).bytes(idstr).u32be(0).u32be(1).finish();
    const footer = new Writer().u8(0x7e).u32be(index).finish();
    const bytes = Buffer.concat([header, device.contents, footer]);
    stream.bytes(section?.(bytes, device) ?? bytes);
  }
  const described = devices.map(({ name, fields, subsections }) => ({
    name,
    instance_id: 0,
    vmsd_name: name,
    version: 1,
    fields,
    ...(subsections === undefined ? {} : { subsections }),
  }));
  const json = JSON.stringify({ configuration: {}, page_size: 4096, devices: described });
  const text = Buffer.from(description?.(json) ?? json, 'latin1');
  return Buffer.from(stream.u8(0).u8(6).u32be(text.length).bytes(text).finish());
}

const GOOD = [TIMER, SERIAL, TPM, TIMER] as const;

describe('withoutTpm()', () => {
  test('leaves all as it is but the state of the TPM, which is nothing', () => {
    const nothing = tpmOf(new Uint8Array(), new Uint8Array(), new Uint8Array()).contents.fill(0);
    const description = (): string => descriptionOf(streamOf(GOOD));
    const expected = streamOf([TIMER, SERIAL, { ...TPM, contents: nothing }, TIMER], { description });
    const seen = Buffer.from(withoutTpm(streamOf(GOOD)));
    expect(seen.equals(expected)).toBe(true);
    expect(seen.includes(SECRET)).toBe(false);
  });

  test('passes over what a guest has put into a device to look like a TPM', () => {
    const seen = Buffer.from(withoutTpm(streamOf([TPM, SERIAL])));
    expect(seen.includes(SERIAL.contents)).toBe(true);
    expect(() => withoutTpm(streamOf([TIMER, SERIAL]))).toThrow('tpm-emulator is not among them');
  });

  const bad: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['nothing', new Uint8Array(), /description is not at the end/],
    ['a stream with something behind it', Buffer.concat([streamOf(GOOD), Buffer.from(' ')]), /is not at the end/],
    ['two TPMs', streamOf([TPM, TIMER, TPM]), /tpm-emulator is there twice/],
    ['a TPM with a blob less', streamOf([tpmOf(SECRET, SECRET)]), /needs 4 bytes/],
    ['a TPM with a blob more', streamOf([tpmOf(SECRET, SECRET, SECRET, SECRET)]), /after its end/],
    ['a blob that is longer than the TPM', streamOf([longBlob()]), /tpm-emulator needs/],
    ['a description that is no JSON', streamOf(GOOD, { description: (text) => text.slice(1) }), /is no JSON/],
    ['a description without devices', streamOf(GOOD, { description: () => '{}' }), /names no devices/],
    [
      'a device that is described and not there',
      streamOf(GOOD, { section: (bytes, { name }) => (name === SERIAL.name ? Buffer.alloc(0) : bytes) }),
      /virtio-console/,
    ],
    [
      'a section of another kind',
      streamOf(GOOD, {
        section: (bytes, device) => (device === SERIAL ? Buffer.concat([Buffer.of(1), bytes.subarray(1)]) : bytes),
      }),
      /virtio-console is not where/,
    ],
    [
      'a footer of another section',
      streamOf(GOOD, { section: (bytes, device) => (device === SERIAL ? flipped(bytes, bytes.length - 1) : bytes) }),
      /virtio-console does not end where/,
    ],
    [
      'a device of another name',
      streamOf(GOOD, { description: (text) => text.replace('virtio-console', 'virtio-cansole') }),
      /cansole is not where/,
    ],
    [
      'another instance',
      streamOf(GOOD, { description: (text) => text.replace('"instance_id":0', '"instance_id":1') }),
      /timer is not where/,
    ],
    [
      'fields that are longer',
      streamOf(GOOD, { description: (text) => text.replace('"size":8', '"size":9') }),
      /timer/,
    ],
    [
      'fields beyond the beginning',
      streamOf(GOOD, { description: (text) => text.replace('"size":8', '"size":4294967295') }),
      /stream is over before/,
    ],
    [
      'a size below nothing',
      streamOf(GOOD, { description: (text) => text.replace('"size":8', '"size":-8') }),
      /field without a size/,
    ],
    [
      'a size that is no number',
      streamOf(GOOD, { description: (text) => text.replace('"size":8', '"size":"8"') }),
      /field without a size/,
    ],
    ['subsections without end', streamOf([{ ...TPM, subsections: [nested(40)] }]), /described without fields/],
    ['more devices than there are', streamOf(Array.from({ length: 1001 }, () => TIMER)), /description names 1001/],
  ];
  test.each(bad)('refuses %s', (_, stream, message) => {
    const attempt = (): unknown => withoutTpm(stream);
    expect(attempt).toThrow(RingwallError);
    expect(attempt).toThrow(message);
  });

  test('refuses every truncation', () => {
    const stream = streamOf(GOOD);
    for (let length = 0; length < stream.length; length += 1)
      expect(() => withoutTpm(stream.subarray(0, length))).toThrow(RingwallError);
  });

  test('of any changed bytes either says no, or has taken as much out', () => {
    const stream = streamOf(GOOD);
    const less = withoutTpm(stream).length;
    const place = fc.integer({ min: 0, max: stream.length - 1 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(place, fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const other = Buffer.from(stream);
          for (const [at, value] of changes) other[at] = value;
          expect([less, 'vmm-failed']).toContain(outcomeOf(other));
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

/** How long what is left is, or the code of what was wrong. */
function outcomeOf(stream: Buffer): unknown {
  try {
    return withoutTpm(stream).length;
  } catch (error) {
    return error instanceof RingwallError ? error.code : error;
  }
}

function descriptionOf(stream: Buffer): string {
  return stream.subarray(stream.lastIndexOf('{"configuration"')).toString('latin1');
}

function longBlob(): Device {
  const contents = new Writer().u32be(1).u32be(100).bytes(SECRET).finish();
  return { name: 'tpm-emulator', contents, fields: [{ name: 'all', size: contents.length }] };
}

function nested(depth: number): object {
  return { vmsd_name: 'x', fields: [], subsections: depth === 0 ? [] : [nested(depth - 1)] };
}

function flipped(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  other[at] = (other[at] ?? 0) ^ 1;
  return other;
}
