// Listens on a Unix socket that is never open to more peers than in the end, and takes the place of a socket file only
// where nobody listens on it any more.
import { chmodSync, chownSync, lstatSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { RingwallError } from '@ringwall/api';

/** sun_path of Linux has 108 bytes with its final NUL; longer paths would be cut silently. */
export const SOCKET_PATH_LIMIT_BYTES: number = 107;

/** What the kernel takes at most by default (somaxconn): a broker that was restarted is joined by all its machines at once. */
const BACKLOG = 4096;

/** Resolves once the socket exists with its final mode and owner. */
export async function listenOn(server: Server, options: { path: string; mode: number; gid?: number }): Promise<void> {
  const bytes = Buffer.byteLength(options.path);
  if (bytes > SOCKET_PATH_LIMIT_BYTES) {
    throw new RingwallError(
      'bad-request',
      `socket path of ${String(bytes)} bytes, at most ${String(SOCKET_PATH_LIMIT_BYTES)}`,
      {
        hint: 'choose a run directory with a shorter path',
      },
    );
  }
  try {
    await bindWithMode(server, options);
  } catch (error) {
    if (!isErrno(error, 'EADDRINUSE')) throw bindError(options.path, error);
    await removeStaleSocket(options.path);
    await bindWithMode(server, options).catch((again: unknown) => {
      throw bindError(options.path, again);
    });
  }
}

/** The kernel applies the umask when it makes the socket file: it is never open to more than in the end. */
function bindWithMode(
  server: Server,
  { path, mode, gid }: { path: string; mode: number; gid?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // While it still has this process's group, a socket for another group is for its owner alone.
    const umask = process.umask(0o777 & ~(gid === undefined ? mode : mode & 0o700));
    try {
      // For a path, bind(2) and listen(2) happen within this call; only the event comes later.
      server.listen({ path, backlog: BACKLOG });
    } finally {
      process.umask(umask);
    }
    server.once('listening', () => {
      server.off('error', reject);
      try {
        if (gid !== undefined) chownSync(path, -1, gid);
        chmodSync(path, mode);
        resolve();
      } catch (error) {
        server.close();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

/** Removes a socket file that nobody listens on, as a process leaves it that was killed. Anything else stays. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new RingwallError('conflict', `${path} exists and is no socket`, { hint: 'move it away' });
  }
  if (await someoneListens(path)) {
    throw new RingwallError('conflict', `another process listens on ${path}`, {
      hint: 'stop it first, or use another run directory',
    });
  }
  // Only the very file that was probed: a server that took its place meanwhile keeps it.
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (now?.ino === found.ino && now.ctimeMs === found.ctimeMs) rmSync(path, { force: true });
}

function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      probe.destroy();
      // Any other answer (EACCES, EAGAIN for a full backlog) is no proof that nobody is there.
      resolve(!isErrno(error, 'ECONNREFUSED') && !isErrno(error, 'ENOENT'));
    });
  });
}

function bindError(path: string, error: unknown): RingwallError {
  if (error instanceof RingwallError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new RingwallError('conflict', `cannot listen on ${path}: ${reason}`, {
    hint: 'see that its directory exists, belongs to this user and is not full',
    cause: error,
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
