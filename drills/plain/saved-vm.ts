// A plain QEMU whose memory is saved as its manual says: `savevm`, an internal snapshot in a QCOW2 file. No guest runs in it: what a
// drill wants to have in memory is put there by QEMU's own loader.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';

const QEMU = '/usr/bin/qemu-system-x86_64';
const QEMU_IMG = '/usr/bin/qemu-img';
const TIMEOUT_MS = 60_000;
const MEMORY_MIB = 64;
/** Where nothing else of a machine lies that has not been started. */
const PLACE = 0x20_0000;

export class SavedVm {
  readonly disk: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.disk = join(directory, 'saved.qcow2');
  }

  static async make(directory: string): Promise<SavedVm> {
    const vm = new SavedVm(directory);
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
    await runChecked(
      run,
      [
        QEMU,
        ...['-machine', 'q35', '-accel', 'tcg', '-m', String(MEMORY_MIB), '-S', '-monitor', 'stdio'],
        ...['-nodefaults', '-no-user-config', '-display', 'none'],
        ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk'],
        ...more,
      ],
      { input: `${commands}\nquit\n`, timeoutMs: TIMEOUT_MS },
    );
  }
}
