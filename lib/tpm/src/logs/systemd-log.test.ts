import { createHash } from 'node:crypto';
import { concatBytes, ParseError, toHex, utf8 } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt, flipBit } from '../../testing/attempt.ts';
import { sha } from '../../testing/ima-list.ts';
import {
  isMeasuredText,
  MAX_SYSTEMD_LOG_BYTES,
  MAX_SYSTEMD_RECORDS,
  parseSystemdLog,
  replaySystemdLog,
} from './systemd-log.ts';

const hash = (text: string, algorithm = 'sha256'): string => createHash(algorithm).update(text).digest('hex');

/** As systemd 257 writes it. */
function record(change: object = {}, text = 'enter-initrd'): string {
  const whole = {
    pcr: 11,
    digests: [{ hashAlg: 'sha256', digest: hash(text) }],
    content_type: 'systemd',
    content: { string: text, bootId: 'ab'.repeat(16), timestamp: 3_000_000, eventType: 'phase' },
    ...change,
  };
  return `\u001e${JSON.stringify(whole)}\n`;
}

describe('parseSystemdLog()', () => {
  test('reads what systemd writes', () => {
    const log = utf8(record() + record({ pcr: 15, content: { string: 'machine-id:ab', eventType: 'machine-id' } }));
    expect(parseSystemdLog(log)).toMatchObject([
      { index: 0, pcr: 11, eventType: 'phase', text: 'enter-initrd', bootId: 'ab'.repeat(16) },
      { index: 1, pcr: 15, eventType: 'machine-id', bootId: undefined },
    ]);
    expect(parseSystemdLog(new Uint8Array(0))).toEqual([]);
  });

  test('takes records of NV indices, and digests of hashes that it does not know', () => {
    const log =
      record({ pcr: undefined, nv_index: 0x1d1_0200 }) + record({ digests: [{ hashAlg: 'sm9', digest: 'ab' }] });
    expect(parseSystemdLog(utf8(log))).toMatchObject([{ pcr: undefined, nvIndex: 0x1d1_0200 }, { digests: new Map() }]);
  });

  test.each<[string, string]>([
    ['a log without separators', '{}\n'],
    ['a record that is cut short', record().slice(0, -1)],
    ['a record that is no JSON', '\u001e{"pcr":\n'],
    ['a record that is a list', '\u001e[]\n'],
    ['an empty record', '\u001e\n'],
    ['PCR 24', record({ pcr: 24 })],
    ['half a PCR', record({ pcr: 0.5 })],
    ['a PCR that is a text', record({ pcr: '11' })],
    ['neither PCR nor NV index', record({ pcr: undefined })],
    ['PCR and NV index', record({ nv_index: 1 })],
    ['another content', record({ content_type: 'ima' })],
    ['no content', record({ content: undefined })],
    ['no digests', record({ digests: [] })],
    ['nine digests', record({ digests: Array.from({ length: 9 }, () => ({ hashAlg: 'sha256', digest: hash('x') })) })],
    ['a digest twice', record({ digests: [0, 0].map(() => ({ hashAlg: 'sha256', digest: hash('x') })) })],
    ['a digest of another length', record({ digests: [{ hashAlg: 'sha256', digest: 'ab' }] })],
    ['a digest that is no hex', record({ digests: [{ hashAlg: 'sha256', digest: 'zz'.repeat(32) }] })],
    [
      'more records than the limit',
      record()
        .repeat(MAX_SYSTEMD_RECORDS + 1)
        .slice(0, MAX_SYSTEMD_LOG_BYTES),
    ],
  ])('refuses %s', (_, log) => {
    expect(attempt(() => parseSystemdLog(utf8(log)))).toBeInstanceOf(ParseError);
  });

  test('refuses JSON that nests deeper than any record', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(20)}${']'.repeat(20)}`);
    expect(() => parseSystemdLog(utf8(record({ deep })))).toThrow('record 0 nests deeper than 16');
    expect(attempt(() => parseSystemdLog(utf8(`\u001e${'['.repeat(500_000)}\n`)))).toBeInstanceOf(ParseError);
  });

  test('refuses a log beyond its limit, and one that is no UTF-8', () => {
    expect(() => parseSystemdLog(new Uint8Array(MAX_SYSTEMD_LOG_BYTES + 1))).toThrow('expected at most 1048576');
    expect(() => parseSystemdLog(Uint8Array.of(0x1e, 0xff, 0x0a))).toThrow('is no UTF-8');
  });

  test('every truncation and every flipped bit is refused or read, and nothing else is thrown', () => {
    const log = utf8(record() + record());
    for (let length = 0; length < log.length; length += 1) {
      expect(attempt(() => parseSystemdLog(log.subarray(0, length)))).toBeDefined();
    }
    fc.assert(
      fc.property(fc.nat(log.length * 8 - 1), (bit) => {
        expect(attempt(() => parseSystemdLog(flipBit(log, bit)))).toBeDefined();
      }),
      { numRuns: 1000 },
    );
  });
});

describe('replaySystemdLog()', () => {
  test('goes on where the firmware left each PCR', async () => {
    const records = parseSystemdLog(utf8(record() + record({}, 'leave-initrd') + record({ pcr: 12 })));
    const before = new Uint8Array(32).fill(0xaa);
    const pcrs = await replaySystemdLog(records, 'sha256', new Map([[11, before]]));
    const first = sha('sha256', concatBytes(before, sha('sha256', utf8('enter-initrd'))));
    expect(toHex(pcrs.get(11) ?? before)).toBe(
      toHex(sha('sha256', concatBytes(first, sha('sha256', utf8('leave-initrd'))))),
    );
    expect([...pcrs.keys()]).toEqual([11, 12]);
  });

  test('refuses a bank that a record lacks', async () => {
    await expect(replaySystemdLog(parseSystemdLog(utf8(record())), 'sha384')).rejects.toThrow('has no sha384 digest');
  });

  test('checklist 8: the words of a record are used only where their hash is the digest', async () => {
    const [said] = parseSystemdLog(utf8(record()));
    const [claimed] = parseSystemdLog(utf8(record({ digests: [{ hashAlg: 'sha256', digest: hash('other') }] })));
    expect(said && (await isMeasuredText(said, 'sha256'))).toBe(true);
    expect(claimed && (await isMeasuredText(claimed, 'sha256'))).toBe(false);
    expect(said && (await isMeasuredText(said, 'sha1'))).toBe(false);
  });
});
