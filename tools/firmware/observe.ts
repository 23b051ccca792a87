// Boots a firmware bare, without a jail and without a guest worth the name, and reads from the machine's memory what it
// measured: the TCG event log (ACPI "TPM2" table: log area) and the volume that PlatformPei ran in.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ParseError } from '@ringwall/bytes';
import { QmpClient } from '@ringwall/host/qemu';
import { parseEventData, parseEventLog, type EventLog } from '@ringwall/tpm';

const QEMU = '/usr/bin/qemu-system-x86_64';
const SWTPM = '/usr/bin/swtpm';
const MIB = 1024 * 1024;
/** OVMF under emulation on a busy host. */
const BOOT_TIMEOUT_MS = 180_000;
const POLL_MS = 100;
/** PcdTcgLogAreaMinLen of OVMF. */
const LOG_AREA_BYTES = 64 * 1024;
const PAGE_BYTES = 4096;
const SPEC_ID = Buffer.from('Spec ID Event03\0', 'latin1');
/** pcrIndex, eventType, SHA-1, eventDataSize: before the data of the log's first event. */
const FIRST_EVENT_HEADER_BYTES = 32;
const DUMP_CHUNK_BYTES = 16 * MIB;

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
      () => /Linux version/.test(vmm.said()),
      () => `no kernel came up; QEMU says: ${vmm.said().slice(-500)}`,
    );
    await using monitor = await QmpClient.connect(join(dir, 'qmp.sock'));
    await monitor.execute('stop');
    const dump = async (name: string, start: number, bytes: number): Promise<string> => {
      const filename = join(dir, name);
      await monitor.execute('pmemsave', { val: start, size: bytes, filename }, BOOT_TIMEOUT_MS);
      return filename;
    };
    const log = await findLog(await dump('memory', 0, machine.memoryMiB * MIB));
    const { base, length } = firmwareBlob(log);
    return { log, pei: new Uint8Array(await readFile(await dump('pei', base, length))) };
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

/** The longest log in the memory; older copies of its beginning, and the words in a kernel, may lie there too. */
async function findLog(path: string): Promise<EventLog> {
  await using file = await open(path);
  const { size } = await file.stat();
  const found: EventLog[] = [];
  const buffer = Buffer.alloc(DUMP_CHUNK_BYTES + LOG_AREA_BYTES);
  for (let start = 0; start < size; start += DUMP_CHUNK_BYTES) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const chunk = buffer.subarray(0, bytesRead);
    for (let at = chunk.indexOf(SPEC_ID); at >= 0 && at < DUMP_CHUNK_BYTES; at = chunk.indexOf(SPEC_ID, at + 1)) {
      const begin = at - FIRST_EVENT_HEADER_BYTES;
      if (begin < 0 || (start + begin) % PAGE_BYTES !== 0) continue;
      const log = readLog(chunk.subarray(begin, begin + LOG_AREA_BYTES));
      if (log !== undefined) found.push(log);
    }
  }
  const [longest] = found.toSorted((a, b) => b.events.length - a.events.length);
  if (longest === undefined)
    throw new Error('there is no event log in the machine’s memory: has this firmware a TPM driver?');
  return longest;
}

function readLog(area: Uint8Array): EventLog | undefined {
  try {
    return parseEventLog(new Uint8Array(area), { padding: 'allowed' });
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

function firmwareBlob(log: EventLog): { base: number; length: number } {
  const [event] = log.events.filter(({ typeName }) => typeName === 'EV_EFI_PLATFORM_FIRMWARE_BLOB');
  const blob = event === undefined ? undefined : parseEventData(event);
  if (blob?.kind !== 'firmware-blob') throw new Error('the log names no firmware volume');
  const [base, length] = [Number(blob.base), Number(blob.length)];
  if (length > DUMP_CHUNK_BYTES) throw new Error(`a firmware volume of ${length} bytes`);
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
