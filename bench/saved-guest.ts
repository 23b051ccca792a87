// The peer of our snapshots: the kernel and initrd of a Ringwall guest in a bare QEMU, without a jail or a TPM, saved and put back as
// QEMU's manual says: `savevm` into a QCOW2 file, in clear, and `migrate` to a program, which encrypts.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, statSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, runChecked } from '@ringwall/host/exec';
import { writeCpio } from '@ringwall/host/guestimage';
import { QmpClient } from '@ringwall/host/qemu';

const QEMU = '/usr/bin/qemu-system-x86_64';
const BOOT_TIMEOUT_MS = 120_000;
/** A `savevm` of gigabytes under emulation. */
const SAVE_TIMEOUT_MS = 120_000;
const POLL_MS = 1;
/** QEMU would write no faster than a network did in 2010. */
const MAX_BANDWIDTH_BYTES_PER_S = 64 * 2 ** 30;
const READY = 'the bench may begin';
const TAG = 'saved';
const DISK_MIB = 64;

/** Mounts what a shell needs and a tmpfs to fill, then takes lines from the console. */
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs -o size=95% fill /run
exec </dev/ttyS0 >/dev/ttyS0 2>&1
echo "${READY}"
exec /bin/busybox sh
`;

export interface GuestSize {
  readonly memoryMiB: number;
  readonly cpus: number;
}

export interface PipeFigures {
  readonly tookMs: number;
  readonly syncedMs: number;
  readonly pauseMs: number;
}

export class SavedGuest implements AsyncDisposable {
  readonly #dir: string;
  readonly #memoryMiB: number;
  readonly #argv: readonly string[];
  #child: ChildProcess | undefined;
  #qmp: QmpClient | undefined;
  #printed = '';

  /** `image`: a built image of ours; `dir`: for files. */
  constructor(dir: string, image: string, { memoryMiB, cpus }: GuestSize) {
    this.#dir = dir;
    this.#memoryMiB = memoryMiB;
    const original = readFileSync(join(image, 'initrd'));
    const extra = writeCpio([{ kind: 'file', path: 'bench', mode: 0o755, content: Buffer.from(INIT) }]);
    const padding = new Uint8Array((512 - (original.length % 512)) % 512);
    writeFileSync(join(dir, 'initrd'), Buffer.concat([original, padding, extra]));
    const disk = { driver: 'qcow2', 'node-name': 'disk', file: { driver: 'file', filename: this.disk } };
    this.#argv = [
      ...['-machine', 'q35,smm=off,hpet=off', '-accel', 'tcg', '-cpu', 'max'],
      ...['-smp', String(cpus), '-m', String(memoryMiB), '-device', 'virtio-rng-pci'],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio'],
      ...['-qmp', `unix:${this.#monitor},server=on,wait=off`],
      ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk'],
      ...['-kernel', join(image, 'kernel'), '-initrd', join(dir, 'initrd')],
      ...['-append', 'console=ttyS0 quiet no_timer_check rdinit=/bench'],
    ];
  }

  /** As it is saved by `savevm`: with its disk. */
  get disk(): string {
    return join(this.#dir, 'disk.qcow2');
  }

  async boot(): Promise<void> {
    await runChecked(run, ['/usr/bin/qemu-img', 'create', '-q', '-f', 'qcow2', this.disk, `${String(DISK_MIB)}M`]);
    await this.#start([]);
    await this.#waitFor(READY);
  }

  /** In the guest; waits for its end. */
  async shell(command: string): Promise<void> {
    const mark = Math.random().toString(36).slice(2);
    this.#child?.stdin?.write(`${command}; echo "done-""${mark}"\n`);
    await this.#waitFor(`done-${mark}`);
  }

  /** What it has touched of its memory, without what QEMU itself has (as much as 80 MiB). */
  touchedMiB(): number {
    const mappings = readFileSync(`/proc/${String(this.#child?.pid)}/smaps`, 'utf8');
    const size = String(this.#memoryMiB * 1024);
    const resident = new RegExp(`^Size:\\s+${size} kB(?:\\n.*)*?\\nRss:\\s+(\\d+) kB`, 'm').exec(mappings)?.[1];
    if (resident === undefined) throw new Error(`QEMU has no memory of ${size} kB`);
    return Number(resident) / 1024;
  }

  /** The guest stands still for all of it. */
  async saveVm(): Promise<{ readonly tookMs: number; readonly bytes: number }> {
    await this.#command(`delvm ${TAG}`);
    // What a state before has left there is not what is measured; its clusters are written over.
    await runChecked(run, ['/usr/bin/sync', this.disk]);
    const before = statSync(this.disk).size;
    const startedAt = performance.now();
    await this.#command(`savevm ${TAG}`);
    return { tookMs: performance.now() - startedAt, bytes: statSync(this.disk).size - before };
  }

  /** `-incoming` or `-loadvm`, from the start of QEMU until the guest runs. */
  async restoreVm(): Promise<number> {
    return this.#restarted(['-loadvm', TAG]);
  }

  /**
   * Through a shell command that reads the stream from its standard input and writes `file`. Then the guest goes on. `tookMs` is until
   * QEMU has closed the pipe, `syncedMs` until the file is on its disk, too.
   */
  async pipeTo(command: string, file: string): Promise<PipeFigures> {
    const qmp = this.#connected;
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': MAX_BANDWIDTH_BYTES_PER_S });
    const startedAt = performance.now();
    const synced = `${file}.synced`;
    rmSync(synced, { force: true });
    await qmp.execute('migrate', { uri: `exec:${command} && sync ${file} && : >${synced}` });
    for (;;) {
      const { status, downtime }: { status?: unknown; downtime?: unknown } = Object(await qmp.execute('query-migrate'));
      if (status === 'failed') throw new Error('QEMU could not save');
      if (status !== 'completed') {
        await sleep(POLL_MS);
        continue;
      }
      const tookMs = performance.now() - startedAt;
      await qmp.execute('cont');
      while (!existsSync(synced)) await sleep(POLL_MS);
      return { tookMs, syncedMs: performance.now() - startedAt, pauseMs: Number(downtime) };
    }
  }

  /** From what a shell command writes to its standard output. */
  async restoreFrom(command: string): Promise<number> {
    return this.#restarted(['-incoming', `exec:${command}`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  get #monitor(): string {
    return join(this.#dir, 'qmp');
  }

  get #connected(): QmpClient {
    if (this.#qmp === undefined) throw new Error('the peer does not run');
    return this.#qmp;
  }

  async #restarted(more: readonly string[]): Promise<number> {
    await this.#end();
    const startedAt = performance.now();
    await this.#start(more);
    for (;;) {
      const { status }: { status?: unknown } = Object(await this.#connected.execute('query-status'));
      if (status === 'running') return performance.now() - startedAt;
      await sleep(POLL_MS);
    }
  }

  async #start(more: readonly string[]): Promise<void> {
    rmSync(this.#monitor, { force: true });
    const child = spawn(QEMU, [...this.#argv, ...more], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    child.stdout.on('data', (bytes: Buffer) => (this.#printed += bytes.toString('latin1')));
    const deadline = performance.now() + BOOT_TIMEOUT_MS;
    while (!existsSync(this.#monitor)) {
      if (performance.now() > deadline || child.exitCode !== null) throw new Error('the peer has no monitor');
      await sleep(POLL_MS);
    }
    // It answers when its state is loaded.
    this.#qmp = await QmpClient.connect(this.#monitor, BOOT_TIMEOUT_MS);
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
    await this.#qmp?.[Symbol.asyncDispose]();
    this.#child = undefined;
  }

  async #command(line: string): Promise<void> {
    const said = await this.#connected.execute('human-monitor-command', { 'command-line': line }, SAVE_TIMEOUT_MS);
    if (said !== '') throw new Error(`QEMU says to ${line}: ${String(said)}`);
  }

  async #waitFor(text: string): Promise<void> {
    const deadline = performance.now() + BOOT_TIMEOUT_MS;
    while (!this.#printed.includes(text)) {
      if (performance.now() > deadline) throw new Error(`the peer did not say ${text}:\n${this.#printed.slice(-1000)}`);
      await sleep(10);
    }
  }
}
