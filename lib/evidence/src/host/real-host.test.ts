// Evidence of a real host: a guest with firmware, a kernel and swtpm as its own TPM, in which QEMU, swtpm and Node have run.
// host/attest/guest-host.real.test.ts has recorded it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fromBase64 } from '../base64.ts';
import { judgeHost, parseHostPolicy, parseHostReference, type HostJudgement, type HostResult } from './index.ts';

interface Recorded {
  readonly evidence: Readonly<Record<Exclude<keyof HostJudgement['evidence'], 'kind'>, string>>;
  readonly question: {
    readonly nonce: string;
    readonly host: string;
    readonly vtpmCa: string;
    readonly askedAt: string;
  };
  readonly policy: unknown;
  readonly reference: unknown;
  readonly activation: HostJudgement['activation'];
  readonly now: string;
}

const recorded: Recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/host-guest.json'), 'utf8'),
);
const bytes = (text: string): Uint8Array => fromBase64(text) ?? new Uint8Array();
const { evidence, question } = recorded;
const whole: HostJudgement = {
  evidence: {
    kind: 'host-tpm',
    ekCertificate: bytes(evidence.ekCertificate),
    akPublic: bytes(evidence.akPublic),
    quote: bytes(evidence.quote),
    quoteSignature: bytes(evidence.quoteSignature),
    eventLog: bytes(evidence.eventLog),
    imaLog: bytes(evidence.imaLog),
    vtpmCa: bytes(evidence.vtpmCa),
  },
  question: {
    nonce: fromHex(question.nonce),
    host: question.host,
    vtpmCa: bytes(question.vtpmCa),
    askedAt: new Date(question.askedAt),
  },
  policy: parseHostPolicy(recorded.policy),
  reference: parseHostReference(recorded.reference),
  activation: recorded.activation,
  now: new Date(recorded.now),
};

function failed({ verdict }: HostResult): string[] {
  return verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
}

describe('judgeHost() of a real host', () => {
  test('accepts it, with what it booted and what ran', async () => {
    const { verdict } = await judgeHost(whole);
    expect(verdict.reasons).toEqual([]);
    expect(verdict.ran?.known).toBeGreaterThan(50);
    expect(verdict.ran?.others.map(({ path }) => path)).toContain('/bin/busybox');
  });

  test('refuses it with another swtpm in its reference, without one of its entries, and after a day', async () => {
    const files = whole.reference.files.map((file) =>
      file.path === '/usr/bin/swtpm' ? { ...file, sha256: '00'.repeat(32) } : file,
    );
    const other = { ...whole.reference, files };
    expect(failed(await judgeHost({ ...whole, reference: other }))).toEqual([
      'host-reference-signature',
      'host-files-ran',
      'host-files-unaltered',
    ]);
    const imaLog = whole.evidence.imaLog.subarray(0, 0x40);
    expect(failed(await judgeHost({ ...whole, evidence: { ...whole.evidence, imaLog } }))).toContain('host-log-replay');
    const now = new Date(whole.now.getTime() + 3_600_000);
    expect(failed(await judgeHost({ ...whole, now }))).toEqual(['host-fresh']);
  });
});
