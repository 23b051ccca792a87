// The brokers whose proofs count here, one key a line, as known_hosts of ssh: learnt when a proof is taken over this
// host's own socket, which nobody else can answer on. Root's list is for every user of the host.
import { appendFileSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeDirectory } from './make-directory.ts';
import { isRoot } from './services/privilege.ts';
import type { Paths } from './services/paths.ts';

const FILE = 'known-brokers';
/** X and Y of a P-256 point. */
export const BROKER_KEY: RegExp = /^[0-9a-f]{128}$/;
/** A line a broker; a host has one, a fleet some hundreds. */
const FILE_LIMIT_BYTES = 1024 * 1024;

export interface KnownBroker {
  readonly key: string;
  readonly file: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function readKnownBrokers(paths: Paths, environment: Environment): KnownBroker[] {
  return [sharedFile(paths), ownFile(environment)].flatMap((file) => keysIn(file).map((key) => ({ key, file })));
}

/** Idempotent. Where the list cannot be written, the proof is still one: the key is only not remembered. */
export function rememberBroker(key: string, paths: Paths, environment: Environment, now: Date): void {
  const file = isRoot() ? sharedFile(paths) : ownFile(environment);
  if (!BROKER_KEY.test(key) || readKnownBrokers(paths, environment).some((known) => known.key === key)) return;
  try {
    makeDirectory(dirname(file), 0o755);
    appendFileSync(file, `${key} ${now.toISOString()}\n`, { mode: 0o644 });
  } catch {
    // `verify` then asks for --broker-key.
  }
}

function sharedFile(paths: Paths): string {
  return join(paths.state, FILE);
}

function ownFile(environment: Environment): string {
  return join(environment['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'ringwall', FILE);
}

function keysIn(file: string): string[] {
  try {
    const text = readFileSync(file).subarray(0, FILE_LIMIT_BYTES).toString('latin1');
    return text.split('\n').flatMap((line) => {
      const [key = ''] = line.split(' ');
      return BROKER_KEY.test(key) ? [key] : [];
    });
  } catch {
    return [];
  }
}
