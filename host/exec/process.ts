// Names a process for good: its pid together with its start time, field 22 of /proc/PID/stat (proc(5)), so that a pid
// that the kernel has given to somebody else is never taken for ours, signalled or waited for.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often an exit is looked for. Short beside the time that any process takes to end. */
const POLL_MS = 20;

export interface ProcessRef {
  readonly pid: number;
  /** Clock ticks since the host booted. */
  readonly startTime: number;
}

export interface ProcessStat extends ProcessRef {
  readonly command: string;
  readonly state: string;
  readonly parent: number;
}

/** Parses one line of /proc/PID/stat. The command is the process's own to choose, parentheses and newlines included. */
export function parseStat(text: string): ProcessStat | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text
    .slice(close + 1)
    .trim()
    .split(/\s+/);
  const pid = Number(text.slice(0, open));
  const [state = ''] = fields;
  const parent = Number(fields[1]);
  const startTime = Number(fields[19]);
  if (!Number.isInteger(pid) || !Number.isInteger(parent) || !Number.isInteger(startTime)) return undefined;
  return { pid, startTime, command: text.slice(open + 1, close), state, parent };
}

/** What /proc says of this pid now; undefined where there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The reference of a process that runs now. */
export function refOf(pid: number): ProcessRef | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, startTime: stat.startTime };
}

/** Whether this very process still runs. A zombie does not: it holds nothing but its exit status. */
export function isAlive(ref: ProcessRef): boolean {
  const stat = readStat(ref.pid);
  return stat !== undefined && stat.startTime === ref.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/** Sends a signal to this very process; false where it is gone. */
export function signalProcess(ref: ProcessRef, signal: NodeJS.Signals): boolean {
  if (!isAlive(ref)) return false;
  try {
    process.kill(ref.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Waits until the process is gone; false where the time is over first. */
export async function waitForExit(ref: ProcessRef, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(ref)) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Kills the process and waits until it is gone. Idempotent; false where it outlives the time. */
export async function killProcess(ref: ProcessRef, timeoutMs = 5_000): Promise<boolean> {
  signalProcess(ref, 'SIGKILL');
  return waitForExit(ref, timeoutMs);
}
