import { Cursor, equalBytes, fromHex, ParseError, toHex, utf8, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt, flipBit } from '../testing/attempt.ts';
import { readYamlEvents } from '../testing/tpm2-eventlog.ts';
import { NEEDS_VECTORS, readFixture, readVector, VECTORS_PRESENT } from '../testing/vectors.ts';
import { secureBootOf } from './event-data.ts';
import {
  MAX_EVENT_DATA_BYTES,
  MAX_EVENT_LOG_BYTES,
  MAX_EVENTS,
  NO_PCR,
  parseEventLog,
  replayEventLog,
  startupLocality,
  type EventLog,
  type LogEvent,
} from './event-log.ts';
import { isComputable } from './hash.ts';

/** A log of OVMF that booted a kernel given by `-kernel`, with a SHA-256 bank only. */
const OVMF = readFixture('ovmf-direct-boot.bin');
const SHA256 = 0x0b;
const EV_NO_ACTION = 3;
const EV_SEPARATOR = 4;

describe('parseEventLog() of a real OVMF boot', () => {
  const log = parseEventLog(OVMF);

  test('finds one bank, and each event where it begins', () => {
    expect(log.format).toBe('crypto-agile');
    expect(log.algorithms).toEqual([{ name: 'sha256', algorithmId: SHA256, digestBytes: 32 }]);
    expect(log.events.map((event) => event.index)).toEqual(log.events.map((_, index) => index));
    for (const event of log.events) {
      expect(new Cursor(OVMF.subarray(event.offset)).u32le('pcrIndex')).toBe(event.pcr);
    }
  });

  test('names the kernel, the initrd and the command line where the design says', () => {
    const named = (pcr: number): string[] => log.events.filter((event) => event.pcr === pcr).map((e) => e.typeName);
    expect(named(4)).toContain('EV_EFI_BOOT_SERVICES_APPLICATION');
    expect(named(9)).toEqual(['EV_EVENT_TAG', 'EV_EVENT_TAG']);
  });

  test('replays to the PCRs that the TPM had', async () => {
    const pcrs = await replayEventLog(log, 'sha256');
    expect([0, 2, 5, 7].map((pcr) => toHex(pcrs.get(pcr) ?? new Uint8Array(0)))).toEqual([
      '93b4db75f808ff05b1cc1d62e7921d13e9424e3cbbf4226fa6323d8043f300b2',
      '3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969',
      'a5ceb755d043f32431d63e39f5161464620a3437280494b5850dc1b47cc074e0',
      '65caf8dd1e0ea7a6347b635d2b379c93b9a1351edc2afc3ecda700e534eb3068',
    ]);
    expect(pcrs.size).toBe(24);
    expect(pcrs.get(15)).toEqual(new Uint8Array(32));
    expect(pcrs.get(17)).toEqual(new Uint8Array(32).fill(0xff));
  });

  test('has no other bank to replay', async () => {
    await expect(replayEventLog(log, 'sha384')).rejects.toThrow('event log has banks sha256, expected sha384');
  });

  test('every truncation is refused, or is a shorter log that ends between two events', () => {
    const boundaries = new Set(log.events.map((event) => event.offset));
    for (let length = 0; length < OVMF.length; length += 1) {
      const parsed = attempt(() => parseEventLog(OVMF.subarray(0, length)));
      expect(parsed instanceof ParseError, `${length} bytes`).toBe(!boundaries.has(length) || length === 0);
    }
  });

  test('any flipped bit is refused, or changes an event', () => {
    fc.assert(
      fc.property(fc.nat(OVMF.length * 8 - 1), (bit) => {
        const changed = attempt(() => parseEventLog(flipBit(OVMF, bit)));
        expect(changed instanceof ParseError ? 'refused' : describeLog(changed)).not.toBe(describeLog(log));
      }),
    );
  });
});

describe('parseEventLog()', () => {
  test('arbitrary bytes throw only ParseError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, behindHeader) => {
        const parsed = attempt(() => parseEventLog(behindHeader ? build([], bytes) : bytes));
        expect(parsed).toBeDefined();
      }),
    );
  });

  const one = Uint8Array.of(1);
  test.each<[string, Uint8Array, string]>([
    ['an empty log', new Uint8Array(0), 'pcrIndex needs 4 bytes, expected at most 0'],
    ['PCR 24', build([{ pcr: 24 }]), 'pcrIndex 24, expected at most 23'],
    ['a measured event of PCR 0xffffffff', build([{ pcr: NO_PCR }]), 'pcrIndex 4294967295, expected at most 23'],
    ['an EV_NO_ACTION event of PCR 24', build([{ pcr: 24, type: 3 }]), 'pcrIndex 24, expected at most 23'],
    ['padding behind the last event', build([{}], new Uint8Array(64).fill(0xff)), 'pcrIndex 4294967295'],
    ['an event larger than the limit', build([{ size: MAX_EVENT_DATA_BYTES + 1 }]), 'expected at most 4194304'],
    ['an event larger than the log', build([{ size: 41 }]), 'event needs 41 bytes'],
    ['an event with no digest', build([{ algorithms: [] }]), 'digests.count 0, expected 1 to 1 as in the header'],
    ['an event with a digest too many', build([{ algorithms: [11, 11] }]), 'digests.count 2, expected 1'],
    ['an event with another digest', build([{ algorithms: [4] }]), 'hashAlg 0x4, expected one that the header'],
    [
      'an event with one digest twice',
      build([{ algorithms: [11, 11] }], undefined, {
        algorithms: [
          [11, 32],
          [12, 48],
        ],
      }),
      'hashAlg sha256 twice, expected once',
    ],
    ['a header with no algorithm', build([], undefined, { algorithms: [] }), 'numberOfAlgorithms 0, expected 1 to 16'],
    [
      'a header with 4 thousand million algorithms',
      build([], undefined, { count: 0xffff_ffff }),
      'numberOfAlgorithms 4294967295, expected 1 to 16',
    ],
    [
      'a header with an algorithm twice',
      build([], undefined, {
        algorithms: [
          [11, 32],
          [11, 32],
        ],
      }),
      'algorithmId sha256 twice',
    ],
    [
      'a header with a wrong digest size',
      build([], undefined, { algorithms: [[11, 20]] }),
      'digestSize 20, expected 32',
    ],
    [
      'a header with an unknown algorithm whose digests are too large',
      build([], undefined, { algorithms: [[1, 129]] }),
      'digestSize 129, expected 1 to 128',
    ],
    [
      'a header with an unknown algorithm whose digests are nothing',
      build([], undefined, { algorithms: [[1, 0]] }),
      'digestSize 0, expected 1 to 128',
    ],
    ['a header of major version 3', build([], undefined, { major: 3 }), 'specVersion 3.0, expected 2'],
    ['a header of 128-bit words', build([], undefined, { uintnSize: 4 }), 'uintnSize 4, expected 1 or 2'],
    ['a header with bytes left over', build([], undefined, { behind: one }), 'TCG_EfiSpecIDEvent has 1 bytes after'],
    ['a header with its vendor info cut', build([], undefined, { vendorInfoSize: 2 }), 'vendorInfo needs 2 bytes'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseEventLog(bytes)).toThrow(ParseError);
    expect(() => parseEventLog(bytes)).toThrow(message);
  });

  test('refuses a log that is larger than the limit before it reads it', () => {
    expect(() => parseEventLog(new Uint8Array(MAX_EVENT_LOG_BYTES + 1))).toThrow('expected at most 16777216');
  });

  test('refuses more events than the limit', () => {
    const events = new Uint8Array(32 * (MAX_EVENTS + 1));
    expect(parseEventLog(events.subarray(0, 32 * MAX_EVENTS)).events).toHaveLength(MAX_EVENTS);
    expect(() => parseEventLog(events)).toThrow(ParseError);
  });

  test('digests of an unknown algorithm have the size that the header gives', async () => {
    const algorithms = [
      [0x99, 7],
      [SHA256, 32],
    ] as const;
    const digest = (id: number): Uint8Array => new Uint8Array(id === 0x99 ? 7 : 32).fill(id);
    const log = parseEventLog(build([{ algorithms: [0x99, SHA256], digestOf: digest }], undefined, { algorithms }));
    expect(log.algorithms.map(({ name }) => name)).toEqual(['0x0099', 'sha256']);
    expect(log.events[1]?.digests.get('0x0099')).toEqual(digest(0x99));
    expect((await replayEventLog(log, 'sha256')).get(0)).not.toEqual(new Uint8Array(32));
  });

  test('an event that lacks a declared digest is read, but its bank cannot be replayed', async () => {
    const algorithms = [
      [4, 20],
      [SHA256, 32],
    ] as const;
    const log = parseEventLog(build([{ algorithms: [4] }], undefined, { algorithms }));
    expect((await replayEventLog(log, 'sha1')).size).toBe(24);
    await expect(replayEventLog(log, 'sha256')).rejects.toThrow('event 1 has no sha256 digest, expected one');
  });

  test.each([0x00, 0xff])('padding of bytes %i behind the last event is taken where it was allowed', (byte) => {
    const bytes = build([{ data: utf8('last') }], new Uint8Array(100_000).fill(byte));
    expect(attempt(() => parseEventLog(bytes))).toBeInstanceOf(ParseError);
    const log = parseEventLog(bytes, { padding: 'allowed' });
    expect(log).toMatchObject({ paddingBytes: 100_000 });
    expect(log.events).toHaveLength(2);
  });

  test('what is no padding is refused, allowed or not', () => {
    const bytes = build([{}], Uint8Array.of(...new Uint8Array(64).fill(0xff), 1));
    expect(attempt(() => parseEventLog(bytes, { padding: 'allowed' }))).toBeInstanceOf(ParseError);
  });

  test('a type that the specification does not name is kept, by its number', () => {
    expect(parseEventLog(build([{ type: 0x8000_00ff }])).events[1]?.typeName).toBe('0x800000ff');
  });

  test('what it returns does not change with the input', () => {
    const bytes = build([{ data: utf8('before') }]);
    const parsed = parseEventLog(bytes);
    bytes.fill(0);
    expect(parsed.events[1]?.data).toEqual(utf8('before'));
  });
});

describe('replayEventLog()', () => {
  const locality = (value: number): Uint8Array => new Writer().bytes(utf8('StartupLocality\0')).u8(value).finish();
  const pcr0 = async (...events: readonly Partial<Event>[]): Promise<string> =>
    toHex((await replayEventLog(parseEventLog(build(events)), 'sha256')).get(0) ?? new Uint8Array(0));

  test('checklist 9: EV_NO_ACTION never extends, whatever its digest', async () => {
    const digest = new Uint8Array(32).fill(0xab);
    expect(await pcr0({ type: EV_NO_ACTION, digest })).toBe('00'.repeat(32));
    expect(await pcr0({ type: EV_SEPARATOR, digest })).not.toBe('00'.repeat(32));
  });

  test('checklist 9: StartupLocality sets where PCR 0 starts', async () => {
    expect(await pcr0({ type: EV_NO_ACTION, data: locality(3) })).toBe(`${'00'.repeat(31)}03`);
    expect(await pcr0({ type: EV_NO_ACTION, data: locality(0) })).toBe('00'.repeat(32));
  });

  test('checklist 9: StartupLocality of another PCR says nothing', async () => {
    expect(await pcr0({ pcr: 1, type: EV_NO_ACTION, data: locality(3) })).toBe('00'.repeat(32));
  });

  test('checklist 9: StartupLocality in an event that extends says nothing', async () => {
    const plain = await pcr0({ type: EV_SEPARATOR });
    expect(await pcr0({ type: EV_SEPARATOR, data: locality(3) })).toBe(plain);
  });

  test.each<[string, readonly Partial<Event>[]]>([
    ['locality 1', [{ type: EV_NO_ACTION, data: locality(1) }]],
    ['a locality of two bytes', [{ type: EV_NO_ACTION, data: Uint8Array.of(...locality(3), 0) }]],
    ['no locality', [{ type: EV_NO_ACTION, data: utf8('StartupLocality\0') }]],
    [
      'two localities',
      [
        { type: EV_NO_ACTION, data: locality(3) },
        { type: EV_NO_ACTION, data: locality(3) },
      ],
    ],
    ['a locality after PCR 0 was extended', [{ type: EV_SEPARATOR }, { type: EV_NO_ACTION, data: locality(3) }]],
  ])('refuses %s', async (_, events) => {
    await expect(pcr0(...events)).rejects.toThrow(ParseError);
  });

  test('PCRs of a dynamic launch start as zeros where the log extends them', async () => {
    const pcrs = await replayEventLog(parseEventLog(build([{ pcr: 17, digest: new Uint8Array(32) }])), 'sha256');
    expect(toHex(pcrs.get(17) ?? new Uint8Array(0))).toBe(
      // SHA-256 of 64 zero bytes.
      'f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b',
    );
    expect(pcrs.get(18)).toEqual(new Uint8Array(32).fill(0xff));
  });

  test('changes with the order of two events', async () => {
    const first = { digest: new Uint8Array(32).fill(1) };
    const second = { digest: new Uint8Array(32).fill(2) };
    expect(await pcr0(first, second)).not.toBe(await pcr0(second, first));
  });
});

describe.skipIf(!VECTORS_PRESENT)(`logs of real machines${NEEDS_VECTORS}`, () => {
  const expected: Record<string, Record<string, Record<string, string>>> = VECTORS_PRESENT
    ? JSON.parse(new TextDecoder().decode(readVector('eventlog/go-tpm-tools/expected-pcrs.json')))
    : {};

  test.each(Object.entries(expected))('%s replays to its PCRs in each bank', async (name, banks) => {
    const log = parseEventLog(readVector(`eventlog/go-tpm-tools/${name}`));
    for (const [bank, pcrs] of Object.entries(banks)) {
      if (bank !== 'sha1' && bank !== 'sha256' && bank !== 'sha384') throw new Error(`bank ${bank}`);
      const replayed = await replayEventLog(log, bank);
      for (const [pcr, value] of Object.entries(pcrs)) {
        expect(equalBytes(replayed.get(Number(pcr)) ?? new Uint8Array(0), fromHex(value)), `pcr ${pcr}`).toBe(true);
      }
    }
  });

  test('debian-10.bin is recognised as SHA-1 only', () => {
    const log = parseEventLog(readVector('eventlog/go-tpm-tools/debian-10.bin'));
    expect(log).toMatchObject({ format: 'sha1', algorithms: [{ name: 'sha1' }] });
  });

  test('arch-linux-workstation.bin has a SecureBoot variable without a value, which is refused', () => {
    const log = parseEventLog(readVector('eventlog/go-tpm-tools/arch-linux-workstation.bin'));
    expect(() => secureBootOf(log)).toThrow('SecureBoot has 0 bytes, expected one byte that is 0 or 1');
  });

  test('Secure Boot is read from logs that have it', () => {
    const of = (name: string): boolean | undefined => secureBootOf(parseEventLog(readVector(`eventlog/${name}`)));
    expect(of('go-tpm-tools/rhel8-uefi.bin')).toBe(true);
    expect(of('go-tpm-tools/ubuntu-2104-no-secure-boot.bin')).toBe(false);
  });

  const withYaml = ['bootorder', 'moklisttrusted', 'postcode', 'sd-boot-fedora37', 'uefi-sha1-log'];
  test.each(withYaml)('event-%s.bin has the events that tpm2_eventlog prints', (name) => {
    const path = `eventlog/tpm2-tools/event-${name}.bin`;
    const log = parseEventLog(readVector(path));
    const printed = readYamlEvents(new TextDecoder().decode(readVector(`${path}.yaml`)));
    const ours = log.events.map((event) => ({
      pcr: event.pcr,
      type: event.typeName,
      digests: [...event.digests].map(([, digest]) => toHex(digest)),
      size: event.data.length,
    }));
    expect(ours).toEqual(printed);
  });

  test('short_no_action_eventlog is one event, which names locality 3', () => {
    const log = parseEventLog(readVector('eventlog/go-attestation/short_no_action_eventlog'));
    expect(log).toMatchObject({ format: 'sha1', events: [{ pcr: 0, type: EV_NO_ACTION }] });
    expect(startupLocality(log)).toBe(3);
  });

  test('option_rom_eventlog ends with a note of Windows that has no PCR, and replays to the PCRs of its machine', async () => {
    const log = parseEventLog(readVector('eventlog/go-attestation/option_rom_eventlog'));
    expect(log.events.at(-1)).toMatchObject({ pcr: NO_PCR, type: EV_NO_ACTION });
    const pcrs = await replayEventLog(log, 'sha1');
    expect([0, 2, 7].map((pcr) => toHex(pcrs.get(pcr) ?? new Uint8Array(0)))).toEqual([
      '01518aedc87a0ef505d27261ef835809e7da0086',
      '366a31a0c075368f0e10857333ea2ed6e8a00fd3',
      '20de7dfba6bcdfccadad7e3eb099c91d4d97c5ad',
    ]);
  });

  const other = ['coreos_36_shielded_vm_no_secure_boot', 'crypto_agile', 'ebs_event_missing', 'sb_cert'];
  test.each(other)('%s_eventlog parses and replays in every bank', async (name) => {
    const log = parseEventLog(readVector(`eventlog/go-attestation/${name}_eventlog`));
    expect(log.events.length).toBeGreaterThan(10);
    for (const bank of log.algorithms.map((algorithm) => algorithm.name).filter(isComputable)) {
      expect((await replayEventLog(log, bank)).size).toBe(24);
    }
  });
});

function describeLog(log: EventLog): string {
  const digests = (event: LogEvent): readonly string[] => [...event.digests.values()].map(toHex);
  return JSON.stringify(log.events.map((event) => [event.pcr, event.type, digests(event), toHex(event.data)]));
}

interface Event {
  readonly pcr: number;
  readonly type: number;
  readonly algorithms: readonly number[];
  readonly digest: Uint8Array;
  readonly digestOf: (id: number) => Uint8Array;
  readonly data: Uint8Array;
  readonly size: number;
}

interface Header {
  readonly algorithms: readonly (readonly [id: number, bytes: number])[];
  readonly count: number;
  readonly major: number;
  readonly uintnSize: number;
  readonly vendorInfoSize: number;
  readonly behind: Uint8Array;
}

/** A crypto-agile log with the faults that a test wants. */
function build(events: readonly Partial<Event>[], behind?: Uint8Array, header: Partial<Header> = {}): Uint8Array {
  const algorithms = header.algorithms ?? [[SHA256, 32]];
  const specId = new Writer()
    .bytes(utf8('Spec ID Event03\0'))
    .u32le(0)
    .u8(0)
    .u8(header.major ?? 2)
    .u8(0)
    .u8(header.uintnSize ?? 2)
    .u32le(header.count ?? algorithms.length);
  for (const [id, bytes] of algorithms) specId.u16le(id).u16le(bytes);
  specId.u8(header.vendorInfoSize ?? 0).bytes(header.behind ?? new Uint8Array(0));
  const log = new Writer()
    .u32le(0)
    .u32le(EV_NO_ACTION)
    .bytes(new Uint8Array(20))
    .sized32le((data) => data.bytes(specId.finish()));
  for (const event of events) {
    const ids = event.algorithms ?? [SHA256];
    log.u32le(event.pcr ?? 0).u32le(event.type ?? EV_SEPARATOR);
    log.u32le(ids.length);
    for (const id of ids)
      log.u16le(id).bytes(event.digestOf?.(id) ?? event.digest ?? new Uint8Array(id === 4 ? 20 : 32));
    const data = event.data ?? new Uint8Array(0);
    log.u32le(event.size ?? data.length).bytes(data);
  }
  return log.bytes(behind ?? new Uint8Array(0)).finish();
}
