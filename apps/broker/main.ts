// ringwall-broker [--state DIR] [--run DIR] [--allow-root]: wires the broker to its socket and to its end. It becomes its
// user before this program starts (setpriv, or User= of systemd), so that nothing here ever ran as another.
import { mkdirSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { parseArgs } from 'node:util';
import { RingwallError } from '@ringwall/api';
import { serveBroker } from '@ringwall/control/broker';

const USAGE = 'ringwall-broker [--state DIR] [--run DIR] [--allow-root]';
const DEFAULT_STATE = '/var/lib/ringwall';
const DEFAULT_RUN = '/run/ringwall';

interface Options {
  readonly stateDirectory: string;
  readonly runDirectory: string;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof RingwallError ? error : undefined;
  note(known === undefined ? `the broker cannot start: ${String(error)}` : known.message);
  if (known?.hint !== undefined) note(known.hint);
  // A defect while it serves leaves the socket open: nothing but this ends the process then.
  process.exit(1);
}

async function main(argv: readonly string[]): Promise<void> {
  // Nothing that the broker makes is for others, but where a mode is set by name.
  process.umask(0o077);
  const { stateDirectory, runDirectory } = readOptions(argv);
  const ended = endOfService();
  const broker = await serveBroker({
    stateDirectory,
    socketPath: join(runDirectory, 'broker.sock'),
    socketMode: socketModeIn(runDirectory),
  });
  note(`ringwall-broker listens on ${broker.socketPath}`);
  const why = await ended;
  await broker.close();
  note(`ringwall-broker ended: ${why}`);
}

function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      state: { type: 'string' },
      run: { type: 'string' },
      // For tests and for a host without the system user: whoever is root can read every key of a broker anyway.
      'allow-root': { type: 'boolean', default: false },
    },
    strict: true,
  });
  if (process.getuid?.() === 0 && !values['allow-root']) {
    throw new RingwallError('unauthorized', 'the broker does not run as root: a defect in it would be the host', {
      hint: `let ringwall up start it as the user ringwall-broker; tests may say --allow-root (${USAGE})`,
    });
  }
  const state = values.state ?? process.env['RINGWALL_STATE'] ?? DEFAULT_STATE;
  const run = values.run ?? process.env['RINGWALL_RUN'] ?? DEFAULT_RUN;
  for (const path of [state, run]) {
    if (!isAbsolute(path)) throw new RingwallError('bad-request', `${path} is not an absolute path`, { hint: USAGE });
  }
  const directories = { stateDirectory: join(state, 'broker'), runDirectory: join(run, 'broker') };
  mkdirSync(directories.runDirectory, { recursive: true, mode: 0o700 });
  return directories;
}

/**
 * Whoever made the run directory said by its group who may connect: ringwalld's. The broker is not in that group, which
 * would open the warden's socket to it; so the directory, which others cannot enter, is the wall, and the socket in it
 * is open.
 */
function socketModeIn(runDirectory: string): number {
  const { gid, mode } = statSync(runDirectory);
  if (gid === process.getgid?.()) return 0o600;
  if ((mode & 0o007) === 0) return 0o666;
  throw new RingwallError('conflict', `${runDirectory} is open to everybody`, {
    hint: `chmod 0750 ${runDirectory}: whoever may enter it may speak to the broker`,
  });
}

/** The name of the signal that ended it. A defect ends it too, with what it was in the log. */
function endOfService(): Promise<string> {
  return new Promise((resolve, reject) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve(signal));
    process.once('uncaughtException', reject);
    process.once('unhandledRejection', reject);
  });
}

function note(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}
