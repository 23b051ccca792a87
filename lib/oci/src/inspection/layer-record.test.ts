import { describe, expect, it } from 'vitest';
import { makeEntry } from '../../testing/make-image.ts';
import { OciError } from '../oci-error.ts';
import { finishFacts, idsOf } from './finish-facts.ts';
import type { Fact, Inspector } from './inspector.ts';
import { decodeLayer, encodeLayer } from './layer-record.ts';

const CONTENTS = {
  entries: [
    makeEntry('a\nb"', { mode: 0o4755, uid: 7, bytes: 2 ** 40, modified: -1, userName: 'ü' }),
    makeEntry('link', { type: 'symlink', target: '../../x', hazards: ['link-outside'], isSparse: true }),
    makeEntry('cap', { attributes: new Map([['security.capability', 'x\u0001']]) }),
    makeEntry('folder/'),
  ],
  facts: [{ inspector: 'a/1', path: 'a', value: { x: [1, null, true, 'y\n'] } }],
};

describe('a record of a layer', () => {
  it('is read as it was written', () => {
    expect(decodeLayer(encodeLayer(CONTENTS))).toEqual(CONTENTS);
    expect(decodeLayer(encodeLayer({ entries: [], facts: [] }))).toEqual({ entries: [], facts: [] });
  });

  it('is refused where it is damaged, and never half believed', () => {
    const record = encodeLayer(CONTENTS);
    for (let length = 0; length < record.length; length += 1)
      expect(() => decodeLayer(record.slice(0, length))).toThrow(OciError);
    for (const odd of ['[1]\n[]', '[["a"]]\n[]', '{}\n[]', '[]\n[["a","b"]]', '[]\n[["a",1,2]]', '[]\n{}'])
      expect(() => decodeLayer(odd)).toThrow(OciError);
  });
});

describe('finishFacts()', () => {
  const inspector: Inspector = {
    id: 'a/1',
    wants: () => 0,
    inspect: () => [],
    redact: (value) => `${JSON.stringify(value)}, redacted`,
  };

  it('lets the host finish facts, and then takes out what must not be kept', async () => {
    const finisher = {
      inspector: 'a/1',
      id: 'f/1',
      finish: (facts: readonly Fact[]) => Promise.resolve(facts.map((fact) => ({ ...fact, value: 'finished' }))),
    };
    const { facts } = await finishFacts(CONTENTS, [inspector], [finisher]);
    expect(facts).toEqual([{ inspector: 'a/1', path: 'a', value: '"finished", redacted' }]);
    expect(idsOf([inspector], [finisher])).toEqual(['a/1', 'f/1']);
  });
});
