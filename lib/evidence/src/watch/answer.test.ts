import { toHex } from '@ringwall/bytes';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeWatched, type Watched } from '../../testing/watching.ts';
import { askWatch, WATCH_LIMITS, WatchAnswerReader, type WatchAnswer, type WatchQuestion } from './index.ts';
import { EvidenceError } from '../errors.ts';

let question: WatchQuestion;
let watched: Watched;
let lines: readonly string[];
beforeAll(async () => {
  watched = await makeWatched();
  question = askWatch(watched.record);
  const { quote, quoteSignature, log } = await watched.answer(question, watched.booted);
  lines = [
    `observed ${log.length}`,
    `quote ${toHex(quote)} ${toHex(quoteSignature)}`,
    `ima-log ${toHex(log.subarray(0, 100))}`,
    `ima-log ${toHex(log.subarray(100))}`,
    'more',
    'end',
  ];
});

function read(from: readonly string[]): WatchAnswer | undefined {
  const reader = new WatchAnswerReader(question);
  return from.map((line) => reader.push(line)).at(-1);
}

describe('WatchAnswerReader', () => {
  test('reads an answer to its `end`', async () => {
    const expected = await watched.answer(question, watched.booted);
    const answer = read(lines);
    expect(answer?.log).toEqual(expected.log);
    expect(answer).toMatchObject({ more: true });
    expect(read(lines.filter((line) => line !== 'more'))).toMatchObject({ more: false });
    expect(read(['observed 0', lines[1] ?? '', 'end'])).toMatchObject({ log: new Uint8Array(), more: false });
  });

  test('says whether the TPM had written its state down before', () => {
    expect(read(lines)).toMatchObject({ noted: false });
    expect(read(lines.toSpliced(5, 0, 'noted'))).toMatchObject({ more: true, noted: true });
    for (const wrong of [lines.toSpliced(5, 0, 'noted', 'noted'), lines.toSpliced(4, 0, 'noted')]) {
      expect(() => read(wrong)).toThrow('is not at its place');
    }
    expect(() => read(lines.toSpliced(3, 0, 'noted'))).toThrow('`ima-log` is not at its place');
  });

  test('takes every line at its place only', () => {
    for (const at of lines.keys()) {
      if (at > 3) continue;
      expect(() => read(lines.toSpliced(at, 1)), `without line ${at}`).toThrow(EvidenceError);
      expect(() => read(lines.toSpliced(at, 0, lines[at] ?? '')), `line ${at} twice`).toThrow(EvidenceError);
    }
    expect(() => read(lines.toSpliced(4, 0, 'more'))).toThrow('`more` is not at its place');
    expect(() => read(['end'])).toThrow('`end` is not at its place');
    expect(() => read([lines[1] ?? ''])).toThrow('`quote` is not at its place');
    expect(() => read(lines.toSpliced(5, 0, lines[2] ?? ''))).toThrow('`ima-log` is not at its place');
  });

  test.each([
    ['an unknown line', ['watch 1']],
    ['two spaces', ['observed  1']],
    ['a place that is no number', ['observed 0x10']],
    ['a place with leading zeros', ['observed 01']],
    ['upper case', ['observed 0', 'quote FF FF']],
    ['half a byte', ['observed 0', 'quote f ff']],
    ['no signature', ['observed 0', 'quote ff']],
    ['a quote that is too long', ['observed 0', `quote ${'ff'.repeat(2049)} ff`]],
    ['an empty piece of the list', ['observed 0', 'quote ff ff', 'ima-log ']],
    ['a piece of the list that is too long', ['observed 0', 'quote ff ff', `ima-log ${'ff'.repeat(1025)}`]],
    ['a line that is too long', ['x'.repeat(4097)]],
    ['another number of bytes than it says', ['observed 1', 'quote ff ff', 'end']],
  ])('refuses %s', (_, wrong) => {
    expect(() => read(wrong)).toThrow(EvidenceError);
  });

  test('takes no more lines than the limit, however short they are', () => {
    const reader = new WatchAnswerReader(question);
    reader.push('observed 200');
    reader.push('quote ff ff');
    for (let taken = 2; taken < WATCH_LIMITS.lines; taken += 1) reader.push('ima-log 00');
    expect(() => reader.push('ima-log 00')).toThrow(`more than ${WATCH_LIMITS.lines} lines`);
  });

  test('takes no more of the list than the limit', () => {
    const reader = new WatchAnswerReader(question);
    reader.push(`observed ${WATCH_LIMITS.logBytes}`);
    reader.push('quote ff ff');
    const piece = `ima-log ${'00'.repeat(WATCH_LIMITS.logLineBytes)}`;
    for (let sent = 0; sent < WATCH_LIMITS.logBytes; sent += WATCH_LIMITS.logLineBytes) reader.push(piece);
    expect(() => reader.push(piece)).toThrow('bytes of the list');
  });
});
