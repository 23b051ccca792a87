// A plain QEMU whose guest draws random numbers for as long as it runs. It is saved as its manual says (`savevm`), and goes on from
// that as often as somebody likes.
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killProcess, run, runChecked, spawnDetached } from '@ringwall/host/exec';
import { QmpClient } from '@ringwall/host/qemu';
import { plainInitrd } from './vm.ts';

const QEMU = '/usr/bin/qemu-system-x86_64';
const QEMU_IMG = '/usr/bin/qemu-img';
const MEMORY_MIB = 192;
/** Under emulation on a busy machine a boot takes 5 to 15 s. */
const BOOT_TIMEOUT_MS = 120_000;
const LOOK_MS = 50;
const SAVED = 'saved';
const DRAW = 'while :; do echo "drew $(head -c 16 /dev/urandom | xxd -p)"; usleep 100000; done';
const DRAWN = /drew ([0-9a-f]{32})/;

export class DrawingVm {
  readonly #directory: string;
  readonly #kernel: string;
  readonly #disk: string;
  #started = 0;

  private constructor(directory: string, kernel: string) {
    this.#directory = directory;
    this.#kernel = kernel;
    this.#disk = join(directory, 'drawing.qcow2');
  }

  /** Saved while it draws. */
  static async save(parent: string, kernel: string): Promise<DrawingVm> {
    const directory = mkdtempSync(join(parent, 'drawing-'));
    const vm = new DrawingVm(directory, kernel);
    await runChecked(run, [QEMU_IMG, 'create', '-q', '-f', 'qcow2', vm.#disk, '64M']);
    writeFileSync(join(directory, 'initrd'), plainInitrd(DRAW));
    await vm.#run([], async (qmp) => {
      // As whoever sits at its monitor types it.
      await qmp.execute('human-monitor-command', { 'command-line': `savevm ${SAVED}` }, BOOT_TIMEOUT_MS);
    });
    return vm;
  }

  /** The first number that it draws when it goes on from there. */
  goOn(): Promise<string> {
    return this.#run(['-loadvm', SAVED], async () => {});
  }

  /** Until it has drawn; gives what. */
  async #run(more: readonly string[], whenDrawn: (qmp: QmpClient) => Promise<void>): Promise<string> {
    this.#started += 1;
    const path = (name: string): string => join(this.#directory, `${name}-${String(this.#started)}`);
    const disk = { driver: 'qcow2', 'node-name': 'disk', file: { driver: 'file', filename: this.#disk } };
    const log = openSync(path('log'), 'w');
    const vm = await spawnDetached(
      [
        QEMU,
        ...['-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', String(MEMORY_MIB)],
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', `file:${path('console')}`],
        ...['-kernel', this.#kernel, '-initrd', join(this.#directory, 'initrd')],
        ...['-append', 'console=ttyS0 quiet panic=-1 no_timer_check'],
        ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk'],
        ...['-qmp', `unix:${path('qmp')},server=on,wait=off`],
        ...more,
      ],
      { logFd: log },
    );
    closeSync(log);
    try {
      const drawn = await this.#untilDrawn(path('console'));
      await using qmp = await QmpClient.connect(path('qmp'));
      await whenDrawn(qmp);
      return drawn;
    } finally {
      await killProcess(vm);
    }
  }

  async #untilDrawn(file: string): Promise<string> {
    for (const deadlineMs = performance.now() + BOOT_TIMEOUT_MS; performance.now() < deadlineMs; await sleep(LOOK_MS)) {
      const [, drawn] = DRAWN.exec(existsSync(file) ? readFileSync(file, 'latin1') : '') ?? [];
      if (drawn !== undefined) return drawn;
    }
    throw new Error('the plain VM has drawn no number');
  }
}
