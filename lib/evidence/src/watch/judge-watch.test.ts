import { concatBytes, fromHex, utf8 } from '@ringwall/bytes';
import { encodePcrSelection, TPM_ALG, TPM_RH } from '@ringwall/tpm';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeIma, imaNg, imaPcr, sha, violation, type TestImaEntry } from '../../../tpm/testing/ima-list.ts';
import { failedChecks, makeWatched, strangersKey, type Watched, type WatchLies } from '../../testing/watching.ts';
import { askWatch, judgeWatch, MAX_KEPT_STRAYS, startWatch, type WatchQuestion, type WatchResult } from './index.ts';
import { watchedDigest } from './baseline.ts';
import { findQuoted, readList } from './measurements.ts';
import { WATCH_CHECK_TITLES } from './watch-checks.ts';

const EVIL = imaNg('/tmp/evil');
let watched: Watched;
beforeAll(async () => {
  watched = await makeWatched();
});

const lying = (lies: WatchLies, ran: readonly TestImaEntry[] = watched.booted): Promise<WatchResult> =>
  watched.judge(ran, { lies });

describe('judgeWatch()', () => {
  test('a machine that ran what its image has is as expected, and every check says so', async () => {
    const { verdict, record } = await watched.judge(watched.booted);
    expect(verdict).toMatchObject({ outcome: 'expected', reasons: [], news: [] });
    expect(verdict.checks.map(({ id, ok }) => `${id} ${ok}`)).toEqual(
      Object.keys(WATCH_CHECK_TITLES).map((id) => `${id} true`),
    );
    expect(record.proven.ima).toMatchObject({ entries: 3, bytes: encodeIma(...watched.booted).length });
  });

  test('an answer carries only what came since', async () => {
    const { record } = await watched.judge(watched.booted);
    expect(askWatch(record).from).toBe(record.proven.ima.bytes);
    const quiet = await watched.judge(watched.booted, { record });
    expect(quiet.verdict.outcome).toBe('expected');
    const busy = await watched.judge([...watched.booted, imaNg('/lib/modules/dm-mod.ko')], { record: quiet.record });
    expect(busy.verdict.outcome).toBe('expected');
    expect(busy.record.proven.ima.entries).toBe(4);
  });

  test('a file that is not of the image is named, once as news and as a reason from then on', async () => {
    const { record } = await watched.judge(watched.booted);
    const seen = await watched.judge([...watched.booted, EVIL], { record });
    expect(seen.verdict.outcome).toBe('unexpected');
    expect(failedChecks(seen)).toEqual(['files']);
    expect(seen.verdict.reasons).toEqual([
      expect.stringMatching(/^\/tmp\/evil ran, which is not a file of the image hello \(SHA-256 [0-9a-f]{12}…\)$/),
    ]);
    expect(seen.verdict.news).toMatchObject([{ path: '/tmp/evil', kind: 'unknown', index: 3 }]);
    const later = await watched.judge([...watched.booted, EVIL], { record: seen.record });
    expect(later.verdict).toMatchObject({ outcome: 'unexpected', reasons: seen.verdict.reasons, news: [] });
  });

  test('a file of the image with another content is named with its package; a module was loaded', async () => {
    const altered = [imaNg('/bin/busybox', sha('sha256', utf8('altered'))), imaNg('/data/evil.ko')];
    const { verdict } = await watched.judge([...watched.booted, ...altered]);
    expect(verdict.reasons).toEqual([
      expect.stringMatching(
        /^\/bin\/busybox ran, which is not the file of busybox-static 1:1\.35\.0-4 of the image hello \(SHA-256 .*, expected .*\)$/,
      ),
      expect.stringMatching(/^\/data\/evil\.ko was loaded, which is not a file of the image/),
    ]);
  });

  test('the same content under another path is a file of the image', async () => {
    const copied = imaNg('/tmp/copied', sha('sha256', utf8('/bin/busybox')));
    expect((await watched.judge([...watched.booted, copied])).verdict.outcome).toBe('expected');
  });

  test('a thousand strays are counted, and the first ones are kept', async () => {
    const many = Array.from({ length: 1000 }, (_, index) => imaNg(`/tmp/evil-${index}`));
    const { verdict, record } = await watched.judge([...watched.booted, ...many]);
    expect(verdict.reasons).toHaveLength(MAX_KEPT_STRAYS + 1);
    expect(verdict.reasons.at(-1)).toBe(`and ${1000 - MAX_KEPT_STRAYS} more`);
    expect(record.proven).toMatchObject({ strayCount: 1000 });
  });

  test('a path cannot write to the terminal of who reads it', async () => {
    const { verdict } = await watched.judge([...watched.booted, imaNg('/tmp/\u001b[2J\u202e\nattested')]);
    expect(verdict.reasons[0]).toMatch(/^\/tmp\/\?\[2J\?\?attested ran,/);
  });

  test('a list that is longer than an answer is read on, and is no good news until a quote speaks for it', async () => {
    const ran = [...watched.booted, EVIL, imaNg('/lib/modules/dm-mod.ko')];
    const cut = encodeIma(...ran.slice(0, 4)).length + 7;
    const first = await lying({ log: encodeIma(...ran).subarray(0, cut), more: true }, ran);
    expect(first.verdict.outcome).toBe('unfinished');
    expect(first.record.proven.ima.entries).toBe(0);
    expect(askWatch(first.record).from).toBe(encodeIma(...ran.slice(0, 4)).length);
    const second = await watched.judge(ran, { record: first.record });
    expect(second.verdict.news).toMatchObject([{ path: '/tmp/evil' }]);
    expect(second.record).toMatchObject({ pending: undefined, proven: { ima: { entries: 5 } } });
  });

  test('a list that was read while no quote spoke for it is forgotten where one contradicts it', async () => {
    const ran = watched.booted;
    const forged = encodeIma(...ran, EVIL);
    const first = await lying({ log: forged, more: true, measured: [...ran, imaNg('/x')] }, ran);
    expect(first.verdict.outcome).toBe('unfinished');
    const second = await watched.judge(ran, { record: first.record, lies: { log: new Uint8Array() } });
    expect(second.verdict.outcome).toBe('refused');
    expect(askWatch(second.record).from).toBe(0);
    expect((await watched.judge(ran, { record: second.record })).verdict.outcome).toBe('expected');
  });
});

/** Each lie is found by the check of its name, and by no other that would hide its absence. */
describe('each check refuses alone', () => {
  /** Ids of the checks that failed; a refused answer changes nothing of what was proven. */
  const refusal = async (result: Promise<WatchResult>): Promise<string[]> => {
    const judged = await result;
    expect(judged.verdict.outcome).toBe('refused');
    expect(judged.record.proven).toEqual(watched.record.proven);
    return failedChecks(judged);
  };

  test('checklist 1: the signature comes before everything that the quote says', async () => {
    const judged = await lying({ signer: await strangersKey() });
    expect(judged.verdict.outcome).toBe('refused');
    expect(judged.verdict.reasons).toEqual(['the signature of the quote is not that of the attestation key']);
    const said = failedChecks(judged);
    expect(said).toEqual(expect.arrayContaining(['quote-signature', 'quote-form', 'quote-question', 'pcrs', 'files']));
  });

  test('checklist 1: magic, type, and nothing behind the quote', async () => {
    expect(await refusal(lying({ magic: 0xff544348 }))).toContain('quote-form');
    expect(await refusal(lying({ type: 0x8017 }))).toContain('quote-form');
    expect(await refusal(lying({ trailing: Uint8Array.of(0) }))).toContain('quote-form');
  });

  test('checklist 2: the quoted PCRs are exactly 0 to 15 of SHA-256', async () => {
    const without = Array.from({ length: 15 }, (_, pcr) => pcr);
    expect(await refusal(lying({ selection: encodePcrSelection(TPM_ALG.SHA256, without) }))).toContain('quote-pcrs');
    expect(await refusal(lying({ selection: encodePcrSelection(TPM_ALG.SHA1, [...without, 15]) }))).toContain(
      'quote-pcrs',
    );
    const more = [...without, 15, 16];
    expect(await refusal(lying({ selection: encodePcrSelection(TPM_ALG.SHA256, more) }))).toContain('quote-pcrs');
  });

  test('checklist 3: another nonce, machine, boot or place in the list', async () => {
    expect(await refusal(lying({ extraData: new Uint8Array(32) }))).toContain('quote-question');
    const question = askWatch(watched.record);
    const others: readonly Partial<WatchQuestion>[] = [
      { nonce: new Uint8Array(32) },
      { machine: 'mch_other' },
      { boot: '0'.repeat(32) },
      { from: 1 },
    ];
    for (const other of others) {
      const answer = await watched.answer({ ...question, ...other }, watched.booted, {
        log: encodeIma(...watched.booted),
      });
      const asked = askWatch(watched.record);
      const relabelled = { record: watched.record, question: asked, answer, files: watched.files, waitedMs: 1 };
      expect(await refusal(judgeWatch(relabelled))).toContain('quote-question');
    }
  });

  test('checklist 3: a question is answered once, and only one that was asked', async () => {
    const question = askWatch(watched.record);
    const answer = await watched.answer(question, watched.booted);
    const input = { record: watched.record, question, answer, files: watched.files, waitedMs: 1 };
    expect((await judgeWatch(input)).verdict.outcome).toBe('expected');
    expect(await refusal(judgeWatch(input))).toContain('question');
    const copied = { ...askWatch(watched.record) };
    expect(
      await refusal(judgeWatch({ ...input, question: copied, answer: await watched.answer(copied, watched.booted) })),
    ).toContain('question');
  });

  test('checklist 3: a question of another boot, or of another place in the list', async () => {
    const elsewhere = startWatch({ ...watched.baseline, boot: 'f'.repeat(32) });
    const question = askWatch(elsewhere);
    const answer = await watched.answer(question, watched.booted);
    const input = { record: watched.record, question, answer, files: watched.files, waitedMs: 1 };
    expect(await refusal(judgeWatch(input))).toContain('question');
    const { record } = await watched.judge(watched.booted);
    const behind = askWatch(watched.record);
    const late = { question: behind, answer: await watched.answer(behind, watched.booted) };
    expect(failedChecks(await judgeWatch({ ...input, ...late, record }))).toContain('question');
  });

  test('checklist 3: an answer that comes late', async () => {
    expect(await refusal(watched.judge(watched.booted, { input: { waitedMs: 30_001 } }))).toContain('fresh');
    expect(await refusal(watched.judge(watched.booted, { input: { waitedMs: Number.NaN } }))).toContain('fresh');
    expect(await refusal(watched.judge(watched.booted, { input: { waitedMs: -1 } }))).toContain('fresh');
  });

  test('checklist 4: a signer outside the endorsement hierarchy', async () => {
    expect(await refusal(lying({ hierarchy: TPM_RH.OWNER }))).toContain('quote-signer');
  });

  test('checklist 5: a TPM that was reset or restarted is not in this boot any more', async () => {
    const { resetCount, restartCount } = watched.baseline;
    expect(await refusal(lying({ resetCount: resetCount + 1 }))).toContain('same-boot');
    expect(await refusal(lying({ resetCount: resetCount - 1 }))).toContain('same-boot');
    expect(await refusal(lying({ restartCount: restartCount + 1 }))).toContain('same-boot');
    expect(await refusal(lying({ restartCount: restartCount - 1 }))).toContain('same-boot');
  });

  test('checklist 5: a clock that goes back is a TPM that was put back', async () => {
    expect(await refusal(lying({ clock: watched.baseline.clock - 1n }))).toContain('clock-forward');
    const { record } = await lying({ clock: 9_000_000n });
    const back = await watched.judge(watched.booted, { record, lies: { clock: 8_999_999n } });
    expect(failedChecks(back)).toEqual(['clock-forward']);
    expect(back.verdict.outcome).toBe('refused');
    const same = await watched.judge(watched.booted, { record, lies: { clock: 9_000_000n } });
    expect(same.verdict.outcome).toBe('expected');
  });

  test('checklist 11: the list may run ahead of the quoted PCR, and is believed up to there', async () => {
    const { verdict, record } = await lying({ measured: watched.booted }, [...watched.booted, EVIL]);
    expect(verdict).toMatchObject({ outcome: 'expected', news: [] });
    expect(record.proven.ima.entries).toBe(3);
    const next = await watched.judge([...watched.booted, EVIL], { record });
    expect(next.verdict.news).toMatchObject([{ path: '/tmp/evil' }]);
  });

  test('checklist 11: the list is never behind: an entry that is left out', async () => {
    expect(await refusal(lying({ measured: [...watched.booted, EVIL] }))).toContain('pcrs');
    const { record } = await watched.judge(watched.booted);
    const hidden = await watched.judge(watched.booted, { record, lies: { measured: [...watched.booted, EVIL] } });
    expect(hidden.verdict.outcome).toBe('refused');
    expect(failedChecks(hidden)).toEqual(['pcrs']);
  });

  test('checklist 11: a list that always goes on is never good', async () => {
    let record = watched.record;
    for (let round = 1; round <= 5; round += 1) {
      const ran = [...watched.booted, ...Array.from({ length: round }, (_, index) => imaNg(`/a${index}`))];
      const judged = await watched.judge(ran, { record, lies: { more: true, measured: [EVIL] } });
      expect(judged.verdict.outcome).toBe('unfinished');
      ({ record } = judged);
    }
    expect(record.proven.ima.entries).toBe(0);
  });

  test('checklist 11: template digests are recomputed: a path that was rewritten', async () => {
    const log = encodeIma(...watched.booted, EVIL);
    log[log.length - 3] = 0x58;
    expect(await refusal(lying({ log }, [...watched.booted, EVIL]))).toContain('list-form');
    expect(await refusal(lying({ log: log.subarray(0, -1) }, [...watched.booted, EVIL]))).toContain('list-form');
  });

  test('checklist 11: a file that was changed while it was measured is never as expected', async () => {
    const judged = await watched.judge([...watched.booted, violation('/bin/busybox')]);
    expect(judged.verdict.outcome).toBe('unexpected');
    expect(failedChecks(judged)).toEqual(['violations', 'files']);
    expect(judged.verdict.reasons).toEqual(['/bin/busybox was changed while it was measured: nobody knows what ran']);
    const later = await watched.judge([...watched.booted, violation('/bin/busybox')], { record: judged.record });
    expect(later.verdict.outcome).toBe('unexpected');
  });

  test('checklist 15: PCR 15 as it was before the disk was unlocked, or extended once more', async () => {
    expect(await refusal(lying({ pcrValues: new Map([[15, new Uint8Array(32)]]) }))).toContain('pcrs');
    expect(await refusal(lying({ pcrValues: new Map([[15, sha('sha256', utf8('again'))]]) }))).toContain('pcrs');
  });

  test.each([0, 4, 9, 11, 14])('PCR %i has changed', async (pcr) => {
    expect(await refusal(lying({ pcrValues: new Map([[pcr, sha('sha256', utf8('changed'))]]) }))).toContain('pcrs');
  });

  test('a list that begins with another boot, or that is empty', async () => {
    const [, ...ran] = watched.booted;
    expect(await refusal(lying({}, [imaNg('boot_aggregate', new Uint8Array(32)), ...ran]))).toContain('list-start');
    expect(await refusal(lying({}, ran))).toContain('list-start');
    expect(await refusal(lying({}, []))).toContain('list-start');
  });

  test('a kernel that found its TPM too late measures nothing, and says so', async () => {
    const unmeasured = [imaNg('boot_aggregate', new Uint8Array(32)), imaNg('/bin/busybox')];
    const { verdict } = await lying({ pcrValues: new Map([[10, new Uint8Array(32)]]) }, unmeasured);
    expect(verdict.outcome).toBe('refused');
    expect(verdict.reasons).toContain(
      'the kernel of this boot measures nothing: it found its TPM too late. Start the machine again',
    );
  });

  test('an entry of a template that nobody looks at', async () => {
    const { fields } = EVIL;
    const sig = { template: 'ima-sig', fields: [...fields, new Uint8Array()] };
    expect(await refusal(lying({}, [...watched.booted, sig]))).toContain('list-template');
    const buffer = { template: 'ima-buf', fields: [...fields, utf8('init=/bin/sh')] };
    expect(await refusal(lying({}, [...watched.booted, buffer]))).toContain('list-template');
  });

  test('an entry with another digest than SHA-256', async () => {
    const sha1 = {
      template: 'ima-ng',
      fields: [concatBytes(utf8('sha1:\0'), new Uint8Array(20)), utf8('/bin/busybox\0')],
    };
    expect(await refusal(lying({}, [...watched.booted, sha1]))).toContain('list-template');
    const long = { template: 'ima-ng', fields: [concatBytes(utf8('sha256:\0'), new Uint8Array(20)), utf8('/x\0')] };
    expect((await lying({}, [...watched.booted, long])).verdict.reasons).toEqual([
      '/x ran, and its SHA-256 was not measured',
    ]);
  });

  test('fields beyond their limits', async () => {
    const question = askWatch(watched.record);
    const answer = await watched.answer(question, watched.booted);
    const input = { record: watched.record, files: watched.files, waitedMs: 1 };
    const large = { quote: 2049, quoteSignature: 1025, log: 128 * 1024 + 1 };
    for (const [field, bytes] of Object.entries(large)) {
      const grown = { ...answer, [field]: new Uint8Array(bytes) };
      expect(await refusal(judgeWatch({ ...input, question: askWatch(watched.record), answer: grown }))).toContain(
        'size',
      );
    }
  });

  test('a record with a key that is none', async () => {
    const record = startWatch({ ...watched.baseline, akPublic: fromHex('0023') });
    const { verdict } = await watched.judge(watched.booted, { record });
    expect(verdict.outcome).toBe('refused');
  });
});

describe('bytes that were changed', () => {
  const ran = (): readonly TestImaEntry[] => [...watched.booted, imaNg('/lib/modules/dm-mod.ko')];

  test('three hundred quotes and signatures: refused each time', async () => {
    for (let round = 0; round < 300; round += 1) {
      const question = askWatch(watched.record);
      const good = await watched.answer(question, ran());
      const field = round % 2 === 0 ? 'quote' : 'quoteSignature';
      const answer = { ...good, [field]: changed(good[field], round) };
      const { verdict } = await judgeWatch({
        ...FRESH,
        question,
        answer,
        record: watched.record,
        files: watched.files,
      });
      expect(verdict.outcome, `${field}, round ${round}`).toBe('refused');
    }
  });

  test('thousands of lists: none that is read whole leads to what was quoted', async () => {
    const log = encodeIma(...ran());
    const from = watched.record.proven;
    const quoted = await watchedDigest(watched.baseline, imaPcr('sha256', ...ran()));
    for (let round = 0; round < 4000; round += 1) {
      const list = readList(changed(log, round), { from, more: round % 2 === 0, files: watched.files });
      const last = list.steps.at(-1);
      const reached = last?.ima.entries === 4 && list.form.ok;
      expect(reached && (await findQuoted(list, quoted, watched.baseline)), `round ${round}`).toBeFalsy();
    }
  });
});

const FRESH = { waitedMs: 1 };

/** One byte is another, or the end is missing. */
function changed(bytes: Uint8Array, round: number): Uint8Array {
  const mutated = new Uint8Array(bytes);
  const at = (round * 7919) % bytes.length;
  mutated[at] = (mutated[at] ?? 0) ^ (1 + ((round * 31) % 255));
  return round % 7 === 0 ? mutated.subarray(0, at) : mutated;
}
