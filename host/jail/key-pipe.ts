// Hands a secret to a jailed program that reads it from a path: a named pipe (fifo(7)) in its run directory, so that the
// bytes go from one process to the other and lie in no file, on no command line and in no environment.
import { constants } from 'node:fs';
import { chown, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError, type ErrorCode } from '@ringwall/api';
import { isAlive, run, runChecked } from '../exec/index.ts';
import { endedAtStart, type StartedJail } from './start.ts';

const MKFIFO = '/usr/bin/mkfifo';
/** A program opens its keys among the first things that it does; a loaded host may take longer. */
const READ_TIMEOUT_MS = 20_000;
const POLL_MS = 5;

/** For `prepare` of a jail: the pipe that the program will find as `/run/name`. */
export async function makeKeyPipe(runDir: string, name: string, uid: number): Promise<void> {
  const path = join(runDir, name);
  await runChecked(run, [MKFIFO, '-m', '0400', path]);
  await chown(path, uid, uid);
}

/** Waits until the program opens the pipe, writes `key`, and removes the pipe. `purpose` is the jail's. */
export async function feedKeyPipe(
  purpose: string,
  jail: StartedJail,
  { name, key, failure }: { readonly name: string; readonly key: Uint8Array; readonly failure: ErrorCode },
): Promise<void> {
  const path = join(jail.runDir, name);
  const deadline = performance.now() + READ_TIMEOUT_MS;
  for (;;) {
    try {
      // Without a reader it fails at once (ENXIO): nothing is ever written that nobody takes.
      await using pipe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      if (!(await pipe.stat()).isFIFO()) throw new RingwallError('conflict', `${path} is not the pipe that was made`);
      await pipe.write(key);
      await rm(path, { force: true });
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENXIO')) throw error;
      if (!isAlive(jail.process)) throw await endedAtStart(failure, purpose, jail);
      if (performance.now() > deadline) {
        throw new RingwallError('timeout', `${purpose} did not ask for its key within ${READ_TIMEOUT_MS / 1000} s`);
      }
    }
    await sleep(POLL_MS);
  }
}
