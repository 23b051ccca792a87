import { beforeAll, describe, expect, test } from 'vitest';
import { imaNg, type TestImaEntry } from '../../../tpm/testing/ima-list.ts';
import { failedChecks, makeWatched, type Watched } from '../../testing/watching.ts';

const EVIL = imaNg('/tmp/evil');
let watched: Watched;
beforeAll(async () => {
  watched = await makeWatched();
});

describe('an extend that the TPM did not take', () => {
  const DM_MOD = imaNg('/lib/modules/dm-mod.ko');
  const without = (ran: readonly TestImaEntry[], ...lost: readonly number[]): readonly TestImaEntry[] =>
    ran.filter((_, index) => !lost.includes(index));

  test.each([1, 2, 3])('is found wherever it was (%i), and the watch goes on from there', async (lost) => {
    const ran = [...watched.booted, DM_MOD];
    const first = await watched.judge(ran, { lies: { measured: without(ran, lost) } });
    expect(first.verdict.outcome).toBe('expected');
    // The last one cannot be told from a list that runs ahead, until another follows.
    expect(first.record.proven.ima.entries).toBe(lost === 3 ? 3 : 4);
    const more = [...ran, EVIL];
    const second = await watched.judge(more, { record: first.record, lies: { measured: without(more, lost) } });
    expect(second.verdict.news).toMatchObject([{ path: '/tmp/evil', index: 4 }]);
  });

  test('is found where the list runs ahead, too', async () => {
    const ran = [...watched.booted, DM_MOD, EVIL];
    const { verdict, record } = await watched.judge(ran, { lies: { measured: without(ran, 2, 4) } });
    expect(verdict.outcome).toBe('expected');
    expect(record.proven.ima.entries).toBe(4);
  });

  test('hides nothing: its file is judged like the others', async () => {
    const ran = [...watched.booted, EVIL, DM_MOD];
    const { verdict } = await watched.judge(ran, { lies: { measured: without(ran, 3) } });
    expect(verdict.outcome).toBe('unexpected');
    expect(verdict.news).toMatchObject([{ path: '/tmp/evil' }]);
  });

  test('makes no place for what the list leaves out, nor for a second one', async () => {
    const ran = [...watched.booted, DM_MOD];
    const hidden = await watched.judge(ran, { lies: { measured: [...without(ran, 1), EVIL] } });
    expect(failedChecks(hidden)).toEqual(['pcrs']);
    const twice = await watched.judge(ran, { lies: { measured: without(ran, 1, 2) } });
    expect(failedChecks(twice)).toEqual(['pcrs']);
  });

  test('is sought among so many entries only as take no time', async () => {
    const many = [...watched.booted, ...Array.from({ length: 300 }, () => imaNg('/bin/busybox'))];
    const judged = await watched.judge(many, { lies: { measured: without(many, 1) } });
    expect(failedChecks(judged)).toEqual(['pcrs']);
  });
});
