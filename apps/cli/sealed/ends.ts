// The two ends of sealing and opening: a file or a pipe to read from, and one to write to. A file comes into being whole, under its
// name only at the end; a hole in the contents is a hole in it.
import { createReadStream, rmSync, type ReadStream } from 'node:fs';
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { offsetOfOnlyObject } from './export-file.ts';

/** `-` in place of a file. */
export const PIPE = '-';
const READ_BYTES: number = 1024 * 1024;
/** What a pipe is given at a time where zeros are not left out. */
const ZEROS: Uint8Array = new Uint8Array(64 * 1024);
/** What asks this program to end; by default it would, at once. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Input {
  /** To be read once. */
  readonly stream: () => ReadStream | NodeJS.ReadStream;
  /** A file, whose bytes can be read from anywhere in it; undefined for a pipe. */
  readonly file: { readonly descriptor: number; readonly bytes: number } | undefined;
  readonly close: () => Promise<void>;
}

/** Throws RingwallError. `isSealed`: behind the ticket, where it is an exported snapshot. */
export async function openInput(file: string, isSealed = false): Promise<Input> {
  if (file === PIPE) return { stream: () => process.stdin, file: undefined, close: async () => {} };
  try {
    const found = await stat(file);
    if (found.isDirectory())
      throw new RingwallError('bad-request', `${file} is a directory`, { hint: 'pack it first: tar c' });
    const handle = await open(file);
    const start = isSealed && found.isFile() ? await startOf(handle, file) : 0;
    return {
      stream: () =>
        createReadStream('', {
          fd: handle,
          highWaterMark: READ_BYTES,
          autoClose: false,
          ...(start === 0 ? {} : { start }),
        }),
      file: found.isFile() && start === 0 ? { descriptor: handle.fd, bytes: found.size } : undefined,
      close: () => handle.close(),
    };
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `${file} cannot be read`, { cause });
  }
}

async function startOf(handle: FileHandle, file: string): Promise<number> {
  try {
    return await offsetOfOnlyObject(handle, file);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export interface Output {
  /** An empty file, for whoever writes it in an order of their own and says by `wrote` how long it has become; undefined for a pipe. */
  readonly descriptor: number | undefined;
  readonly wrote: (bytes: number) => void;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly skip: (zeros: number) => Promise<void>;
  /** Now it is whole. */
  readonly keep: () => Promise<void>;
  /** Takes back what can be taken back: what a pipe was given is gone. */
  readonly drop: () => Promise<void>;
}

/** Throws RingwallError where the file is there already. */
export async function openOutput(file: string): Promise<Output> {
  if (file === PIPE) return pipeOutput();
  if (await isThere(file)) {
    throw new RingwallError('conflict', `${file} is there already`, {
      hint: 'choose another name, or remove it first',
    });
  }
  const beside = `${file}.unfinished-${String(process.pid)}`;
  // Before there is a file: it is never there with nobody who takes it away.
  const guard = new UnfinishedFile(beside);
  try {
    return new FileOutput(await open(beside, 'wx+', 0o600), guard, file);
  } catch (cause) {
    guard.release();
    throw new RingwallError('not-found', `${file} cannot be written`, { cause });
  }
}

/** Takes the file away where a signal ends this program, which then ends as the signal has it. */
class UnfinishedFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    for (const signal of ENDING_SIGNALS) process.once(signal, this.#onSignal);
  }

  release(): void {
    for (const signal of ENDING_SIGNALS) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    rmSync(this.path, { force: true });
    this.release();
    process.kill(process.pid, signal);
  };
}

class FileOutput implements Output {
  readonly #handle: FileHandle;
  readonly #beside: UnfinishedFile;
  readonly #file: string;
  #at = 0;

  constructor(handle: FileHandle, beside: UnfinishedFile, file: string) {
    this.#handle = handle;
    this.#beside = beside;
    this.#file = file;
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  wrote(bytes: number): void {
    this.#at += bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, written, bytes.length - written, this.#at);
      written += bytesWritten;
      this.#at += bytesWritten;
    }
  }

  async skip(zeros: number): Promise<void> {
    this.#at += zeros;
  }

  async keep(): Promise<void> {
    await this.#handle.truncate(this.#at);
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#beside.path, this.#file);
    this.#beside.release();
    await syncDirectory(dirname(this.#file));
  }

  async drop(): Promise<void> {
    await this.#handle.close();
    await rm(this.#beside.path, { force: true });
    this.#beside.release();
  }
}

function pipeOutput(): Output {
  const write = async (bytes: Uint8Array): Promise<void> => {
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
  };
  return {
    descriptor: undefined,
    wrote: () => {},
    write,
    skip: async (zeros) => {
      for (let left = zeros; left > 0; left -= ZEROS.length)
        await write(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
    },
    keep: async () => {},
    drop: async () => {},
  };
}

/** Or a crash of the host could take the name away again. */
async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory);
  await handle.sync();
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
