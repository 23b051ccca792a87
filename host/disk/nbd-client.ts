// Writes to a disk that another process serves by the NBD protocol (https://github.com/NetworkBlockDevice/nbd,
// doc/proto.md): the fixed newstyle handshake with the default export, then writes, zeros and flushes in any number at a time.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import { readExactly } from './read-exactly.ts';

/** It opens the disk's header before it greets: some PBKDF2, on a loaded host. */
const HANDSHAKE_TIMEOUT_MS = 20_000;
const MAGIC = Buffer.from('NBDMAGICIHAVEOPT', 'latin1');
const FLAG_FIXED_NEWSTYLE = 1;
const FLAG_NO_ZEROES = 2;
const OPTION_EXPORT_NAME = 1;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const COMMAND = { write: 1, disconnect: 2, flush: 3, zeros: 6 } as const;
/** NBD_CMD_FLAG_NO_HOLE: zeros that take room, so that a full disk is met now and not by a guest. */
const FLAG_NO_HOLE = 2;
const REQUEST_BYTES = 28;
const REPLY_BYTES = 16;
/** Of one request: QEMU takes 32 MiB of data, and 2 GiB of zeros (its BDRV_REQUEST_MAX_BYTES). */
const MAX_ZEROS_BYTES = 2 ** 30;

export class NbdClient {
  readonly sizeBytes: number;
  readonly #socket: Socket;
  readonly #waiting: Map<bigint, { resolve: () => void; reject: (error: Error) => void }> = new Map();
  #next = 0n;
  #rest: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  private constructor(socket: Socket, sizeBytes: number, rest: Buffer) {
    this.#socket = socket;
    this.sizeBytes = sizeBytes;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('it closed the connection')));
    this.#take(rest);
    socket.resume();
  }

  /** Takes the connection over; the socket is destroyed where the server speaks another protocol. */
  static async open(socket: Socket): Promise<NbdClient> {
    try {
      const greeting = await readExactly(socket, MAGIC.length + 2, HANDSHAKE_TIMEOUT_MS);
      if (!greeting.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('it speaks no NBD');
      const offered = greeting.readUInt16BE(MAGIC.length);
      if ((offered & FLAG_FIXED_NEWSTYLE) === 0) throw new Error('it knows only an older NBD');
      const flags = Buffer.alloc(4);
      flags.writeUInt32BE(offered & (FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES));
      const option = Buffer.alloc(16);
      option.write('IHAVEOPT', 'latin1');
      option.writeUInt32BE(OPTION_EXPORT_NAME, 8);
      socket.write(Buffer.concat([flags, option]));
      const padding = (offered & FLAG_NO_ZEROES) === 0 ? 124 : 0;
      const exported = await readExactly(socket, 10 + padding, HANDSHAKE_TIMEOUT_MS);
      return new NbdClient(socket, Number(exported.readBigUInt64BE(0)), Buffer.alloc(0));
    } catch (error) {
      socket.destroy();
      throw asFailure(error);
    }
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#request(COMMAND.write, offset, bytes.length, { bytes });
  }

  async writeZeros(offset: number, length: number): Promise<void> {
    for (let at = 0; at < length; at += MAX_ZEROS_BYTES) {
      const part = Math.min(MAX_ZEROS_BYTES, length - at);
      await this.#request(COMMAND.zeros, offset + at, part, { flags: FLAG_NO_HOLE });
    }
  }

  /** Once this resolves, all that was written before lies on the disk. */
  async flush(): Promise<void> {
    await this.#request(COMMAND.flush, 0, 0);
  }

  /** Says goodbye: a server for one client ends with it. */
  async close(): Promise<void> {
    if (this.#failure === undefined) {
      this.#socket.end(requestOf({ command: COMMAND.disconnect, cookie: 0n, offset: 0, length: 0 }));
      if (!this.#socket.destroyed) await once(this.#socket, 'close').catch(() => {});
    }
    this.#socket.destroy();
  }

  async #request(
    command: number,
    offset: number,
    length: number,
    { flags = 0, bytes }: { readonly flags?: number; readonly bytes?: Uint8Array } = {},
  ): Promise<void> {
    if (this.#failure !== undefined) throw asFailure(this.#failure);
    this.#next += 1n;
    const cookie = this.#next;
    const answered = new Promise<void>((resolve, reject) => this.#waiting.set(cookie, { resolve, reject }));
    this.#socket.write(requestOf({ command, flags, cookie, offset, length }));
    if (bytes !== undefined) this.#socket.write(bytes);
    await answered;
  }

  #take(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (; this.#rest.length >= REPLY_BYTES; this.#rest = this.#rest.subarray(REPLY_BYTES)) {
      const cookie = this.#rest.readBigUInt64BE(8);
      const waiting = this.#waiting.get(cookie);
      if (this.#rest.readUInt32BE(0) !== REPLY_MAGIC || waiting === undefined) {
        this.#fail(new Error('it answered what nobody asked'));
        return;
      }
      this.#waiting.delete(cookie);
      const errno = this.#rest.readUInt32BE(4);
      if (errno === 0) waiting.resolve();
      else waiting.reject(refusal(errno));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(asFailure(this.#failure));
    this.#waiting.clear();
    this.#socket.destroy();
  }
}

interface NbdRequest {
  readonly command: number;
  readonly flags?: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

function requestOf({ command, flags = 0, cookie, offset, length }: NbdRequest): Buffer {
  const header = Buffer.alloc(REQUEST_BYTES);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(command, 6);
  header.writeBigUInt64BE(cookie, 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return header;
}

/** NBD has its own numbers, which are those of Linux. */
function refusal(errno: number): RingwallError {
  if (errno === 28) {
    return new RingwallError('host-full', 'the disk of this host is full', {
      hint: 'make room on the file system of the state directory; the import then goes on where it was',
    });
  }
  return new RingwallError('image-failed', `the disk could not be written: error ${String(errno)}`);
}

function asFailure(error: unknown): RingwallError {
  if (error instanceof RingwallError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RingwallError('image-failed', `what writes the disk does not answer: ${message}`, { cause: error });
}
