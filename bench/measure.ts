// What all benchmarks share: medians, paired ratios in one run, and how a result reads.
import { spawnSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

export interface Figure {
  readonly name: string;
  readonly value: string;
  /** What was promised, and whether it holds; absent where nothing was. */
  readonly goal?: { readonly text: string; readonly met: boolean };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

/** Runs a whole process and returns its wall time in milliseconds. */
export function timeProcess(argv: readonly string[], env: Readonly<Record<string, string>>): number {
  const [file = '', ...args] = argv;
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${argv.join(' ')}: exit ${status} ${stderr.toString()}`);
  return performance.now() - startedAt;
}

/** A B A B …: the median of each and of the ratios pair by pair, so that a drift of the machine falls out. */
export async function pairs(
  count: number,
  a: () => Promise<number> | number,
  b: () => Promise<number> | number,
): Promise<{ readonly a: number; readonly b: number; readonly ratio: number; readonly ratios: readonly number[] }> {
  const [as, bs, ratios]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < count; run += 1) {
    const first = await a();
    const second = await b();
    as.push(first);
    bs.push(second);
    ratios.push(first / second);
  }
  return { a: median(as), b: median(bs), ratio: median(ratios), ratios };
}

export function describeMachine(): string {
  return `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}
