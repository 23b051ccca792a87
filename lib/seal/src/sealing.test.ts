import { concatBytes, fromHex, toHex, utf8 } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CHILD_CHUNK_BYTES,
  CHILD_PLAN,
  childOf,
  CHUNK_BYTES,
  contentsOf,
  KEY,
  open,
  OPENER,
  partsOf,
  seal,
} from '../testing/sealing.ts';
import { makeKeyPair } from './hpke.ts';
import { openSealed } from './opening.ts';
import { rewrap } from './rewrap.ts';
import { scrub } from './scrub.ts';
import { SealError, type SealErrorCode } from './seal-error.ts';
import { sealStream } from './sealing.ts';

const OTHER = { kind: 'key', key: new Uint8Array(32).fill(8) } as const;

async function failureOf(work: Promise<unknown>): Promise<SealErrorCode | 'none'> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof SealError) return error.code;
    throw error;
  }
}

function flipped(bytes: Uint8Array, at: number, bit = 1): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ bit;
  return copy;
}

function* inPieces(bytes: Uint8Array, length: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

describe('sealStream() and openSealed()', () => {
  test.each(['', 's', 't', 'd', 'z', 'dd', 'zz', 'ds', 'zs', 'dt', 'zt', 'zzt', 'dzzdzs', 'zdzzzzdddddddddddddt'])(
    'give back what was sealed: %j',
    async (plan) => {
      const contents = contentsOf(plan);
      for (const bytes of [undefined, contents.length]) {
        const { bytes: sealed, summary } = await seal(contents, bytes === undefined ? {} : { bytes });
        expect(await open(sealed)).toEqual(contents);
        expect(summary.bytes).toBe(contents.length);
        expect(await open(sealed, { root: fromHex(summary.root) })).toEqual(contents);
        expect(await scrub([sealed])).toMatchObject({ damaged: 0, rootFits: true, root: summary.root });
      }
    },
  );

  test('take streams in pieces of any size', async () => {
    const contents = contentsOf('dzzdzzs');
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 9000 }), async (one, other) => {
        const { bytes } = await seal(inPieces(contents, one));
        expect(await open(inPieces(bytes, other))).toEqual(contents);
      }),
      { numRuns: 20 },
    );
  });

  test('say nothing of the contents, and never the same twice', async () => {
    const contents = contentsOf('dd');
    const [one, other] = [await seal(contents), await seal(contents)];
    const [ours, theirs] = [partsOf(one.bytes).records, partsOf(other.bytes).records];
    expect(toHex(ours[0]?.subarray(12, 60) ?? contents)).not.toBe(toHex(theirs[0]?.subarray(12, 60) ?? contents));
    expect(toHex(one.bytes)).not.toContain(toHex(contents.subarray(0, 16)));
    expect(one.summary.root).not.toBe(other.summary.root);
  });

  test('store nothing for zeros but that they are', async () => {
    const { bytes } = await seal(contentsOf('z'.repeat(1000)));
    expect(partsOf(bytes).records).toHaveLength(2);
    expect(bytes.length).toBeLessThan(3000);
  });

  test('give zeros as holes', async () => {
    const { bytes } = await seal(contentsOf('dzzt'));
    const { contents } = await openSealed([bytes], { openers: [OPENER] });
    const pieces: (number | 'data')[] = [];
    for await (const piece of contents) pieces.push(piece.kind === 'zeros' ? piece.length : 'data');
    expect(pieces).toEqual(['data', 2 * CHUNK_BYTES, 100]);
  });

  test('compress what gets smaller, and open it within bounds', async () => {
    const contents = contentsOf('ddd');
    const compress = async (chunk: Uint8Array): Promise<Uint8Array> => chunk.subarray(0, 10);
    const { bytes } = await seal(contents, { compress });
    expect(bytes.length).toBeLessThan(CHUNK_BYTES);
    expect(await failureOf(open(bytes))).toBe('needs-codec');
    const decompress = async (short: Uint8Array): Promise<Uint8Array> =>
      concatBytes(short, new Uint8Array(CHUNK_BYTES));
    expect(await failureOf(open(bytes, { decompress }))).toBe('altered');
    const kept = await seal(contents, { compress: async (chunk) => concatBytes(chunk, chunk) });
    expect(await open(kept.bytes, { decompress })).toEqual(contents);
  });

  test('seal with ChaCha20-Poly1305, too', async () => {
    const contents = contentsOf('dzs');
    const { bytes } = await seal(contents, { cipher: 'chacha20-poly1305' });
    expect(await open(bytes)).toEqual(contents);
    expect(await failureOf(open(flipped(bytes, bytes.length - 20)))).toBe('altered');
  });

  test('carry what is said about the contents', async () => {
    const { bytes } = await seal(contentsOf('s'), { about: { machine: 'web', sequence: 3 } });
    const { manifest, contents } = await openSealed([bytes], { openers: [OPENER] });
    expect(manifest.about).toEqual({ machine: 'web', sequence: 3 });
    await contents.return();
  });

  test('refuse a stream of another length than was said, and close it', async () => {
    let closed = false;
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield contentsOf('d');
      } finally {
        closed = true;
      }
    };
    expect(await failureOf(seal(contentsOf('d'), { bytes: 10 }))).toBe('limit');
    const sealing = sealStream(stream(), { recipients: [OPENER], chunkBytes: CHUNK_BYTES });
    for (let turn = 0; turn < 30; turn += 1) await sealing.next();
    await sealing.return({ object: '', bytes: 0, root: '' });
    expect(closed).toBe(true);
  });
});

describe('an object with a parent', () => {
  const { parent, contents, isKept } = childOf(CHILD_PLAN);

  test('stores only pages that have changed and are not zero', async () => {
    const before = await seal(parent, { chunkBytes: CHILD_CHUNK_BYTES });
    const options = { chunkBytes: CHILD_CHUNK_BYTES, parent: before.summary, isKept };
    for (const bytes of [undefined, contents.length]) {
      const { bytes: sealed } = await seal(contents, bytes === undefined ? options : { ...options, bytes });
      expect(await open(sealed, {}, parent)).toEqual(contents);
      const stored = partsOf(sealed).records.reduce((sum, record) => sum + record.length, 0);
      expect(stored).toBeLessThan(8 * CHUNK_BYTES);
      expect(await scrub([sealed])).toMatchObject({ damaged: 0, rootFits: true });
    }
  });

  test('names it by its root, and its parts by their places', async () => {
    const before = await seal(parent);
    const parts = [{ name: 'memory', offset: 0, bytes: 100 }];
    const { bytes } = await seal(contents, { bytes: contents.length, parent: before.summary, parts, isKept });
    const { manifest, contents: opened } = await openSealed([bytes], { openers: [OPENER] });
    const { object, root } = before.summary;
    expect(manifest).toMatchObject({ parent: { object, root }, parts });
    await opened.return();
  });

  test('is compressed but for chunks of which some is as in the parent', async () => {
    const compress = async (chunk: Uint8Array): Promise<Uint8Array> => Uint8Array.of(chunk.length >> 12);
    const { summary } = await seal(parent);
    const plan = childOf('dddzkddd');
    const options = { chunkBytes: CHILD_CHUNK_BYTES, parent: summary, isKept: plan.isKept, compress };
    const { bytes } = await seal(plan.contents, options);
    expect(partsOf(bytes).records.map((record) => record[3])).toEqual([3, 5, 127]);
  });
});

describe('whoever changes a sealed object', () => {
  const contents = contentsOf('dzds');

  test('is seen at every byte, and at every length', async () => {
    const { bytes } = await seal(contents);
    const { head } = partsOf(bytes);
    const unseen: number[] = [];
    for (let at = 0; at < bytes.length; at += at < head.length ? 1 : 37) {
      if ((await failureOf(open(flipped(bytes, at)))) === 'none') unseen.push(at);
      if ((await failureOf(open(bytes.subarray(0, at)))) === 'none') unseen.push(-at);
    }
    expect(unseen).toEqual([]);
  });

  test('is told at which byte', async () => {
    const { bytes } = await seal(contents);
    const { head, records } = partsOf(bytes);
    const second = head.length + (records[0]?.length ?? 0);
    await expect(open(flipped(bytes, second + 20))).rejects.toMatchObject({ code: 'altered', offset: second });
  });

  test.each<[string, (records: readonly Uint8Array[]) => readonly Uint8Array[]]>([
    ['leaves one out', (records) => records.toSpliced(1, 1)],
    ['repeats one', (records) => records.toSpliced(1, 0, ...records.slice(1, 2))],
    ['swaps two', ([first, second, ...rest]) => [second, first, ...rest].flatMap((each) => each ?? [])],
    ['ends early', (records) => [...records.slice(0, 2), ...records.slice(-1)]],
    ['leaves the end out', (records) => records.slice(0, -1)],
    ['goes on behind the end', (records) => [...records, ...records.slice(0, 1)]],
  ])('%s, and is refused', async (_, change) => {
    for (const bytes of [undefined, contents.length]) {
      const sealed = await seal(contents, bytes === undefined ? {} : { bytes });
      const { head, records } = partsOf(sealed.bytes);
      expect(await failureOf(open(concatBytes(head, ...change(records))))).toMatch(/altered|truncated/);
    }
  });

  test('puts a record of another object into its place, and is refused', async () => {
    const [one, other] = [partsOf((await seal(contents)).bytes), partsOf((await seal(contents)).bytes)];
    const mixed = concatBytes(one.head, ...other.records.slice(0, 1), ...one.records.slice(1));
    expect(await failureOf(open(mixed))).toBe('altered');
  });

  test('gives an older object for a newer one, and is refused where the root was kept', async () => {
    const [older, newer] = [await seal(contents), await seal(contents)];
    expect(await failureOf(open(older.bytes, { root: fromHex(newer.summary.root) }))).toBe('altered');
  });

  test('writes another manifest over the same records, and opens nothing', async () => {
    const { bytes } = await seal(contents, { about: { machine: 'one' } });
    const text = new TextDecoder('latin1').decode(bytes);
    const at = text.indexOf('"one"');
    const changed = bytes.slice();
    changed.set(utf8('"two"'), at);
    expect(await failureOf(open(changed))).toBe('wrong-key');
  });
});

describe('scrub()', () => {
  test('finds damage without a key, and says what is lost', async () => {
    const { bytes } = await seal(contentsOf('ddd'));
    const { head, records } = partsOf(bytes);
    const at = head.length + (records[0]?.length ?? 0);
    const report = await scrub([flipped(bytes, at + 500)]);
    expect(report).toMatchObject({ records: 3, damaged: 1, rootFits: false });
    expect(report.damages).toEqual([{ chunk: 1, offset: at, bytes: CHUNK_BYTES }]);
  });

  test('refuses what has lost its shape', async () => {
    const { bytes } = await seal(contentsOf('ddd'));
    expect(await failureOf(scrub([bytes.subarray(0, -1)]))).toBe('truncated');
    expect(await failureOf(scrub([utf8('-----BEGIN AGE ENCRYPTED FILE-----')]))).toBe('not-sealed');
    expect(await failureOf(scrub([]))).toBe('not-sealed');
  });
});

describe('keys', () => {
  test('of several recipients each open it, and no other', async () => {
    const [alice, eve] = [await makeKeyPair(), await makeKeyPair()];
    const contents = contentsOf('ds');
    const { bytes } = await seal(contents, { recipients: [OPENER, { kind: 'x25519', publicKey: alice.publicKey }] });
    expect(await open(bytes, { openers: [{ kind: 'x25519', pair: alice }] })).toEqual(contents);
    expect(await open(bytes, { openers: [OTHER, OPENER] })).toEqual(contents);
    expect(await failureOf(open(bytes, { openers: [{ kind: 'x25519', pair: eve }, OTHER] }))).toBe('needs-key');
  });

  test('are wrapped anew without a change behind them', async () => {
    const contents = contentsOf('dzs');
    const { bytes, summary } = await seal(contents);
    const { head, before } = await rewrap([bytes], { openers: [OPENER], recipients: [OTHER] });
    expect(head.length).toBe(before);
    const other = concatBytes(head, bytes.subarray(before));
    expect(await failureOf(open(other))).toBe('needs-key');
    expect(await open(other, { openers: [OTHER], root: fromHex(summary.root) })).toEqual(contents);
  });

  test('cannot be added or taken away by whoever has none', async () => {
    const { bytes } = await seal(contentsOf('s'), { recipients: [OPENER, OTHER] });
    const text = new TextDecoder('latin1').decode(bytes.subarray(12, 12 + 1024));
    const { keys, mac } = JSON.parse(text);
    const changed = bytes.slice();
    changed.set(utf8(JSON.stringify({ keys: keys.slice(0, 1), mac }).padEnd(1024)), 12);
    expect(await failureOf(open(changed))).toBe('altered');
    changed.set(utf8(JSON.stringify({ keys, mac, also: 1 }).padEnd(1024)), 12);
    expect(await failureOf(open(changed))).toBe('altered');
  });

  test('of another length are refused', async () => {
    expect(await failureOf(seal(contentsOf('s'), { recipients: [{ kind: 'key', key: KEY.subarray(1) }] }))).toBe(
      'limit',
    );
    expect(await failureOf(seal(contentsOf('s'), { recipients: [] }))).toBe('limit');
  });
});
