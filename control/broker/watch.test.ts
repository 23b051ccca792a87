// The watch over the broker's real socket, with a guest whose TPM is software.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WatchMode, WatchReport } from '@ringwall/api/watch';
import { defaultPolicy, parseProof, verifyProof, type Proof, type ProofReport } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { imaNg } from '../../lib/tpm/testing/ima-list.ts';
import { BrokerInstance, type TestMachine } from './testing/instance.ts';
import { FILES, imageFiles, imageParts } from './testing/image.ts';
import { WatchedGuest } from './testing/watched-guest.ts';
import { sendImageFiles, watchBoot, watchReport, type Watching } from './testing/watching.ts';

/** The shortest that is allowed; the tests go on by `watch 1` and by the broker's clock, not by waiting. */
const INTERVAL_MS = 250;
const WAIT_MS = 60_000;

let broker: BrokerInstance;
let nowMs = Date.now();
let aheadMs = 0;

beforeEach(async () => {
  aheadMs = 0;
  nowMs = Date.now();
  broker = await BrokerInstance.start({
    monotonicMs: () => performance.now() + aheadMs,
    now: () => new Date(nowMs + aheadMs),
  });
});
afterEach(() => broker[Symbol.asyncDispose]());

const unlocked = (mode: WatchMode = 'enforce', machine?: TestMachine): Promise<Watching> =>
  watchBoot(broker, { mode, intervalMs: INTERVAL_MS, machine });
const sendFiles = (text: string, sha256: string): Promise<void> => sendImageFiles(broker, { text, sha256 });
const report = (watching: Watching): Promise<WatchReport> => watchReport(broker, watching);

async function until(watching: Watching, holds: (report: WatchReport) => boolean): Promise<WatchReport> {
  let seen = await report(watching);
  for (const deadlineMs = performance.now() + WAIT_MS; !holds(seen); seen = await report(watching)) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain: ${JSON.stringify(seen)}`);
    await sleep(10);
  }
  return seen;
}

const auditLog = (): string => readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');

describe('a watch', () => {
  test('follows the freshness of the policy that is in force, from the next answer on', async () => {
    const watching = await unlocked();
    const before = await report(watching);
    expect(before).toMatchObject({ intervalMs: INTERVAL_MS });
    expect(before).not.toHaveProperty('maxAgeMs');
    const { bank, pcrs, untouchedPcrs } = defaultPolicy;
    const freshness = { maxAgeSeconds: 60, watchSeconds: 5 };
    const policy = { version: 2, evidence: ['vtpm'], bank, pcrs, untouchedPcrs, rules: [], freshness };
    await broker.client.call({ op: 'accept-reference', subject: { policy } });
    expect(await report(watching)).toMatchObject({ intervalMs: 5_000, maxAgeMs: 60_000 });
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'expected');
    // By the order the next question would be there long before.
    const next = watching.guest.question();
    expect(await Promise.race([next, sleep(3 * INTERVAL_MS, 'none yet')])).toBe('none yet');
    await broker.stop();
    await next.catch(() => undefined);
  });

  test('goes on where the attestation has ended, and each good answer is as old as it is', async () => {
    const watching = await unlocked();
    expect(await report(watching)).toMatchObject({ state: 'awaited', entries: 0, provenAgoMs: expect.any(Number) });
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    const seen = await until(watching, ({ state }) => state === 'expected');
    expect(seen).toMatchObject({ entries: 2, strays: 0, reasons: [] });
    aheadMs += 60_000;
    expect((await report(watching)).seenAgoMs).toBeGreaterThanOrEqual(60_000);
  });

  test('what it saw of the TPM’s clock is forgotten by a power cut, and no reason to keep the key', async () => {
    const { machine, guest, ...watching } = await unlocked();
    const { clock } = machine.tpm.clockInfo;
    machine.tpm.clockInfo = { ...machine.tpm.clockInfo, clock: clock + 86_400_000n };
    guest.sayThere();
    await guest.answerQuestions(1);
    await until({ machine, guest, ...watching }, ({ state }) => state === 'expected');
    machine.tpm.clockInfo = { ...machine.tpm.clockInfo, clock };
    const next = await broker.boot(machine);
    expect((await next.guest.unlock(await broker.brokerKey())).answer.lines).toEqual(['done']);
  });

  test('asks again after the interval, from where the list was read', async () => {
    const watching = await unlocked();
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    const question = await watching.guest.question();
    expect(question?.from).toBeGreaterThan(0);
  });

  test('a file that is not of the image quarantines the machine, by name, and its next boot gets no key', async () => {
    const watching = await unlocked();
    watching.guest.ran.push(imaNg('/tmp/evil'));
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    const seen = await until(watching, ({ state }) => state === 'quarantined');
    expect(seen.reasons).toEqual([expect.stringMatching(/^\/tmp\/evil ran, which is not a file of the image hello/)]);
    const { machine, boot } = watching;
    const { quarantine, files } = await broker.client.call({ op: 'read-watch', machine: machine.id });
    expect(quarantine).toMatchObject({ boot, reasons: seen.reasons });
    expect(files).toEqual([{ path: '/tmp/evil', kind: 'unknown', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(auditLog()).toContain('"what":"quarantine"');

    await broker.restart();
    const next = await broker.boot(machine);
    const refused = await next.guest.send(await next.guest.evidence(await next.guest.hello()));
    expect(refused.lines[0]).toBe('refused');
    expect(refused.reasons[0]).toMatch(/^quarantined since .*: \/tmp\/evil ran.*ringwall readmit hello$/);
    expect(await broker.verdict(machine, next.boot)).toMatchObject({ state: 'refused' });

    expect(await broker.client.call({ op: 'readmit-machine', machine: machine.id })).toEqual({ lifted: true });
    expect(await broker.client.call({ op: 'readmit-machine', machine: machine.id })).toEqual({ lifted: false });
    const again = await broker.boot(machine);
    expect((await again.guest.unlock(await broker.brokerKey())).answer.lines).toEqual(['done']);
  });

  test('a readmitted machine stays quarantined in this boot, and is so anew when something else runs', async () => {
    const watching = await unlocked();
    const { guest, machine } = watching;
    guest.ran.push(imaNg('/tmp/evil'));
    guest.sayThere();
    await guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'quarantined');
    await broker.client.call({ op: 'readmit-machine', machine: machine.id });
    await guest.answerQuestions(1);
    expect(await report(watching)).toMatchObject({ state: 'quarantined', readmittedAt: expect.any(String) });
    expect(await broker.client.call({ op: 'read-watch', machine: machine.id })).not.toHaveProperty('quarantine');
    guest.ran.push(imaNg('/tmp/evil-2'));
    await guest.answerQuestions(1);
    await until(watching, ({ strays }) => strays === 2);
    expect(await broker.client.call({ op: 'read-watch', machine: machine.id })).toHaveProperty('quarantine');
  });

  test('report tells it, and the machine stays what it was', async () => {
    const watching = await unlocked('report');
    watching.guest.ran.push(imaNg('/usr/local/bin/mine'));
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    const seen = await until(watching, ({ state }) => state === 'unexpected');
    expect(seen).toMatchObject({ strays: 1, seenAgoMs: expect.any(Number) });
    expect(await broker.client.call({ op: 'read-watch', machine: watching.machine.id })).not.toHaveProperty(
      'quarantine',
    );
    expect(auditLog()).toContain('/usr/local/bin/mine');
  });

  test('an entry that is hidden is found at the second answer', async () => {
    const watching = await unlocked();
    watching.guest.hidden.push(imaNg('/tmp/evil'));
    watching.guest.sayThere();
    await watching.guest.answerQuestions(2);
    const seen = await until(watching, ({ state }) => state === 'quarantined');
    expect(seen).toMatchObject({ reasons: [expect.stringContaining('entries are missing')] });
    expect(seen).not.toHaveProperty('seenAgoMs');
  });

  test('rubbish is no news, and no quarantine', async () => {
    const watching = await unlocked();
    watching.guest.sayThere();
    const question = await watching.guest.question();
    if (question === undefined) throw new Error('no question');
    await watching.guest.answer({ ...question, nonce: new Uint8Array(32) });
    const seen = await until(watching, ({ trouble }) => trouble !== undefined);
    expect(seen).toMatchObject({ state: 'awaited', trouble: expect.stringContaining('another question') });
    await watching.guest.answerQuestions(1);
    expect(await until(watching, ({ state }) => state === 'expected')).not.toHaveProperty('trouble');
  });

  test('a TPM whose clock went back, or that was reset, is quarantined at once', async () => {
    const watching = await unlocked();
    const { tpm } = watching.machine;
    tpm.clockInfo = { ...tpm.clockInfo, resetCount: tpm.clockInfo.resetCount + 1 };
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    const seen = await until(watching, ({ state }) => state === 'quarantined');
    expect(seen.reasons[0]).toMatch(/the TPM is not in the boot that was proven/);
  });

  test('a restarted broker goes on from its store when the guest says that it is there', async () => {
    const watching = await unlocked();
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'expected');
    await broker.restart();
    expect(await report(watching)).toMatchObject({ state: 'expected', entries: 2, seenAgoMs: expect.any(Number) });
    const guest = await watching.rejoin();
    guest.sayThere();
    const question = await guest.question();
    expect(question?.from).toBeGreaterThan(0);
    aheadMs += 10_000;
    expect((await report(watching)).seenAgoMs).toBeGreaterThanOrEqual(10_000);
    if (question !== undefined) await guest.answer(question);
    await until(watching, ({ seenAgoMs = Number.POSITIVE_INFINITY }) => seenAgoMs < 10_000);
  });

  test('a restarted broker whose clock went back cannot say how old the last answer is', async () => {
    const watching = await unlocked();
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'expected');
    await broker.restart();
    aheadMs = -3_600_000;
    expect(await report(watching)).not.toHaveProperty('seenAgoMs');
    expect(await report(watching)).not.toHaveProperty('provenAgoMs');
  });

  test('the half of an answer that a cut session left is passed over', async () => {
    const watching = await unlocked();
    watching.guest.sayThere();
    const question = await watching.guest.question();
    if (question === undefined) throw new Error('no question');
    const rest = (await watching.guest.answerText(question)).slice(-300);
    const { stream } = await broker.client.openStream({
      op: 'open-session',
      machine: watching.machine.id,
      boot: watching.boot,
    });
    stream.write(`${rest}watch 1\n`);
    const [first] = await stream.take(1).toArray();
    expect(String(first)).toMatch(/^observe /);
    stream.destroy();
  });

  test('without the list of files nothing can be judged, and it says so', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    const order = { op: 'expect-watch', machine: machine.id, boot, mode: 'enforce', intervalMs: INTERVAL_MS } as const;
    expect(await broker.client.call({ ...order, image: imageParts() })).toEqual({ wantsFiles: true });
    await guest.unlock(await broker.brokerKey());
    const watching = { machine, boot, guest: new WatchedGuest(guest, machine.tpm), rejoin: () => Promise.reject() };
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    const seen = await until(watching, ({ trouble }) => trouble !== undefined);
    expect(seen).toMatchObject({ state: 'awaited', trouble: expect.stringContaining('list of the image') });
  });

  test('a boot that nobody ordered to be watched is attested as ever, and its session ends', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    await guest.unlock(await broker.brokerKey());
    expect(await guest.lines.next()).toBeUndefined();
    const { watches } = await broker.client.call({ op: 'read-watches', boots: [{ machine: machine.id, boot }] });
    expect(watches).toEqual([]);
  });

  test('what was said first of a boot holds, and an order for another boot is refused', async () => {
    const watching = await unlocked('enforce');
    const { machine, boot } = watching;
    const order = { op: 'expect-watch', machine: machine.id, intervalMs: INTERVAL_MS, image: imageParts() } as const;
    await broker.client.call({ ...order, boot, mode: 'off' });
    expect(await report(watching)).toMatchObject({ mode: 'enforce' });
    await expect(broker.client.call({ ...order, boot: '0'.repeat(32), mode: 'off' })).rejects.toThrow(
      'expects no boot',
    );
  });
});

describe('the proof of a watched machine', () => {
  const proofOf = async ({ machine }: Watching): Promise<Proof> => {
    const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
    return parseProof(JSON.stringify(proof));
  };
  const judged = async (watching: Watching): Promise<ProofReport> =>
    verifyProof(await proofOf(watching), {
      brokerKey: Buffer.from(await broker.brokerKey(), 'hex'),
      now: new Date(nowMs + aheadMs),
    });
  const ran = (judgement: ProofReport): string[] =>
    (judgement.ran?.files ?? []).map(({ path, status }) => `${path} ${status}`);

  test('has what ran, up to the last answer, and after a restart of the broker', async () => {
    const watching = await unlocked();
    expect((await judged(watching)).ran).toBeUndefined();
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'expected');
    const first = await judged(watching);
    expect(first).toMatchObject({ outcome: 'proven', ran: { outcome: 'expected' } });
    expect(ran(first)).toEqual(['/bin/busybox expected']);
    watching.guest.ran.push(imaNg('/lib/modules/dm-mod.ko'));
    await watching.guest.answerQuestions(1);
    await until(watching, ({ entries }) => entries === 3);
    await broker.restart();
    const next = await judged(watching);
    expect(next.outcome).toBe('proven');
    expect(ran(next)).toEqual(['/bin/busybox expected', '/lib/modules/dm-mod.ko expected']);
    const { token } = await broker.client.call({ op: 'read-ear', machine: watching.machine.id });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(JSON.stringify(claims)).toContain('"executables":2');
  });

  test('says what ran that is not of the image', async () => {
    const watching = await unlocked('report');
    watching.guest.ran.push(imaNg('/usr/local/bin/mine'));
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'unexpected');
    const judgement = await judged(watching);
    expect(judgement).toMatchObject({ outcome: 'refused', ran: { outcome: 'unexpected' } });
    expect(judgement.reasons).toEqual([expect.stringContaining('/usr/local/bin/mine ran')]);
  });

  test('says why it has nothing of what ran: no answer yet, and a list that is longer than a proof', async () => {
    const watching = await unlocked();
    const { machine, guest } = watching;
    const leftOut = async (): Promise<string | undefined> => {
      expect((await judged(watching)).ran).toBeUndefined();
      return (await broker.client.call({ op: 'read-watch', machine: machine.id })).leftOut;
    };
    expect(await leftOut()).toBe('no answer of its watch has come since its boot');
    for (const entries of [1000, 2000]) {
      guest.ran.push(...Array.from({ length: 999 }, () => imaNg('/bin/busybox')));
      guest.sayThere();
      await guest.answerQuestions(1);
      await until(watching, (seen) => seen.entries > entries - 1);
    }
    expect(await leftOut()).toMatch(/^the list of what ran has \d+ KiB, and a proof takes 128$/);
  });

  test('has nothing of an earlier boot', async () => {
    const watching = await unlocked();
    watching.guest.sayThere();
    await watching.guest.answerQuestions(1);
    await until(watching, ({ state }) => state === 'expected');
    const later = await unlocked('enforce', watching.machine);
    expect((await judged(later)).ran).toBeUndefined();
    later.guest.sayThere();
    await later.guest.answerQuestions(1);
    await until(later, ({ state }) => state === 'expected');
    expect(ran(await judged(later))).toEqual(['/bin/busybox expected']);
  });
});

describe('the list of files', () => {
  test('counts only as that of the image which the boot is expected to be', async () => {
    const machine = await broker.addMachine();
    const { boot } = await broker.boot(machine);
    const order = { op: 'expect-watch', machine: machine.id, boot, mode: 'enforce', intervalMs: INTERVAL_MS } as const;
    const other = imageFiles('/bin/busybox', '/tmp/evil');
    const call = broker.client.call({ ...order, image: imageParts('11', other.sha256) });
    await expect(call).rejects.toThrow('not that of the image hello which this boot is to be');
    await broker.client.call({ ...order, image: imageParts() });
  });

  test('is refused where it is not the one of its digest, is malformed, or has a part missing', async () => {
    await expect(sendFiles(FILES.text, 'ab'.repeat(32))).rejects.toThrow('not the one of its digest');
    const other = imageFiles('/x');
    const broken = `${other.text} `;
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update(broken).digest('hex');
    await expect(sendFiles(broken, sha256)).rejects.toThrow(/files/);
    const late = { op: 'add-image-files', sha256: FILES.sha256, offset: 7, part: 'AAAA', last: true } as const;
    await expect(broker.client.call(late)).rejects.toThrow('0 bytes are here');
  });
});
