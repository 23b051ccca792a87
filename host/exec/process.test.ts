import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAlive, killProcess, parseStat, readStat, refOf } from './index.ts';

const FIELDS = 'S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 372351 8000000 1000';

describe('parseStat()', () => {
  test('finds state, parent and start time', () => {
    expect(parseStat(`42 (qemu) ${FIELDS}\n`)).toEqual({
      pid: 42,
      startTime: 372_351,
      command: 'qemu',
      state: 'S',
      parent: 1,
    });
  });

  test('is not misled by the name that a process gave itself', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 15 }), (name) => {
        expect(parseStat(`42 (${name}) ${FIELDS}\n`)).toMatchObject({ pid: 42, startTime: 372_351, command: name });
      }),
    );
    expect(parseStat(`42 (a) R 9 (b) ${FIELDS}`)).toMatchObject({ state: 'S', parent: 1, command: 'a) R 9 (b' });
  });

  test('refuses every truncation before the start time', () => {
    const line = `42 (qemu) ${FIELDS}`;
    for (let length = 0; length < line.indexOf('372351'); length += 1) {
      expect(parseStat(line.slice(0, length)), line.slice(0, length)).toBeUndefined();
    }
  });
});

describe('a process reference', () => {
  test('of ourselves is alive', () => {
    const own = refOf(process.pid);
    expect(own).toBeDefined();
    expect(own !== undefined && isAlive(own)).toBe(true);
  });

  test('with another start time is not us: a reused pid is neither alive nor killed', async () => {
    const other = { pid: process.pid, startTime: (readStat(process.pid)?.startTime ?? 0) + 1 };
    expect(isAlive(other)).toBe(false);
    expect(await killProcess(other)).toBe(true);
  });

  test.each([0, -1, 1.5, Number.NaN])('of pid %s is nobody', (pid) => {
    expect(refOf(pid)).toBeUndefined();
  });
});
