// One command line from argv to exit code: parses, runs one command, prints an error so that a person can use it.
import type { Health } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { ApiClient } from './api-client.ts';
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts';
import { readBuild, SOURCE_BUILD, type Installation } from './installation.ts';
import type { Invocation } from './invocation.ts';
import { parseCommandLine, type Parsed } from './parse.ts';
import { Progress } from './progress.ts';
import { pathsOf } from './services/paths.ts';
import { Terminal, type Stream } from './terminal.ts';
import { printTrouble } from './trouble.ts';

export interface World {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly installation: Installation;
  readonly now?: () => number;
  /** Without it, a daemon that does not run is an error. */
  readonly services?: Services;
}

/** How the services of this host are brought up and kept up. */
export interface Services {
  readonly start: (invocation: Invocation, error: RingwallError) => Promise<void>;
  readonly revive: (invocation: Invocation, step: (text: string) => void) => Promise<void>;
  readonly renew: (invocation: Invocation, health: Health) => Promise<void>;
}

const UNAVAILABLE = {
  ringwalld: 'daemon-unavailable',
  'ringwall-warden': 'warden-unavailable',
  'ringwall-broker': 'broker-unavailable',
} as const;

/** Runs one command line to its exit code. Throws nothing. */
export async function runCommandLine(world: World): Promise<number> {
  const { argv, environment } = world;
  const out = new Terminal(world.stdout, environment);
  const err = new Terminal(world.stderr, environment);
  const self = environment['RINGWALL_COMMAND'] || 'ringwall';
  try {
    const parsed = parseCommandLine(argv, self);
    if (parsed.kind === 'help') {
      const { printHelp } = await import('./commands/help.ts');
      printHelp(out, self, parsed.json, parsed.command);
      return EXIT_CODES.ok.code;
    }
    const invocation = makeInvocation(world, parsed, { out, err, self });
    const { run } = await parsed.command.load();
    try {
      return (await run(invocation)) ?? EXIT_CODES.ok.code;
    } finally {
      warnOfOtherBuild(invocation);
    }
  } catch (error) {
    if (error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number') return error.exitCode;
    return printError(error, {
      out,
      err,
      self,
      json: argv.includes('--json'),
      debug: environment['RINGWALL_DEBUG'] === '1',
    });
  }
}

function makeInvocation(
  world: World,
  parsed: Extract<Parsed, { kind: 'run' }>,
  { out, err, self }: { out: Terminal; err: Terminal; self: string },
): Invocation {
  const { environment } = world;
  const paths = pathsOf(environment);
  const api = new ApiClient(paths.apiSocket);
  const invocation: Invocation = {
    flags: parsed.flags,
    values: parsed.values,
    arguments: parsed.arguments,
    json: parsed.json,
    self,
    environment,
    installation: world.installation,
    paths,
    out,
    err,
    now: world.now ?? Date.now,
    progress: () => new Progress(err, { silent: parsed.json && !err.live }),
    api,
    needServices: async () => {
      const health = await invocation.withApi(() => api.call('health'));
      const down = health.processes.find(({ state }) => state === 'down');
      if (down === undefined) await world.services?.renew(invocation, health);
      else
        await world.services?.start(invocation, new RingwallError(UNAVAILABLE[down.name], `${down.name} does not run`));
    },
    reviveServices: async (step) => world.services?.revive(invocation, step),
    withApi: async (use) => {
      try {
        return await use(api);
      } catch (error) {
        if (world.services === undefined || !(error instanceof RingwallError) || !meansServicesAreDown(error))
          throw error;
        await world.services.start(invocation, error);
        return use(api);
      }
    },
  };
  return invocation;
}

/** Services keep running what they were started from: after an upgrade somebody must know that. */
function warnOfOtherBuild({ api, installation, err, json, self }: Invocation): void {
  if (json || api.build === undefined) return;
  const own = readBuild(installation).id;
  if (own === SOURCE_BUILD || own === api.build) return;
  err.line(`${err.bang} The services run another build of Ringwall than this command. Replace them: ${self} down`);
  err.line(`  The next command starts the new ones; machines go on. Where systemd runs them: ${self} install`);
}

function meansServicesAreDown({ code, cause }: RingwallError): boolean {
  // Without a cause, a refused connection would be the daemon's own word, and starting it again no help.
  if (code === 'daemon-unavailable' || code === 'unauthorized') return cause !== undefined;
  return code === 'warden-unavailable' || code === 'broker-unavailable';
}

function printError(
  error: unknown,
  { out, err, self, json, debug }: { out: Terminal; err: Terminal; self: string; json: boolean; debug: boolean },
): number {
  const known = error instanceof RingwallError ? error : fromSystem(error);
  const exit = exitCodeOf(known);
  if (json) {
    out.line(JSON.stringify({ error: { ...known.toBody(), exitCode: exit } }, undefined, 2));
  } else {
    printTrouble(err, self, known);
  }
  if (debug && error instanceof Error) err.line(error.stack ?? '');
  return exit;
}

/** What the operating system refuses has a name that people know; anything else is a defect of ours. */
function fromSystem(error: unknown): RingwallError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new RingwallError('host-full', 'the disk is full', { hint: message, cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new RingwallError('host-lacks', `not permitted: ${message}`, { hint: 'try it as root', cause: error });
  }
  const path = error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
  if (path !== undefined && (code === 'ENOENT' || code === 'ENOTDIR')) {
    return new RingwallError('not-found', `there is no ${path}`, { cause: error });
  }
  if (code === 'EISDIR') return new RingwallError('bad-request', `${path ?? 'that'} is a directory`, { cause: error });
  return new RingwallError('internal', message, {
    hint: 'this is a defect of Ringwall: RINGWALL_DEBUG=1 shows where; please report it',
    cause: error,
  });
}
