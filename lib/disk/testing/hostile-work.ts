// A process for one of the hostile disks: says how long its work took and how much its memory grew.
//
//   node --conditions=ringwall-source hostile-work.ts NAME
import { readFileSync, writeFileSync } from 'node:fs';
import { HOSTILE_DISKS } from './hostile-disks.ts';

const kib = (field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

const work = HOSTILE_DISKS[process.argv[2] ?? '']?.();
if (work === undefined) throw new Error(`no such disk: ${process.argv[2]}`);
globalThis.gc?.();
// The peak begins anew (proc_pid_clear_refs(5)).
writeFileSync('/proc/self/clear_refs', '5');
const before = kib('VmRSS');
const startedAt = performance.now();
work();
const ms = performance.now() - startedAt;
process.stdout.write(JSON.stringify({ ms: Math.round(ms), grownBytes: (kib('VmHWM') - before) * 1024 }));
