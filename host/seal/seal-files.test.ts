// Files sealed and opened in lanes: the same format as that of the stream, in threads and without.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { fromHex } from '@ringwall/bytes';
import {
  CIPHERS,
  openSealed,
  PAGE_BYTES,
  scrub,
  SealError,
  sealStream,
  type Manifest,
  type OpenedObject,
  type Parent,
} from '@ringwall/seal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sharedMemoryOf } from '../memory/index.ts';
import { borrowCrew } from '../threads/index.ts';
import { forge, type ForgedRecord } from '../../lib/seal/testing/forging.ts';
import { partsOf } from '../../lib/seal/testing/sealing.ts';
import { unpackChunk } from './compression.ts';
import { hasPage } from './jobs.ts';
import {
  openFiles,
  sealFiles,
  type OpenFilesOptions,
  type OpenTarget,
  type SealedFiles,
  type SealFilesOptions,
} from './index.ts';

const KEY = { kind: 'key', key: new Uint8Array(32).fill(7) } as const;
const CHUNK_BYTES: number = 4 * PAGE_BYTES;
/** So many chunks that each lane gets some. */
const THREADED_BYTES: number = 400 * CHUNK_BYTES;
const SHORT: ForgedRecord = { type: 'data', plaintext: contentsOf('s') };

/** `d` a page of data, `z` one of zeros, `s` a hundred bytes of data, `t` of zeros. */
function contentsOf(plan: string): Buffer {
  return Buffer.concat(
    Array.from(plan, (letter, index) => {
      const length = letter === 's' || letter === 't' ? 100 : PAGE_BYTES;
      return letter === 'z' || letter === 't' ? Buffer.alloc(length) : Buffer.alloc(length, `${index} of ${plan}.`);
    }),
  );
}

describe('sealFiles() and openFiles()', () => {
  let dir: string;
  let descriptors: number[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-seal-files-'));
    descriptors = [];
  });
  afterEach(() => {
    for (const descriptor of descriptors) closeSync(descriptor);
    rmSync(dir, { recursive: true });
  });

  const at = (name: string): string => join(dir, name);
  const descriptor = (name: string, flags: string): number => {
    const opened = openSync(at(name), flags);
    descriptors.push(opened);
    return opened;
  };
  const seal = (contents: Buffer, options: Partial<SealFilesOptions> = {}): Promise<SealedFiles> => {
    writeFileSync(at('source'), contents);
    const source = { place: descriptor('source', 'r'), bytes: contents.length };
    const target = descriptor('sealed', 'w+');
    return sealFiles([source], target, { recipients: [KEY], chunkBytes: CHUNK_BYTES, ...options });
  };
  const open = async (options: Partial<OpenFilesOptions> = {}): Promise<Buffer> => {
    const target = descriptor('opened', 'w+');
    await openFiles(descriptor('sealed', 'r'), () => [{ place: target }], { openers: [KEY], ...options });
    return readFileSync(at('opened'));
  };
  const change = (how: (sealed: Buffer) => Uint8Array): void =>
    writeFileSync(at('sealed'), how(readFileSync(at('sealed'))));

  test.each(['', 's', 't', 'd', 'z', 'dddd', 'zzzz', 'dddds', 'zzzzs', 'ddddt', 'zzzzt', 'dzzdzzzzzzzzddddzzzzdt'])(
    'write what openSealed() reads, and read what sealStream() writes: %j',
    async (plan) => {
      const contents = contentsOf(plan);
      const { root, stored, bytes } = await seal(contents);
      const sealed = readFileSync(at('sealed'));
      expect([bytes, stored]).toEqual([contents.length, sealed.length]);
      expect(await openedBy(openSealed([sealed], { openers: [KEY], root: fromHex(root) }))).toEqual(contents);
      expect(await scrub([sealed])).toMatchObject({ damaged: 0, rootFits: true, root });
      expect(await open({ root: fromHex(root) })).toEqual(contents);

      const pieces: Uint8Array[] = [];
      for await (const piece of sealStream([contents], { recipients: [KEY], chunkBytes: CHUNK_BYTES })) {
        pieces.push(piece);
      }
      writeFileSync(at('sealed'), Buffer.concat(pieces));
      expect(await open()).toEqual(contents);
    },
  );

  test('use threads, and take turns in them', async () => {
    const contents = Buffer.alloc(THREADED_BYTES);
    for (let chunk = 0; chunk < contents.length / CHUNK_BYTES; chunk += 1) {
      if (chunk % 7 < 5) contents.fill(`chunk ${chunk},`, chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
    }
    for (const cipher of CIPHERS) {
      const { root } = await seal(contents, { threads: 3, cipher });
      expect((await open({ threads: 3, root: fromHex(root) })).equals(contents)).toBe(true);
    }
  });

  test('have a crew do all of it, and read nothing of what is known to be zero', async () => {
    using crew = borrowCrew();
    const contents = contentsOf('dddddddddddddddd');
    const source = { place: sharedMemoryOf(contents), bytes: contents.length };
    // Pages 4 to 11: two chunks as a whole.
    const zeros = Uint8Array.of(0xf0, 0x0f);
    const sealed = await sealFiles([{ ...source, zeros }], descriptor('sealed', 'w+'), {
      ...{ recipients: [KEY], chunkBytes: CHUNK_BYTES, crew },
    });
    expect(await open({ root: fromHex(sealed.root), crew })).toEqual(contents.fill(0, 4 * PAGE_BYTES, 12 * PAGE_BYTES));
    truncateSync(at('sealed'), sealed.stored - 1);
    await expect(open({ crew })).rejects.toMatchObject({ code: 'truncated' });
  });

  test('compress what gets smaller', async () => {
    const contents = Buffer.concat([contentsOf('dddd'), randomBytes(CHUNK_BYTES), contentsOf('dds')]);
    const { stored } = await seal(contents, { compress: true });
    expect(stored).toBeLessThan(1.3 * CHUNK_BYTES);
    expect(await open()).toEqual(contents);
  });

  test('make no two objects alike', async () => {
    const contents = contentsOf('dddd');
    await seal(contents);
    const before = readFileSync(at('sealed'));
    await seal(contents);
    expect(readFileSync(at('sealed')).subarray(-200).equals(before.subarray(-200))).toBe(false);
  });

  test('store parts by their names, and give them back one by one', async () => {
    writeFileSync(at('memory'), contentsOf('dddddd'));
    writeFileSync(at('tpm'), contentsOf('s'));
    const sources = ['memory', 'empty', 'tpm'].map((name) => {
      const source = descriptor(name, 'a+');
      return { name, place: source, bytes: fstatSync(source).size };
    });
    const { parts, bytes } = await sealFiles(sources, descriptor('sealed', 'w+'), {
      ...{ recipients: [KEY], chunkBytes: CHUNK_BYTES, about: { machine: 'web' } },
    });
    expect(parts.map(({ offset }) => offset)).toEqual([0, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES]);
    expect(bytes).toBe(2 * CHUNK_BYTES + 100);
    const opened = await openFiles(
      descriptor('sealed', 'r'),
      ({ about }) => {
        expect(about).toEqual({ machine: 'web' });
        return ['memory', 'tpm'].map((part) => ({ part, place: descriptor(`${part}.opened`, 'w+') }));
      },
      { openers: [KEY] },
    );
    expect(opened.manifest.parts).toEqual(parts);
    for (const part of ['memory', 'tpm']) {
      expect(readFileSync(at(`${part}.opened`)).equals(readFileSync(at(part)))).toBe(true);
    }
    // Between parts is nothing of what a lane has read before.
    const all = await openedBy(openSealed([readFileSync(at('sealed'))], { openers: [KEY] }));
    expect(all).toEqual(Buffer.concat([contentsOf('dddddd'), contentsOf('zz'), contentsOf('s')]));
    // From and into memory it is the same.
    const memory = sharedMemoryOf(readFileSync(at('memory')));
    const inMemory = sharedMemoryOf(new Uint8Array(readFileSync(at('memory')).length));
    await sealFiles([{ place: memory, bytes: readFileSync(at('memory')).length }], descriptor('sealed-memory', 'w+'), {
      ...{ recipients: [KEY], chunkBytes: CHUNK_BYTES, about: {} },
    });
    await openFiles(descriptor('sealed-memory', 'r'), () => [{ place: inMemory }], { openers: [KEY] });
    expect(Buffer.concat(inMemory.map((segment) => Buffer.from(segment))).equals(readFileSync(at('memory')))).toBe(
      true,
    );
    const missing = openFiles(descriptor('sealed', 'r'), () => [{ part: 'disk', place: 0 }], { openers: [KEY] });
    await expect(missing).rejects.toMatchObject({ code: 'altered', message: 'it has no part disk' });
  });

  test('continue another object, and are opened over it alone', async () => {
    const before = contentsOf('dddddddddddd');
    const after = Buffer.from(before);
    const parent = await seal(before);
    after.fill('changed', 2 * PAGE_BYTES, 3 * PAGE_BYTES);
    after.fill(0, 5 * PAGE_BYTES, 9 * PAGE_BYTES);
    const kept = Uint8Array.of(0b0001_1011, 0b1110);
    writeFileSync(at('after'), after);
    const source = { place: descriptor('after', 'r'), bytes: after.length, kept };
    const options = { recipients: [KEY], chunkBytes: CHUNK_BYTES, parent };
    const child = await sealFiles([source], descriptor('child', 'w+'), options);
    expect(child.stored).toBeLessThan(PAGE_BYTES + 3000);
    expect(await openedBy(openSealed([readFileSync(at('child'))], { openers: [KEY] }), before)).toEqual(after);

    await open();
    const over = async (there: Parent | undefined): Promise<void> => {
      const targets = (): readonly OpenTarget[] => [{ place: descriptor('opened', 'r+') }];
      const how = { openers: [KEY], ...(there === undefined ? {} : { over: there }) };
      await openFiles(descriptor('child', 'r'), targets, how);
    };
    await expect(over(undefined)).rejects.toMatchObject({ code: 'needs-parent' });
    await expect(over({ object: parent.object, root: child.root })).rejects.toMatchObject({ code: 'needs-parent' });
    await expect(over({ object: child.object, root: parent.root })).rejects.toMatchObject({ code: 'needs-parent' });
    expect(readFileSync(at('opened')).equals(before)).toBe(true);
    await over(parent);
    expect(readFileSync(at('opened')).equals(after)).toBe(true);
  });

  test('notice every byte that was changed, and every length', async () => {
    await seal(contentsOf('dddddddzzzzdddds'));
    const sealed = readFileSync(at('sealed'));
    const unseen: number[] = [];
    const isSeen = async (changed: Uint8Array): Promise<boolean> => {
      change(() => changed);
      return open().then(
        () => false,
        (error: unknown) => error instanceof SealError,
      );
    };
    for (let byte = 0; byte < sealed.length; byte += byte < 2000 || byte > sealed.length - 200 ? 31 : 4001) {
      const flipped = Buffer.from(sealed);
      flipped[byte] = (flipped[byte] ?? 0) ^ 1;
      if (!(await isSeen(flipped))) unseen.push(byte);
      if (!(await isSeen(sealed.subarray(0, byte)))) unseen.push(-byte);
    }
    if (!(await isSeen(Buffer.concat([sealed, Buffer.of(0)])))) unseen.push(sealed.length);
    expect(unseen).toEqual([]);
  });

  test.each<[string, (records: readonly Uint8Array[]) => readonly Uint8Array[]]>([
    ['left out', (records) => records.toSpliced(1, 1)],
    ['repeated', (records) => records.toSpliced(1, 0, ...records.slice(1, 2))],
    ['swapped', ([first, second, ...rest]) => [second, first, ...rest].flatMap((each) => each ?? [])],
    ['left out at the end', (records) => [...records.slice(0, 2), ...records.slice(-1)]],
    ['left out with the end', (records) => records.slice(0, -1)],
  ])('notice a record that was %s', async (_, rearrange) => {
    await seal(contentsOf('ddddddddzzzzdddds'));
    change((sealed) => {
      const { head, records } = partsOf(sealed);
      return Buffer.concat([head, ...rearrange(records)]);
    });
    await expect(open()).rejects.toBeInstanceOf(SealError);
  });

  test('fill up a disk, and say so', async () => {
    const source = { place: sharedMemoryOf(contentsOf('dddd')), bytes: 4 * PAGE_BYTES };
    const full = openSync('/dev/full', 'w');
    descriptors.push(full);
    await expect(sealFiles([source], full, { recipients: [KEY] })).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  test('say where the first change is, whichever lane meets one', async () => {
    await seal(Buffer.alloc(THREADED_BYTES, 'x'));
    const first = 40 * CHUNK_BYTES;
    change((sealed) => {
      for (const byte of [first, first + 10 * CHUNK_BYTES]) sealed[byte] = (sealed[byte] ?? 0) ^ 1;
      return sealed;
    });
    const failure = await open({ threads: 3 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'SealError', code: 'altered' });
    expect(failure instanceof SealError && Math.abs((failure.offset ?? 0) - first) <= CHUNK_BYTES + 100).toBe(true);
  });

  test.each<[string, readonly ForgedRecord[], number, Partial<Manifest>, RegExp]>([
    ['a chunk behind a short one', [SHORT, SHORT], 200, {}, /follows a chunk that was the last/],
    ['zeros behind a short chunk', [SHORT, { type: 'zeros' }], 200, {}, /follows a chunk that was the last/],
    ['an end that says less than came', [SHORT], 50, {}, /says 50 bytes, and 100 came/],
    ['a last chunk of zeros without a byte', [{ type: 'zeros' }], 0, {}, /says 0 bytes, and 0 came/],
    ['another length than the manifest', [SHORT], 100, { bytes: 99 }, /another length than the manifest/],
    ['what unpacks to nothing', [{ ...SHORT, type: 'compressed' }], 100, { compression: 'zstd' }, /unpacks to no/],
    [
      'what unpacks to more than a chunk',
      [{ type: 'compressed', plaintext: zstdCompressSync(Buffer.alloc(2 ** 24)) }],
      CHUNK_BYTES,
      { compression: 'zstd' },
      /unpacks to no/,
    ],
    ['pages without a map', [{ type: 'pages', plaintext: Buffer.of(3) }], CHUNK_BYTES, {}, /has no map of its/],
    ['pages of a parent, without one', [{ type: 'pages', plaintext: Buffer.of(0x56) }], CHUNK_BYTES, {}, /has no map/],
  ])('refuse %s', async (_, records, total, manifest, why) => {
    const { bytes } = await forge(records, total, { chunkBytes: CHUNK_BYTES, ...manifest });
    writeFileSync(at('sealed'), bytes);
    await expect(open()).rejects.toMatchObject({ code: 'altered', message: expect.stringMatching(why) });
  });

  test('miss no byte behind as many zeros as an object can have', async () => {
    const records: ForgedRecord[] = [{ type: 'zeros', chunks: 2 ** 31 }, SHORT];
    const { bytes } = await forge(records, (2 ** 31 + 1) * CHUNK_BYTES, { chunkBytes: CHUNK_BYTES });
    writeFileSync(at('sealed'), bytes);
    await expect(openFiles(descriptor('sealed', 'r'), () => [], { openers: [KEY] })).rejects.toMatchObject({
      code: 'altered',
      message: expect.stringMatching(/says 35184372105216 bytes, and 35184372088932 came/),
    });
  });

  test('refuse a record that is not what the root is of, though its tag is right', async () => {
    const { bytes, root } = await forge([{ ...SHORT, digest: new Uint8Array(32) }], 100);
    writeFileSync(at('sealed'), bytes);
    await expect(open({ root })).rejects.toThrow(/is not what its digest says/);
    await expect(open({ root: new Uint8Array(32) })).rejects.toMatchObject({ code: 'altered' });
  });

  test('refuse another object than the one whose root was kept, and say of one that is cut that it is', async () => {
    const { root } = await seal(contentsOf('dddds'));
    const older = readFileSync(at('sealed'));
    await seal(contentsOf('dddds'));
    await expect(open({ root: fromHex(root) })).rejects.toMatchObject({
      code: 'altered',
      message: expect.stringMatching(/another object than the one whose root was given/),
    });
    for (const left of [older.length - 1, older.length - 200, 3000]) {
      writeFileSync(at('sealed'), older.subarray(0, left));
      await expect(open(), String(left)).rejects.toMatchObject({ code: 'truncated' });
    }
  });

  test('refuse a source that has become shorter, and stop when they are told to', async () => {
    writeFileSync(at('source'), contentsOf('dd'));
    const source = { place: descriptor('source', 'r'), bytes: 3 * PAGE_BYTES };
    const target = descriptor('sealed', 'w+');
    await expect(sealFiles([source], target, { recipients: [KEY] })).rejects.toMatchObject({ code: 'limit' });
    const signal = AbortSignal.abort(new Error('told to'));
    await expect(sealFiles([source], target, { recipients: [KEY], signal })).rejects.toThrow('told to');
  });
});

test('hasPage() finds pages of a disk of more than 8 TiB', () => {
  // Nobody touches what lies before it.
  const bits = new Uint8Array(2 ** 28 + 1);
  bits[2 ** 28] = 0b10;
  expect([2 ** 31, 2 ** 31 + 1, 2 ** 31 + 2].map((page) => hasPage(bits, page))).toEqual([false, true, false]);
});

test('unpackChunk() makes no more than it is asked for', () => {
  const packed = zstdCompressSync(contentsOf('dd'));
  expect(unpackChunk(packed, 2 * PAGE_BYTES)).toEqual(new Uint8Array(contentsOf('dd')));
  expect(unpackChunk(packed, 2 * PAGE_BYTES - 1)).toBeUndefined();
  expect(unpackChunk(contentsOf('d'), PAGE_BYTES)).toBeUndefined();
});

async function openedBy(opening: Promise<OpenedObject>, parent: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  const { contents } = await opening;
  const pieces: Uint8Array[] = [];
  let at = 0;
  for await (const piece of contents) {
    if (piece.kind === 'data') pieces.push(piece.bytes);
    else pieces.push(piece.kind === 'zeros' ? Buffer.alloc(piece.length) : parent.subarray(at, at + piece.length));
    at += pieces.at(-1)?.length ?? 0;
  }
  return Buffer.concat(pieces);
}
