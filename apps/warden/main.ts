// ringwall-warden [--state DIR] [--run DIR] [--group NAME] [--end-networks]: the one process that is root. It serves a closed set of
// requests on a socket that only ringwalld's group may open; machines outlive it.
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { RingwallError } from '@ringwall/api';
import {
  WARDEN_LINE_LIMIT_BYTES,
  type WardenRequest,
  wardenRequestSchema,
  wardenResponseSchemas,
} from '@ringwall/api/warden';
import { serveLines } from '@ringwall/control/rpc';
import { layoutOf, RequestLog, Warden, type Layout } from '@ringwall/control/warden';
import { findGroup } from './accounts.ts';
import { endNetworks } from './end-networks.ts';
import { openParts } from './parts.ts';

const USAGE = 'ringwall-warden [--state DIR] [--run DIR] [--group NAME] [--end-networks]';
const DEFAULT_STATE = '/var/lib/ringwall';
const DEFAULT_RUN = '/run/ringwall';
const DEFAULT_GROUP = 'ringwall';

/** How long an end waits for requests that are being handled. What they leave half, the next start undoes. */
const END_TIMEOUT_MS = 5_000;

interface Options {
  readonly layout: Layout;
  readonly group: string;
  /** Not to serve, but to take down what an earlier one left standing. */
  readonly endNetworks: boolean;
}

async function main(argv: readonly string[]): Promise<void> {
  const { layout, group, endNetworks: isEnd } = readOptions(argv);
  if (process.getuid?.() !== 0) {
    throw new RingwallError('unauthorized', 'the warden must be root: it gives each VMM a user and a jail of its own', {
      hint: 'start it with sudo, or let ringwall up start it',
    });
  }
  if (isEnd) {
    await endNetworks(layout);
    return;
  }
  // Nothing that the warden makes is for others, but where a mode is set by name.
  process.umask(0o077);
  const gid = await findGroup(group);
  const log = await openLog(layout);
  openSocketDir(layout, gid);

  // The socket comes first: it is what keeps a second warden from sweeping away what this one begins. Requests wait.
  const opening = Promise.withResolvers<Warden>();
  opening.promise.catch(() => undefined);
  const logged = new WeakSet<Error>();
  const server = await serveLines({
    path: layout.socket,
    mode: 0o660,
    gid,
    requestSchema: wardenRequestSchema,
    responseSchemas: wardenResponseSchemas,
    lineLimitBytes: WARDEN_LINE_LIMIT_BYTES,
    onDefect: (error, op) => {
      if (!(error instanceof Error && logged.has(error))) log.request({ op, milliseconds: 0, error });
    },
    handle: async (request, call) => {
      const began = performance.now();
      const subject = subjectOf(request);
      try {
        const warden = await opening.promise;
        const result = await warden.handle(request, call);
        log.request({ op: request.op, subject, milliseconds: performance.now() - began });
        return result;
      } catch (error) {
        log.request({ op: request.op, subject, milliseconds: performance.now() - began, error });
        if (error instanceof Error) logged.add(error);
        throw error;
      }
    },
  });

  let warden: Warden | undefined;
  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    log.note(`${signal}: ends; machines go on`);
    setTimeout(() => process.exit(0), END_TIMEOUT_MS).unref();
    await server.close();
    await warden?.close();
    log.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(signal));
  process.on('SIGHUP', () => undefined); // the terminal that started it is gone

  try {
    const parts = await openParts(layout);
    warden = await Warden.open({ layout, parts, note: (text) => log.note(text) });
  } catch (error) {
    log.request({ op: 'open', milliseconds: 0, error });
    await server.close();
    throw error;
  }
  opening.resolve(warden);
  log.note(`serves ${layout.socket} as process ${process.pid}`);
}

/** What the request is about, for the log. */
function subjectOf(request: WardenRequest): string | undefined {
  if ('machine' in request && request.machine !== undefined) return request.machine;
  if ('disk' in request) return request.disk;
  if ('network' in request) return request.network;
  return 'image' in request ? request.image : undefined;
}

function readOptions(argv: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        state: { type: 'string' },
        run: { type: 'string' },
        group: { type: 'string' },
        'end-networks': { type: 'boolean' },
      },
    });
    const state = values.state ?? process.env['RINGWALL_STATE'] ?? DEFAULT_STATE;
    const run = values.run ?? process.env['RINGWALL_RUN'] ?? DEFAULT_RUN;
    for (const dir of [state, run]) {
      // Paths go into mounts, binds and QEMU's options: none of their special characters may be in one.
      if (!/^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/.test(dir)) {
        throw new Error(
          `${JSON.stringify(dir)} is not an absolute path of letters, digits, dots, dashes and underscores`,
        );
      }
    }
    const endNetworksOnly = values['end-networks'] === true;
    return { layout: layoutOf(state, run), group: values.group ?? DEFAULT_GROUP, endNetworks: endNetworksOnly };
  } catch (cause) {
    throw new RingwallError('bad-request', cause instanceof Error ? cause.message : String(cause), {
      hint: USAGE,
      cause,
    });
  }
}

async function openLog(layout: Layout): Promise<RequestLog> {
  await mkdir(layout.warden, { recursive: true, mode: 0o700 });
  chmodSync(layout.warden, 0o700);
  chmodSync(layout.state, 0o755);
  return new RequestLog(layout.log);
}

/** The directory is the wall: the socket in it may be made and removed, and nobody else comes near. */
function openSocketDir(layout: Layout, gid: number): void {
  // Whoever starts the services has made it so that ringwalld can bind its socket there; here it is only made where missing.
  if (mkdirSync(layout.run, { recursive: true }) !== undefined) chmodSync(layout.run, 0o755);
  mkdirSync(layout.socketDir, { recursive: true, mode: 0o700 });
  chownSync(layout.socketDir, 0, gid);
  chmodSync(layout.socketDir, 0o750);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof RingwallError)) throw error;
  process.stderr.write(`ringwall-warden: ${error.message}\n${error.hint === undefined ? '' : `  ${error.hint}\n`}`);
  process.exit(error.code === 'bad-request' ? 2 : 1);
}
