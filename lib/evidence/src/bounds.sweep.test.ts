// Whatever bytes come: every reader gives an error of the library's own, and nothing runs away, within 64 MiB. Measured in a process of
// its own, by processor time and by the peak of its memory.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BadInputFigures } from '../testing/measure-bad-input.ts';
import { RUNAWAY_MS } from '../../bytes/testing/processor-time.ts';
import { hasVectors } from '../testing/real-hardware.ts';

const WORKLOAD = join(import.meta.dirname, '../testing/measure-bad-input.ts');
// A small young generation, so that what the process grows by is what was held at once, and not what was not yet collected.
const FLAGS = ['--conditions=ringwall-source', '--expose-gc', '--max-semi-space-size=1'];
const ANSWER_MIB = 64;
const OUTPUT_BYTES = 1024 * 1024;
/** Without the vectors, which lie beside the repository, there are fewer. */
const READERS = hasVectors ? 50 : 15;

describe('bad input', () => {
  const printed = execFileSync(process.execPath, [...FLAGS, WORKLOAD], { maxBuffer: OUTPUT_BYTES });
  const figures: readonly BadInputFigures[] = JSON.parse(printed.toString());
  const named = (found: readonly BadInputFigures[]): readonly string[] =>
    found.map(({ name, slowestMs, grewMiB }) => `${name}: ${slowestMs.toFixed(0)} ms, ${grewMiB.toFixed(0)} MiB`);

  it('is tried on every reader, thousands of times', () => {
    expect(figures.length).toBeGreaterThan(2 * READERS);
    expect(figures.reduce((total, { inputs }) => total + inputs, 0)).toBeGreaterThan(READERS * 1000);
  });

  it('is refused with an error of the library’s own, or read', () => {
    expect(figures.filter(({ foreign }) => foreign.length > 0)).toEqual([]);
  });

  it('takes no longer for what is made for that', () => {
    expect(named(figures.filter(({ slowestMs }) => slowestMs > RUNAWAY_MS))).toEqual([]);
  });

  it('takes no more than 64 MiB, a list of a million entries included', () => {
    expect(named(figures.filter(({ grewMiB }) => grewMiB > ANSWER_MIB))).toEqual([]);
  });
});
