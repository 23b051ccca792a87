// Imported disks of the mind: files as they are, encrypted by nobody, that can be made to fail at any write.
import { hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Signer } from '@ringwall/evidence';
import { makeReferenceKey } from '../../broker/testing/reference.ts';
import type { Secret } from '../../keys/index.ts';
import type { DiskLayout } from '../layout.ts';
import type { DiskPart, DiskWriter, ReadBackOrder } from '../parts.ts';

export class FakeDisks implements DiskPart {
  /** Run at each write and flush: throws to make it fail. */
  before: (what: 'write' | 'zeros' | 'flush', offset: number) => void = () => undefined;
  /** How many writers are open. */
  writers = 0;
  writes = 0;
  readonly keys = new Map<string, string>();
  #signer: Promise<Signer> | undefined;

  signer(): Promise<Signer> {
    this.#signer ??= makeReferenceKey();
    return this.#signer;
  }

  async create(disk: DiskLayout, sizeBytes: number, key: Secret): Promise<void> {
    writeFileSync(disk.file, Buffer.alloc(sizeBytes, 0xee));
    this.keys.set(disk.id, Buffer.from(key.expose()).toString('latin1'));
  }

  async open(disk: DiskLayout): Promise<DiskWriter> {
    this.writers += 1;
    const contents = readFileSync(disk.file);
    return {
      write: async (offset, bytes) => {
        this.before('write', offset);
        this.writes += 1;
        contents.set(bytes, offset);
      },
      writeZeros: async (offset, length) => {
        this.before('zeros', offset);
        contents.fill(0, offset, offset + length);
      },
      flush: async () => {
        this.before('flush', 0);
        writeFileSync(disk.file, contents);
      },
      [Symbol.asyncDispose]: async () => {
        this.writers -= 1;
      },
    };
  }

  async readBack(disk: DiskLayout, order: ReadBackOrder): Promise<number | undefined> {
    const contents = readFileSync(disk.file);
    for (let at = 0, chunk = 0; at < order.sizeBytes; at += order.chunkBytes, chunk += 1) {
      const digest = hash('sha256', contents.subarray(at, at + order.chunkBytes), 'buffer');
      order.onRead(order.chunkBytes);
      if (!digest.equals(order.digests.subarray(chunk * 32, chunk * 32 + 32))) return at;
    }
    return undefined;
  }
}
