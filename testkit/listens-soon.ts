// Programs for whom the first connection is the only one, which is left to others: whether they listen is asked of the kernel.
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 120_000;
const LOOK_MS = 20;
/** __SO_ACCEPTCON (linux/net.h). */
const LISTENS = '00010000';

/** Throws where `child` ends, or does not listen in time. */
export async function listensSoon(path: string, child: ChildProcess): Promise<void> {
  for (const deadlineMs = performance.now() + START_TIMEOUT_MS; !isListening(path); await sleep(LOOK_MS)) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadlineMs)
      throw new Error(`nothing listens on ${path}`);
  }
}

/** Whether any program of this network namespace does. */
export function isListening(path: string): boolean {
  // Num: RefCount Protocol Flags Type St Inode Path (net/unix/af_unix.c).
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .some((fields) => fields[3] === LISTENS && fields.at(-1) === path);
}
