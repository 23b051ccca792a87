// A real warden of its own for tests: state and run directory made for it, its requests by name, and a look at all that
// it could leave behind.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { newBootId, newMachineId, type MachineId } from '@ringwall/api';
import {
  WARDEN_LINE_LIMIT_BYTES,
  wardenResponseSchemas,
  type RunningMachine,
  type WardenRequest,
} from '@ringwall/api/warden';
import { LineClient } from '@ringwall/control/rpc';
import { layoutOf, machineLayout, type Layout, type MachineLayout } from '@ringwall/control/warden';
import { LEASE_DIR } from '@ringwall/host/jail';
import { writeSyntheticImage } from '../../../control/warden/testing/synthetic-image.ts';
import { VMM_COMPONENTS } from '../components.ts';
import { makeMachineLabel } from '../jails.ts';

const READY_TIMEOUT_MS = 120_000;
const MAIN = join(import.meta.dirname, '../main.ts');
export const BROKER_KEY: string = 'ab'.repeat(64);
export const SPEC = { image: 'hello', cpus: 1, memoryMiB: 256, diskMiB: 32 } as const;

/** Why no warden can be tried here; undefined where it can. */
export function lacksForWarden(): string | undefined {
  if (process.getuid?.() !== 0) return 'skipped: needs root';
  const missing = VMM_COMPONENTS.filter(({ path }) => !existsSync(path)).map((component) => component.package);
  return missing.length === 0 ? undefined : `skipped: needs ${[...new Set(missing)].join(', ')}`;
}

export function wardenArgv(dir: string): string[] {
  const { state, run } = directoriesOf(dir);
  return [process.execPath, '--conditions=ringwall-source', MAIN, '--state', state, '--run', run, '--group', 'root'];
}

export class TestWarden implements AsyncDisposable {
  readonly dir: string;
  readonly layout: Layout;
  readonly client: LineClient<WardenRequest, typeof wardenResponseSchemas>;
  readonly #ownsDir: boolean;
  /** Stands before the program: what has it run somewhere else. */
  readonly #before: readonly string[];
  #process: ChildProcess | undefined;
  stderr = '';

  private constructor(dir: string, ownsDir: boolean, before: readonly string[]) {
    this.#ownsDir = ownsDir;
    this.#before = before;
    const { state, run } = directoriesOf(dir);
    this.dir = dir;
    this.layout = layoutOf(state, run);
    this.client = new LineClient({
      path: this.layout.socket,
      responseSchemas: wardenResponseSchemas,
      lineLimitBytes: WARDEN_LINE_LIMIT_BYTES,
      peer: 'the warden',
      unavailable: 'warden-unavailable',
      hint: 'start it',
    });
  }

  /** With an image that boots nothing, but where another is given. `dir`: a directory that is there, and stays. */
  static async start(
    options: { readonly dir?: string; readonly image?: false; readonly before?: readonly string[] } = {},
  ): Promise<TestWarden> {
    const dir = options.dir ?? mkdtempSync('/var/tmp/ringwall-warden-');
    chmodSync(dir, 0o755);
    const warden = new TestWarden(dir, options.dir === undefined, options.before ?? []);
    if (options.image !== false) await writeSyntheticImage(join(warden.layout.images, 'hello'));
    await warden.revive();
    return warden;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts the process, after it was killed or ended, and waits until it answers. */
  async revive(): Promise<void> {
    const [file = '', ...args] = [...this.#before, ...wardenArgv(this.dir)];
    const child = spawn(file, args, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    const deadline = performance.now() + READY_TIMEOUT_MS;
    for (;;) {
      try {
        // Not list-machines: it tells of each death once.
        await this.client.call({ op: 'status' });
        return;
      } catch (cause) {
        if (child.exitCode !== null) throw new Error(`the warden ended: ${this.stderr}`, { cause });
        if (performance.now() > deadline) throw new Error(`the warden does not answer: ${this.stderr}`, { cause });
        await sleep(20);
      }
    }
  }

  /** Ends the process and waits until it is gone; its exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  paths(machine: MachineId): MachineLayout {
    return machineLayout(this.layout, machine);
  }

  async create(spec: { image: string; cpus: number; memoryMiB: number; diskMiB: number } = SPEC): Promise<MachineId> {
    const machine = newMachineId();
    await this.client.call({ op: 'create-machine', machine, spec });
    return machine;
  }

  async startMachine(machine: MachineId, boot: string = newBootId()): Promise<RunningMachine> {
    const order = { op: 'start-machine', machine, boot, brokerKey: BROKER_KEY } as const;
    return (await this.client.call(order)).running;
  }

  stopMachine(machine: MachineId, graceMs = 0): Promise<{ graceful: boolean }> {
    return this.client.call({ op: 'stop-machine', machine, graceMs }, { timeoutMs: graceMs + 30_000 });
  }

  async machines(): Promise<RunningMachine[]> {
    return (await this.client.call({ op: 'list-machines' })).machines;
  }

  async openConsole(machine: MachineId): Promise<Duplex> {
    return (await this.client.openStream({ op: 'open-console', machine })).stream;
  }

  /** Everything of running machines that is there: run directories, leases, mounts, control groups and processes. */
  leftovers(): string[] {
    const label = makeMachineLabel(this.layout);
    const instance = label(machineLayout(this.layout, newMachineId())).split('-').at(-1) ?? '';
    const { run, runMachines, private: pairs } = this.layout;
    return [
      ...names(runMachines).map((name) => `run directory ${name}`),
      ...names(pairs).map((name) => `socket pair ${name}`),
      ...names(LEASE_DIR)
        .filter((name) => /^\d+$/.test(name) && read(join(LEASE_DIR, name)).includes(`"${run}/`))
        .map((name) => `lease ${name}`),
      ...read('/proc/self/mountinfo')
        .split('\n')
        .filter((line) => line.includes(` ${run}/`))
        .map((line) => `mount ${line}`),
      ...cgroups().filter((path) => path.includes(`-${instance}-`)),
      ...names('/proc')
        .filter((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/cmdline`).includes(`-${instance}`))
        .map((pid) => `process ${pid}`),
    ];
  }

  /** Machines are ended through the warden itself: what that leaves is for the tests to see. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
    await this.revive();
    const { machines: existing } = await this.client.call({ op: 'list-existing' });
    for (const machine of existing) {
      await this.stopMachine(machine);
      await this.client.call({ op: 'remove-machine', machine });
    }
    await this.end('SIGTERM');
    if (this.#ownsDir) rmSync(this.dir, { recursive: true, force: true });
  }
}

function directoriesOf(dir: string): { state: string; run: string } {
  return { state: join(dir, 'state'), run: join(dir, 'run') };
}

function cgroups(): string[] {
  return ['', ...names('/sys/fs/cgroup')].flatMap((hierarchy) => {
    const parent = join('/sys/fs/cgroup', hierarchy, 'ringwall');
    return names(parent).map((name) => join(parent, name));
  });
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
