// What whoever has the key could make of the format's parts, and no reader takes: each named by what is wrong with it.
import { concatBytes } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { forge, NO_ROOT, withEnvelope, type ForgedRecord } from '../testing/forging.ts';
import { CHUNK_BYTES, contentsOf, open, OPENER, partsOf, seal } from '../testing/sealing.ts';
import { MAX_RECIPIENTS } from './envelope.ts';
import type { Manifest } from './manifest.ts';
import type { OpenOptions } from './opening.ts';
import { PAGE_BYTES } from './pages.ts';
import { scrub } from './scrub.ts';

const CHUNK: ForgedRecord = { type: 'data', plaintext: contentsOf('d') };
const SHORT: ForgedRecord = { type: 'data', plaintext: contentsOf('s') };
const PARENT = { parent: { object: '00'.repeat(16), root: NO_ROOT } };
const FOUR_PAGES = { chunkBytes: 4 * PAGE_BYTES };

function pages(map: number, data: number): ForgedRecord {
  return { type: 'pages', plaintext: concatBytes(Uint8Array.of(map), contentsOf('d'.repeat(data))) };
}

const PARENT_AND_MORE = `"parent":{"object":"${'00'.repeat(16)}","root":"${NO_ROOT}","bytes":1}`;

interface Forgery {
  readonly records: readonly ForgedRecord[];
  readonly total: number;
  readonly manifest?: Partial<Manifest>;
  readonly options?: Partial<OpenOptions>;
}

async function opened({ records, total, manifest, options }: Forgery): Promise<Uint8Array> {
  return open((await forge(records, total, manifest)).bytes, options);
}

describe('openSealed() of what was made with the key', () => {
  test('opens what is as the format says', async () => {
    const contents = contentsOf('ds');
    expect(await opened({ records: [CHUNK, SHORT], total: contents.length })).toHaveLength(contents.length);
    const some = await opened({ records: [pages(0b01_00_01_00, 2)], total: 4 * PAGE_BYTES, manifest: FOUR_PAGES });
    expect(some.subarray(PAGE_BYTES, 2 * PAGE_BYTES)).toEqual(new Uint8Array(PAGE_BYTES));
    expect(some.subarray(2 * PAGE_BYTES, 3 * PAGE_BYTES)).toEqual(contentsOf('dd').subarray(PAGE_BYTES));
  });

  test.each<[string, Forgery, RegExp]>([
    ['a chunk behind a short one', { records: [SHORT, SHORT], total: 200 }, /follows a chunk that was the last/],
    [
      'more zeros than the manifest says, before any is given out',
      { records: [CHUNK, { type: 'zeros', chunks: 2 }], total: 3 * CHUNK_BYTES, manifest: { bytes: 2 * CHUNK_BYTES } },
      /2 chunks behind the first 1 are more than the manifest says/,
    ],
    ['zeros behind a short chunk', { records: [SHORT, { type: 'zeros' }], total: 200 }, /follows a chunk that was the/],
    ['an end that says less than came', { records: [SHORT], total: 50 }, /says 50 bytes, and 100 came/],
    ['an end that says more than came', { records: [SHORT], total: 101 }, /says 101 bytes, and 100 came/],
    ['a last chunk of zeros without a byte', { records: [{ type: 'zeros' }], total: 0 }, /says 0 bytes, and 0 came/],
    [
      'a last chunk of zeros that is longer than a chunk',
      { records: [{ type: 'zeros' }], total: CHUNK_BYTES + 1 },
      /says 4097 bytes, and 0 came/,
    ],
    [
      'an end that says another length than the manifest',
      { records: [SHORT], total: 100, manifest: { bytes: 99 } },
      /another length than the manifest/,
    ],
    [
      'a chunk that unpacks to more than one',
      {
        records: [{ ...SHORT, type: 'compressed' }],
        total: CHUNK_BYTES + 1,
        manifest: { compression: 'zstd' },
        options: { decompress: async () => new Uint8Array(CHUNK_BYTES + 1) },
      },
      /unpacks to no chunk/,
    ],
    [
      'a chunk that unpacks to nothing',
      {
        records: [{ ...SHORT, type: 'compressed' }],
        total: 0,
        manifest: { compression: 'zstd' },
        options: { decompress: async () => new Uint8Array() },
      },
      /unpacks to no chunk/,
    ],
    [
      'a chunk that is longer than chunks are',
      { records: [{ type: 'data', plaintext: new Uint8Array(CHUNK_BYTES + 1) }], total: CHUNK_BYTES + 1 },
      /type 1.* is none/,
    ],
    [
      'a compressed chunk that is no smaller',
      {
        records: [{ type: 'compressed', plaintext: contentsOf('d') }],
        total: CHUNK_BYTES,
        manifest: { compression: 'zstd' },
        options: { decompress: async (bytes) => bytes },
      },
      /type 3.* is none/,
    ],
    ['chunks as in a parent, without one', { records: [{ type: 'kept' }], total: 100 }, /type 4.* is none/],
    [
      'pages as in a parent, without one',
      { records: [pages(0b00_00_00_10, 3)], total: 4 * PAGE_BYTES, manifest: FOUR_PAGES },
      /has no map of its pages/,
    ],
    [
      'pages of no kind',
      { records: [pages(0b01_00_00_11, 2)], total: 4 * PAGE_BYTES, manifest: { ...FOUR_PAGES, ...PARENT } },
      /has no map of its pages/,
    ],
    [
      'fewer pages than the map has',
      { records: [pages(0b00_00_00_01, 2)], total: 4 * PAGE_BYTES, manifest: FOUR_PAGES },
      /has no map of its pages/,
    ],
    [
      'more pages than the map has',
      { records: [pages(0b01_01_01_00, 2)], total: 4 * PAGE_BYTES, manifest: FOUR_PAGES },
      /has no map of its pages/,
    ],
    [
      'pages that are all zero',
      { records: [pages(0b01_01_01_01, 0)], total: 4 * PAGE_BYTES, manifest: FOUR_PAGES },
      /has no map of its pages/,
    ],
    [
      'a map with bits behind its pages',
      { records: [pages(0b01_00_01_00, 1)], total: 2 * PAGE_BYTES, manifest: { chunkBytes: 2 * PAGE_BYTES } },
      /has no map of its pages/,
    ],
    [
      'pages with a part of one',
      {
        records: [{ type: 'pages', plaintext: new Uint8Array(1 + 2 * PAGE_BYTES + 1) }],
        total: 4 * PAGE_BYTES,
        manifest: FOUR_PAGES,
      },
      /type 5.* is none/,
    ],
    [
      'as many pages as a chunk has',
      { records: [pages(0, 4)], total: 4 * PAGE_BYTES, manifest: FOUR_PAGES },
      /type 5.* is none/,
    ],
  ])('refuses %s', async (_, forgery, why) => {
    await expect(opened(forgery)).rejects.toMatchObject({ code: 'altered', message: expect.stringMatching(why) });
  });

  test('refuses more zeros than numbers hold, however few bytes say so', async () => {
    const records: ForgedRecord[] = [{ type: 'zeros', chunks: 2 ** 32 - 1 }];
    const { bytes } = await forge(records, 2 ** 56 - 2 ** 24, { chunkBytes: 2 ** 24 });
    await expect(open(bytes)).rejects.toMatchObject({
      code: 'limit',
      message: expect.stringMatching(/are more than an object has/),
    });
    await expect(scrub([bytes])).rejects.toMatchObject({ code: 'limit' });
  });

  test('refuses a record that is not what the root is of, though its tag is right', async () => {
    const { bytes, root } = await forge([{ ...SHORT, digest: new Uint8Array(32) }], 100);
    await expect(open(bytes, { root })).rejects.toMatchObject({
      code: 'altered',
      message: expect.stringMatching(/is not what its digest says/),
    });
    expect(await scrub([bytes])).toMatchObject({ damaged: 1 });
  });
});

describe('a manifest', () => {
  test.each<[string, Partial<Manifest>]>([
    ['chunks of no byte', { chunkBytes: 0 }],
    ['chunks of less than a page', { chunkBytes: PAGE_BYTES - 1 }],
    ['chunks of a page and a byte', { chunkBytes: PAGE_BYTES + 1 }],
    ['chunks above the limit', { chunkBytes: 16 * 1024 * 1024 + PAGE_BYTES }],
    ['a parent without a root', { parent: { object: '00'.repeat(16), root: '' } }],
    ['a parent that is no object', { parent: { object: 'x', root: NO_ROOT } }],
    ['a part behind its end', { bytes: 100, parts: [{ name: 'a', offset: 0, bytes: 101 }] }],
    ['a part of a stream whose length is not said', { parts: [{ name: 'a', offset: 0, bytes: 100 }] }],
    ['a part within a chunk', { bytes: 100, parts: [{ name: 'a', offset: 50, bytes: 50 }] }],
    ['a part with a name that is a path', { bytes: 100, parts: [{ name: '../a', offset: 0, bytes: 100 }] }],
    [
      'two parts of a name',
      {
        bytes: 5000,
        parts: [
          { name: 'a', offset: 0, bytes: 10 },
          { name: 'a', offset: 4096, bytes: 10 },
        ],
      },
    ],
    [
      'parts that lie over one another',
      {
        bytes: 9000,
        parts: [
          { name: 'a', offset: 0, bytes: 4097 },
          { name: 'b', offset: 4096, bytes: 10 },
        ],
      },
    ],
  ])('with %s is refused', async (_, manifest) => {
    const { bytes } = await forge([SHORT], 100, manifest);
    await expect(open(bytes)).rejects.toMatchObject({
      code: 'altered',
      message: expect.stringMatching(/^the manifest (says what no manifest says|has a part that is none)/),
    });
  });

  test.each<[string, (text: string) => string]>([
    ['another field', (text) => text.replace('"parent":', '"also":1,"parent":')],
    ['a field that comes twice', (text) => text.replace('"bytes":null', '"bytes":99,"bytes":null')],
    ['what it is about twice', (text) => text.replace('"about":{}', '"about":{},"about":{}')],
    ['another order', (text) => text.replace('"parts":[],"about":{}', '"about":{},"parts":[]')],
    ['spaces', (text) => text.replace('{"format"', '{ "format"')],
    ['a number in other digits', (text) => text.replace('"counter":0', '"counter":0.0')],
    ['a mark of its order of bytes', (text) => `\u{feff}${text}`],
    ['more in the name of its parent', (text) => text.replace('"parent":null', PARENT_AND_MORE)],
  ])('with %s is refused: one text for one manifest', async (_, rewrite) => {
    const { bytes } = await forge([SHORT], 100, {}, rewrite);
    await expect(open(bytes)).rejects.toMatchObject({ code: 'altered', message: expect.stringMatching(/manifest/) });
  });

  test('of another version is said to be of it', async () => {
    const { bytes } = await forge([SHORT], 100, {}, (text) => text.replace('ringwall-sealed/1', 'ringwall-sealed/2'));
    await expect(open(bytes)).rejects.toMatchObject({
      code: 'not-sealed',
      message: 'of format "ringwall-sealed/2", expected ringwall-sealed/1',
    });
  });

  test('that is nested so deep that nobody could print it is refused', async () => {
    const deep = `${'['.repeat(400_000)}${']'.repeat(400_000)}`;
    for (const field of ['"format":"ringwall-sealed/1"', '"parts":[]', '"about":{}']) {
      const [name = ''] = field.split(':');
      const { bytes } = await forge([SHORT], 100, {}, (text) => text.replace(field, `${name}:${deep}`));
      await expect(open(bytes), field).rejects.toMatchObject({
        code: 'limit',
        message: expect.stringMatching(/nested deeper than 64/),
      });
      await expect(scrub([bytes]), field).rejects.toMatchObject({ code: 'limit' });
    }
    const about = { text: '[{'.repeat(100), quoted: `"\\${'[{'.repeat(100)}` };
    expect(await open((await seal(contentsOf('s'), { about })).bytes)).toEqual(contentsOf('s'));
  });

  test('with more parts than a machine has is refused', async () => {
    const parts = Array.from({ length: 257 }, (_, index) => ({ name: `p${index}`, offset: 0, bytes: 0 }));
    const { bytes } = await forge([SHORT], 100, { bytes: 100, parts });
    await expect(open(bytes)).rejects.toMatchObject({ code: 'limit' });
  });
});

describe('a head', () => {
  test('is padded with spaces and nothing else', async () => {
    const { bytes } = await seal(contentsOf('s'));
    expect(await open(withEnvelope(bytes, (text) => `${text}  `))).toEqual(contentsOf('s'));
    await expect(open(withEnvelope(bytes, (text) => `${text.slice(0, -2)}\t `))).rejects.toMatchObject({
      code: 'altered',
      message: expect.stringMatching(/more than an envelope says/),
    });
  });

  test('for more than may be is refused', async () => {
    const { bytes } = await seal(contentsOf('s'));
    const many = withEnvelope(bytes, (text) => {
      const { keys, mac } = JSON.parse(text);
      return JSON.stringify({ keys: Array.from({ length: MAX_RECIPIENTS + 1 }, () => keys[0]), mac });
    });
    await expect(open(many)).rejects.toMatchObject({ code: 'altered', message: 'the envelope is none' });
  });

  test('that is longer than a head may be is refused before it is read', async () => {
    const { bytes } = await seal(contentsOf('s'));
    const tooLong = bytes.slice();
    new DataView(tooLong.buffer).setUint32(8, 64 * 1024 + 1);
    await expect(open(tooLong)).rejects.toMatchObject({ code: 'limit', offset: 8 });
    const manifestAt = partsOf(bytes).head.length - lengthOfManifest(bytes) - 4;
    const longManifest = bytes.slice();
    new DataView(longManifest.buffer).setUint32(manifestAt, 1024 * 1024 + 1);
    await expect(open(longManifest)).rejects.toMatchObject({ code: 'limit', offset: manifestAt });
  });

  test('that says more than a manifest may is not written', async () => {
    const about = { text: 'x'.repeat(1024 * 1024) };
    await expect(seal(contentsOf('s'), { about, recipients: [OPENER] })).rejects.toMatchObject({ code: 'limit' });
  });
});

function lengthOfManifest(sealed: Uint8Array): number {
  const text = new TextDecoder('latin1').decode(sealed);
  const from = text.indexOf('{"format"');
  expect(from).toBeGreaterThan(0);
  return new DataView(sealed.buffer).getUint32(from - 4);
}
