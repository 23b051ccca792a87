// Which parts of a disk its guest writes while it is being copied: dirty bitmaps of QEMU (docs/interop/bitmaps), read through its
// NBD server on a socket in the jail. Each turn answers what was written since the one before, so that a copy made while the
// guest runs is brought up to date, and is whole once the guest stands still.
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import { readExtents, type Extent } from './extents.ts';
import { isRecord, type QmpClient } from './qmp.ts';

/** 64 KiB, as QEMU's own copies of disks do it: a bit for each, 2 MiB of memory for a TiB. */
const GRANULARITY_BYTES = 65_536;
const EXPORT = 'copy';
const BITMAPS = ['ringwall-even', 'ringwall-odd'] as const;
/** What was written since a copy that was made before: of each copy one, by its name. */
const SINCE = 'ringwall-since-';
/** Of such a one, as it is at a moment. */
const MERGED = 'ringwall-merged';
/** Far more than we make; what a VMM names more of is not ours. */
const MAX_BITMAPS = 64;
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

  /** Everything that is written from here on is told by the next turn. Of copies before, that of `since` alone counts on. */
  static async track(qmp: QmpClient, disk: TrackedDisk, since?: string): Promise<Writes> {
    const writes = new Writes(disk);
    await writes.end(qmp);
    for (const name of (await writes.#bitmaps(qmp)).keys()) {
      if (!name.startsWith(SINCE) || name === `${SINCE}${since ?? ''}`) continue;
      await qmp.execute('block-dirty-bitmap-remove', { node: disk.node, name });
    }
    await qmp.execute('block-dirty-bitmap-add', writes.#bitmap(0));
    return writes;
  }

  /** Where the disk holds data; all else is zeros. */
  async readData(qmp: QmpClient): Promise<Extent[]> {
    return this.#readServed(qmp, 'base:allocation', [], (flags) => (flags & HOLE) === 0);
  }

  /** What was written since the copy of this name; undefined where nothing counts from then. */
  async readSince(qmp: QmpClient, since: string): Promise<Extent[] | undefined> {
    const { node } = this.#disk;
    const name = `${SINCE}${since}`;
    if (!(await this.#bitmaps(qmp)).has(name)) return undefined;
    // One that counts is not served: what is served is what it has counted until now.
    await qmp.execute('block-dirty-bitmap-add', { ...this.#bitmap(0), name: MERGED, disabled: true });
    await qmp.execute('block-dirty-bitmap-merge', { node, target: MERGED, bitmaps: [name] });
    try {
      return await this.#readWritten(qmp, MERGED);
    } finally {
      await qmp.execute('block-dirty-bitmap-remove', { node, name: MERGED });
    }
  }

  /** About as many bytes would the next turn name. */
  async count(qmp: QmpClient): Promise<number> {
    return (await this.#bitmaps(qmp)).get(this.#bitmap(this.#turn).name) ?? 0;
  }

  /** What was written since the last turn. From now on the next one counts; and one more for the copy of the name `begins`. */
  async turn(qmp: QmpClient, begins?: string): Promise<Extent[]> {
    const [last, next] = [this.#bitmap(this.#turn), this.#bitmap(this.#turn + 1)];
    const kept = begins === undefined ? [] : [{ ...this.#bitmap(0), name: `${SINCE}${begins}` }];
    await qmp.execute('transaction', {
      actions: [
        ...[next, ...kept].map((data) => ({ type: 'block-dirty-bitmap-add', data })),
        { type: 'block-dirty-bitmap-disable', data: { node: last.node, name: last.name } },
      ],
    });
    this.#turn += 1;
    const written = await this.#readWritten(qmp, last.name);
    await qmp.execute('block-dirty-bitmap-remove', { node: last.node, name: last.name });
    return written;
  }

  /** Also after a copy that was broken off by a crash of ours. */
  async end(qmp: QmpClient): Promise<void> {
    const ignore = (): void => undefined; // there was none
    await qmp.execute('nbd-server-stop').catch(ignore);
    for (const name of [...BITMAPS, MERGED]) {
      await qmp.execute('block-dirty-bitmap-remove', { node: this.#disk.node, name }).catch(ignore);
    }
  }

  /** Those of the disk, each with about how many bytes it has counted. */
  async #bitmaps(qmp: QmpClient): Promise<ReadonlyMap<string, number>> {
    const nodes = await qmp.query('query-named-block-nodes', (reply) => (Array.isArray(reply) ? reply : undefined));
    const found: unknown[] = nodes.flatMap((node) =>
      isRecord(node) && node['node-name'] === this.#disk.node && Array.isArray(node['dirty-bitmaps'])
        ? node['dirty-bitmaps']
        : [],
    );
    if (found.length > MAX_BITMAPS) throw new RingwallError('vmm-failed', 'QEMU knows of more bitmaps than were made');
    return new Map(
      found.filter((bitmap) => isRecord(bitmap)).map((bitmap) => [String(bitmap['name']), Number(bitmap['count'])]),
    );
  }

  /** Of a bitmap that counts no more. What has counted nothing, as most have while a guest stands still, nobody need serve. */
  async #readWritten(qmp: QmpClient, bitmap: string): Promise<Extent[]> {
    if ((await this.#bitmaps(qmp)).get(bitmap) === 0) return [];
    return this.#readServed(qmp, `qemu:dirty-bitmap:${bitmap}`, [bitmap], (flags) => (flags & WRITTEN) !== 0);
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
