import { concatBytes, ParseError, utf8, Writer } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../testing/attempt.ts';
import { agileEvent, parsedLog, type TestEvent } from '../../testing/event-log.ts';
import { MAX_EVENTS } from '../event-log.ts';
import { MAX_FINAL_EVENTS_BYTES, mergeFinalEvents, parseFinalEvents } from './final-events.ts';

const action = (text: string): TestEvent => ({ pcr: 5, type: 0x8000_0007, data: utf8(text) });
const [A, B, C, D] = [action('a'), action('b'), action('c'), action('d')] as const;

function table(events: readonly TestEvent[], count = BigInt(events.length), version = 1n): Uint8Array {
  return concatBytes(new Writer().u64le(version).u64le(count).finish(), ...events.map((event) => agileEvent(event)));
}

function merged(log: readonly TestEvent[], final: readonly TestEvent[]): string {
  const parsed = parsedLog(...log);
  const whole = mergeFinalEvents(parsed, parseFinalEvents(table(final), parsed));
  expect(whole.events.map(({ index }) => index)).toEqual(whole.events.map((_, index) => index));
  return whole.events
    .slice(1)
    .map(({ data }) => new TextDecoder().decode(data))
    .join('');
}

describe('mergeFinalEvents()', () => {
  test.each<[string, readonly TestEvent[], readonly TestEvent[], string]>([
    ['appends events that the log lacks', [A, B], [C, D], 'abcd'],
    ['takes events once that stand in both', [A, B, C], [B, C, D], 'abcd'],
    ['takes a table once that is all in the log', [A, B, C], [B, C], 'abc'],
    ['takes no part of the log out', [A, B, C], [B, D], 'abcbd'],
    ['finds the overlap behind a false start', [A, A, B], [A, B, C], 'aabc'],
    ['finds the longest overlap', [A, B, A, B], [A, B, A, B, C], 'ababc'],
    ['takes an empty table', [A], [], 'a'],
    ['takes an empty log', [], [A], 'a'],
  ])('%s', (_, log, final, expected) => {
    expect(merged(log, final)).toBe(expected);
  });

  test('sees a difference in PCR, type, digest or data', () => {
    for (const change of [{ pcr: 4 }, { type: 5 }, { digest: new Uint8Array(32) }, { data: utf8('x') }]) {
      expect(merged([A], [{ ...A, ...change }])).toHaveLength(2);
    }
  });

  test('ten thousand equal events are merged in no time', () => {
    const many = parsedLog(...Array.from({ length: 5000 }, () => A));
    const final = parseFinalEvents(table(Array.from({ length: 5000 }, () => A)), many);
    expect(mergeFinalEvents(many, final).events).toHaveLength(5001);
  });
});

describe('parseFinalEvents()', () => {
  const log = parsedLog(A);
  const whole = table([A, B]);

  test('every truncation is refused', () => {
    for (let length = 0; length < whole.length; length += 1) {
      expect(attempt(() => parseFinalEvents(whole.subarray(0, length), log))).toBeInstanceOf(ParseError);
    }
  });

  test('padding is refused unless it was allowed, and other bytes always', () => {
    const padded = concatBytes(whole, new Uint8Array(64).fill(0xff));
    expect(() => parseFinalEvents(padded, log)).toThrow('have 64 bytes after their end');
    expect(parseFinalEvents(padded, log, { padding: 'allowed' })).toMatchObject({ paddingBytes: 64 });
    const other = concatBytes(padded, Uint8Array.of(1));
    expect(() => parseFinalEvents(other, log, { padding: 'allowed' })).toThrow(ParseError);
  });

  test.each<[string, Uint8Array, string]>([
    ['another version', table([A], 1n, 2n), 'Version 2, expected 1'],
    ['more events than it has', table([A], 2n), 'pcrIndex needs 4 bytes'],
    ['fewer events than it has', table([A], 0n), 'bytes after their end'],
    ['more events than the limit', table([], BigInt(MAX_EVENTS + 1)), 'NumberOfEvents 16385'],
    ['a table larger than the limit', new Uint8Array(MAX_FINAL_EVENTS_BYTES + 1), 'final events have 1048577 bytes'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseFinalEvents(bytes, log)).toThrow(message);
  });

  test('refuses a table beside a SHA-1 log', () => {
    expect(() => parseFinalEvents(whole, { ...log, format: 'sha1' })).toThrow('beside a SHA-1 log');
  });
});
