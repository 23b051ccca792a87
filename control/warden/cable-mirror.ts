// Which cables of a network are to be mirrored to its port, and the way there from those that are.
import type { MachineId } from '@ringwall/api';
import type { Machine } from '@ringwall/netpolicy';
import { IDS_INTERFACE } from '@ringwall/host/network/mirror';
import type { Mirrored } from './mirrors.ts';
import type { NetworkSite } from './parts.ts';

export class CableMirror {
  readonly #note: (text: string) => void;
  #wanted: Mirrored = [];
  /** Machines whose cable was mirrored when it was settled last; undefined where nobody has looked. */
  #atPort: ReadonlySet<MachineId> | undefined;
  /** Why it is not as it should be. */
  trouble: string | undefined;

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** From now on: the next settling goes by it. */
  want(machines: Mirrored): void {
    this.#wanted = machines;
  }

  get state(): { readonly machines: Mirrored; readonly mirrored: ReadonlySet<MachineId>; readonly port: string } {
    return { machines: this.#wanted, mirrored: this.#atPort ?? new Set(), port: IDS_INTERFACE };
  }

  /** Of cables that are connected. What goes wrong is said, and thrown to nobody. */
  async settle(site: Pick<NetworkSite, 'mirror'>, connected: ReadonlyMap<MachineId, Machine>): Promise<void> {
    const of = this.#wanted;
    const wanted = new Map([...connected].filter(([id]) => of === 'all' || of.includes(id)));
    // With nothing to mirror, and nothing left, there is nothing to look at.
    if (of.length === 0 && this.#atPort?.size === 0) return;
    try {
      const missing = new Set(await site.mirror([...wanted.values()]));
      const again = [...wanted].filter(([id, machine]) => missing.has(machine) && this.#atPort?.has(id) === true);
      this.#atPort = new Set(wanted.keys());
      this.trouble = undefined;
      if (again.length > 0)
        this.#note(`cables were mirrored no more; they are again: ${again.map(([id]) => id).join(', ')}`);
    } catch (error) {
      const trouble = `its mirror: ${error instanceof Error ? error.message : String(error)}`;
      if (trouble !== this.trouble) this.#note(trouble);
      this.trouble = trouble;
    }
  }

  /** What is mirrored is gone. */
  forget(): void {
    this.#atPort = undefined;
  }
}
