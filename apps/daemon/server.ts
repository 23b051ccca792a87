// The API's HTTP server on its Unix socket: bounded in connections, sizes and time, and closed without leaving anything.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { RingwallError } from '@ringwall/api';
import type { Disks } from '@ringwall/control/disks';
import type { Packets } from '@ringwall/control/networks';
import type { Machines, Transfers } from '@ringwall/control/machines';
import type { Hono } from 'hono';
import type { Note } from './answers.ts';
import { upgradeToConsole } from './console-upgrade.ts';
import { packetsAsked, upgradeToPackets } from './packets-upgrade.ts';
import { transferAsked, upgradeToTransfer } from './transfer-upgrade.ts';
import { diskOfImport, upgradeToImport } from './import-upgrade.ts';

/** Consoles, event streams and requests together; more is a client that leaks. */
const CONNECTIONS = 256;
/** From the first byte of a request to its last. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const HEADERS_LIMIT_BYTES = 16 * 1024;
/** Whether another daemon listens on a socket that is there already. */
const PROBE_TIMEOUT_MS = 2_000;
/** Requests that are being answered get this long when the daemon ends. */
const CLOSE_GRACE_MS = 2_000;

/** rw-rw----: the user and the group of ringwalld. */
const SOCKET_UMASK = 0o117;

export interface ApiServer extends AsyncDisposable {
  readonly path: string;
}

/** What connections are upgraded to, and where defects are told. */
export interface Upgrades {
  readonly machines: Machines;
  readonly disks: Disks;
  readonly packets: Packets;
  readonly transfers: Transfers;
  readonly note: Note;
}

export async function listenOn(
  path: string,
  app: Hono,
  { machines, disks, packets, transfers, note }: Upgrades,
): Promise<ApiServer> {
  await removeStaleSocket(path);
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      maxHeaderSize: HEADERS_LIMIT_BYTES,
      connectionsCheckingInterval: 5_000,
    },
    getRequestListener(app.fetch, { overrideGlobalObjects: false, hostname: 'ringwall' }),
  );
  server.maxConnections = CONNECTIONS;
  const streams = new Set<{ destroy(): void }>();
  server.on('upgrade', (request, socket, head) => {
    streams.add(socket);
    socket.once('close', () => streams.delete(socket));
    upgrade(request, socket, head).catch((error: unknown) => note(String(error)));
  });
  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const disk = diskOfImport(request);
    const asked = packetsAsked(request);
    const transfer = transferAsked(request);
    if (transfer !== undefined) await upgradeToTransfer(request, socket, head, transfer, { transfers, note });
    else if (asked !== undefined) await upgradeToPackets(request, socket, head, asked, { packets, note });
    else if (disk === undefined) await upgradeToConsole(request, socket, head, machines, note);
    else await upgradeToImport(request, socket, head, disk, { disks, note });
  };
  await listen(server, path);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const stream of streams) stream.destroy();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** What a killed daemon left is removed; what another daemon listens on is not. */
async function removeStaleSocket(path: string): Promise<void> {
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    const timer = setTimeout(() => end(true), PROBE_TIMEOUT_MS);
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', () => end(true));
    probe.once('error', () => end(false));
  });
  if (answers) {
    throw new RingwallError('conflict', `somebody listens on ${path} already`, {
      hint: 'end the other ringwalld, or name another directory in RINGWALL_RUN',
    });
  }
  await rm(path, { force: true });
}

async function listen(server: Server, path: string): Promise<void> {
  // The mode is right from the first moment: a chmod would come after somebody could connect.
  const umask = process.umask(SOCKET_UMASK);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } catch (error) {
    throw new RingwallError(
      'daemon-unavailable',
      `cannot listen on ${path}: ${error instanceof Error ? error.message : ''}`,
      {
        hint: 'see that its folder exists, and that the user of ringwalld may write there',
        cause: error,
      },
    );
  } finally {
    process.umask(umask);
  }
}
