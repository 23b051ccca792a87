import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { makeEntry, makeImage } from '../../testing/make-image.ts';
import { OciError } from '../oci-error.ts';
import { MAX_INSPECTED_BYTES, openEntryInspection, openLayerInspection } from './inspect-layer.ts';
import type { Fact, Inspector } from './inspector.ts';

const reading = (bytes: number | undefined): Inspector => ({
  id: `read-${bytes}/1`,
  wants: ({ type }) => (type === 'file' ? bytes : undefined),
  inspect: (_entry, content) => [new TextDecoder().decode(content)],
});
const FIXTURE = gunzipSync(readFileSync(join(import.meta.dirname, '../../fixtures/tar/posix.tar.gz')));

describe('openLayerInspection()', () => {
  it('gives each inspector as much as it asked for, however the archive is cut', () => {
    const whole = factsOf(FIXTURE.length);
    expect(whole.length).toBeGreaterThan(0);
    for (const step of [1, 7, 511, 4096]) expect(factsOf(step)).toEqual(whole);
  });

  it('names the last entry where the archive breaks', () => {
    const inspection = openLayerInspection([]);
    inspection.push(FIXTURE.subarray(0, 4000));
    expect(() => inspection.end()).toThrow(/its archive, at byte \d+, after “.+”/);
  });
});

describe('openEntryInspection()', () => {
  it('gives an inspector its part, and nothing of another file', () => {
    const inspection = openEntryInspection([reading(3), reading(0), reading(undefined), reading(1e9)]);
    for (const text of ['abcdef', 'x', ''])
      inspection.entry(makeEntry(text, { bytes: text.length }))?.take(Buffer.from(text));
    expect(
      inspection.end().facts.map(({ inspector, path, value }) => `${inspector} ${path} ${JSON.stringify(value)}`),
    ).toEqual([
      'read-3/1 abcdef "abc"',
      'read-0/1 abcdef ""',
      'read-1000000000/1 abcdef "abcdef"',
      'read-3/1 x "x"',
      'read-0/1 x ""',
      'read-1000000000/1 x "x"',
      'read-3/1  ""',
      'read-0/1  ""',
      'read-1000000000/1  ""',
    ]);
  });

  it('holds no more than its limit, whatever an inspector asks for and a file claims', () => {
    let seen = 0;
    const inspection = openEntryInspection([
      { id: 'all/1', wants: () => Infinity, inspect: (_entry, { length }) => [(seen = length)] },
    ]);
    const sink = inspection.entry(makeEntry('big', { bytes: 1e12 }));
    const chunk = new Uint8Array(MAX_INSPECTED_BYTES / 2 + 1);
    for (let times = 0; times < 4; times += 1) sink?.take(chunk);
    inspection.end();
    expect(seen).toBe(MAX_INSPECTED_BYTES);
  });

  it('lets no image pass on which an inspector fails', () => {
    const failing: Inspector = {
      id: 'bad/1',
      wants: () => 0,
      inspect: () => {
        throw new RangeError('oops');
      },
    };
    const inspection = openEntryInspection([failing]);
    inspection.entry(makeEntry('etc/x'));
    expect(() => inspection.end()).toThrow(new OciError('malformed', 'inspector bad/1 at “etc/x”: oops'));
  });

  it('ends where an archive of long paths would fill the memory', () => {
    const inspection = openEntryInspection([]);
    const path = 'x'.repeat(4096);
    expect(() => {
      for (;;) inspection.entry(makeEntry(path));
    }).toThrow(/more than \d+ characters/);
  });
});

describe('inspectImage()', () => {
  it('says of each fact which layer brought it, and which hid its file', () => {
    const image = makeImage({
      layers: [{ key: 'one', b: 'two' }, { '.wh.key': '' }, { key: 'three' }],
      inspectors: [reading(10)],
    });
    expect(
      image
        .facts('read-10/1')
        .filter(({ path }) => !path.startsWith('.wh.'))
        .map(({ path, layer, hiddenBy, value }) => [path, layer, hiddenBy, value]),
    ).toEqual([
      ['key', 0, 1, 'one'],
      ['b', 0, undefined, 'two'],
      ['key', 2, undefined, 'three'],
    ]);
    expect(image.facts('other/1')).toEqual([]);
  });
});

function factsOf(step: number): readonly Fact[] {
  const inspection = openLayerInspection([reading(100), reading(5)]);
  for (let at = 0; at < FIXTURE.length; at += step) inspection.push(FIXTURE.subarray(at, at + step));
  return inspection.end().facts;
}
