// A file of this machine as a source.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { checkRange, type ByteSource } from '../src/source/byte-source.ts';

export class FileSource implements ByteSource, Disposable {
  readonly size: number;
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'r');
    this.size = fstatSync(this.#descriptor).size;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(offset, length, this.size, 'file');
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length;) done += readSync(this.#descriptor, bytes, done, length - done, offset + done);
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
