import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LineError, LineSplitter } from './lines.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../lib/bytes/testing/processor-time.ts';

const utf8 = new TextEncoder();

function drain(splitter: LineSplitter): string[] {
  const lines: string[] = [];
  for (let line = splitter.next(); line !== undefined; line = splitter.next())
    lines.push(new TextDecoder().decode(line));
  return lines;
}

describe('LineSplitter', () => {
  test('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 40 }).map((text) => text.replaceAll('\n', '_'))),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (lines, cuts) => {
          const bytes = utf8.encode(lines.map((line) => `${line}\n`).join(''));
          const splitter = new LineSplitter(1000);
          const seen: string[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1;
            splitter.push(bytes.subarray(at, at + size));
            seen.push(...drain(splitter));
            at += size;
          }
          expect(seen).toEqual(lines);
          expect(splitter.midLine).toBe(false);
        },
      ),
    );
  });

  test('takes a line of exactly the limit and refuses one byte more, ended or not', () => {
    const splitter = new LineSplitter(8);
    splitter.push(utf8.encode('12345678\n'));
    expect(drain(splitter)).toEqual(['12345678']);
    splitter.push(utf8.encode('123456789'));
    expect(() => splitter.next()).toThrow(LineError);
    const ended = new LineSplitter(8);
    ended.push(utf8.encode('a\n123456789\n'));
    expect(ended.next()).toHaveLength(1);
    expect(() => ended.next()).toThrow(LineError);
  });

  test('gives back what belongs to no line', () => {
    const splitter = new LineSplitter(8);
    splitter.push(utf8.encode('line\nre'));
    splitter.push(utf8.encode('st'));
    expect(new TextDecoder().decode(splitter.next())).toBe('line');
    expect(splitter.midLine).toBe(true);
    expect(new TextDecoder().decode(splitter.takeRest())).toBe('rest');
    expect(splitter.midLine).toBe(false);
  });

  test('takes no longer for a megabyte that comes byte by byte', () => {
    const splitter = new LineSplitter(1024 * 1024);
    const byte = Uint8Array.of(0x78);
    const spent = startProcessorClock();
    for (let sent = 0; sent < 1024 * 1024; sent += 1) {
      splitter.push(byte);
      if (splitter.next() !== undefined) throw new Error('no line was sent');
    }
    expect(spent()).toBeLessThan(RUNAWAY_MS);
  });
});
