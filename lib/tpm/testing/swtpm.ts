// A real swtpm for tests: fresh, started, in a directory of its own, gone after `stop`.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { concatBytes, Cursor } from '@ringwall/bytes';
import { fillTemplate, guestCommands, type CommandTemplate, type GuestCommandName } from '../src/index.ts';

const SWTPM = '/usr/bin/swtpm';
const START_TIMEOUT_MS = 10_000;
const RESPONSE_TIMEOUT_MS = 30_000;

export const SWTPM_PRESENT: boolean = existsSync(SWTPM);

/** Ends a test's title where it skips for want of swtpm. */
export const NEEDS_SWTPM: string = SWTPM_PRESENT ? '' : ` (skipped: needs ${SWTPM})`;

export interface SwtpmForTests {
  send(bytes: Uint8Array): Promise<Uint8Array>;
  run(template: CommandTemplate): Promise<Uint8Array>;
  guest(name: GuestCommandName, values?: Readonly<Record<string, Uint8Array>>): Promise<Uint8Array>;
  stop(): Promise<void>;
}

/** A fresh TPM, already started, on a socket in a directory of its own. */
export async function startSwtpm(): Promise<SwtpmForTests> {
  const directory = await mkdtemp(join(tmpdir(), 'ringwall-tpm-'));
  const server = join(directory, 'server.sock');
  const child = spawn(
    SWTPM,
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${directory}`,
      '--server',
      `type=unixio,path=${server}`,
      '--ctrl',
      `type=unixio,path=${join(directory, 'ctrl.sock')}`,
      '--flags',
      'not-need-init,startup-clear',
    ],
    { stdio: 'ignore', env: {} },
  );
  const socket = await connectWhenReady(server, child);
  const send = async (bytes: Uint8Array): Promise<Uint8Array> => {
    socket.write(bytes);
    return readResponse(socket);
  };
  return {
    send,
    run: async (template) => send(fillTemplate(template)),
    guest: async (name, values = {}) => send(fillTemplate(guestCommands[name], values)),
    stop: async () => {
      socket.destroy();
      if (child.exitCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await ended;
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function connectWhenReady(path: string, child: ChildProcess): Promise<Socket> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    if (existsSync(path)) {
      const socket = connect(path);
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      return socket;
    }
    await sleep(20);
  }
  child.kill('SIGKILL');
  throw new Error(`swtpm did not start: exit code ${child.exitCode}`);
}

async function readResponse(socket: Socket): Promise<Uint8Array> {
  let received: Uint8Array = new Uint8Array(0);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(new Error('the TPM did not answer')), RESPONSE_TIMEOUT_MS);
    const onData = (chunk: Uint8Array): void => {
      received = concatBytes(received, chunk);
      if (received.length >= 10 && received.length >= new Cursor(received.slice(2)).u32be('responseSize')) finish();
    };
    const onEnd = (): void => finish(new Error('the TPM closed its socket'));
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onEnd);
      if (error === undefined) resolve(received);
      else reject(error);
    };
    socket.on('data', onData).once('close', onEnd);
  });
}
