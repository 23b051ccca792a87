// The server of addresses and names of one network: dnsmasq in a jail, in the network's namespace. It goes on when we die, and is found
// again by its lease; killed, it is started anew.
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api/errors';
import { isAlive, run, signalProcess, type ProcessRef } from '../../exec/index.ts';
import {
  boundRunFile,
  endedAtStart,
  endLease,
  JAIL_PROGRAMS,
  readClosure,
  readRunFile,
  startJail,
  type Lease,
  type UidLeases,
} from '../../jail/index.ts';
import { compileNames, NAMES_FILES, type NamesFiles, type NamesWanted } from './compile.ts';
import { HANG_SECONDS, hangs } from './hang.ts';

const DNSMASQ = '/usr/sbin/dnsmasq';
const MIB = 1024 * 1024;
/** dnsmasq 2.90 takes 3 MiB, and 2 more for 4,096 machines; each of its 20 processes for connections some of its own. */
const LIMITS = {
  memoryBytes: 64 * MIB,
  tasks: 32,
  cpus: 0.5,
  openFiles: 1_024,
  fileBytes: MIB,
  runDirBytes: 4 * MIB,
} as const;
/** It is up in some 30 ms. */
const START_TIMEOUT_MS = 45_000;
const POLL_MS = 5;
const PID_FILE_BYTES = 16;
/** It says little; what one guest can make it say is bounded by its rate. */
const LOG_LIMITS = { maxBytes: MIB / 2, keepBytes: MIB / 8 } as const;

export interface NamesPlace {
  /** The network's id. */
  readonly id: string;
  /** A folder of its own, in one that nobody but root may enter. */
  readonly dir: string;
  /** The file that pins the network's namespace. */
  readonly namespace: string;
  readonly leases: UidLeases;
}

/** What had to be done: nothing, to tell it to read again, or to start it. */
export type NamesChange = 'kept' | 'told' | 'started';

export class NamesServer {
  readonly #place: NamesPlace;
  #wanted: NamesFiles | undefined;
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(place: NamesPlace) {
    this.#place = place;
  }

  /** Makes it serve this, and nothing else. One that an earlier life of ours has started is taken over. */
  apply(wanted: NamesWanted): Promise<NamesChange> {
    return this.#alone(async () => {
      this.#wanted = compileNames(wanted);
      return this.#serve(this.#wanted);
    });
  }

  /** Ends it, with all that was made for it. Idempotent. */
  stop(): Promise<void> {
    return this.#alone(async () => {
      this.#wanted = undefined;
      await this.#end();
      await rm(this.#place.dir, { recursive: true, force: true });
    });
  }

  /** The process that serves now. */
  get process(): Lease['process'] {
    const { process } = this.#lease() ?? {};
    return process !== undefined && isAlive(process) ? process : undefined;
  }

  /** Starts it again where it is gone or hangs, and says so, until it is told to stop. */
  async lookAfter(say: (what: string) => void, everyMs: number, signal: AbortSignal): Promise<void> {
    let trouble = '';
    while (!signal.aborted) {
      // Not alone: changes do not wait for somebody who may hang.
      const hanging = await this.#hanging(signal);
      await this.#alone(() => this.#restart(say, hanging)).then(
        () => (trouble = ''),
        (error: unknown) => {
          if (trouble !== String(error)) say(`the server of addresses and names cannot be started: ${String(error)}`);
          trouble = String(error);
        },
      );
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #hanging(signal: AbortSignal): Promise<ProcessRef | undefined> {
    const { process } = this;
    return process !== undefined && (await hangs(process, signal)) ? process : undefined;
  }

  async #restart(say: (what: string) => void, hanging: ProcessRef | undefined): Promise<void> {
    if (this.#wanted === undefined) return;
    const { process } = this;
    // A change may have started another meanwhile.
    const isHanging = process?.pid === hanging?.pid && process?.startTime === hanging?.startTime;
    if (process === undefined || isHanging) {
      // What is there would be kept.
      await this.#end();
      await this.#serve(this.#wanted);
      const what = process === undefined ? 'was gone' : `did nothing for ${HANG_SECONDS} s`;
      say(`the server of addresses and names ${what}; it is started again`);
    }
    await boundRunFile(this.#runDir, 'log', LOG_LIMITS);
  }

  async #serve(files: NamesFiles): Promise<NamesChange> {
    const changed = await this.#write(files);
    const { process } = this;
    if (process === undefined || changed.has('config') || !(await this.#isInside(process.pid))) {
      await this.#end();
      await this.#start();
      return 'started';
    }
    if (changed.size === 0) return 'kept';
    // It clears what it has cached, and reads all of its lists.
    signalProcess(process, 'SIGHUP');
    return 'told';
  }

  /** Not in a namespace that was there before this one. */
  async #isInside(pid: number): Promise<boolean> {
    const [own, wanted] = [`/proc/${pid}/ns/net`, this.#place.namespace].map((path) =>
      stat(path).catch(() => undefined),
    );
    return (await own)?.ino === (await wanted)?.ino;
  }

  /** Answers which files were not so before. */
  async #write(files: NamesFiles): Promise<ReadonlySet<string>> {
    await mkdir(this.#place.dir, { recursive: true, mode: 0o700 });
    const dir = join(this.#place.dir, 'files');
    await mkdir(dir, { recursive: true });
    // Its user reads them, who is none of this host's.
    await chmod(dir, 0o755);
    const changed = new Set<string>();
    for (const [name, text] of Object.entries(files)) {
      const path = join(dir, name);
      if ((await readFile(path, 'utf8').catch(() => undefined)) === text) continue;
      await writeFile(`${path}.new`, text, { mode: 0o644 });
      await chmod(`${path}.new`, 0o644);
      await rename(`${path}.new`, path);
      changed.add(name);
    }
    return changed;
  }

  async #start(): Promise<void> {
    const { id, dir, namespace, leases } = this.#place;
    const jail = await startJail({
      purpose: this.#purpose,
      name: `${id}-names`,
      leases,
      runDir: this.#runDir,
      runDirBytes: LIMITS.runDirBytes,
      cgroup: LIMITS,
      limits: LIMITS,
      profile: 'names',
      // It insists on the first, to write among neighbours: which its system call filter lets it do by netlink alone.
      network: namespace,
      capabilities: ['net_admin', 'net_raw', 'net_bind_service'],
      urandom: true,
      readOnly: [
        ...(await readClosure(run, [JAIL_PROGRAMS.setpriv, DNSMASQ])),
        { source: join(dir, 'files'), target: NAMES_FILES },
      ],
      command: () => [DNSMASQ, `--conf-file=${NAMES_FILES}/config`],
      failure: 'network-failed',
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while ((await readRunFile(jail.runDir, 'pid', PID_FILE_BYTES)) === undefined) {
      if (!isAlive(jail.process)) {
        const error = await endedAtStart('network-failed', this.#purpose, jail);
        await this.#end();
        throw error;
      }
      if (performance.now() > deadline) {
        await this.#end();
        throw new RingwallError('network-failed', `${this.#purpose} is not up after ${START_TIMEOUT_MS / 1000} s`);
      }
      await sleep(POLL_MS);
    }
  }

  async #end(): Promise<void> {
    const lease = this.#lease();
    if (lease !== undefined) await endLease(this.#place.leases, lease);
  }

  #lease(): Lease | undefined {
    return this.#place.leases.list().find(({ purpose }) => purpose === this.#purpose);
  }

  get #purpose(): string {
    return `${this.#place.id} names`;
  }

  get #runDir(): string {
    return join(this.#place.dir, 'run');
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
