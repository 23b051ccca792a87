// The only place of the command line that starts or signals processes. A process is named by its pid and its start
// time (proc(5), field 22 of stat), so that a pid that was given away again is never taken for ours.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** A listening Unix socket takes a connection at once, or its backlog is full. */
const CONNECT_TIMEOUT_MS = 2_000;
const POLL_MS = 25;

export interface ProcessRef {
  readonly pid: number;
  readonly startTicks: string;
}

export interface StartOptions {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** A descriptor of a log; absent for pipes, which tie the process to us. */
  readonly logFd?: number;
}

export function startProcess({ argv, environment, logFd }: StartOptions): ChildProcess {
  const [file = '', ...args] = argv;
  return spawn(file, args, {
    cwd: '/',
    env: { ...environment },
    // A session of its own: ctrl-C in this terminal is for us, and `up` passes it on in its own order.
    detached: true,
    stdio: logFd === undefined ? ['ignore', 'pipe', 'pipe'] : ['ignore', logFd, logFd],
  });
}

/** Becomes another program for the user: same terminal, its exit code. */
export function runInForeground(argv: readonly string[], environment?: Readonly<Record<string, string>>): number {
  const [file = '', ...args] = argv;
  const ignore = (): void => {};
  // Ctrl-C goes to the whole foreground group: the child decides what it means, and we report how it ended.
  process.on('SIGINT', ignore);
  try {
    const { status, error } = spawnSync(file, args, {
      stdio: 'inherit',
      ...(environment === undefined ? {} : { env: { ...environment } }),
    });
    if (error !== undefined) throw error;
    return status ?? 1;
  } finally {
    process.off('SIGINT', ignore);
  }
}

/** Runs a short command and says whether it succeeded. */
export function succeeds(argv: readonly string[]): boolean {
  const [file = '', ...args] = argv;
  return spawnSync(file, args, { stdio: 'ignore', timeout: 30_000 }).status === 0;
}

export function refOf(pid: number): ProcessRef | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    // The name, in parentheses, may hold anything: fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = '', startTicks = ''] = [fields[0], fields[19]];
    return state === 'Z' || state === 'X' || startTicks === '' ? undefined : { pid, startTicks };
  } catch {
    return undefined;
  }
}

export function isAlive(ref: ProcessRef): boolean {
  return refOf(ref.pid)?.startTicks === ref.startTicks;
}

/** SIGTERM, then SIGKILL once the grace is over. Says whether it had to. */
export async function endProcess(ref: ProcessRef, graceMs: number): Promise<'ended' | 'killed'> {
  if (!isAlive(ref)) return 'ended';
  signal(ref, 'SIGTERM');
  if (await until(() => !isAlive(ref), graceMs)) return 'ended';
  signal(ref, 'SIGKILL');
  await until(() => !isAlive(ref), CONNECT_TIMEOUT_MS);
  return 'killed';
}

/** Whether somebody listens there. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath, timeout: CONNECT_TIMEOUT_MS });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
    socket.once('timeout', () => settle(false));
  });
}

/** Asks again and again; false once the time is over. */
export async function until(check: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await check()) return true;
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

function signal(ref: ProcessRef, name: NodeJS.Signals): void {
  try {
    process.kill(ref.pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
