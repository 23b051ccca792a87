// A real TPM as a host's own: what is collected from it is judged, and so is what somebody altered on the way.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '@ringwall/bytes';
import {
  isEkOf,
  judgeHost,
  keyOfCa,
  vtpmCaQualifyingData,
  type HostEvidence,
  type HostJudgement,
  type HostPolicy,
  type HostReference,
  type HostResult,
} from '@ringwall/evidence';
import { makeCredential, nameOf, parsePublic, publicKeyOf } from '@ringwall/tpm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueEk, makeCa, type TestCa } from '../../lib/evidence/testing/vtpm-ca.ts';
import { TestHostTpm } from '../../testkit/host-tpm.ts';
import { NEEDS_SWTPM, SWTPM_PRESENT } from '../../testkit/plain-tpm.ts';
import { run } from '../exec/index.ts';
import { enrolHost } from './testing/enrol.ts';
import { answerAsHost, describeHostFiles, findHostTpm, readBounded, readHostIdentity } from './index.ts';

const LOG = join(import.meta.dirname, '../../lib/evidence/fixtures/ovmf-direct-boot/eventlog.bin');
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14];
const QEMU = '/usr/bin/qemu-system-x86_64';

describe.skipIf(!SWTPM_PRESENT)(`a host with a real TPM${NEEDS_SWTPM}`, () => {
  let host: TestHostTpm;
  let vtpmCa: TestCa;
  let maker: TestCa;
  let policy: HostPolicy;
  let reference: HostReference;
  const nonce = crypto.getRandomValues(new Uint8Array(32));

  beforeAll(async () => {
    host = await TestHostTpm.boot(new Uint8Array(readFileSync(LOG)));
    [vtpmCa, maker] = [await makeCa(), await makeCa({ name: 'CN=Maker of TPMs' })];
    await host.manufacture(async (ekPublic) => issueEk(maker, await publicKeyOf(parsePublic(ekPublic)), 'a chip'));
    await host.measure(QEMU);
    const { akPublic, ekCertificate } = await readHostIdentity(host.config);
    ({ reference, policy } = await enrolHost({
      ...{ vtpmCa: vtpmCa.der, makerOfTpm: maker.der, akPublic, ekCertificate, pcrs: PCRS },
      eventLog: await readBounded(host.config.eventLog, 1 << 20),
      files: [{ path: QEMU, sha256: createHash('sha256').update(QEMU).digest('hex'), required: true }],
    }));
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  async function collect(): Promise<{ evidence: HostEvidence; activated: boolean }> {
    const { akPublic, ekPublic, ekCertificate } = await readHostIdentity(host.config);
    expect(await isEkOf(ekPublic, ekCertificate)).toBe(true);
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const akName = await nameOf(akPublic);
    const credential = await makeCredential({ ekPublic: parsePublic(ekPublic), akName, secret });
    const spki = keyOfCa(vtpmCa.der);
    const qualifyingData = await vtpmCaQualifyingData({ nonce, host: reference.host, spki });
    const { opened, ...answer } = await answerAsHost(host.config, { qualifyingData, pcrs: PCRS, credential });
    return {
      evidence: { kind: 'host-tpm', ekCertificate, akPublic, vtpmCa: vtpmCa.der, ...answer },
      activated: opened !== undefined && toHex(opened) === toHex(secret),
    };
  }

  function judge(evidence: HostEvidence, changes: Partial<HostJudgement> = {}): Promise<HostResult> {
    return judgeHost({
      evidence,
      question: { nonce, host: reference.host, vtpmCa: vtpmCa.der, askedAt: new Date() },
      policy,
      reference,
      activation: 'confirmed',
      now: new Date(),
      ...changes,
    });
  }

  test('proves who it is, what it booted and what ran, again and again with the same key', async () => {
    for (const _ of [1, 2, 3]) {
      const { evidence, activated } = await collect();
      expect(activated).toBe(true);
      const { verdict } = await judge(evidence);
      expect(verdict.reasons).toEqual([]);
      expect(verdict.ran).toMatchObject({ entries: 1, known: 1 });
    }
  });

  test('a credential for another key stays closed, and the quote is made all the same', async () => {
    const { ekPublic } = await readHostIdentity(host.config);
    const akName = new Uint8Array([0, 11, ...new Uint8Array(32)]);
    const credential = await makeCredential({ ekPublic: parsePublic(ekPublic), akName, secret: utf8('secret') });
    const question = { qualifyingData: new Uint8Array(32), pcrs: PCRS, credential };
    const answer = await answerAsHost(host.config, question);
    expect(answer.opened).toBeUndefined();
    expect(answer.quote.length).toBeGreaterThan(100);
    // No handle or session is left behind: a TPM without a resource manager has three slots.
    for (const _ of [1, 2, 3, 4]) await answerAsHost(host.config, question);
  });

  test('an altered log, list, CA and nonce are refused', async () => {
    const { evidence } = await collect();
    const failed = async (changed: Partial<HostEvidence>, changes?: Partial<HostJudgement>): Promise<string[]> =>
      (await judge({ ...evidence, ...changed }, changes)).verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
    const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, (bytes[at] ?? 0) ^ 1);
    // A byte of the first digest behind the header of the log.
    expect(await failed({ eventLog: flipped(evidence.eventLog, 90) })).toContain('host-log-replay');
    expect(await failed({ imaLog: flipped(evidence.imaLog, evidence.imaLog.length - 60) })).toContain('host-ima-form');
    expect(await failed({ vtpmCa: (await makeCa()).der })).toContain('host-vtpm-ca');
    const question = { nonce: new Uint8Array(32), host: reference.host, vtpmCa: vtpmCa.der, askedAt: new Date() };
    expect(await failed({}, { question })).toEqual(['host-quote-nonce']);
    expect(await failed({}, { activation: 'unconfirmed' })).toEqual(['host-activation']);
  });

  test('what ran since is in the next answer; what somebody extended without a log refuses', async () => {
    await host.measure('/usr/bin/vim');
    const { verdict } = await judge((await collect()).evidence);
    expect(verdict).toMatchObject({ outcome: 'accepted', ran: { otherCount: 1 } });
    await host.extend(4, new Uint8Array(32).fill(7));
    const { verdict: extended } = await judge((await collect()).evidence);
    expect(extended.checks.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(['host-log-replay']);
  });
});

describe('describeHostFiles()', () => {
  test.skipIf(process.getuid?.() !== 0 || !SWTPM_PRESENT)(
    `finds swtpm with its libraries, Node and the program of the warden${NEEDS_SWTPM}`,
    async () => {
      const self = import.meta.filename;
      const options = { run, programs: ['/usr/bin/swtpm'], node: process.execPath, warden: self, everything: false };
      const { files, unmeasured } = await describeHostFiles({ ...options, imaLog: new Uint8Array() });
      const swtpm = files.find(({ path }) => path === '/usr/bin/swtpm');
      expect(swtpm?.required).toBe(true);
      expect(swtpm?.package).toMatch(/^swtpm \d/);
      expect(files.find(({ path }) => path.includes('libtpms'))).toMatchObject({ required: false });
      expect(files.filter(({ required }) => required)).toHaveLength(2);
      expect(unmeasured).toEqual([self]);
    },
  );
});

describe('findHostTpm()', () => {
  test.skipIf(!SWTPM_PRESENT)(
    `reads what root has written, and refuses what others may write${NEEDS_SWTPM}`,
    async () => {
      await using host = await TestHostTpm.boot(new Uint8Array(readFileSync(LOG)));
      const path = join(host.dir, 'host-tpm.json');
      host.configure(path);
      expect(await findHostTpm(path)).toEqual(host.config);
      for (const text of ['', '{}', '{"version":1}', JSON.stringify({ version: 1, ...host.config, more: 1 })]) {
        writeFileSync(path, text);
        await expect(findHostTpm(path)).rejects.toThrow('does not say where this host’s TPM is');
      }
    },
  );
});
