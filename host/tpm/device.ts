// A TPM behind a character device of Linux: /dev/tpmrm0, where the kernel's resource manager gives each opener handles
// and sessions of its own and flushes them at the end, or /dev/tpm0 without one (tpm(4), Documentation/security/tpm).
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { MAX_RESPONSE_BYTES, type Transport } from '@ringwall/tpm';
import {
  checkCommand,
  DEFAULT_TIMEOUT_MS,
  isResponseSize,
  RESPONSE_HEADER_BYTES,
  type TransportOptions,
} from './limits.ts';

export const TPM_DEVICE = '/dev/tpmrm0';

/** What the transport needs of an opened device. */
export interface TpmDeviceFile {
  write(bytes: Uint8Array): Promise<{ readonly bytesWritten: number }>;
  read(buffer: Uint8Array, offset: number, length: number): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

/** Opens a TPM's device, and nothing else that may lie at `path`. */
export async function openTpmDevice(
  path: string = TPM_DEVICE,
  options: TransportOptions = {},
): Promise<DeviceTransport> {
  const file = await openDevice(path);
  if (!(await file.stat()).isCharacterDevice()) {
    await file.close();
    throw new RingwallError('tpm-failed', `${path} is no character device`);
  }
  return new DeviceTransport(
    {
      write: (bytes) => file.write(bytes),
      read: (buffer, offset, length) => file.read(buffer, offset, length, null),
      close: () => file.close(),
    },
    options,
  );
}

async function openDevice(path: string): Promise<FileHandle> {
  try {
    // O_NOCTTY: a terminal that lies there by mistake must not become ours.
    return await open(path, constants.O_RDWR | constants.O_NOCTTY);
  } catch (cause) {
    throw new RingwallError('tpm-failed', `${path} cannot be opened`, {
      cause,
      hint: 'this host has no TPM, its driver is not loaded, or this user is not in the group tss',
    });
  }
}

/**
 * Takes over an opened device. A write waits in the kernel until the TPM is done; after `timeoutMs` the caller is told,
 * and the device is closed as soon as the kernel gives it back.
 */
export class DeviceTransport implements Transport, AsyncDisposable {
  readonly #file: TpmDeviceFile;
  readonly #timeoutMs: number;
  #busy: Promise<unknown> | undefined;
  #ended: RingwallError | undefined;
  #closed: Promise<void> | undefined;

  constructor(file: TpmDeviceFile, { timeoutMs = DEFAULT_TIMEOUT_MS }: TransportOptions = {}) {
    this.#file = file;
    this.#timeoutMs = timeoutMs;
  }

  async send(command: Uint8Array): Promise<Uint8Array> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#busy !== undefined) throw new RingwallError('internal', 'a TPM takes one command at a time');
    checkCommand(command);
    const exchange = this.#exchange(command);
    this.#busy = exchange;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const seconds = this.#timeoutMs / 1000;
      timer = setTimeout(
        () => reject(new RingwallError('tpm-failed', `the TPM did not answer within ${seconds} s`)),
        this.#timeoutMs,
      );
    });
    try {
      const answer = await Promise.race([exchange, late]);
      this.#busy = undefined;
      return answer;
    } catch (error) {
      const ended =
        error instanceof RingwallError
          ? error
          : new RingwallError('tpm-failed', 'the TPM’s device failed', { cause: error });
      this.#end(ended);
      throw ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the file to be closed, unless a command is still under way in the kernel. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new RingwallError('tpm-failed', 'the TPM’s device is closed'));
    // A close would wait for a command that the kernel still holds; nobody waits for that.
    if (this.#busy === undefined) await this.#closed;
  }

  async #exchange(command: Uint8Array): Promise<Uint8Array> {
    const { bytesWritten } = await this.#file.write(command);
    if (bytesWritten !== command.length) throw new Error(`${bytesWritten} of ${command.length} bytes were written`);
    const buffer = new Uint8Array(MAX_RESPONSE_BYTES);
    let received = 0;
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, received, buffer.length - received);
      if (bytesRead === 0) throw new Error(`the response ends after ${received} bytes`);
      received += bytesRead;
      if (received < RESPONSE_HEADER_BYTES) continue;
      const size = new DataView(buffer.buffer).getUint32(2);
      if (!isResponseSize(size) || received > size) {
        throw new RingwallError('tpm-failed', `a response of ${size} bytes is none of a TPM`);
      }
      if (received === size) return buffer.slice(0, size);
    }
  }

  /** Closes once the kernel has given the last command back; `#closed` is when. */
  #end(reason: RingwallError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#closed = this.#close();
  }

  async #close(): Promise<void> {
    await this.#busy?.catch(() => undefined);
    await this.#file.close().catch(() => undefined);
  }
}
