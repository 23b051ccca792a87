// Joins a guest's attestation port to a session at the broker. The bytes are the guest's and the broker's: they are
// counted and passed on, never read. Where either end is restarted, both are joined anew: what the guest was still
// saying into the session before is dropped, and it says hello again.
import { type Duplex, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Timing } from './timing.ts';

/** From a guest, in one session: twice what the protocol allows it, so that it is the broker who refuses. */
export const RELAY_LIMIT_BYTES: number = 512 * 1024;

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
  #mayBeMidway: boolean;

  /** `resumed`: an earlier relay may have been broken off in the middle of a session. */
  constructor(ends: RelayEnds, watcher: RelayWatcher, rejoinMs: Timing['rejoinMs'], resumed: boolean = false) {
    this.#ends = ends;
    this.#watcher = watcher;
    this.#rejoinMs = rejoinMs;
    this.#mayBeMidway = resumed;
    this.#ended = this.#run();
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
    const port = await this.#ends.openPort();
    using _port = closing(port);
    if (this.#mayBeMidway) await this.#dropUntilQuiet(port);
    const broker = await this.#ends.openBroker();
    using _broker = closing(broker);
    if (this.#finished.signal.aborted) return 0;
    this.#watcher.onTrouble(undefined);
    let bytes = 0;
    const guard = new Transform({
      transform: (chunk: Buffer, _encoding, done): void => {
        if (bytes === 0) this.#watcher.onSpoken();
        this.#mayBeMidway = true;
        bytes += chunk.length;
        if (bytes > RELAY_LIMIT_BYTES) done(new Error(`the guest sent more than ${String(RELAY_LIMIT_BYTES)} bytes`));
        else done(null, chunk);
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
    if (bytes > 0) await Promise.race([this.#watcher.onSessionOver(), aborted(this.#finished.signal)]);
    return bytes;
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
