// What this warden holds of snapshots in clear, so that machines go on from it in a moment. It is in memory alone and ends with us: only
// what a template has of a disk, which a guest has encrypted, is a file, and what a killed warden left of those is removed.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError, type MachineId, type SnapshotId } from '@ringwall/api';
import { namesIn } from '../files/index.ts';
import type { Layout } from './layout.ts';
import type { MachineTemplate } from './parts.ts';
import { Queues } from './queue.ts';
import type { SnapshotAbout } from './snapshot-contents.ts';
import type { TemplateDisk } from './template-disk.ts';

export interface Template {
  readonly machine: MachineId;
  readonly snapshot: SnapshotId;
  readonly heldAt: string;
  /** Of what, and for which host. */
  readonly about: SnapshotAbout;
  /** Of the key that opened it: whoever has that key speaks for the broker. */
  readonly keyDigest: Uint8Array;
  readonly memory: MachineTemplate;
  readonly disk: TemplateDisk;
}

interface Held {
  readonly machine: MachineId;
  template: Template | undefined;
  /** How many ask for it, and wait. */
  holders: number;
  /** How many machines are being started from it. */
  borrowers: number;
  /** Somebody waits until there are none. */
  onIdle: (() => void) | undefined;
}

export class Templates implements AsyncDisposable {
  readonly #held = new Map<SnapshotId, Held>();
  readonly #turns = new Queues(
    (snapshot) => new RingwallError('conflict', `too many requests wait for the template of ${snapshot}`),
  );

  /** Those that are there, and those that are on their way. */
  get count(): number {
    return this.#held.size;
  }

  list(): readonly Template[] {
    return [...this.#held.values()].flatMap(({ template }) => template ?? []);
  }

  /** The one that is held, or what `open` makes. */
  async hold(machine: MachineId, snapshot: SnapshotId, open: () => Promise<Template>): Promise<Template> {
    const held = this.#held.get(snapshot) ?? {
      machine,
      template: undefined,
      holders: 0,
      borrowers: 0,
      onIdle: undefined,
    };
    // From this moment on a removal of either waits for us.
    this.#held.set(snapshot, held);
    held.holders += 1;
    try {
      return await this.#turns.run(snapshot, async () => {
        held.template ??= await open();
        return held.template;
      });
    } finally {
      held.holders -= 1;
      this.#forgetEmpty(snapshot, held);
    }
  }

  /** For a start: it is not released before this is disposed of. */
  borrow(snapshot: SnapshotId): { readonly template: Template } & Disposable {
    const held = this.#held.get(snapshot);
    if (held?.template === undefined || held.onIdle !== undefined) throw notHeld(snapshot);
    held.borrowers += 1;
    return {
      template: held.template,
      [Symbol.dispose]: () => {
        held.borrowers -= 1;
        if (held.borrowers === 0) held.onIdle?.();
      },
    };
  }

  /** Waits for whatever starts from it; what runs has what it has. `then`: before it can be held again. Idempotent. */
  async release(snapshot: SnapshotId, then: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.#turns.run(snapshot, async () => {
      const held = this.#held.get(snapshot);
      if (held?.template !== undefined) {
        const idle = Promise.withResolvers<void>();
        held.onIdle = idle.resolve;
        if (held.borrowers > 0) await idle.promise;
        const { disk, memory } = held.template;
        // Whoever waits to hold it again opens it anew.
        held.template = undefined;
        held.onIdle = undefined;
        this.#forgetEmpty(snapshot, held);
        await memory[Symbol.asyncDispose]();
        await disk.remove();
      }
      await then();
    });
  }

  async releaseAllOf(machine: MachineId): Promise<void> {
    const its = [...this.#held].filter(([, held]) => held.machine === machine);
    for (const [snapshot] of its) await this.release(snapshot);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const snapshot of this.#held.keys()) await this.release(snapshot);
  }

  #forgetEmpty(snapshot: SnapshotId, { template, holders }: Held): void {
    if (template === undefined && holders === 0) this.#held.delete(snapshot);
  }
}

/** What a warden that was killed has left. */
export async function sweepTemplates({ templates }: Layout): Promise<void> {
  for (const name of await namesIn(templates)) await rm(join(templates, name), { force: true });
}

export function notHeld(snapshot: SnapshotId): RingwallError {
  return new RingwallError(
    'conflict',
    `the memory of ${snapshot} is not held: this warden has not opened it, or no more`,
    {
      hint: 'hold it first: ringwall template hold NAME@NUMBER',
    },
  );
}
