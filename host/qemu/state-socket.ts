// How a machine's devices leave a VMM and come to another. A VMM brings them to a socket in its run directory on which we listen for that
// one connection, and takes them from one of its own. It may be broken into: neither way lasts longer than it may, whatever it does.
import { once } from 'node:events';
import { lchown, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { join, basename } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { SOCKET_PATH_LIMIT_BYTES } from '../exec/index.ts';
import { VMM_PATHS } from './argv.ts';

/** Each in milliseconds. From when it is listened for, and from when it comes: a TPM that computes is waited for. */
const CONNECT_TIMEOUT_MS = 15_000;
const READ_TIMEOUT_MS = 15_000;
const SEND_TIMEOUT_MS = 30_000;

export interface StateSocket extends AsyncDisposable {
  /** Resolves once the VMM has come; paused, so that nothing is lost before somebody reads. */
  readonly connected: Promise<Socket>;
}

/** Nobody but the VMM and root gets into `runDir`. */
export async function listenForState(
  vmm: { readonly runDir: string; readonly uid: number },
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<StateSocket> {
  const path = join(vmm.runDir, basename(VMM_PATHS.state));
  if (Buffer.byteLength(path) > SOCKET_PATH_LIMIT_BYTES) {
    throw new RingwallError(
      'internal',
      `${path} is longer than the ${SOCKET_PATH_LIMIT_BYTES} bytes of a socket's name`,
    );
  }
  await rm(path, { force: true });
  const server = createServer({ pauseOnConnect: true });
  server.maxConnections = 1;
  let timer: NodeJS.Timeout | undefined;
  const connected = new Promise<Socket>((resolve, reject) => {
    server.once('connection', resolve).once('connection', () => clearTimeout(timer));
    server.once('error', reject);
    server.once('close', () => reject(new RingwallError('vmm-failed', 'QEMU did not bring its state')));
  });
  connected.catch(() => undefined); // told to whoever waits for it
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await lchown(path, vmm.uid, vmm.uid);
  // From when it can be reached: closed before that, it would have no name any more to be given away.
  timer = setTimeout(() => server.close(), timeoutMs);
  return {
    connected,
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      server.close();
      const socket = await connected.catch(() => undefined);
      socket?.destroy();
      await rm(path, { force: true });
    },
  };
}

/** All that a VMM brings. While this lasts its guest stands still, and nothing else can be done to the machine. */
export async function readState(
  stream: Duplex,
  maxBytes: number,
  timeoutMs: number = READ_TIMEOUT_MS,
): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  using _ = endedAfter(stream, timeoutMs, 'QEMU began to bring its devices, and did not end');
  for await (const piece of stream as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw new RingwallError('vmm-failed', `QEMU's devices are more than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Ends when the VMM has all of it, or wants none of it: which of the two, its monitor says. */
export async function sendState(stream: Duplex, state: Uint8Array, timeoutMs: number = SEND_TIMEOUT_MS): Promise<void> {
  const closed = once(stream, 'close').catch(() => undefined);
  using _ = endedAfter(stream, timeoutMs, 'QEMU did not take its devices');
  stream.resume();
  stream.end(state);
  await closed;
}

function endedAfter(stream: Duplex, timeoutMs: number, why: string): Disposable {
  const timer = setTimeout(
    () => stream.destroy(new RingwallError('timeout', `${why} within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
