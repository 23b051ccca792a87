import { beforeAll, describe, expect, test } from 'vitest';
import { imaNg } from '../../../tpm/testing/ima-list.ts';
import { makeScene } from '../../testing/scene.ts';
import { makeWatched, type Watched } from '../../testing/watching.ts';
import { EvidenceError } from '../errors.ts';
import { askWatch, parseWatchRecord, renderWatchRecord, startWatch, watchBaseline, type WatchRecord } from './index.ts';

let watched: Watched;
let record: WatchRecord;
beforeAll(async () => {
  watched = await makeWatched();
  const ran = [...watched.booted, imaNg('/tmp/evil')];
  const half = await watched.judge(ran, { lies: { more: true, measured: [imaNg('/x')] } });
  record = { ...(await watched.judge(ran)).record, pending: half.record.pending };
});

describe('a record of the watch', () => {
  test('is the same after it was stored', () => {
    expect(parseWatchRecord(renderWatchRecord(record))).toEqual(record);
    expect(parseWatchRecord(renderWatchRecord(startWatch(watched.baseline)))).toEqual(startWatch(watched.baseline));
  });

  test('every truncation is refused', () => {
    const text = renderWatchRecord(record);
    for (let length = 0; length < text.length; length += 1) {
      expect(() => parseWatchRecord(text.slice(0, length))).toThrow(EvidenceError);
    }
  });

  test.each([
    ['another version', '"version":1', '"version":2'],
    ['an unknown key', '"version":1', '"version":1,"x":1'],
    ['a PCR less', /"pcrs":\["[0-9a-f]{64}",/, '"pcrs":['],
    ['a clock that is negative', '"clock":"', '"clock":"-'],
    ['more strays than it keeps', '"strayCount":1', '"strayCount":0'],
    ['a kind that is unknown', '"kind":"unknown"', '"kind":"fine"'],
  ])('%s is refused', (_, from, to) => {
    const text = renderWatchRecord(record);
    const damaged = text.replace(from, to);
    expect(damaged).not.toBe(text);
    expect(() => parseWatchRecord(damaged)).toThrow(EvidenceError);
  });

  test('goes on where it stood, after a restart of the broker', async () => {
    const stored = parseWatchRecord(renderWatchRecord({ ...record, pending: undefined }));
    expect(askWatch(stored).from).toBe(record.proven.ima.bytes);
    const { verdict } = await watched.judge([...watched.booted, imaNg('/tmp/evil')], { record: stored });
    expect(verdict.outcome).toBe('unexpected');
  });
});

test('checklist 12: the baseline is of evidence that was judged, never of evidence that says so', async () => {
  const scene = await makeScene();
  const evidence = await scene.evidence();
  // @ts-expect-error: only a passed judgement makes a Verified
  await expect(watchBaseline(evidence, scene.challenge)).rejects.toThrow('passed judgement');
});
