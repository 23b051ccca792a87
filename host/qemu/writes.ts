// Which parts of a disk its guest writes while it is being copied: dirty bitmaps of QEMU (docs/interop/bitmaps), read through its
// NBD server on a socket in the jail. Each turn answers what was written since the one before, so that a copy made while the
// guest runs is brought up to date, and is whole once the guest stands still.
import type { Socket } from 'node:net';
import { readExtents, type Extent } from './extents.ts';
import { isRecord, type QmpClient } from './qmp.ts';

/** 64 KiB, as QEMU's own copies of disks do it: a bit for each, 2 MiB of memory for a TiB. */
const GRANULARITY_BYTES = 65_536;
const EXPORT = 'copy';
const BITMAPS = ['ringwall-even', 'ringwall-odd'] as const;
const WRITTEN = 1;
const HOLE = 1;

export interface TrackedDisk {
  /** The file itself below all formats, so that offsets are those of the file. */
  readonly node: string;
  /** Where QEMU is to serve its bitmaps, inside the jail, and how that is reached. */
  readonly socket: string;
  readonly connect: () => Promise<Socket>;
}

export class Writes {
  readonly #disk: TrackedDisk;
  #turn = 0;

  private constructor(disk: TrackedDisk) {
    this.#disk = disk;
  }

  /** Everything that is written from here on is told by the next turn. */
  static async track(qmp: QmpClient, disk: TrackedDisk): Promise<Writes> {
    const writes = new Writes(disk);
    await writes.end(qmp);
    await qmp.execute('block-dirty-bitmap-add', writes.#bitmap(0));
    return writes;
  }

  /** Where the disk holds data; all else is zeros. */
  async readData(qmp: QmpClient): Promise<Extent[]> {
    return this.#readServed(qmp, 'base:allocation', [], (flags) => (flags & HOLE) === 0);
  }

  /** About as many bytes would the next turn name. */
  async count(qmp: QmpClient): Promise<number> {
    const nodes = await qmp.query('query-named-block-nodes', (reply) => (Array.isArray(reply) ? reply : undefined));
    for (const node of nodes) {
      if (!isRecord(node) || node['node-name'] !== this.#disk.node || !Array.isArray(node['dirty-bitmaps'])) continue;
      for (const bitmap of node['dirty-bitmaps']) {
        if (isRecord(bitmap) && bitmap['name'] === BITMAPS[this.#turn % 2]) return Number(bitmap['count']);
      }
    }
    return 0;
  }

  /** What was written since the last turn. From now on the next one counts. */
  async turn(qmp: QmpClient): Promise<Extent[]> {
    const [last, next] = [this.#bitmap(this.#turn), this.#bitmap(this.#turn + 1)];
    await qmp.execute('transaction', {
      actions: [
        { type: 'block-dirty-bitmap-add', data: next },
        { type: 'block-dirty-bitmap-disable', data: { node: last.node, name: last.name } },
      ],
    });
    this.#turn += 1;
    const written = await this.#readServed(
      qmp,
      `qemu:dirty-bitmap:${last.name}`,
      [last.name],
      (flags) => (flags & WRITTEN) !== 0,
    );
    await qmp.execute('block-dirty-bitmap-remove', { node: last.node, name: last.name });
    return written;
  }

  /** Also after a copy that was broken off by a crash of ours. */
  async end(qmp: QmpClient): Promise<void> {
    const ignore = (): void => undefined; // there was none
    await qmp.execute('nbd-server-stop').catch(ignore);
    for (const name of BITMAPS) {
      await qmp.execute('block-dirty-bitmap-remove', { node: this.#disk.node, name }).catch(ignore);
    }
  }

  async #readServed(
    qmp: QmpClient,
    context: string,
    bitmaps: readonly string[],
    isMeant: (flags: number) => boolean,
  ): Promise<Extent[]> {
    const { node, socket, connect } = this.#disk;
    await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: socket } } });
    try {
      const exported = { id: EXPORT, type: 'nbd', 'node-name': node, name: EXPORT, writable: false, bitmaps };
      await qmp.execute('block-export-add', exported);
      const extents = await readExtents(await connect(), EXPORT, context);
      return extents.filter(({ flags }) => isMeant(flags));
    } finally {
      await qmp.execute('nbd-server-stop').catch(() => undefined);
    }
  }

  #bitmap(turn: number): { node: string; name: string; granularity: number } {
    return { node: this.#disk.node, name: BITMAPS[turn % 2] ?? BITMAPS[0], granularity: GRANULARITY_BYTES };
  }
}
