// swtpm's control channel, as far as a TPM's state leaves it and comes back (swtpm_ioctls(3), tpm_ioctl.h of swtpm 0.7): each command is
// answered before the next is sent. What leaves is encrypted under the key that swtpm was given for it.
import type { Duplex } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { Cursor, Writer } from '@ringwall/bytes';

const CMD_INIT = 0x02;
const CMD_GET_STATEBLOB = 0x0c;
const CMD_SET_STATEBLOB = 0x0d;
/** PTM_BLOB_TYPE: what outlives a boot, and what does not. */
const BLOB_TYPES = { permanent: 1, volatile: 2 } as const;
/** PTM_STATE_FLAG_ENCRYPTED. */
const FLAG_ENCRYPTED = 2;
/** tpm_result, state_flags, totlength, length. */
const BLOB_HEADER_BYTES = 16;
const RESULT_BYTES = 4;
/** Some 10 KiB each; the TPM of a boot may write no file longer than that. */
export const MAX_TPM_BLOB_BYTES: number = 1024 * 1024;
/** It answers in milliseconds; a guest stands still meanwhile. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Both encrypted. */
export interface TpmState {
  readonly permanent: Uint8Array;
  readonly volatile: Uint8Array;
}

/** Takes over a connected stream. No command of the guest's may be under way in the TPM. */
export class SwtpmControl {
  readonly #stream: Duplex;
  readonly #chunks: AsyncIterator<unknown>;
  #received: Buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('error', () => undefined); // the iterator says so
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** As it is now; the TPM works on. */
  async readState(): Promise<TpmState> {
    return { permanent: await this.#read('permanent'), volatile: await this.#read('volatile') };
  }

  /** Switches on a TPM that waits, as it was when this state left one. */
  async loadState({ permanent, volatile }: TpmState): Promise<void> {
    await this.#write('permanent', permanent);
    await this.#write('volatile', volatile);
    this.#send(new Writer().u32be(CMD_INIT).u32be(0));
    refuseFailure(await this.#result(), 'to go on from its state');
  }

  async #read(kind: keyof typeof BLOB_TYPES): Promise<Uint8Array> {
    this.#send(new Writer().u32be(CMD_GET_STATEBLOB).u32be(0).u32be(BLOB_TYPES[kind]).u32be(0));
    const cursor = new Cursor(await this.#take(BLOB_HEADER_BYTES));
    refuseFailure(cursor.u32be('tpm_result'), `to give its ${kind} state`);
    const [flags, total, bytes] = [
      cursor.u32be('state_flags'),
      cursor.u32be('totlength'),
      cursor.u32be('length'),
    ] as const;
    if (flags !== FLAG_ENCRYPTED || bytes !== total || bytes === 0 || bytes > MAX_TPM_BLOB_BYTES) {
      throw new RingwallError(
        'tpm-failed',
        `the TPM gave ${bytes} of ${total} bytes of its ${kind} state, flags ${flags}`,
      );
    }
    return new Uint8Array(await this.#take(bytes));
  }

  async #write(kind: keyof typeof BLOB_TYPES, blob: Uint8Array): Promise<void> {
    const head = new Writer().u32be(CMD_SET_STATEBLOB).u32be(FLAG_ENCRYPTED).u32be(BLOB_TYPES[kind]);
    this.#send(head.u32be(blob.length).bytes(blob));
    refuseFailure(await this.#result(), `to take its ${kind} state`);
  }

  #send(command: Writer): void {
    this.#stream.write(command.finish());
  }

  async #result(): Promise<number> {
    return new Cursor(await this.#take(RESULT_BYTES)).u32be('tpm_result');
  }

  async #take(bytes: number): Promise<Uint8Array> {
    const seconds = ANSWER_TIMEOUT_MS / 1000;
    const late = new RingwallError('tpm-failed', `the TPM did not answer on its control channel within ${seconds} s`);
    const timer = setTimeout(() => this.#stream.destroy(late), ANSWER_TIMEOUT_MS);
    try {
      while (this.#received.length < bytes) {
        const { done, value } = await this.#chunks.next();
        if (done === true || !(value instanceof Uint8Array)) {
          throw new RingwallError('tpm-failed', 'the TPM closed its control channel');
        }
        this.#received = Buffer.concat([this.#received, value]);
      }
    } finally {
      clearTimeout(timer);
    }
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }
}

function refuseFailure(result: number, what: string): void {
  if (result === 0) return;
  throw new RingwallError('tpm-failed', `the TPM refused ${what}: 0x${result.toString(16)}`);
}
