// Whatever bytes come: an error of the library's own, soon, and in little memory. The logs of real machines have their turn
// with all other readers in bounds.sweep.test.ts of lib/evidence.

import { concatBytes, equalBytes, ParseError, toHex, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../testing/attempt.ts';
import { agileEvent, agileHeader, agileLog } from '../../testing/event-log.ts';
import { encodeIma, imaNg } from '../../testing/ima-list.ts';
import { readFixture } from '../../testing/vectors.ts';
import { parseEventData } from '../event-data.ts';
import { MAX_EVENT_LOG_BYTES, MAX_EVENTS, parseEventLog } from '../event-log.ts';
import { EV } from '../event-types.ts';
import { checkBootSequence } from './boot-sequence.ts';
import { ImaReplay } from './ima-replay.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../../bytes/testing/processor-time.ts';

const MUTATIONS = 1500;

/** The whole way of a log: its events, and the data of each. */
function readAll(bytes: Uint8Array): number {
  const log = parseEventLog(bytes, { padding: 'allowed' });
  return log.events.filter((event) => parseEventData(event).kind === 'malformed').length;
}

function timed(action: () => void): number {
  const spent = startProcessorClock();
  action();
  return spent();
}

/** Numbers that are the same in every run. */
function* random(seed: number): Generator<number> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

/** Bits flipped, lengths made huge, parts doubled, moved and cut out. */
function* mutations(bytes: Uint8Array, count: number): Generator<Uint8Array> {
  const numbers = random(bytes.length);
  const next = (below: number): number => (numbers.next().value ?? 0) % below;
  for (let made = 0; made < count; made += 1) {
    const at = next(bytes.length);
    const length = next(64);
    const changed = new Uint8Array(bytes);
    if (made % 4 === 0) changed[at] = next(256);
    else if (made % 4 === 1) changed.fill(0xff, at, at + 4);
    else if (made % 4 === 2) changed.copyWithin(at, next(bytes.length), bytes.length);
    yield made % 4 === 3 ? concatBytes(bytes.subarray(0, at), bytes.subarray(at + length)) : changed;
  }
}

/** Reads mutations until one throws what is no `ParseError`; gives the time of the slowest. */
function slowestMutation(bytes: Uint8Array, count: number): number {
  let slowest = 0;
  for (const changed of mutations(bytes, count)) {
    slowest = Math.max(
      slowest,
      timed(() => void attempt(() => readAll(changed))),
    );
  }
  return slowest;
}

describe('boot event logs', () => {
  test('thousands of mutations of a real log are refused or read', () => {
    expect(slowestMutation(readFixture('ovmf-direct-boot.bin'), MUTATIONS)).toBeLessThan(RUNAWAY_MS);
  });

  test('a log of 64 MB is refused before it is read', () => {
    const read = attempt(() => parseEventLog(new Uint8Array(4 * MAX_EVENT_LOG_BYTES)));
    expect(read).toMatchObject({ code: 'limit', field: 'event log', offset: 0 });
  });

  test('the most events that are taken are read', () => {
    const one = agileEvent({ pcr: 4, type: EV.IPL });
    const bytes = concatBytes(agileHeader(), ...Array.from({ length: MAX_EVENTS - 1 }, () => one));
    expect(timed(() => void readAll(bytes))).toBeLessThan(RUNAWAY_MS);
    expect(attempt(() => readAll(concatBytes(bytes, one)))).toBeInstanceOf(ParseError);
  });

  test.each<[string, number, Uint8Array]>([
    ['signature lists of nothing but headers', EV.EFI_VARIABLE_DRIVER_CONFIG, manyLists()],
    ['a device path of one-byte nodes', EV.EFI_BOOT_SERVICES_DRIVER, new Uint8Array(4_000_000).fill(1)],
    ['tags without data', EV.EVENT_TAG, new Uint8Array(4_000_000)],
    ['text of four megabytes', EV.IPL, new Uint8Array(4_000_000).fill(0x61)],
  ])('no more time for %s', (_, type, data) => {
    const [, event] = parseEventLog(agileLog({ pcr: 1, type, data })).events;
    expect(timed(() => void (event && parseEventData(event)))).toBeLessThan(RUNAWAY_MS);
  });

  test('the order of a mutated log is checked, and nothing else is thrown', async () => {
    const logs = [...mutations(readFixture('ovmf-direct-boot.bin'), 100)].flatMap((changed) => {
      const log = attempt(() => parseEventLog(changed));
      return log instanceof ParseError || log.algorithms[0]?.name !== 'sha256' ? [] : [log];
    });
    expect(logs.length).toBeGreaterThan(10);
    for (const log of logs) expect(await checkBootSequence(log, 'sha256')).toBeDefined();
  });
});

describe('IMA lists', () => {
  test('thousands of mutations are refused, or lead to another PCR', () => {
    const list = encodeIma(...Array.from({ length: 20 }, (_, index) => imaNg(`/usr/bin/program-${index}`)));
    const replay = (bytes: Uint8Array): string => {
      const ima = new ImaReplay({ onEntry: ({ name }) => void name });
      ima.push(bytes);
      ima.end();
      return toHex(ima.state.sha256);
    };
    const whole = replay(list);
    for (const changed of mutations(list, MUTATIONS)) {
      if (equalBytes(changed, list)) continue;
      const result = attempt(() => replay(changed));
      expect(result instanceof ParseError || result !== whole).toBe(true);
    }
  });

  test('entries that grow byte by byte take no more than their size', () => {
    const entry = encodeIma({ template: 'ima-buf', fields: [...imaNg('/a').fields, new Uint8Array(250_000)] });
    const ima = new ImaReplay();
    const took = timed(() => {
      for (let at = 0; at < 20 * entry.length; at += 1) {
        ima.push(entry.subarray(at % entry.length, (at % entry.length) + 1));
      }
    });
    expect(ima.state.entries).toBe(20);
    expect(took).toBeLessThan(RUNAWAY_MS);
  });
});

function manyLists(): Uint8Array {
  const list = concatBytes(new Uint8Array(16), Uint8Array.of(28, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0));
  const lists = concatBytes(...Array.from({ length: 100_000 }, () => list));
  const lengths = new Uint8Array(16);
  new DataView(lengths.buffer).setBigUint64(0, 2n, true);
  new DataView(lengths.buffer).setBigUint64(8, BigInt(lists.length), true);
  const guid = Uint8Array.of(
    0x61,
    0xdf,
    0xe4,
    0x8b,
    0xca,
    0x93,
    0xd2,
    0x11,
    0xaa,
    0x0d,
    0x00,
    0xe0,
    0x98,
    0x03,
    0x2b,
    0x8c,
  );
  return concatBytes(guid, lengths, utf8('P\0K\0'), lists);
}
