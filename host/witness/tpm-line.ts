// The line between a VMM and its TPM, with somebody in the middle: each command of the guest is passed on and its answer
// back, what it extends is written down, and between two of them commands of ours may go to the same TPM. Raw commands
// and responses (TPM 2.0 Part 1 section 18), as QEMU's passthrough backend speaks: one write a command, one read a
// response. The guest controls every byte of its commands.
import type { Duplex } from 'node:stream';
import { ParseError } from '@ringwall/bytes';
import type { Transport } from '@ringwall/tpm';
import type { BootRecord } from './boot-record.ts';
import { readExtension } from './extensions.ts';

const HEADER_BYTES = 10;
/** What QEMU's TPM devices take from a guest (TPM_TIS_BUFFER_MAX). */
const MAX_COMMAND_BYTES = 4096;
/** TPM_ST_NO_SESSIONS, 10 bytes, TPM_RC_COMMAND_SIZE (Part 2 section 6.6.3). */
const COMMAND_SIZE_REFUSED = Uint8Array.of(0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x42);

export class TpmLine {
  readonly #tpm: Transport;
  readonly #record: BootRecord;
  #last: Promise<unknown> = Promise.resolve();

  constructor(tpm: Transport, record: BootRecord) {
    this.#tpm = tpm;
    this.#record = record;
  }

  /** Nobody else's command reaches the TPM until `use` has settled: its keys and sessions are gone by then. */
  exclusively<T>(use: (tpm: Transport) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => use(this.#tpm));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /**
   * Serves the guest until its end closes; rejects where the TPM fails. `beforeAnswer` is awaited with what was extended on
   * record, and before the guest hears of it.
   */
  async serve(guest: Duplex, beforeAnswer: () => Promise<void>): Promise<void> {
    for await (const chunk of guest) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('a stream of bytes was expected');
      const response = await this.exclusively(() => this.#answer(chunk));
      await beforeAnswer();
      if (!guest.writable) return;
      guest.write(response);
    }
  }

  async #answer(command: Uint8Array): Promise<Uint8Array> {
    // QEMU writes a command at once and waits for its answer: what came is all of it, whatever its header says.
    if (!isWhole(command)) return COMMAND_SIZE_REFUSED;
    const response = await this.#tpm.send(command);
    try {
      const extension = readExtension(command, response);
      if (extension !== undefined) this.#record.add(extension);
    } catch (error) {
      // A command that the TPM took and that cannot be read: the record will not lead to the PCRs, and the judge says so.
      if (!(error instanceof ParseError)) throw error;
    }
    return response;
  }
}

function isWhole(command: Uint8Array): boolean {
  if (command.length < HEADER_BYTES || command.length > MAX_COMMAND_BYTES) return false;
  return new DataView(command.buffer, command.byteOffset).getUint32(2) === command.length;
}
