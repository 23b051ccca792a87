import { concatBytes, ParseError, toHex, utf8, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt, flipBit } from '../../testing/attempt.ts';
import {
  digestField,
  encodeIma,
  imaNg,
  imaPcr,
  nameField,
  sha,
  violation,
  type TestImaEntry,
} from '../../testing/ima-list.ts';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { matchImaLog } from './ima-match.ts';
import { ImaReplay, MAX_IMA_ENTRIES, type ImaEntry, type ImaReplayOptions, type ImaState } from './ima-replay.ts';
import { MAX_IMA_TEMPLATE_DATA_BYTES } from './ima-template.ts';
import { readImaText } from './ima-text.ts';

const FILES = [imaNg('boot_aggregate'), imaNg('/init'), imaNg('/usr/bin/sh'), imaNg('/usr/lib/libc.so.6')] as const;
const KEYLIME = 'ima/rust-keylime/ascii_runtime_measurements';

function replay(list: Uint8Array, options: ImaReplayOptions = {}): ImaState {
  const ima = new ImaReplay(options);
  ima.push(list);
  ima.end();
  return ima.state;
}

function entriesOf(list: Uint8Array): readonly ImaEntry[] {
  const entries: ImaEntry[] = [];
  replay(list, { onEntry: (entry) => entries.push(entry) });
  return entries;
}

describe('ImaReplay', () => {
  test('replays both banks of PCR 10', () => {
    const state = replay(encodeIma(...FILES));
    expect(state).toMatchObject({ entries: 4, bytes: encodeIma(...FILES).length, violations: 0 });
    expect(toHex(state.sha1)).toBe(toHex(imaPcr('sha1', ...FILES)));
    expect(toHex(state.sha256)).toBe(toHex(imaPcr('sha256', ...FILES)));
  });

  test('takes chunks of any size', () => {
    const list = encodeIma(...FILES);
    for (const size of [1, 2, 7, 64, list.length - 1]) {
      const ima = new ImaReplay();
      for (let at = 0; at < list.length; at += size) ima.push(list.subarray(at, at + size));
      ima.end();
      expect(ima.state).toEqual(replay(list));
    }
  });

  test('goes on where an earlier replay stood, part of an entry or not', () => {
    const list = encodeIma(...FILES);
    const first = new ImaReplay();
    first.push(list.subarray(0, list.length - 5));
    expect(first.state.entries).toBe(3);
    const rest = list.subarray(first.state.bytes);
    expect(replay(rest, { from: first.state })).toEqual(replay(list));
  });

  test('reads the fields of each template that Linux has', () => {
    const digest = sha('sha256', utf8('file'));
    const ng = digestField('sha256:', digest);
    const v2 = digestField('verity:sha256:', digest);
    const list = encodeIma(
      { template: 'ima-sig', fields: [ng, nameField('/a'), Uint8Array.of(3, 2)] },
      { template: 'ima-sig', fields: [ng, nameField('/unsigned'), new Uint8Array(0)] },
      { template: 'ima-ngv2', fields: [v2, nameField('/b')] },
      { template: 'ima-sigv2', fields: [v2, nameField('/c'), Uint8Array.of(9)] },
      { template: 'ima-buf', fields: [ng, nameField('kexec-cmdline'), utf8('root=/dev/sda')] },
      { template: 'ima-modsig', fields: [ng, nameField('/m.ko'), new Uint8Array(0), ng, Uint8Array.of(0x30)] },
      { template: 'd-ng|n-ng|sig', fields: [ng, nameField('/custom'), Uint8Array.of(7)] },
    );
    const entries = entriesOf(list);
    expect(entries.map(({ template, name }) => `${template} ${name}`)).toEqual([
      'ima-sig /a',
      'ima-sig /unsigned',
      'ima-ngv2 /b',
      'ima-sigv2 /c',
      'ima-buf kexec-cmdline',
      'ima-modsig /m.ko',
      'd-ng|n-ng|sig /custom',
    ]);
    expect(entries[0]).toMatchObject({
      digest: { algorithm: 'sha256', value: digest },
      signature: Uint8Array.of(3, 2),
    });
    expect(entries[1]?.signature).toBeUndefined();
    expect(entries[2]?.digest).toMatchObject({ type: 'verity', algorithm: 'sha256' });
    expect(entries[4]?.buffer).toEqual(utf8('root=/dev/sda'));
    expect(entries[5]).toMatchObject({ modsigDigest: { algorithm: 'sha256' }, modsig: Uint8Array.of(0x30) });
  });

  test('hashes the old template as the kernel does: the name as 256 bytes', () => {
    const digest = sha('sha1', utf8('file'));
    const padded = new Uint8Array(256);
    padded.set(utf8('/bin/sh'));
    const list = new Writer()
      .u32le(10)
      .bytes(sha('sha1', concatBytes(digest, padded)))
      .sized32le((name) => name.bytes(utf8('ima')))
      .bytes(digest)
      .sized32le((name) => name.bytes(utf8('/bin/sh')))
      .finish();
    expect(entriesOf(list)).toMatchObject([{ template: 'ima', name: '/bin/sh', digest: { value: digest } }]);
    expect(() => replay(flipBit(list, (list.length - 1) * 8))).toThrow('is not that of the template data');
  });

  test('takes lists whose template digests are SHA-256', () => {
    const data = encodeIma(imaNg('/init')).subarray(4 + 20);
    const templated = data.subarray(4 + 6 + 4);
    const list = concatBytes(Uint8Array.of(10, 0, 0, 0), sha('sha256', templated), data);
    expect(replay(list, { templateHash: 'sha256' })).toMatchObject({
      entries: 1,
      sha256: imaPcr('sha256', imaNg('/init')),
    });
  });

  test.each<[string, Partial<TestImaEntry>, string]>([
    ['another PCR', { pcr: 11 }, 'pcr 11, expected 10'],
    ['a template that Linux lacks', { template: 'ima-xx' }, 'template "ima-xx", expected one that Linux has'],
    ['a template name that is too long', { template: 'd-ng|'.repeat(26) }, 'template name has 130 bytes'],
    ['a field too many', { fields: [...imaNg('/a').fields, new Uint8Array(0)] }, 'template data has 4 bytes after'],
    ['a field too few', { fields: [digestField('sha256:', new Uint8Array(32))] }, 'n-ng needs 4 bytes'],
    ['a name without end', { fields: [digestField('sha256:', new Uint8Array(32)), utf8('/a')] }, 'n-ng has 2 bytes'],
    [
      'a name longer than PATH_MAX',
      { fields: [digestField('sha256:', new Uint8Array(32)), nameField('/'.repeat(4096))] },
      'n-ng has 4097 bytes, expected at most 4096',
    ],
    [
      'a digest that is too long',
      { fields: [digestField('sha256:', new Uint8Array(200)), nameField('/a')] },
      'd-ng has',
    ],
    [
      'more template data than the limit',
      { template: 'ima-buf', fields: [...imaNg('/a').fields, new Uint8Array(MAX_IMA_TEMPLATE_DATA_BYTES)] },
      'template data has 262',
    ],
  ])('refuses %s', (_, change, message) => {
    const list = encodeIma({ ...imaNg('/a'), ...change });
    expect(() => replay(list)).toThrow(ParseError);
    expect(() => replay(list)).toThrow(message);
  });

  test.each<[string, Uint8Array]>([
    ['a digest without an algorithm', utf8('\0digest')],
    ['a digest of no bytes', utf8('sha256:\0')],
    ['a digest without NUL', utf8('sha256:digest')],
  ])('refuses %s where entries are looked at', (_, field) => {
    expect(() => entriesOf(encodeIma({ template: 'ima-ng', fields: [field, nameField('/a')] }))).toThrow(ParseError);
  });

  test('refuses a NUL within a name where entries are looked at', () => {
    expect(() => entriesOf(encodeIma(imaNg('/usr/bin/good\0/evil')))).toThrow('name has a NUL');
  });

  test('is over after its first error', () => {
    const ima = new ImaReplay();
    expect(() => ima.push(encodeIma({ ...imaNg('/a'), pcr: 9 }))).toThrow(ParseError);
    expect(() => ima.push(encodeIma(imaNg('/a')))).toThrow('pcr 9');
    expect(() => ima.end()).toThrow('pcr 9');
    expect(ima.state.entries).toBe(0);
  });

  test('refuses one entry more than the limit, counted since boot', () => {
    const from = { ...replay(encodeIma(imaNg('/a'))), entries: MAX_IMA_ENTRIES - 1 };
    expect(replay(encodeIma(imaNg('/b')), { from }).entries).toBe(MAX_IMA_ENTRIES);
    expect(() => replay(encodeIma(imaNg('/b'), imaNg('/c')), { from })).toThrow('entries 1000000 and more');
  });

  test('every truncation is refused, or is a shorter list', () => {
    const list = encodeIma(...FILES);
    const ends = new Set([0, 1, 2, 3, 4].map((count) => encodeIma(...FILES.slice(0, count)).length));
    for (let length = 0; length < list.length; length += 1) {
      const state = attempt(() => replay(list.subarray(0, length)));
      expect(state instanceof ParseError, `${length} bytes`).toBe(!ends.has(length));
    }
  });

  test('a length of four thousand million is refused before anything is kept for it', () => {
    const head = new Writer()
      .u32le(10)
      .bytes(new Uint8Array(20))
      .sized32le((name) => name.bytes(utf8('ima-ng')));
    const ima = new ImaReplay();
    expect(() => ima.push(head.u32le(0xffff_ffff).finish())).toThrow('template data has 4294967295 bytes');
  });

  test('arbitrary bytes throw only ParseError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, behindOne) => {
        expect(attempt(() => entriesOf(behindOne ? concatBytes(encodeIma(imaNg('/a')), bytes) : bytes))).toBeDefined();
      }),
    );
  });

  test('twenty thousand entries, in chunks, with the memory of one', () => {
    const one = encodeIma(imaNg('/usr/lib/x86_64-linux-gnu/libc.so.6'));
    const chunk = concatBytes(...Array.from({ length: 1000 }, () => one));
    const ima = new ImaReplay();
    for (let sent = 0; sent < 20; sent += 1) ima.push(chunk);
    ima.end();
    expect(ima.state).toMatchObject({ entries: 20_000, bytes: one.length * 20_000 });
  });
});

describe('checklist 11: the IMA log may run ahead of the PCR, never behind', () => {
  const quoted = { bank: 'sha256', value: imaPcr('sha256', ...FILES.slice(0, 3)) } as const;

  test('a list that runs ahead matches after the entries that were quoted', () => {
    expect(matchImaLog(encodeIma(...FILES), { quoted })).toMatchObject({
      outcome: 'matched',
      state: { entries: 3 },
      ahead: 1,
    });
  });

  test('a list of exactly those entries matches, in SHA-1 too', () => {
    const sha1 = { bank: 'sha1', value: imaPcr('sha1', ...FILES) } as const;
    expect(matchImaLog(encodeIma(...FILES), { quoted: sha1 })).toMatchObject({ outcome: 'matched', ahead: 0 });
  });

  test('a list that is behind does not match', () => {
    expect(matchImaLog(encodeIma(...FILES.slice(0, 2)), { quoted })).toEqual({ outcome: 'behind', entries: 2 });
  });

  test('an increment is judged with what came before it', () => {
    const from = replay(encodeIma(...FILES.slice(0, 2)));
    expect(matchImaLog(encodeIma(...FILES.slice(2)), { quoted, from })).toMatchObject({
      outcome: 'matched',
      state: { entries: 3 },
    });
    expect(matchImaLog(encodeIma(...FILES.slice(3)), { quoted, from }).outcome).toBe('behind');
  });

  test('a PCR that did not move matches an increment of nothing', () => {
    const from = replay(encodeIma(...FILES.slice(0, 3)));
    expect(matchImaLog(new Uint8Array(0), { quoted, from })).toMatchObject({ outcome: 'matched', ahead: 0 });
  });

  test('a violation among the entries that were quoted refuses', () => {
    const entries = [FILES[0], violation('/etc/shadow'), FILES[1]];
    const violated = { bank: 'sha256', value: imaPcr('sha256', ...entries) } as const;
    expect(matchImaLog(encodeIma(...entries), { quoted: violated }).outcome).toBe('violated');
    const before = { bank: 'sha256', value: imaPcr('sha256', FILES[0]) } as const;
    expect(matchImaLog(encodeIma(...entries), { quoted: before }).outcome).toBe('matched');
  });

  test('a violation extends all ones, and cannot be dressed as an entry', () => {
    const state = replay(encodeIma(violation('/a')));
    expect(state.violations).toBe(1);
    expect(state.sha256).toEqual(sha('sha256', concatBytes(new Uint8Array(32), new Uint8Array(32).fill(0xff))));
  });

  test('template hashes are recomputed: a path that was rewritten is refused', () => {
    const list = encodeIma(...FILES);
    const at = list.length - 3;
    expect(() => matchImaLog(flipBit(list, at * 8), { quoted })).toThrow('the list was rewritten');
  });

  test('a path and its template digest rewritten together do not lead to the quoted PCR', () => {
    const forged = [FILES[0], imaNg('/usr/bin/harmless'), FILES[2]];
    expect(matchImaLog(encodeIma(...forged), { quoted }).outcome).toBe('behind');
  });

  test('a quoted value of another length is refused, not compared in part', () => {
    expect(() => matchImaLog(encodeIma(...FILES), { quoted: { bank: 'sha256', value: new Uint8Array(0) } })).toThrow(
      'quoted has 0 bytes',
    );
  });
});

describe.skipIf(!VECTORS_PRESENT)(`the list of a real machine${NEEDS_VECTORS}`, () => {
  test('826 entries in text: each template hash recomputes, and PCR 10 is that of the TPM', () => {
    const names: string[] = [];
    const ima = new ImaReplay({ onEntry: ({ name }) => names.push(name) });
    for (const entry of readImaText([readVector(KEYLIME)])) ima.push(entry);
    ima.end();
    expect(ima.state).toMatchObject({ entries: 826, violations: 0 });
    expect(toHex(ima.state.sha1)).toMatch(/^82231c67.*9225fc$/);
    expect(names.slice(0, 2)).toEqual(['boot_aggregate', '/init']);
  });

  test('matches by the quoted PCR, in text and in chunks', () => {
    const list = readVector(KEYLIME);
    const whole = new ImaReplay();
    for (const entry of readImaText([list])) whole.push(entry);
    const chunks = Array.from({ length: Math.ceil(list.length / 100) }, (_, at) =>
      list.subarray(at * 100, at * 100 + 100),
    );
    const quoted = { bank: 'sha256', value: whole.state.sha256 } as const;
    expect(matchImaLog(chunks, { quoted, form: 'text' })).toMatchObject({ outcome: 'matched', ahead: 0 });
  });
});
