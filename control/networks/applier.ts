// Brings what is wanted of each network to the warden, as a whole, and again until it is done. What is wanted lies in the store:
// a daemon that is killed begins anew with all of it, and asking for what is there already changes nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { type NetworkId, RingwallError } from '@ringwall/api';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';
import { asWardenMachine, membersOf } from './members.ts';

/** Thousands of machines take seconds; making the first namespace of a host, too. */
const APPLY_TIMEOUT_MS = 60_000;

export interface ApplierOptions {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly note: (line: string) => void;
  /** Before what has failed is tried again. */
  readonly retryMs: number;
}

interface Wish {
  /** Counts what was wanted, and how much of it is done. */
  wanted: number;
  done: number;
  trouble: RingwallError | undefined;
  running: Promise<void> | undefined;
  /** Ends the wait before the next attempt. */
  hurry: () => void;
  readonly waiting: Set<(trouble: RingwallError | undefined) => void>;
}

export class Applier {
  readonly #use: ApplierOptions;
  readonly #wishes: Map<NetworkId, Wish> = new Map();
  readonly #stop = new AbortController();

  constructor(options: ApplierOptions) {
    this.#use = options;
  }

  /** Something of this network is another than it was. */
  want(network: NetworkId): void {
    const wish = this.#wishOf(network);
    wish.wanted += 1;
    wish.hurry();
    wish.running ??= this.#work(network, wish).finally(() => {
      wish.running = undefined;
    });
  }

  /** As `want`, where something is on its way that was put together before. */
  wantIfBusy(network: NetworkId): void {
    if (this.#wishes.get(network)?.running !== undefined) this.want(network);
  }

  /** Whether the host does not do yet what was wanted last, and why, where that is known. */
  stateOf(network: NetworkId): { readonly pending: boolean; readonly trouble: string | undefined } {
    const wish = this.#wishes.get(network);
    if (wish === undefined) return { pending: false, trouble: undefined };
    return { pending: wish.done < wish.wanted, trouble: wish.trouble?.message };
  }

  /**
   * Waits until the host does what is wanted now; throws why it does not. A warden that is away is waited for, until the time is
   * over: then false, for it will be done later.
   */
  async settled(network: NetworkId, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const wish = this.#wishOf(network);
    const mine = wish.wanted;
    const end = new AbortController();
    const over = sleep(timeoutMs, 'over' as const, { signal: end.signal }).catch(() => 'over' as const);
    try {
      while (wish.done < mine) {
        signal?.throwIfAborted();
        const told = await Promise.race([over, this.#next(wish)]);
        if (told === 'over') return false;
        if (told.trouble !== undefined && told.trouble.code !== 'warden-unavailable') throw told.trouble;
      }
      return true;
    } finally {
      end.abort();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const wish of this.#wishes.values()) wish.hurry();
    await Promise.all([...this.#wishes.values()].map(async ({ running }) => running));
  }

  #next(wish: Wish): Promise<{ readonly trouble: RingwallError | undefined }> {
    return new Promise((resolve) => {
      const told = (trouble: RingwallError | undefined): void => {
        wish.waiting.delete(told);
        resolve({ trouble });
      };
      wish.waiting.add(told);
    });
  }

  async #work(network: NetworkId, wish: Wish): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && wish.done < wish.wanted) {
      const upTo = wish.wanted;
      const before = wish.trouble?.message;
      wish.trouble = await this.#apply(network);
      if (wish.trouble === undefined) wish.done = upTo;
      else if (wish.trouble.message !== before)
        this.#use.note(`${network} is not as it is wanted: ${wish.trouble.message}`);
      for (const tell of wish.waiting) tell(wish.trouble);
      if (wish.trouble === undefined) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#use.retryMs);
        wish.hurry = () => {
          clearTimeout(timer);
          resolve();
        };
        if (signal.aborted || wish.wanted > upTo) wish.hurry();
      });
      wish.hurry = () => {};
    }
  }

  /** Why it was not done. */
  async #apply(network: NetworkId): Promise<RingwallError | undefined> {
    const { store, warden } = this.#use;
    try {
      const wanted = await store.networks.find(network);
      if (wanted === undefined) {
        await warden.call(
          { op: 'remove-network', network },
          { timeoutMs: APPLY_TIMEOUT_MS, signal: this.#stop.signal },
        );
        return undefined;
      }
      const machines = (await membersOf(store, network)).map((member) => asWardenMachine(member));
      await warden.call(
        { op: 'apply-network', network, definition: wanted.spec.definition, machines },
        { timeoutMs: APPLY_TIMEOUT_MS, signal: this.#stop.signal },
      );
      return undefined;
    } catch (error) {
      return error instanceof RingwallError
        ? error
        : new RingwallError('internal', error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  #wishOf(network: NetworkId): Wish {
    const known = this.#wishes.get(network);
    if (known !== undefined) return known;
    const wish: Wish = {
      wanted: 0,
      done: 0,
      trouble: undefined,
      running: undefined,
      hurry: () => {},
      waiting: new Set(),
    };
    this.#wishes.set(network, wish);
    return wish;
  }
}
