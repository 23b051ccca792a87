// Where one Ringwall lies: a state directory that stays and a run directory that lives until the host restarts.
// RINGWALL_STATE and RINGWALL_RUN name others, so that several can stand beside each other.
import { isAbsolute, join, normalize } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';

const DEFAULT_STATE = '/var/lib/ringwall';
const DEFAULT_RUN = '/run/ringwall';

/** sun_path of unix(7) holds 108 bytes with its end; the longest of our names below `run` has this many. */
const LONGEST_SOCKET_BYTES = '/machines/mch_aaaaaaaaaaaaaaaaaaaa/vmm/console.sock'.length;
const SOCKET_PATH_LIMIT_BYTES = 107;

export interface Paths {
  readonly state: string;
  readonly run: string;
  readonly apiSocket: string;
  readonly wardenSocket: string;
  readonly brokerSocket: string;
  readonly logs: string;
  /** Copies of the bundles, and of Node where it is private, that the services run from. */
  readonly runtime: string;
  /** Which processes the command line started. */
  readonly records: string;
}

export function pathsOf(environment: Readonly<Record<string, string | undefined>>): Paths {
  const state = directory(environment['RINGWALL_STATE'] || DEFAULT_STATE, 'RINGWALL_STATE');
  const run = directory(environment['RINGWALL_RUN'] || DEFAULT_RUN, 'RINGWALL_RUN');
  if (Buffer.byteLength(run) + LONGEST_SOCKET_BYTES > SOCKET_PATH_LIMIT_BYTES) {
    throw new RingwallError('bad-request', `RINGWALL_RUN is too long: ${run}`, {
      hint: `sockets below it have at most ${String(SOCKET_PATH_LIMIT_BYTES)} bytes: take one of at most ${String(SOCKET_PATH_LIMIT_BYTES - LONGEST_SOCKET_BYTES)}`,
    });
  }
  return {
    state,
    run,
    apiSocket: join(run, 'api.sock'),
    wardenSocket: join(run, 'warden/warden.sock'),
    brokerSocket: join(run, 'broker/broker.sock'),
    logs: join(state, 'logs'),
    runtime: join(state, 'runtime'),
    records: join(run, 'services'),
  };
}

function directory(path: string, variable: string): string {
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new RingwallError('bad-request', `${variable} is ${JSON.stringify(path)}, which is no absolute path`, {
      hint: 'write it from the root, as in /var/lib/ringwall',
    });
  }
  const clean = normalize(path);
  return clean.length > 1 ? clean.replace(/\/$/, '') : clean;
}
