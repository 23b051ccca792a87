// Boots an image under QEMU, OVMF and swtpm as a machine would, without jails: for tests of the guest alone.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connectSoon } from '../../../testkit/connect-soon.ts';
import { end, serveTpm, SWTPM, type TestTpm } from './tpm.ts';

export const QEMU = '/usr/bin/qemu-system-x86_64';
export const OVMF_CODE = '/usr/share/OVMF/OVMF_CODE.fd';
export const OVMF_VARS = '/usr/share/OVMF/OVMF_VARS.fd';
/** What a test of a real guest needs and this host lacks. */
export const MISSING: readonly string[] = [
  QEMU,
  OVMF_CODE,
  SWTPM,
  '/usr/bin/mksquashfs',
  '/usr/sbin/veritysetup',
].filter((path) => !existsSync(path));

export const TEST_MEMORY_MIB = 512;
/** With a second one the firmware takes half as much again of a host that has two. */
export const TEST_CPUS = 1;
const DISK_BYTES = 64 * 1024 * 1024;
const BOOT_TIMEOUT_MS = 300_000;
const KEPT_CHARACTERS = 256 * 1024;

export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly system: string;
  readonly commandLine: string;
}

/** A blank disk for a first boot. */
export async function makeDisk(path: string): Promise<void> {
  await writeFile(path, '');
  await truncate(path, DISK_BYTES);
}

export class TestGuest implements AsyncDisposable {
  #port: Socket;
  readonly #vmm: ChildProcess;
  readonly #tpm: ChildProcess;
  readonly #monitor: Socket;
  readonly #dir: string;
  readonly #began = performance.now();
  #console = '';
  #wake: () => void = () => {};

  private constructor(dir: string, vmm: ChildProcess, tpm: ChildProcess, port: Socket, monitor: Socket) {
    this.#dir = dir;
    this.#vmm = vmm;
    this.#tpm = tpm;
    this.#port = port;
    this.#monitor = monitor;
    monitor.on('error', () => {});
    monitor.resume();
    port.on('error', () => {});
    vmm.stdout?.on('data', (bytes: Buffer) => {
      this.#console = (this.#console + bytes.toString('latin1')).slice(-KEPT_CHARACTERS);
      this.#wake();
    });
    vmm.once('exit', () => this.#wake());
    vmm.stdin?.on('error', () => {});
  }

  /** `dir` is the guest's own, for sockets; it is removed at the end. `namespace`: a file that pins where its card is to lead. */
  static async start(
    dir: string,
    files: GuestFiles,
    disk: string,
    tpm: TestTpm,
    namespace?: string,
  ): Promise<TestGuest> {
    await mkdir(dir);
    await copyFile(OVMF_VARS, join(dir, 'vars.fd'));
    const swtpm = await serveTpm(tpm, join(dir, 'tpm.sock'));
    const there = namespace === undefined ? [] : ['/usr/bin/nsenter', `--net=${namespace}`, '--'];
    const [program = QEMU, ...words] = [...there, QEMU, ...argv(dir, files, disk)];
    const vmm = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
    let complaints = '';
    vmm.stderr.on('data', (bytes: Buffer) => (complaints += bytes.toString('latin1')));
    try {
      const port = await connectSoon(join(dir, 'port.sock'), vmm);
      const monitor = await connectSoon(join(dir, 'qmp.sock'), vmm);
      monitor.write('{"execute":"qmp_capabilities"}\n');
      return new TestGuest(dir, vmm, swtpm, port, monitor);
    } catch (cause) {
      await end(vmm);
      await end(swtpm);
      throw new Error(`qemu: ${complaints}`, { cause });
    }
  }

  /** The broker's end of the attestation port. */
  get port(): Socket {
    return this.#port;
  }

  /** Cuts the line to the broker, as its restart would, and makes another. */
  async reconnectPort(): Promise<Socket> {
    this.#port.destroy();
    this.#port = await connectSoon(join(this.#dir, 'port.sock'), this.#vmm);
    this.#port.on('error', () => {});
    return this.#port;
  }

  get console(): string {
    return this.#console;
  }

  /** Milliseconds since the VMM started at which the console first matched. */
  async waitFor(pattern: RegExp, timeoutMs = BOOT_TIMEOUT_MS): Promise<number> {
    const deadline = Date.now() + timeoutMs;
    while (!pattern.test(this.#console)) {
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || this.#vmm.exitCode !== null) {
        throw new Error(`no ${String(pattern)} on the console:\n${this.#console.slice(-3000)}`);
      }
      await new Promise<void>((done) => {
        const timer = setTimeout(done, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
    return performance.now() - this.#began;
  }

  /** Runs a command in the guest's shell and returns what it printed. */
  async shell(command: string): Promise<string> {
    const mark = `mark${Math.random().toString(36).slice(2)}`;
    // The echo of what is typed holds the mark in two pieces.
    this.#vmm.stdin?.write(`${command}; echo ${mark.slice(0, 5)}''${mark.slice(5)}=$?\n`);
    await this.waitFor(new RegExp(`${mark}=\\d+`), 30_000);
    const until = this.#console.indexOf(`${mark}=`);
    const begin = this.#console.lastIndexOf(`''${mark.slice(5)}=$?`, until);
    return this.#console.slice(this.#console.indexOf('\n', begin) + 1, until).replaceAll('\r', '');
  }

  /** As the warden does once a boot has proven itself: the firmware has seen nothing of it. */
  plugCard({ interface: ifname, mac }: { readonly interface: string; readonly mac: string }): void {
    const tap = { type: 'tap', id: 'cable', ifname, script: 'no', downscript: 'no' };
    const card = { driver: 'virtio-net-pci', id: 'card', bus: 'cards', netdev: tap.id, mac, romfile: '' };
    this.#monitor.write(`${JSON.stringify({ execute: 'netdev_add', arguments: tap })}\n`);
    this.#monitor.write(`${JSON.stringify({ execute: 'device_add', arguments: card })}\n`);
  }

  pressPowerButton(): void {
    this.#monitor.write('{"execute":"system_powerdown"}\n');
  }

  /** True where the guest powers itself off in this time. */
  async hasEnded(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (this.#vmm.exitCode === null && Date.now() < deadline) await new Promise((done) => setTimeout(done, 50));
    return this.#vmm.exitCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#port.destroy();
    this.#monitor.destroy();
    await end(this.#vmm);
    await end(this.#tpm);
    await rm(this.#dir, { recursive: true, force: true });
  }
}

function argv(dir: string, files: GuestFiles, disk: string): string[] {
  const blockdev = (name: string, filename: string, readOnly: boolean): string[] => [
    '-blockdev',
    JSON.stringify({ driver: 'raw', 'node-name': name, 'read-only': readOnly, file: { driver: 'file', filename } }),
    '-device',
    `virtio-blk-pci,drive=${name},serial=${name}`,
  ];
  return [
    ...['-machine', 'q35,smm=off,hpet=off', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', `${TEST_CPUS}`],
    ...['-m', `${TEST_MEMORY_MIB}`, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    // As host/qemu has it: without suspend, which the firmware's own measurement shows.
    ...['-global', 'ICH9-LPC.disable_s3=1', '-global', 'ICH9-LPC.disable_s4=1'],
    ...['-serial', 'stdio', '-device', 'virtio-rng-pci', '-device', 'pcie-root-port,id=cards,chassis=1,io-reserve=0'],
    ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${OVMF_CODE}`],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${join(dir, 'vars.fd')}`],
    ...['-chardev', `socket,id=tpm,path=${join(dir, 'tpm.sock')}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=tpm0'],
    ...['-chardev', `socket,id=port,path=${join(dir, 'port.sock')},server=on,wait=off`, '-device', 'virtio-serial-pci'],
    ...['-device', 'virtserialport,chardev=port,name=org.ringwall.attest'],
    ...['-qmp', `unix:${join(dir, 'qmp.sock')},server=on,wait=off`],
    ...blockdev('system', files.system, true),
    ...blockdev('data', disk, false),
    ...['-kernel', files.kernel, '-initrd', files.initrd, '-append', files.commandLine],
  ];
}
