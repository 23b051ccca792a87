// Connects to a program that was started a moment ago. The name of its socket is there before it listens.
import type { ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 60_000;
const LOOK_MS = 20;

/** Throws where `child` ends, or does not listen in time. */
export async function connectSoon(path: string, child: ChildProcess): Promise<Socket> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = connect(path);
    const connected = await new Promise<boolean>((done) => {
      socket.once('connect', () => done(true));
      socket.once('error', () => done(false));
    });
    if (connected) return socket;
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`nothing listens on ${path}`);
    await sleep(LOOK_MS);
  }
}
