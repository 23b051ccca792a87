// Where a VMM brings the state that it is told to save: a socket in its run directory on which we listen for that one connection.
import { chown, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join, basename } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { SOCKET_PATH_LIMIT_BYTES } from '../exec/index.ts';
import { VMM_PATHS } from './argv.ts';

export interface StateSocket extends AsyncDisposable {
  /** Resolves once the VMM has come; paused, so that nothing is lost before somebody reads. */
  readonly connected: Promise<Socket>;
}

/** Nobody but the VMM and root gets into `runDir`. */
export async function listenForState(vmm: { readonly runDir: string; readonly uid: number }): Promise<StateSocket> {
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
  const connected = new Promise<Socket>((resolve, reject) => {
    server.once('connection', resolve);
    server.once('error', reject);
    server.once('close', () => reject(new RingwallError('vmm-failed', 'QEMU did not bring its state')));
  });
  connected.catch(() => undefined); // told to whoever waits for it
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chown(path, vmm.uid, vmm.uid);
  return {
    connected,
    [Symbol.asyncDispose]: async () => {
      server.close();
      const socket = await connected.catch(() => undefined);
      socket?.destroy();
      await rm(path, { force: true });
    },
  };
}
