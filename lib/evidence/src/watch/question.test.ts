import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { beforeAll, expect, test } from 'vitest';
import { makeWatched, type Watched } from '../../testing/watching.ts';
import {
  askWatch,
  MAX_ANSWER_MS,
  MAX_KEPT_STRAYS,
  observeLine,
  observeQualifyingData,
  observeText,
  WATCH_CHECK_TITLES,
  WATCH_LIMITS,
} from './index.ts';

// The example of docs/protocols/watching.md.
const EXAMPLE = {
  nonce: Uint8Array.from({ length: 32 }, (_, index) => index),
  machine: 'mch_aaaaaaaaaaaaaaaaaaaa',
  boot: '0123456789abcdef0123456789abcdef',
  from: 5619,
};
let watched: Watched;
beforeAll(async () => {
  watched = await makeWatched();
});

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../../../docs/protocols/watching.md'), 'utf8');

test('docs/protocols/watching.md says the limits that the code has, and its checks', () => {
  const section = DOCUMENT.slice(DOCUMENT.indexOf('## Limits'), DOCUMENT.indexOf('## What it does not show'));
  const rows = [...section.matchAll(/^\| (.+?) \| (\d+) ?(?:bytes|ms|characters)? \|/gm)];
  expect(Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)]))).toEqual({
    'line of an answer': WATCH_LIMITS.lineCharacters,
    'list in an answer': WATCH_LIMITS.logBytes,
    'list in a line': WATCH_LIMITS.logLineBytes,
    'lines of an answer': WATCH_LIMITS.lines,
    'age of an answer': MAX_ANSWER_MS,
    'strays that are kept': MAX_KEPT_STRAYS,
  });
  const checks = DOCUMENT.slice(DOCUMENT.indexOf('## What the broker checks'), DOCUMENT.indexOf('| outcome |'));
  const named = [...checks.matchAll(/^\| ([a-z][a-z, -]*) \|/gm)].flatMap(([, names = '']) => names.split(', '));
  expect(named.filter((name) => name !== 'check')).toEqual(Object.keys(WATCH_CHECK_TITLES));
});

test('observeQualifyingData() is the digest that the protocol document gives', async () => {
  expect(DOCUMENT).toContain(`qualifying data ${toHex(await observeQualifyingData(EXAMPLE))}\n`);
  expect(toHex(await observeQualifyingData(EXAMPLE))).toBe(
    '4d0884a193a001bde296e396391f43461b5595ab1860ac3ac63f5b90ea8f83fd',
  );
});

test('checklist 3: nonces are never the same, and no part of a question can be read as another', () => {
  const nonces = new Set(Array.from({ length: 100 }, () => toHex(askWatch(watched.record).nonce)));
  expect(nonces.size).toBe(100);
  expect(observeLine(EXAMPLE)).toMatch(/^observe [0-9a-f]{64} mch_a{20} [0-9a-f]{32} 5619$/);
  expect(() => observeText({ ...EXAMPLE, machine: 'mch_a\nb' })).toThrow('machine id');
  expect(() => observeText({ ...EXAMPLE, boot: 'x' })).toThrow('boot id');
  for (const from of [-1, 0.5, Number.NaN]) expect(() => observeText({ ...EXAMPLE, from })).toThrow('from is');
});
