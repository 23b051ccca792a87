// Joins a guest's attestation port to a session at the broker. The bytes are the guest's and the broker's: they are
// counted and passed on, never read. Where either end is restarted, both are joined anew: what the guest was still
// saying into the session before is dropped, and it says hello again.
import { type Duplex, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Timing } from './timing.ts';

/** From a guest, in one session: twice what the protocol allows it, so that it is the broker who refuses. */
export const RELAY_LIMIT_BYTES: number = 512 * 1024;

/** From a guest that is watched: some fifteen whole answers. What is more waits for the next session. */
const WATCH_BYTES_A_MINUTE = 8 * 1024 * 1024;
const MINUTE_MS = 60_000;

/** A guest that is never quiet is passed on as it is, for the broker to refuse. */
const QUIET_WAIT_MS = 5_000;

/** What one end has said last gets this long to be taken by the other. */
const DRAIN_MS = 1_000;

/** The answer to the last session gets this long to reach the guest once nobody waits for it here. */
const LINGER_MS = 3_000;

export interface RelayEnds {
  openBroker(): Promise<Duplex>;
  openPort(): Promise<Duplex>;
}

export interface RelayWatcher {
  /** The guest has sent the first byte of a session. */
  onSpoken(): void;
  /** A session in which the guest had spoken is over. No other is begun before this has settled. */
  onSessionOver(): Promise<void>;
  /** Why the ends are not joined now, or undefined once they are. */
  onTrouble(error: unknown): void;
}

export class Relay {
  readonly #ends: RelayEnds;
  readonly #watcher: RelayWatcher;
  readonly #rejoinMs: Timing['rejoinMs'];
  readonly #finished = new AbortController();
  readonly #broken = new AbortController();
  readonly #ended: Promise<void>;
  readonly #kept = new AbortController();
  #mayBeMidway: boolean;

  /** `resumed`: an earlier relay may have been broken off in the middle of a session. */
  constructor(ends: RelayEnds, watcher: RelayWatcher, rejoinMs: Timing['rejoinMs'], resumed: boolean = false) {
    this.#ends = ends;
    this.#watcher = watcher;
    this.#rejoinMs = rejoinMs;
    this.#mayBeMidway = resumed;
    this.#ended = this.#run();
  }

  /**
   * From here on both ends are joined whenever both are there. Nobody looks between two sessions, and nothing that the
   * guest says is dropped: the protocol of the watch passes over what it does not know.
   */
  keepJoined(): void {
    this.#kept.abort();
  }

  /** Joins no further session; the one that is open may end by itself, for a short while. */
  finish(): void {
    this.#finished.abort();
    setTimeout(() => this.#broken.abort(), LINGER_MS).unref();
  }

  /** Breaks the session that is open, and waits until nothing is left of it. */
  async break(): Promise<void> {
    this.#finished.abort();
    this.#broken.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    let waitMs = this.#rejoinMs.first;
    while (!this.#finished.signal.aborted) {
      try {
        const bytes = await this.#joinOnce();
        waitMs = bytes > 0 ? this.#rejoinMs.first : Math.min(waitMs * 2, this.#rejoinMs.most);
      } catch (error) {
        this.#watcher.onTrouble(error);
        waitMs = Math.min(waitMs * 2, this.#rejoinMs.most);
      }
      await sleep(waitMs, undefined, { signal: this.#finished.signal }).catch(() => {});
    }
  }

  /** Answers how many bytes the guest has sent once either end has closed. */
  async #joinOnce(): Promise<number> {
    using ends = new DisposableStack();
    const { port, broker } = await this.#openBoth(ends);
    if (this.#finished.signal.aborted) return 0;
    this.#watcher.onTrouble(undefined);
    let bytes = 0;
    const allowance = new Allowance(this.#kept.signal);
    const guard = new Transform({
      transform: (chunk: Buffer, _encoding, done): void => {
        if (bytes === 0) this.#watcher.onSpoken();
        this.#mayBeMidway = true;
        bytes += chunk.length;
        if (allowance.take(chunk.length)) done(null, chunk);
        else done(new Error(`the guest sent more than ${String(RELAY_LIMIT_BYTES)} bytes`));
      },
    });
    const { signal } = this.#broken;
    const fromGuest = pipeline(port, guard, broker, { signal }).catch(() => {});
    const toGuest = pipeline(broker, port, { signal }).catch(() => {});
    // Whichever side ends, the other has nobody left to talk to; its last bytes are passed on, if they are taken.
    const drained = Promise.race([endOf(broker), endOf(port)]).then(() =>
      sleep(DRAIN_MS, undefined, { signal, ref: false }).catch(() => {}),
    );
    await Promise.race([fromGuest, toGuest, drained]);
    // The session may have been the last one: whoever waits for the verdict looks before the guest is joined anew.
    if (bytes > 0 && !this.#kept.signal.aborted) {
      await Promise.race([this.#watcher.onSessionOver(), aborted(this.#finished.signal), aborted(this.#kept.signal)]);
    }
    return bytes;
  }

  async #openBoth(ends: DisposableStack): Promise<{ port: Duplex; broker: Duplex }> {
    const open = async (which: 'openPort' | 'openBroker'): Promise<Duplex> => {
      const stream = await this.#ends[which]();
      ends.use(closing(stream));
      return stream;
    };
    // The guest of a machine that is kept need not notice that a broker is away for long.
    if (this.#kept.signal.aborted) {
      const broker = await open('openBroker');
      return { broker, port: await open('openPort') };
    }
    const port = await open('openPort');
    if (this.#mayBeMidway) await this.#dropUntilQuiet(port);
    return { port, broker: await open('openBroker') };
  }

  /** The end of evidence that was meant for a session that is gone would be taken for a broken protocol. */
  async #dropUntilQuiet(port: Duplex): Promise<void> {
    const { signal } = this.#finished;
    const deadlineMs = performance.now() + QUIET_WAIT_MS;
    let heard = true;
    const onData = (): void => void (heard = true);
    port.on('data', onData);
    while (heard && !signal.aborted && !port.destroyed && performance.now() < deadlineMs) {
      heard = false;
      await sleep(this.#rejoinMs.quiet, undefined, { signal }).catch(() => {});
    }
    port.off('data', onData);
    port.pause();
  }
}

/** How much a guest may send: so much in the session of its attestation, and so much a minute once it is watched. */
class Allowance {
  readonly #kept: AbortSignal;
  #leftBytes: number;
  #sinceMs = performance.now();

  constructor(kept: AbortSignal) {
    this.#kept = kept;
    this.#leftBytes = kept.aborted ? WATCH_BYTES_A_MINUTE : RELAY_LIMIT_BYTES;
  }

  take(bytes: number): boolean {
    if (this.#kept.aborted && performance.now() - this.#sinceMs > MINUTE_MS) {
      this.#sinceMs = performance.now();
      this.#leftBytes = WATCH_BYTES_A_MINUTE;
    }
    this.#leftBytes -= bytes;
    return this.#leftBytes >= 0;
  }
}

function closing(stream: Duplex): Disposable {
  stream.on('error', () => {});
  return { [Symbol.dispose]: () => void stream.destroy() };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function endOf(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once('end', () => resolve());
    stream.once('close', () => resolve());
  });
}
