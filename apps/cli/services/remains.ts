// What one Ringwall has put on this host, found by its own names and nothing else: directories may have been named by a
// user, and may hold what is not ours.
import { existsSync, lstatSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICES } from './table.ts';
import { quoteWord, TARGET, unitName, UNIT_DIRECTORY } from '../systemd-units.ts';
import type { Paths } from './paths.ts';

/** Below the state directory: what is lost for good, and what the next start makes again. */
const KEPT_NAMES = ['broker', 'builder', 'daemon', 'images', 'known-brokers', 'logs', 'machines', 'warden'] as const;
const REMADE_NAMES = ['runtime'] as const;
const RUN_NAMES = [
  ...[
    'api.sock',
    'broker',
    'disks',
    'machines',
    'networks',
    'private',
    'probe',
    'services',
    'switches',
    'tunnels',
    'warden',
  ],
] as const;

export interface Remains {
  /** Unit files that start the services of this very instance. */
  readonly units: readonly string[];
  /** Copies of programs, sockets, records: nobody misses them. */
  readonly programs: readonly string[];
  /** Machines, keys, images, logs. */
  readonly state: readonly string[];
  /** Ids of the machines that there are, and of those that run. */
  readonly machines: readonly string[];
  readonly running: readonly string[];
}

export function findRemains(paths: Paths, unitDirectory: string = UNIT_DIRECTORY): Remains {
  const there = (folder: string, names: readonly string[]): string[] =>
    names.map((name) => join(folder, name)).filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  return {
    units: unitsOf(paths, unitDirectory),
    programs: [...there(paths.state, REMADE_NAMES), ...there(paths.run, RUN_NAMES)],
    state: there(paths.state, KEPT_NAMES),
    machines: idsIn(join(paths.state, 'machines')),
    running: idsIn(join(paths.run, 'machines')),
  };
}

/** Removes what was found, and the directories around it where nothing else is left in them. */
export function removeAll(found: readonly string[], paths: Paths): void {
  for (const path of found) rmSync(path, { recursive: true, force: true });
  for (const directory of [paths.run, paths.state]) {
    if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
  }
}

function unitsOf({ state }: Paths, directory: string): string[] {
  const services = SERVICES.map((service) => join(directory, unitName(service))).filter((path) =>
    readOrNothing(path).includes(`Environment=${quoteWord(`RINGWALL_STATE=${state}`)}\n`),
  );
  const target = join(directory, TARGET);
  return services.length > 0 && existsSync(target) ? [target, ...services] : services;
}

function idsIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('mch_')) : [];
}

function readOrNothing(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
