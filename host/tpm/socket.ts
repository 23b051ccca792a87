// A TPM behind a stream socket, such as swtpm's server (--server type=unixio or type=tcp): one command, one response,
// each framed by the size in its own header (TPM 2.0 Part 1 section 18). The bytes that come back are checked before
// anything is believed of them.
import { createConnection, type Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import type { Transport } from '@ringwall/tpm';
import {
  checkCommand,
  DEFAULT_TIMEOUT_MS,
  isResponseSize,
  RESPONSE_HEADER_BYTES,
  type TransportOptions,
} from './limits.ts';

/** Where a TPM listens. A TCP address is for a TPM on this host: nothing keeps its bytes secret or whole. */
export type TpmAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** Connects within the time that a command has. */
export async function openTpmSocket(address: TpmAddress, options: TransportOptions = {}): Promise<SocketTransport> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const where = 'path' in address ? address.path : `${address.host} port ${address.port}`;
  const socket = createConnection(address);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(timeoutMs, () => reject(new Error(`no connection within ${timeoutMs / 1000} s`)));
      socket.once('connect', resolve).once('error', reject);
    });
  } catch (cause) {
    socket.destroy();
    throw new RingwallError('tpm-failed', `no TPM answers at ${where}`, { cause, hint: 'is swtpm running there?' });
  }
  socket.setTimeout(0).removeAllListeners();
  return new SocketTransport(socket, options);
}

/** Takes over a connected socket. Ends for good at the first byte that no TPM would send. */
export class SocketTransport implements Transport, AsyncDisposable {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  #received = Buffer.alloc(0);
  #waiting: { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void } | undefined;
  #ended: RingwallError | undefined;

  constructor(socket: Socket, { timeoutMs = DEFAULT_TIMEOUT_MS }: TransportOptions = {}) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (cause) =>
      this.#end(new RingwallError('tpm-failed', 'the connection to the TPM broke', { cause })),
    );
    socket.on('close', () => this.#end(new RingwallError('tpm-failed', 'the TPM closed its connection')));
    socket.resume();
  }

  /** Sends one whole command; answers the whole response, its code not looked at yet. */
  async send(command: Uint8Array): Promise<Uint8Array> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#waiting !== undefined) throw new RingwallError('internal', 'a TPM takes one command at a time');
    checkCommand(command);
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const seconds = this.#timeoutMs / 1000;
    const timer = setTimeout(
      () => this.#end(new RingwallError('tpm-failed', `the TPM did not answer within ${seconds} s`)),
      this.#timeoutMs,
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
    if (this.#waiting === undefined) {
      this.#end(new RingwallError('tpm-failed', 'the TPM sent bytes that nobody asked for'));
      return;
    }
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < RESPONSE_HEADER_BYTES) return;
    const size = this.#received.readUInt32BE(2);
    if (!isResponseSize(size) || this.#received.length > size) {
      this.#end(new RingwallError('tpm-failed', `a response of ${size} bytes is none of a TPM`));
    } else if (this.#received.length === size) {
      const response = new Uint8Array(this.#received);
      this.#received = Buffer.alloc(0);
      this.#waiting.resolve(response);
    }
  }

  #end(error: RingwallError): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#socket.destroy();
  }
}
