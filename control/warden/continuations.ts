// From where the next snapshot of a machine can go on: the newest that was taken in this boot, and what its memory was then. It is
// kept in memory alone: a warden that was restarted takes a whole one, which is all that is lost by it.
import type { MachineId, SnapshotId } from '@ringwall/api';
import type { DigestedCopy, PageDigests } from '@ringwall/host/memory';
import type { Parent } from '@ringwall/seal';
import type { CopiedMemory } from './parts.ts';

export interface Continuation extends Parent {
  readonly boot: string;
  readonly snapshot: SnapshotId;
  /** Of all memory, as it was then. */
  readonly pages: PageDigests;
}

export class Continuations {
  readonly #known = new Map<MachineId, Promise<Continuation | undefined>>();

  /** Where the snapshot is another, or of another boot, there is none. Waits while its memory is still looked at. */
  async find(machine: MachineId, boot: string, snapshot: SnapshotId | undefined): Promise<Continuation | undefined> {
    if (snapshot === undefined) return undefined;
    const found = await this.#known.get(machine);
    return found?.boot === boot && found.snapshot === snapshot ? found : undefined;
  }

  /** Looks at the copy of its memory, unless somebody has, and ends it; the snapshot is there meanwhile. */
  begin(
    machine: MachineId,
    taken: Omit<Continuation, 'pages'>,
    memory: CopiedMemory,
    digested: DigestedCopy | undefined,
  ): void {
    const look = async (): Promise<Continuation | undefined> => {
      using copied = memory;
      const { digests } = digested ?? (await copied.digest());
      return { ...taken, pages: digests };
    };
    this.#known.set(
      machine,
      look().catch(() => undefined), // the next one is a whole one
    );
  }

  forget(machine: MachineId): void {
    this.#known.delete(machine);
  }

  /** Of this snapshot alone. */
  async drop(machine: MachineId, snapshot: SnapshotId): Promise<void> {
    if ((await this.#known.get(machine))?.snapshot === snapshot) this.forget(machine);
  }

  /** Until no memory is looked at any more. */
  async settle(): Promise<void> {
    await Promise.all(this.#known.values());
  }
}
