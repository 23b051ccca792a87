import { createHash } from 'node:crypto';
import { concatBytes, fromHex, ParseError, toHex, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../testing/attempt.ts';
import { agileEvent, agileHeader, SHA384, type TestEvent } from '../../testing/event-log.ts';
import { ccelIndexOfPcr, parseCcel, parseCcelTable, replayCcel } from './ccel.ts';

const EVENTS: readonly TestEvent[] = [
  { pcr: 1, type: 0x8000_000b, data: utf8('TdxTable') },
  { pcr: 2, type: 4, data: new Uint8Array(4) },
  { pcr: 1, type: 4, data: new Uint8Array(4) },
  { pcr: 4, type: 6, data: utf8('application') },
];

function ccel(...events: readonly TestEvent[]): Uint8Array {
  return concatBytes(agileHeader(SHA384, 1), ...events.map((event) => agileEvent(event, SHA384)));
}

const extend = (register: Uint8Array, data: Uint8Array): Uint8Array => {
  const measured = createHash('sha384').update(data).digest();
  return new Uint8Array(createHash('sha384').update(register).update(measured).digest());
};

describe('replayCcel()', () => {
  test('extends each RTMR with the events of its index', async () => {
    const zeros = new Uint8Array(48);
    const rtmrs = await replayCcel(parseCcel(ccel(...EVENTS)));
    expect(rtmrs.map(toHex)).toEqual(
      [
        extend(extend(zeros, utf8('TdxTable')), new Uint8Array(4)),
        extend(zeros, new Uint8Array(4)),
        zeros,
        extend(zeros, utf8('application')),
      ].map(toHex),
    );
  });

  test('refuses a log without SHA-384', async () => {
    const log = parseCcel(concatBytes(agileHeader(), agileEvent({ pcr: 1, type: 4 })));
    await expect(replayCcel(log)).rejects.toThrow('has banks sha256, expected sha384');
  });
});

describe('parseCcel()', () => {
  test.each([0, 5, 23])('refuses an event that extends register %i', (pcr) => {
    expect(() => parseCcel(ccel({ pcr, type: 4 }))).toThrow(`mrIndex ${pcr} of event 1, expected 1 to 4`);
  });

  test.each([0x00, 0xff])('takes an area padded with %i where that was allowed', (byte) => {
    const area = concatBytes(ccel(...EVENTS), new Uint8Array(4096).fill(byte));
    expect(parseCcel(area, { padding: 'allowed' }).events).toHaveLength(5);
    expect(attempt(() => parseCcel(area))).toBeInstanceOf(ParseError);
  });
});

describe('parseCcelTable()', () => {
  // As EDK2 writes it, the address and the checksum changed.
  const table = fromHex(
    `4343454c3800000001fe494e54454c2045444b32202020200200000020202020130000010200000000000100000000000090${'00'.repeat(6)}`,
  );
  const sum = table.reduce((total, byte) => (total + byte) & 0xff, 0);
  table[9] = ((table[9] ?? 0) - sum) & 0xff;

  test('reads where the log lies', () => {
    expect(parseCcelTable(table)).toEqual({ technology: 'tdx', areaBytes: 0x1_0000n, areaAddress: 0x9000n });
  });

  test('refuses every truncation, a wrong checksum and another signature', () => {
    for (let length = 0; length < table.length; length += 1) {
      expect(attempt(() => parseCcelTable(table.subarray(0, length)))).toBeInstanceOf(ParseError);
    }
    for (const at of [0, 4, 20]) {
      const changed = new Uint8Array(table);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(attempt(() => parseCcelTable(changed))).toBeInstanceOf(ParseError);
    }
  });
});

test('ccelIndexOfPcr() is the mapping of UEFI', () => {
  const indices = Array.from({ length: 17 }, (_, pcr) => ccelIndexOfPcr(pcr));
  expect(indices).toEqual([0, 1, 2, 2, 2, 2, 2, 1, 3, 3, 3, 3, 3, 3, 3, 3, undefined]);
});
