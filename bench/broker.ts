// A broker with 10,000 registered machines that are asked once a minute each, on one core: how long an answer waits for its
// verdict, what of the core it takes, and how much memory.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Figure } from './measure.ts';

const WORKLOAD = join(import.meta.dirname, '../control/broker/testing/measure-fleet.ts');
const MACHINES = 10_000;
const INTERVAL_MS = 60_000;
const OUTPUT_BYTES = 64 * 1024 * 1024;

interface Memory {
  readonly residentMb: number;
  readonly peakMb: number;
}

/** As the workload prints it. */
interface Measured {
  readonly seconds: number;
  readonly waitsMs: readonly number[];
  readonly pollsMs: readonly number[];
  readonly ownP99Ms: number;
  readonly cpuSeconds: number;
  readonly load: number;
  readonly memory: Memory;
  readonly memoryBefore: Memory;
}

export function benchBroker(): Promise<Figure[]> {
  const argv = ['--conditions=ringwall-source', WORKLOAD, String(MACHINES), String(INTERVAL_MS)];
  const printed = execFileSync(process.execPath, argv, { maxBuffer: OUTPUT_BYTES });
  const measured: Measured = JSON.parse(printed.toString());
  const { seconds, waitsMs, pollsMs, ownP99Ms, cpuSeconds, load, memory, memoryBefore } = measured;
  const machines = MACHINES.toLocaleString('en');
  const rate = (waitsMs.length / seconds).toFixed(0);
  return Promise.resolve([
    {
      name: `a broker on one core, ${machines} machines asked every ${INTERVAL_MS / 1000} s: from answer to verdict`,
      value: `${rate} per second: ${percentiles(waitsMs)} (load of the machine ${load.toFixed(0)}; the guests’ own delay is p99 ${ownP99Ms.toFixed(0)} ms)`,
    },
    { name: 'the same: a host that asks once a second how 64 machines stand', value: percentiles(pollsMs) },
    { name: 'the same: share of the core', value: (cpuSeconds / seconds).toFixed(2) },
    {
      name: 'the same: memory of the broker',
      value: `${memory.residentMb} MB, at most ${memory.peakMb} MB; ${memoryBefore.residentMb} MB before they came`,
    },
  ]);
}

function percentiles(milliseconds: readonly number[]): string {
  const sorted = milliseconds.toSorted((left, right) => left - right);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}
