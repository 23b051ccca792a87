// Goes on as root through sudo, saying why: starting the services needs root, and so does their socket for a user who
// is not in their group.
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';
import { runInForeground, succeeds } from './processes.ts';

const SUDO = '/usr/bin/sudo';
/** What the same command needs to mean the same as root. */
const KEPT_VARIABLES = [
  'RINGWALL_STATE',
  'RINGWALL_RUN',
  'RINGWALL_COMMAND',
  'NO_COLOR',
  'TERM',
  'LANG',
  'LC_ALL',
] as const;

/** Thrown once the command was done by another process; its exit code is ours. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`handed over, exit code ${String(exitCode)}`);
    this.exitCode = exitCode;
  }
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Runs this very command again as root, and throws HandedOver with its exit code. */
export function goOnAsRoot(invocation: Invocation, why: string): never {
  const { installation, environment, self, err } = invocation;
  const hint = `run it as root, or join the group: sudo usermod -aG ringwall ${userInfo().username}, then log in again`;
  if (!existsSync(SUDO))
    throw new RingwallError('unauthorized', `root is needed: ${why}; and there is no sudo`, { hint });
  if (!succeeds([SUDO, '-n', 'true']) && !process.stdin.isTTY) {
    throw new RingwallError('unauthorized', `root is needed: ${why}; and sudo has no terminal to ask on`, { hint });
  }
  if (!invocation.json) err.line(`${self}: root is needed: ${why}. Going on with sudo.`);
  const kept = KEPT_VARIABLES.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  const node =
    installation.kind === 'sources' ? [process.execPath, '--conditions=ringwall-source'] : [process.execPath];
  throw new HandedOver(
    runInForeground([SUDO, '--', '/usr/bin/env', ...kept, ...node, installation.entry, ...process.argv.slice(2)]),
  );
}
