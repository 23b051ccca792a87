// Copies of all disks of a machine, which are of one moment when the last turn was taken: its own, then the imported ones in their
// order.
import { RingwallError } from '@ringwall/api';
import { DiskCopy } from './disk-copy.ts';
import type { DiskExtents, MachineCopy } from './parts.ts';

const MIB = 2 ** 20;
/** Copied again and again, each time what was written meanwhile, until this little is left or it does not get less. */
const SMALL_REST_BYTES = 16 * MIB;
const MAX_ROUNDS = 6;
/** What is encrypted takes its room twice: as it is copied, and as that is sealed. */
const TIMES_HELD = 2;

export interface DiskFile {
  readonly file: string;
  /** As it was made: a VMM may have changed that. */
  readonly fileBytes: number;
}

export class DiskCopies implements AsyncDisposable {
  readonly disks: readonly DiskCopy[];
  readonly #opened: AsyncDisposableStack;

  private constructor(disks: readonly DiskCopy[], opened: AsyncDisposableStack) {
    this.disks = disks;
    this.#opened = opened;
  }

  /** `place`: for the copy of the disk at this index. */
  static async open(files: readonly DiskFile[], place: (index: number) => string): Promise<DiskCopies> {
    await using opened = new AsyncDisposableStack();
    const disks: DiskCopy[] = [];
    for (const [index, { file, fileBytes }] of files.entries()) {
      disks.push(opened.use(await DiskCopy.open(file, place(index), fileBytes)));
    }
    return new DiskCopies(disks, opened.move());
  }

  /** While the guest works: all of them, then what was written meanwhile, so that little is left for the moment in which it stands still. */
  async follow(machine: MachineCopy, freeBytes: number): Promise<void> {
    const data = await machine.data();
    refuseWithoutRoom(data, freeBytes);
    await this.take(data);
    for (let round = 1, last = Number.POSITIVE_INFINITY; round <= MAX_ROUNDS; round += 1) {
      const left = await machine.writtenBytes();
      if (left <= SMALL_REST_BYTES || left >= last) return;
      last = left;
      await this.take(await machine.written());
    }
  }

  async take(extents: DiskExtents): Promise<void> {
    for (const [index, disk] of this.disks.entries()) await disk.take(extents[index] ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

/** Before a disk of the host is filled, on which the guests of others find no room then. */
function refuseWithoutRoom(data: DiskExtents, freeBytes: number): void {
  const bytes = data.flat().reduce((sum, { length }) => sum + length, 0) * TIMES_HELD;
  if (bytes <= freeBytes) return;
  const [needed, free] = [bytes, freeBytes].map((count) => Math.ceil(count / MIB));
  throw new RingwallError(
    'host-full',
    `its disks need ${String(needed)} MiB to be saved, ${String(free)} MiB are free`,
    {
      hint: 'make room on the file system of the state directory: ringwall snapshot rm',
    },
  );
}
