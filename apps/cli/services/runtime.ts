// Prepares what the services run from. Their users may not enter a checkout in somebody's home, and a rebuild must not
// change a program under a running service: so the bundles are copied into the state directory, under their build's id.
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { readBuild, type Installation } from '../installation.ts';
import type { Paths } from './paths.ts';
import { SERVICES, type Runtime } from './table.ts';

/** Hidden from services by systemd's ProtectHome, and their owners' to close at any time. */
const HOMES = /^\/(?:home|root|run\/user)\//;
const OTHERS_ENTER = 0o001;
const OTHERS_READ = 0o004;

/** `node` and the directories are only root's to write. */
export function prepareRuntime(installation: Installation, paths: Paths): Runtime {
  if (!isReachable(paths.runtime)) {
    throw new RingwallError('host-lacks', `the services' users may not enter ${paths.state}`, {
      hint: 'give RINGWALL_STATE a place that everyone may pass through (chmod o+x on its parents)',
    });
  }
  const node = reachableNode(paths);
  const { id } = readBuild(installation);
  if (installation.kind === 'sources') {
    if (!isReachable(installation.directory)) {
      throw new RingwallError('host-lacks', `the services' users may not enter ${installation.directory}`, {
        hint: 'run the bundles instead (without RINGWALL_SOURCE), or move the checkout',
      });
    }
    return { kind: 'sources', node, directory: installation.directory, id };
  }
  const lacking = SERVICES.filter(({ bundle }) => !existsSync(join(installation.directory, bundle)));
  if (lacking.length > 0) {
    throw new RingwallError(
      'internal',
      `${installation.directory} lacks ${lacking.map(({ bundle }) => bundle).join(', ')}`,
      {
        hint: 'build it: npm run build',
      },
    );
  }
  const directory = join(paths.runtime, id);
  if (!existsSync(directory)) copyWhole(installation.directory, directory);
  return { kind: 'bundles', node, directory, id };
}

/** Removes the copies of older builds. Only while no service runs from them. */
export function removeOldRuntimes(paths: Paths, current: Runtime): void {
  for (const name of readdirSync(paths.runtime)) {
    const path = join(paths.runtime, name);
    if (path !== current.directory && path !== dirname(current.node)) rmSync(path, { recursive: true, force: true });
  }
}

/** Whether every user may come as far as this and read it. */
export function isReachable(path: string): boolean {
  let at = path;
  for (;;) {
    const seen = statSync(at);
    const needed = (at === path ? OTHERS_READ : 0) | (seen.isDirectory() ? OTHERS_ENTER : 0);
    if ((seen.mode & needed) !== needed) return false;
    if (at === '/') return true;
    at = dirname(at);
  }
}

function reachableNode(paths: Paths): string {
  const own = realpathSync(process.execPath);
  if (isReachable(own) && !HOMES.test(own)) return own;
  const copy = join(paths.runtime, `node-${process.version}`, 'node');
  if (!existsSync(copy)) {
    const beside = join(paths.runtime, `.node-${String(process.pid)}`);
    rmSync(beside, { recursive: true, force: true });
    mkdirSync(beside, { mode: 0o755 });
    // A private home and the state directory are often one file system, where a clone costs nothing.
    copyFileSync(own, join(beside, 'node'), constants.COPYFILE_FICLONE);
    chmodSync(join(beside, 'node'), 0o755);
    chmodSync(beside, 0o755);
    rename(beside, dirname(copy));
  }
  return copy;
}

function copyWhole(from: string, to: string): void {
  const beside = `${to}.unfinished-${String(process.pid)}`;
  rmSync(beside, { recursive: true, force: true });
  cpSync(from, beside, { recursive: true });
  openToAll(beside);
  rename(beside, to);
}

/** The checkout's umask may have been a private one. */
function openToAll(path: string): void {
  const directory = statSync(path).isDirectory();
  chmodSync(path, directory ? 0o755 : 0o644 | (statSync(path).mode & 0o111));
  if (directory) for (const name of readdirSync(path)) openToAll(join(path, name));
}

/** Somebody who did the same at the same time has made the same. */
function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
    rmSync(from, { recursive: true, force: true });
  }
}
