// One Ringwall of its own: state and run directory made for it, its three processes started and ended with it, driven
// through the same command line that a user types.
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { run } from '@ringwall/host/exec';
import { endLease, UidLeases } from '@ringwall/host/jail';
import { closeNamespace } from '@ringwall/host/network';
import { NamesServer } from '@ringwall/host/network/names';
import { hostReportSchema, machineDetailSchema, type HostReport, type MachineDetail } from '@ringwall/api';
import { z } from 'zod';
import { GuestConsole } from './console.ts';
import { copyCurrentImages } from './current-images.ts';

/** More than the product grants the slowest command, a first boot under emulation: 180 s to attest, 120 s to unlock. */
const COMMAND_TIMEOUT_MS = 600_000;
const DEFAULT_STATE = '/var/lib/ringwall';
const DEFAULT_RUN = '/run/ringwall';

const machineNames = z.object({ machines: z.array(z.object({ name: z.string() })) });

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface InstanceOptions {
  /** Where state and run directory are made. It must be reachable by other users: not under a private home. */
  readonly parent?: string;
  /** Argv that starts the command line; the bundle of this checkout by default. */
  readonly command?: readonly string[];
  /** A directory of built images to copy, whatever they are; by default those of this host that carry this checkout's scripts. */
  readonly images?: string;
}

/** Where this checkout's bundled command line is. */
export const BUNDLED_COMMAND: readonly string[] = [
  process.execPath,
  resolve(import.meta.dirname, '../dist/ringwall.mjs'),
];

/**
 * What this host's own Ringwall has found out about KVM in this boot holds for every other: a new one is spared the 8 s
 * after which it gives up on a guest that does not come up. Without one it tries by itself.
 */
export function copyAccelerator(runDir: string): void {
  const [from = '', to = ''] = [process.env['RINGWALL_RUN'] ?? DEFAULT_RUN, runDir].map((dir) => join(dir, 'probe'));
  const found = join(from, 'accelerator.json');
  if (!existsSync(found)) return;
  mkdirSync(to, { mode: 0o711 });
  copyFileSync(found, join(to, 'accelerator.json'));
}

export class Instance implements AsyncDisposable {
  readonly directory: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly #command: readonly string[];

  private constructor(directory: string, command: readonly string[]) {
    this.directory = directory;
    this.stateDir = join(directory, 'state');
    this.runDir = join(directory, 'run');
    this.#command = command;
  }

  /** Makes the directories and starts the three processes. */
  static async start(options: InstanceOptions = {}): Promise<Instance> {
    const directory = mkdtempSync(join(options.parent ?? '/var/tmp', 'ringwall-'));
    const instance = new Instance(directory, options.command ?? BUNDLED_COMMAND);
    chmodSync(directory, 0o755);
    mkdirSync(instance.stateDir, { mode: 0o755 });
    mkdirSync(instance.runDir, { mode: 0o755 });
    const images = join(instance.stateDir, 'images');
    if (options.images === undefined) {
      await copyCurrentImages(join(process.env['RINGWALL_STATE'] ?? DEFAULT_STATE, 'images'), images);
    } else cpSync(options.images, images, { recursive: true, preserveTimestamps: true });
    copyAccelerator(instance.runDir);
    await instance.ok('ls', '--json');
    return instance;
  }

  get environment(): Record<string, string> {
    return {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: process.env['HOME'] ?? '/root',
      // What the command line keeps for its user: images that it knows, layers that it has read.
      XDG_DATA_HOME: join(this.directory, 'data'),
      XDG_CACHE_HOME: join(this.directory, 'cache'),
      RINGWALL_STATE: this.stateDir,
      RINGWALL_RUN: this.runDir,
      NO_COLOR: '1',
    };
  }

  /** Runs one command line to its end. Never throws for an exit code. */
  cli(...args: readonly string[]): Promise<CommandResult> {
    const [file = '', ...rest] = this.#command;
    const child = spawn(file, [...rest, ...args], { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_TIMEOUT_MS);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    return new Promise((done, fail) => {
      child.once('error', fail);
      child.once('close', (code) => {
        clearTimeout(timer);
        done({ code: code ?? 128, stdout, stderr });
      });
    });
  }

  /** As `cli`, but an exit code other than 0 is an error that carries what was printed. */
  async ok(...args: readonly string[]): Promise<string> {
    const result = await this.cli(...args);
    if (result.code !== 0)
      throw new Error(`ringwall ${args.join(' ')}: exit ${result.code}\n${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  async show(name: string): Promise<MachineDetail> {
    return machineDetailSchema.parse(JSON.parse(await this.ok('show', name, '--json')));
  }

  /** As `show`, past the command line. */
  async detail(name: string): Promise<MachineDetail> {
    return machineDetailSchema.parse(await this.api('GET', `/v1/machines/${name}`));
  }

  /** The three processes, as far as the daemon sees them. */
  async health(): Promise<Pick<HostReport, 'processes'>> {
    return hostReportSchema.pick({ processes: true }).parse(await this.api('GET', '/v1/health'));
  }

  /** One request to the API, past the command line. */
  api(method: string, path: string, body?: unknown): Promise<unknown> {
    return new Promise((done, fail) => {
      const call = request({ socketPath: join(this.runDir, 'api.sock'), method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          const value: unknown = text === '' ? undefined : JSON.parse(text);
          if ((response.statusCode ?? 500) >= 400) fail(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
          else done(value);
        });
      });
      call.on('error', fail);
      if (body !== undefined) call.setHeader('content-type', 'application/json').write(JSON.stringify(body));
      call.end();
    });
  }

  openConsole(name: string): Promise<GuestConsole> {
    return GuestConsole.open(join(this.runDir, 'api.sock'), name);
  }

  /** Ends machines and processes and removes everything that was made. */
  async [Symbol.asyncDispose](): Promise<void> {
    const list = await this.cli('ls', '--json');
    if (list.code === 0) {
      const { machines } = machineNames.parse(JSON.parse(list.stdout));
      for (const { name } of machines) await this.cli('rm', '--force', name);
    }
    await this.cli('down');
    // Networks stand for as long as the host does, whoever has made them.
    const networks = join(this.runDir, 'networks');
    const entries = existsSync(networks) ? readdirSync(networks) : [];
    for (const id of entries.filter((name) => !name.includes('.'))) {
      const namespace = join(networks, id);
      await new NamesServer({ id, dir: `${namespace}.names`, namespace, leases: new UidLeases() }).stop();
      await closeNamespace(run, namespace);
    }
    const leases = new UidLeases();
    const tunnels = leases.list().filter(({ runDir }) => runDir?.startsWith(join(this.runDir, 'tunnels/')) === true);
    for (const lease of tunnels) await endLease(leases, lease);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
