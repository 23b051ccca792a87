// Looks at the machines that should be running, through one list request each two seconds for all of them, and at
// nothing while there is none.
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineId } from '@ringwall/api';
import type { WardenResponse } from '@ringwall/api/warden';
import type { WardenClient } from './clients.ts';
import type { Timing } from './timing.ts';

/** The VMM stops its guest in the middle of a write that finds no room, and the warden lets it go on. */
export const STANDS_STILL = 'it stands still: the disk of this host is full; it goes on once there is room';

export type LiveState = 'alive' | 'tpm-dead' | 'ended';

export interface LiveBoot {
  readonly machine: MachineId;
  readonly boot: string;
  readonly state: LiveState;
  /** With `ended`: the guest powered itself down. */
  readonly poweredOff: boolean;
  /** Its VMM has stopped the guest, as where a disk of the host is full. */
  readonly paused: boolean;
}

interface WatchedBoot extends LiveBoot {
  /** Lists that were asked for before this may not know the boot yet. */
  readonly sinceMs: number;
  seenMs: number;
  state: LiveState;
  poweredOff: boolean;
  paused: boolean;
}

export class Observer {
  readonly #warden: WardenClient;
  readonly #timing: Timing;
  readonly #onChange: (live: LiveBoot) => void;
  readonly #live: Map<MachineId, WatchedBoot> = new Map();
  readonly #stop = new AbortController();
  #wake: () => void = () => {};
  #looping: Promise<void> | undefined;

  /** `onChange`: a machine that was alive is so no more, or only in part. */
  constructor(warden: WardenClient, timing: Timing, onChange: (live: LiveBoot) => void) {
    this.#warden = warden;
    this.#timing = timing;
    this.#onChange = onChange;
  }

  /** Watches this boot of the machine, which has just been seen. */
  watch(machine: MachineId, boot: string): LiveBoot {
    const now = performance.now();
    const live: WatchedBoot = {
      machine,
      boot,
      state: 'alive',
      poweredOff: false,
      paused: false,
      sinceMs: now,
      seenMs: now,
    };
    this.#live.set(machine, live);
    this.#looping ??= this.#loop();
    this.#wake();
    return live;
  }

  unwatch(machine: MachineId): void {
    this.#live.delete(machine);
  }

  find(machine: MachineId): LiveBoot | undefined {
    return this.#live.get(machine);
  }

  /** For how long nobody has seen this machine; undefined where nobody should. */
  unseenMs(machine: MachineId): number | undefined {
    const live = this.#live.get(machine);
    return live === undefined ? undefined : performance.now() - live.seenMs;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#looping;
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#live.size === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      else await this.#look(signal);
      await sleep(this.#timing.observeMs, undefined, { signal }).catch(() => {});
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const askedMs = performance.now();
    let list: WardenResponse<'list-machines'>;
    try {
      list = await this.#warden.call({ op: 'list-machines' }, { timeoutMs: this.#timing.staleMs, signal });
    } catch {
      return; // unseenMs() says so to whoever asks
    }
    for (const live of this.#live.values()) {
      if (live.sinceMs > askedMs) continue;
      live.seenMs = performance.now();
      const seen = list.machines.find((machine) => machine.machine === live.machine);
      live.paused = seen?.state === 'paused';
      const state = stateOf(live, seen);
      if (state === live.state) continue;
      live.state = state;
      live.poweredOff = seen?.poweredOff === true;
      this.#onChange(live);
    }
  }
}

function stateOf(live: LiveBoot, seen: WardenResponse<'list-machines'>['machines'][number] | undefined): LiveState {
  if (seen === undefined || seen.boot !== live.boot || seen.state === 'vmm-dead') return 'ended';
  return seen.state === 'tpm-dead' ? 'tpm-dead' : 'alive';
}
