// A stand-in for a machine, in drills about networks: a network namespace with one card, in which its owner is root and runs programs.
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import { closeNamespace, pinNamespace, type NamespaceRun } from '@ringwall/host/network';

const IP = '/usr/sbin/ip';
const PYTHON = '/usr/bin/python3';
/** Programs end by themselves after a second or two; a busy host starts them late. */
const PROGRAM_TIMEOUT_MS = 120_000;

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
  async run(program: string, argument: unknown): Promise<unknown> {
    return (await this.start(program, argument)).answer;
  }

  /** Starts one of programs.ts, and waits until it is ready. */
  start(program: string, argument: unknown): Promise<Running> {
    return startIn(this.#inside, program, argument);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeNamespace(run, this.#file);
  }
}

/** The same in a namespace that is no machine's. */
export function startIn(inside: NamespaceRun, program: string, argument: unknown): Promise<Running> {
  const stopped = new AbortController();
  return new Promise((resolve, reject) => {
    const argv = [PYTHON, '-I', '-S', '-c', program, JSON.stringify(argument)];
    const ended = runChecked(inside, argv, {
      timeoutMs: PROGRAM_TIMEOUT_MS,
      signal: stopped.signal,
      onLine: (line) => {
        if (line === 'ready') resolve({ answer, stop });
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
