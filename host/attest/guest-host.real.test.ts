// A host that is itself a guest with a vTPM proves itself: real firmware, a real kernel that measures what runs, and QEMU,
// swtpm and Node inside it. What it answers is judged outside.
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import {
  hostReferenceJson,
  judgeHost,
  keyOfCa,
  vtpmCaQualifyingData,
  type HostFile,
  type HostJudgement,
  type HostPolicy,
  type HostReference,
  type HostResult,
} from '@ringwall/evidence';
import { makeCredential, nameOf, parsePublic, publicKeyOf } from '@ringwall/tpm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueEk, makeCa, type TestCa } from '../../lib/evidence/testing/vtpm-ca.ts';
import { MISSING } from '../guestimage/testing/guest.ts';
import { makeTpm } from '../guestimage/testing/tpm.ts';
import type { Question } from './testing/answer-questions.ts';
import { enrolHost } from './testing/enrol.ts';
import { HOST_MISSING, HostGuest } from './testing/host-guest.ts';

const FIXTURE = join(import.meta.dirname, '../../lib/evidence/fixtures/host-guest.json');
const CACHE = join(tmpdir(), `ringwall-test-packages-${userInfo().uid}`);
const LACKS = [...new Set([...MISSING, ...HOST_MISSING])];
const PCRS = Array.from({ length: 16 }, (_, pcr) => pcr);
const QEMU = '/usr/bin/qemu-system-x86_64';
const SWTPM = '/usr/bin/swtpm';

describe.skipIf(LACKS.length > 0)(`a host that is a guest (skipped: needs ${LACKS.join(', ')})`, () => {
  let dir: string;
  let host: HostGuest | undefined;
  let vtpmCa: TestCa;
  let policy: HostPolicy;
  let reference: HostReference;
  let described: Readonly<Record<string, unknown>>;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ringwall-host-'));
    [vtpmCa] = [await makeCa()];
    const maker = await makeCa({ name: 'CN=Maker of TPMs' });
    const tpm = await makeTpm(join(dir, 'tpm'), async (ek) => issueEk(maker, await publicKeyOf(ek), 'a chip'));
    host = await HostGuest.boot(dir, tpm, CACHE);
    described = await ask({ op: 'describe' });
    ({ reference, policy } = await enrolHost({
      vtpmCa: vtpmCa.der,
      makerOfTpm: maker.der,
      akPublic: bytes(described, 'akPublic'),
      ekCertificate: bytes(described, 'ekCertificate'),
      eventLog: bytes(described, 'eventLog'),
      files: filesOf(described),
      pcrs: PCRS,
    }));
  });
  afterAll(async () => {
    await host?.[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  function ask(question: Question): Promise<Readonly<Record<string, unknown>>> {
    if (host === undefined) throw new Error('the host did not boot');
    return host.ask(question);
  }

  /** What a unit test reads as lib/evidence/fixtures/host-guest.json; RINGWALL_WRITE_FIXTURES=1 makes that file anew. */
  let judged: HostJudgement | undefined;

  async function prove(): Promise<HostResult> {
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    const question = { nonce, host: reference.host, vtpmCa: vtpmCa.der, askedAt: new Date() };
    const qualifyingData = await vtpmCaQualifyingData({ ...question, spki: keyOfCa(vtpmCa.der) });
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const akPublic = bytes(described, 'akPublic');
    const ekPublic = parsePublic(bytes(described, 'ekPublic'));
    const credential = await makeCredential({ ekPublic, akName: await nameOf(akPublic), secret });
    const answer = await ask({
      op: 'answer',
      qualifyingData: base64(qualifyingData),
      pcrs: PCRS,
      credential: { idObject: base64(credential.idObject), encryptedSecret: base64(credential.encryptedSecret) },
    });
    judged = {
      evidence: {
        kind: 'host-tpm',
        akPublic,
        ekCertificate: bytes(described, 'ekCertificate'),
        quote: bytes(answer, 'quote'),
        quoteSignature: bytes(answer, 'quoteSignature'),
        eventLog: bytes(answer, 'eventLog'),
        imaLog: bytes(answer, 'imaLog'),
        vtpmCa: vtpmCa.der,
      },
      question,
      policy,
      reference,
      activation: toHex(bytes(answer, 'opened')) === toHex(secret) ? 'confirmed' : 'unconfirmed',
      now: new Date(),
    };
    return judgeHost(judged);
  }

  it('knows the files that start its machines, and its program among them', () => {
    const files = filesOf(described);
    const required = files.filter((file) => file.required).map(({ path }) => path);
    expect(required).toEqual(['/opt/node', '/opt/ringwall/warden.mjs', QEMU, SWTPM]);
    expect(files.length).toBeGreaterThan(50);
    expect(described['unmeasured']).toEqual([]);
  });

  it('proves itself: what it booted, and that what starts machines ran as it was enrolled', async () => {
    for (const program of [QEMU, SWTPM]) {
      expect(await ask({ op: 'run', argv: [program, '--version'] })).toMatchObject({ code: 0 });
    }
    const { verdict } = await prove();
    expect(verdict.reasons).toEqual([]);
    expect(verdict.ran?.known).toBeGreaterThan(50);
    // Of the image's initrd, and the shell.
    expect(verdict.ran?.others.map(({ path }) => path)).toContain('/bin/busybox');
    expect(verdict.events.filter(({ status }) => status === 'expected').length).toBeGreaterThan(20);
    if (process.env['RINGWALL_WRITE_FIXTURES'] === '1' && judged !== undefined) writeFixture(judged);
  });

  it('shows another program that ran, and is refused once another swtpm ran in the place of its own', async () => {
    const shell = (script: string): Promise<unknown> => ask({ op: 'run', argv: ['/bin/busybox', 'sh', '-c', script] });
    await shell('cp /bin/busybox /tmp/evil; echo >>/tmp/evil; exec -a busybox /tmp/evil true');
    const { verdict } = await prove();
    expect(verdict.outcome).toBe('accepted');
    expect(verdict.ran?.others.map(({ path }) => path)).toContain('/tmp/evil');
    await shell(`cp ${SWTPM} /tmp/swtpm; echo >>/tmp/swtpm; /bin/busybox mount -o bind /tmp/swtpm ${SWTPM}`);
    await ask({ op: 'run', argv: [SWTPM, '--version'] });
    const altered = await prove();
    expect(failed(altered)).toEqual(['host-files-unaltered']);
    expect(altered.verdict.reasons.join()).toMatch(/^\/usr\/bin\/swtpm ran on the host, and is not the file/);
  });
});

function writeFixture({ evidence, question, policy, reference, activation, now }: HostJudgement): void {
  const { kind, ...fields } = evidence;
  const written = {
    evidence: { kind, ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, base64(value)])) },
    question: { ...question, nonce: toHex(question.nonce), vtpmCa: base64(question.vtpmCa) },
    policy,
    reference: hostReferenceJson(reference),
    activation,
    now,
  };
  writeFileSync(FIXTURE, `${JSON.stringify(written)}\n`);
}

function failed({ verdict }: HostResult): string[] {
  return verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
}

function filesOf(described: Readonly<Record<string, unknown>>): readonly HostFile[] {
  const { files } = described;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- signHostReference reads them through its parser
  return files as readonly HostFile[];
}

function bytes(answer: Readonly<Record<string, unknown>>, name: string): Uint8Array {
  return new Uint8Array(Buffer.from(String(answer[name]), 'base64'));
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString('base64');
}
