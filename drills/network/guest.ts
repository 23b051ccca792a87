// A stand-in for a machine, in drills about networks: a network namespace with one card, in which its owner is root and runs programs.
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import { closeNamespace, pinNamespace, type NamespaceRun } from '@ringwall/host/network';
import { program } from './programs.ts';

const IP = '/usr/sbin/ip';
const PYTHON = '/usr/bin/python3';
/** Programs end by themselves after a second or two, or after as much more as the host is slower. */
const PROGRAM_TIMEOUT_MS = 300_000;
/** What a start takes on a host with nothing else to do. */
const QUIET_START_MS = 150;
/** A host that is slower still shows nothing. */
const MOST_SLOWER = 30;
/** Of the last starts: the slowest counts. */
const STARTS_LOOKED_AT = 4;
const NOTHING = program('ready()\nanswer(None)');

/** Who somebody is on the wire. */
export interface Identity {
  readonly name: string;
  readonly mac: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

const identity = (name: string, index: number): Identity => ({
  name,
  mac: `02:00:00:00:00:0${index}`,
  ipv4: `10.20.0.${index}`,
  ipv6: `fd00:20::${index}`,
});

/** Alice and Bob have something to say to each other; Mallory is the attacker, with a machine of her own beside theirs. */
export const ALICE: Identity = identity('alice', 1);
export const BOB: Identity = identity('bob', 2);
export const MALLORY: Identity = identity('mallory', 3);

/** A program that has said that it is ready. */
export interface Running {
  readonly answer: Promise<unknown>;
  /** Ends it without an answer. */
  readonly stop: () => Promise<void>;
}

export class Guest implements AsyncDisposable {
  readonly is: Identity;
  readonly #file: string;
  readonly #inside: NamespaceRun;

  private constructor(is: Identity, file: string, inside: NamespaceRun) {
    this.is = is;
    this.#file = file;
    this.#inside = inside;
  }

  static async open(is: Identity, directory: string): Promise<Guest> {
    const file = join(directory, is.name);
    return new Guest(is, file, await pinNamespace(run, file));
  }

  /** Its card, with the other end in another namespace. */
  async plugIn(namespace: string, device: string): Promise<void> {
    await this.ip(
      `link add eth0 address ${this.is.mac} type veth peer name ${device} netns ${namespace}`,
      'link set lo up',
      'link set eth0 up',
    );
  }

  /** Its owner changes how it is set up. */
  async ip(...commands: readonly string[]): Promise<void> {
    await runChecked(this.#inside, [IP, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** Runs a program of the machine itself, and answers what it prints. */
  async shell(...argv: readonly string[]): Promise<string> {
    return (
      await this.#inside(argv, { timeoutMs: PROGRAM_TIMEOUT_MS, env: { PATH: '/usr/sbin:/usr/bin' } })
    ).stdout.toString();
  }

  /** Runs one of programs.ts to its end. */
  async run(script: string, argument: object): Promise<unknown> {
    return (await this.start(script, argument)).answer;
  }

  /** Starts one of programs.ts, and waits until it is ready. */
  start(script: string, argument: object): Promise<Running> {
    return startIn(this.#inside, script, argument);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeNamespace(run, this.#file);
  }
}

/**
 * The same in a namespace that is no machine's. The `seconds` of a program are those of a quiet host: on a busy one it has as many more as
 * programs take longer to start there, or it would be over before the other one has begun.
 */
export async function startIn(inside: NamespaceRun, script: string, argument: object): Promise<Running> {
  if (startsMs.length === 0) await startNow(inside, NOTHING, {});
  const slower = Math.min(Math.max(1, Math.max(...startsMs) / QUIET_START_MS), MOST_SLOWER);
  const seconds = 'seconds' in argument ? { seconds: Number(argument.seconds) * slower } : {};
  return await startNow(inside, script, { ...argument, ...seconds });
}

const startsMs: number[] = [];

function startNow(inside: NamespaceRun, script: string, argument: object): Promise<Running> {
  const begunMs = performance.now();
  const stopped = new AbortController();
  return new Promise((resolve, reject) => {
    const argv = [PYTHON, '-I', '-S', '-c', script, JSON.stringify(argument)];
    const ended = runChecked(inside, argv, {
      timeoutMs: PROGRAM_TIMEOUT_MS,
      signal: stopped.signal,
      onLine: (line) => {
        if (line !== 'ready') return;
        startsMs.unshift(performance.now() - begunMs);
        startsMs.splice(STARTS_LOOKED_AT);
        resolve({ answer, stop });
      },
    });
    const answer = ended.then(({ stdout }): unknown => JSON.parse(stdout.toString().trim().split('\n').at(-1) ?? ''));
    // Whoever waits for the answer hears of it, and whoever waits for it to be ready.
    answer.catch(reject);
    const stop = async (): Promise<void> => {
      stopped.abort();
      await answer.catch(() => undefined);
    };
  });
}
