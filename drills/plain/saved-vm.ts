// A plain QEMU whose memory is saved as its manual says: `savevm`, an internal snapshot in a QCOW2 file, with its TPM where it has one. No
// guest runs in it: what a drill wants to have in memory is put there by QEMU's own loader.
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DetachedProcess, killProcess, run, runChecked, spawnDetached, waitForExit } from '@ringwall/host/exec';
import { isListening } from '@ringwall/testkit';

const QEMU = '/usr/bin/qemu-system-x86_64';
const QEMU_IMG = '/usr/bin/qemu-img';
const SWTPM = '/usr/bin/swtpm';
const TIMEOUT_MS = 60_000;
const TPM_END_MS = 60_000;
const LOOK_MS = 10;
const MEMORY_MIB = 64;
/** Where nothing else of a machine lies that has not been started. */
const PLACE = 0x20_0000;

export class SavedVm {
  readonly disk: string;
  readonly #directory: string;
  readonly #tpm: string | undefined;

  private constructor(directory: string, tpm: string | undefined) {
    this.#directory = directory;
    this.#tpm = tpm;
    this.disk = join(directory, 'saved.qcow2');
  }

  /** `tpm`: where the state of its swtpm lies. */
  static async make(directory: string, tpm?: string): Promise<SavedVm> {
    const vm = new SavedVm(directory, tpm);
    await runChecked(run, [QEMU_IMG, 'create', '-q', '-f', 'qcow2', vm.disk, `${String(MEMORY_MIB)}M`]);
    return vm;
  }

  /** With this text in its memory. */
  async save(name: string, text: string): Promise<void> {
    const file = join(this.#directory, `${name}.memory`);
    writeFileSync(file, text);
    await this.#monitor(`savevm ${name}`, ['-device', `loader,file=${file},addr=${String(PLACE)},force-raw=on`]);
  }

  /** Gives what so many bytes of its memory are, there where texts are put. */
  async load(name: string, length: number): Promise<string> {
    const file = join(this.#directory, `${name}.loaded`);
    await this.#monitor(`loadvm ${name}\npmemsave ${String(PLACE)} ${String(length)} "${file}"`, []);
    return readFileSync(file, 'latin1');
  }

  async #monitor(commands: string, more: readonly string[]): Promise<void> {
    const disk = { driver: 'qcow2', 'node-name': 'disk', file: { driver: 'file', filename: this.disk } };
    const socket = join(this.#directory, 'swtpm.sock');
    const tpm = this.#tpm === undefined ? undefined : await startTpm(this.#tpm, socket);
    try {
      await runChecked(
        run,
        [
          QEMU,
          ...['-machine', 'q35', '-accel', 'tcg', '-m', String(MEMORY_MIB), '-S', '-monitor', 'stdio'],
          ...['-nodefaults', '-no-user-config', '-display', 'none'],
          ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk'],
          ...(tpm === undefined ? [] : ['-chardev', `socket,id=swtpm,path=${socket}`]),
          ...(tpm === undefined ? [] : ['-tpmdev', 'emulator,id=tpm,chardev=swtpm', '-device', 'tpm-tis,tpmdev=tpm']),
          ...more,
        ],
        { input: `${commands}\nquit\n`, timeoutMs: TIMEOUT_MS },
      );
    } finally {
      // It writes its state down and ends when QEMU, once connected, goes.
      if (tpm !== undefined && !(await waitForExit(tpm, TPM_END_MS))) await killProcess(tpm);
    }
  }
}

async function startTpm(state: string, socket: string): Promise<DetachedProcess> {
  rmSync(socket, { force: true });
  const log = openSync(`${socket}.log`, 'w');
  const tpm = await spawnDetached(
    [SWTPM, 'socket', '--tpm2', '--tpmstate', `dir=${state}`, '--ctrl', `type=unixio,path=${socket}`, '--terminate'],
    { logFd: log },
  );
  closeSync(log);
  for (const deadlineMs = performance.now() + TIMEOUT_MS; !isListening(socket); await sleep(LOOK_MS)) {
    if (performance.now() < deadlineMs) continue;
    await killProcess(tpm);
    throw new Error('swtpm did not start');
  }
  return tpm;
}
