// Speaks to a TPM over a stream socket: one command, one response, each framed by the size in its own header
// (TPM 2.0 Part 1 section 18). The bytes that come back are checked before anything is believed of them.
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import { MAX_RESPONSE_BYTES, RESPONSE_HEADER_BYTES } from '@ringwall/tpm';

/** The slowest command that we send, the making of a P-256 key, takes some 20 ms. */
const COMMAND_TIMEOUT_MS = 20_000;

export class TpmConnection implements AsyncDisposable {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #waiting: { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void } | undefined;
  #ended: RingwallError | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (cause) =>
      this.#end(new RingwallError('tpm-failed', 'the connection to the TPM broke', { cause })),
    );
    socket.on('close', () => this.#end(new RingwallError('tpm-failed', 'the TPM closed its connection')));
    socket.resume();
  }

  /** Sends one whole command; answers the whole response, its code not looked at yet. */
  async transmit(command: Uint8Array): Promise<Uint8Array> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#waiting !== undefined) throw new RingwallError('internal', 'a TPM takes one command at a time');
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const timer = setTimeout(
      () => this.#end(new RingwallError('tpm-failed', `the TPM did not answer within ${COMMAND_TIMEOUT_MS / 1000} s`)),
      COMMAND_TIMEOUT_MS,
    );
    try {
      this.#socket.write(command);
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new RingwallError('tpm-failed', 'the connection to the TPM is closed'));
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < RESPONSE_HEADER_BYTES) return;
    const size = this.#received.readUInt32BE(2);
    if (size < RESPONSE_HEADER_BYTES || size > MAX_RESPONSE_BYTES || this.#received.length > size) {
      this.#end(new RingwallError('tpm-failed', `a response of ${size} bytes is none of a TPM`));
    } else if (this.#received.length === size) {
      const response = new Uint8Array(this.#received);
      this.#received = Buffer.alloc(0);
      this.#waiting?.resolve(response);
    }
  }

  #end(error: RingwallError): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#socket.destroy();
  }
}
