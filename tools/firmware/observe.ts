// Boots a firmware bare, without a jail and without a guest worth the name, and reads from the machine's memory what it
// measured: the TCG event log (as the kernel's EFI stub has it from EFI_TCG2_PROTOCOL.GetEventLog) and the volume that
// PlatformPei ran in.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cursor } from '@ringwall/bytes';
import { QmpClient } from '@ringwall/host/qemu';
import { parseEventData, parseEventLog, type EventLog } from '@ringwall/tpm';

const QEMU = '/usr/bin/qemu-system-x86_64';
const SWTPM = '/usr/bin/swtpm';
const MIB = 1024 * 1024;
/** OVMF under emulation on a busy host. */
const BOOT_TIMEOUT_MS = 180_000;
const POLL_MS = 100;
/** PcdTcgLogAreaMinLen of OVMF: as much as its log can have. */
const LOG_AREA_BYTES = 64 * 1024;
/** Linux' struct linux_efi_tpm_eventlog: size, size of what came after, version; the log follows. */
const LOG_HEADER_BYTES = 9;
/** Among the first lines of a kernel that an EFI firmware started, where that has a TPM driver. */
const LOG_ADDRESS = /^.*\befi: .*\bTPMEventLog=0x([0-9a-f]+)/m;
const FIRMWARE_VOLUME_LIMIT_BYTES = 16 * MIB;

export interface BareMachine {
  readonly code: string;
  readonly vars: string;
  /** A kernel with an EFI stub: the firmware makes its boot options only before it starts one. */
  readonly kernel: string;
  readonly cpus: number;
  readonly memoryMiB: number;
}

export interface Observation {
  readonly log: EventLog;
  /** As it lies in memory, by the first EV_EFI_PLATFORM_FIRMWARE_BLOB event of the log. */
  readonly pei: Uint8Array;
}

export async function observe(machine: BareMachine): Promise<Observation> {
  const dir = await mkdtemp(join(tmpdir(), 'ringwall-firmware-'));
  const children: ChildProcess[] = [];
  try {
    await copyFile(machine.vars, join(dir, 'vars.fd'));
    await mkdir(join(dir, 'tpm'));
    children.push(startTpm(dir));
    await until(() => existsSync(join(dir, 'tpm.sock')), 'swtpm does not start');
    const vmm = startVmm(dir, machine);
    children.push(vmm.child);
    await until(
      () => LOG_ADDRESS.test(vmm.said()),
      () => `no kernel came up that has a log of its boot; QEMU says: ${vmm.said().slice(-500)}`,
    );
    await using monitor = await QmpClient.connect(join(dir, 'qmp.sock'));
    await monitor.execute('stop');
    const read = async (start: number, bytes: number): Promise<Uint8Array> => {
      const filename = join(dir, 'memory');
      await monitor.execute('pmemsave', { val: start, size: bytes, filename });
      return new Uint8Array(await readFile(filename));
    };
    const address = Number.parseInt(LOG_ADDRESS.exec(vmm.said())?.[1] ?? '', 16);
    const bytes = new Cursor(await read(address, LOG_HEADER_BYTES)).u32le('size');
    if (bytes > LOG_AREA_BYTES) throw new Error(`an event log of ${bytes} bytes`);
    const log = parseEventLog(await read(address + LOG_HEADER_BYTES, bytes));
    const { base, length } = firmwareBlob(log);
    return { log, pei: await read(base, length) };
  } finally {
    await Promise.all(children.toReversed().map((child) => end(child)));
    await rm(dir, { recursive: true, force: true });
  }
}

function startTpm(dir: string): ChildProcess {
  const state = ['--tpmstate', `dir=${join(dir, 'tpm')}`];
  const control = ['--ctrl', `type=unixio,path=${join(dir, 'tpm.sock')}`];
  return spawn(SWTPM, ['socket', '--tpm2', ...state, ...control, '--terminate'], { stdio: 'ignore', env: {} });
}

/** As host/qemu has a machine, as far as PlatformPei looks at it: q35 without SMM and without suspend. */
function startVmm(dir: string, machine: BareMachine): { readonly child: ChildProcess; readonly said: () => string } {
  const child = spawn(
    QEMU,
    [
      ...['-machine', 'q35,smm=off,hpet=off', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', `${machine.cpus}`],
      ...['-m', `${machine.memoryMiB}`, '-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio'],
      ...['-global', 'ICH9-LPC.disable_s3=1', '-global', 'ICH9-LPC.disable_s4=1'],
      ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${machine.code}`],
      ...['-drive', `if=pflash,format=raw,unit=1,file=${join(dir, 'vars.fd')}`],
      ...['-chardev', `socket,id=tpm,path=${join(dir, 'tpm.sock')}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
      ...['-device', 'tpm-crb,tpmdev=tpm0', '-qmp', `unix:${join(dir, 'qmp.sock')},server=on,wait=off`],
      ...['-kernel', machine.kernel, '-append', 'console=ttyS0'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: {} },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => (said = (said + bytes.toString('latin1')).slice(-MIB)));
  }
  return { child, said: () => said };
}

function firmwareBlob(log: EventLog): { base: number; length: number } {
  const [event] = log.events.filter(({ typeName }) => typeName === 'EV_EFI_PLATFORM_FIRMWARE_BLOB');
  const blob = event === undefined ? undefined : parseEventData(event);
  if (blob?.kind !== 'firmware-blob') throw new Error('the log names no firmware volume');
  const [base, length] = [Number(blob.base), Number(blob.length)];
  if (length > FIRMWARE_VOLUME_LIMIT_BYTES) throw new Error(`a firmware volume of ${length} bytes`);
  return { base, length };
}

async function until(done: () => boolean, complaint: string | (() => string)): Promise<void> {
  const deadline = performance.now() + BOOT_TIMEOUT_MS;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(typeof complaint === 'string' ? complaint : complaint());
    await sleep(POLL_MS);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await exited;
}
