// Makes a connected pair of Unix stream sockets without a name. Node has no socketpair(2): a listening socket in a
// directory that only we may enter is connected to once and unlinked at once. Neither end is ever read here, so that
// no byte meant for the process that inherits it is taken by us.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';

/** sun_path of unix(7), less its NUL. */
export const SOCKET_PATH_LIMIT_BYTES = 107;

/** `parentDir`: where the passing directory (0700) is made, e.g. the run directory. */
export async function socketPair(parentDir: string): Promise<[Socket, Socket]> {
  const dir = await mkdtemp(join(parentDir, '.pair-'));
  const path = join(dir, 's');
  const server = createServer({ pauseOnConnect: true });
  try {
    if (Buffer.byteLength(path) > SOCKET_PATH_LIMIT_BYTES) {
      throw new RingwallError(
        'internal',
        `${path} is longer than the ${SOCKET_PATH_LIMIT_BYTES} bytes of a socket's name`,
      );
    }
    const accepted = new Promise<Socket>((resolve, reject) => {
      server.once('connection', resolve);
      server.once('error', reject);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    const client = new Socket();
    client.pause();
    const connected = new Promise<void>((resolve, reject) => {
      client.once('connect', resolve);
      client.once('error', reject);
    });
    client.connect(path);
    const [end] = await Promise.all([accepted, connected]);
    return [client, end];
  } finally {
    server.close();
    await rm(dir, { recursive: true, force: true });
  }
}
