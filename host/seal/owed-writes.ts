// What one lane still has to write. A file takes one write at a time, and whoever waits for it does so with a processor: so a lane whose
// turn it is not goes on with its next chunk, and writes what it owes when the file is free.
import type { Relay } from './relay.ts';
import { writeAllAt } from './whole-io.ts';

interface Owed {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly onWritten: () => void;
}

export class OwedWrites {
  readonly #descriptor: number;
  readonly #relay: Pick<Relay, 'writing' | 'writingNow'>;
  #owed: Owed[] = [];

  constructor(descriptor: number, relay: Pick<Relay, 'writing' | 'writingNow'>) {
    this.#descriptor = descriptor;
    this.#relay = relay;
  }

  /** `bytes` are left alone until they are written, which `onWritten` is told. */
  add(bytes: Uint8Array, at: number, onWritten: () => void = () => undefined): void {
    this.#owed.push({ bytes, at, onWritten });
  }

  /** Writes all of it, if the file is free. */
  offer(): void {
    if (this.#owed.length > 0) this.#relay.writingNow(() => this.#write());
  }

  /** Writes all of it, as soon as the file is free. */
  settle(): void {
    if (this.#owed.length > 0) this.#relay.writing(() => this.#write());
  }

  /** What lies one behind the other goes in one call. */
  #write(): void {
    const owed = this.#owed.toSorted((a, b) => a.at - b.at);
    this.#owed = [];
    let [from, end]: [number, number] = [0, 0];
    let pieces: Uint8Array[] = [];
    for (const { bytes, at } of owed) {
      if (at !== end && pieces.length > 0) {
        writeAllAt(this.#descriptor, pieces, from);
        pieces = [];
      }
      if (pieces.length === 0) from = at;
      pieces.push(bytes);
      end = at + bytes.length;
    }
    if (pieces.length > 0) writeAllAt(this.#descriptor, pieces, from);
    for (const { onWritten } of owed) onWritten();
  }
}
