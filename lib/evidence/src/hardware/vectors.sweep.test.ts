// What real processors signed. Skips where the vectors are not beside the repository.
import { ParseError } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { hasVectors, realSnp, realTdx } from '../../testing/real-hardware.ts';
import { failedChecks } from '../../testing/snp-scene.ts';
import { parseCrl } from '../crl.ts';
import { judgeSnp } from '../snp/judge.ts';
import { parseSnpReport } from '../snp/report.ts';
import { parseEndorsementKey } from '../snp/vek.ts';
import { splitSignedJson } from '../tdx/intel-json.ts';
import { judgeTdx } from '../tdx/judge.ts';
import { parsePck } from '../tdx/pck.ts';
import { parseQeIdentity } from '../tdx/qe-identity.ts';
import { splitTdxQuote } from '../tdx/quote.ts';
import { parseTcbInfo } from '../tdx/tcb-info.ts';
import { parseTdReport } from '../tdx/td-report.ts';
import { parsePemChain } from '../x509-pem.ts';
import { parseCertificate } from '../x509.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../../bytes/testing/processor-time.ts';

const MUTATIONS = 3000;

describe.skipIf(!hasVectors)('a report of an AMD Milan (virtee/sev)', () => {
  it('is accepted, under AMD’s own root key', async () => {
    const { verdict, verified } = await judgeSnp(realSnp());
    expect(verdict.reasons).toEqual([]);
    expect(verified?.endorsementKey.product).toBe('Milan');
    expect(verified?.endorsementKey.kind).toBe('vcek');
  });

  it('is refused without a revocation list, where the policy has no reason for that', async () => {
    const real = realSnp();
    const result = await judgeSnp({ ...real, policy: { ...real.policy, exceptions: [] } });
    expect(failedChecks(result)).toEqual(['crl', 'crl-fresh', 'revoked']);
  });

  it('is refused with any bit changed', async () => {
    const real = realSnp();
    for (let at = 0; at < real.report.length; at += 13) {
      const report = flipped(real.report, at);
      const spent = startProcessorClock();
      expect((await judgeSnp({ ...real, report })).verified, `byte ${at}`).toBeUndefined();
      expect(spent()).toBeLessThan(RUNAWAY_MS);
    }
  });

  it.each([0, 1, 2])('is refused with any bit of certificate %i changed', async (index) => {
    const real = realSnp();
    const { certificates } = real.collateral;
    const length = certificates[index]?.length ?? 0;
    for (let at = 0; at < length; at += 53) {
      const changed = certificates.map((der, position) => (position === index ? flipped(der, at) : der));
      const { verified } = await judgeSnp({ ...real, collateral: { ...real.collateral, certificates: changed } });
      expect(verified, `byte ${at}`).toBeUndefined();
    }
  });
});

describe.skipIf(!hasVectors)('a quote of an Intel processor (google/go-tdx-guest)', () => {
  const unsigned = ['tcb-info-signature', 'qe-identity-signature'];

  it('has signatures that hold, up to Intel’s root key, with every list current', async () => {
    const result = await judgeTdx(realTdx());
    // Its collateral lacks the certificates that signed it, and is newer than the platform: no level applies.
    expect(failedChecks(result)).toEqual(['tcb-info-signature', 'qe-identity-signature', 'tcb-status']);
    expect(result.verified).toBeUndefined();
    expect(result.verdict.reasons.join('\n')).toContain('a part of its firmware is older');
  });

  it('is refused today: its collateral has expired, and that is said', async () => {
    const { verdict } = await judgeTdx({ ...realTdx(), now: new Date('2026-11-21T12:00:00Z') });
    expect(failedChecks({ verdict })).toEqual(
      expect.arrayContaining(['crl-fresh', 'tcb-info-fresh', 'qe-identity-fresh', ...unsigned]),
    );
    expect(verdict.reasons.filter((reason) => reason.includes('has expired on')).length).toBeGreaterThanOrEqual(3);
  });

  it('is refused for the text after it and the attribute that it lacks, where the policy has no reason', async () => {
    const real = realTdx();
    const result = await judgeTdx({ ...real, policy: { ...real.policy, exceptions: [] } });
    expect(failedChecks(result)).toEqual(expect.arrayContaining(['quote-end', 'sept-ve']));
  });

  it('has no byte that can be changed unseen', async () => {
    const real = realTdx();
    const { tail } = splitTdxQuote(real.quote);
    const before = new Set(failedChecks(await judgeTdx(real)));
    for (let at = 0; at < real.quote.length - tail.length; at += 61) {
      const spent = startProcessorClock();
      const result = await judgeTdx({ ...real, quote: flipped(real.quote, at) });
      expect(spent()).toBeLessThan(RUNAWAY_MS);
      expect(result.verified).toBeUndefined();
      expect(
        failedChecks(result).some((id) => !before.has(id)),
        `byte ${at}`,
      ).toBe(true);
    }
  });
});

describe.skipIf(!hasVectors)('every parser', () => {
  const [snp, tdx] = hasVectors ? [realSnp(), realTdx()] : [undefined, undefined];
  const bytes = (value: Uint8Array | undefined): Uint8Array => value ?? new Uint8Array();
  const pem = tdx === undefined ? new Uint8Array() : splitTdxQuote(tdx.quote).pckChain;
  const [pck] = tdx === undefined ? [] : parsePemChain(pem);
  const report = tdx === undefined ? new Uint8Array() : splitTdxQuote(tdx.quote).tdReport;
  const parsers: readonly [name: string, input: Uint8Array, parse: (input: Uint8Array) => unknown][] = [
    ['SEV-SNP report', bytes(snp?.report), parseSnpReport],
    ['VCEK', bytes(snp?.collateral.certificates[0]), (der) => parseEndorsementKey(parseCertificate(der))],
    ['ASK', bytes(snp?.collateral.certificates[1]), parseCertificate],
    ['TDX quote', bytes(tdx?.quote), splitTdxQuote],
    ['TD report', report, (input) => parseTdReport(input, '1.0')],
    ['PCK chain', pem, parsePckChain],
    ['PCK', bytes(pck), (der) => parsePck(parseCertificate(der))],
    ['revocation list', bytes(tdx?.collateral.crls[1]), parseCrl],
    ['TCB info', bytes(tdx?.collateral.tcbInfo), (body) => parseTcbInfo(splitSignedJson(body, 'tcbInfo').text)],
    [
      'enclave identity',
      bytes(tdx?.collateral.qeIdentity),
      (body) => parseQeIdentity(splitSignedJson(body, 'enclaveIdentity').text),
    ],
  ];

  it.each(parsers)('refuses every truncation, with ParseError alone: %s', (_name, input, parse) => {
    expect(outcome(input, parse)).toBe('read');
    // What follows a quote is no part of it; a line feed may end a text.
    const end = parse === splitTdxQuote ? input.length - splitTdxQuote(input).tail.length : input.length - 1;
    const read: number[] = [];
    for (let length = 0; length < end; length += 1) {
      if (outcome(input.subarray(0, length), parse) === 'read') read.push(length);
    }
    expect(read).toEqual([]);
  });

  it.each(parsers)('throws ParseError alone, and in time, for thousands of mutations: %s', (_name, input, parse) => {
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    let slowestMs = 0;
    for (let round = 0; round < MUTATIONS; round += 1) {
      const changed = new Uint8Array(input);
      for (let edits = 1 + random(4); edits > 0; edits -= 1) changed[random(input.length)] = random(256);
      const spent = startProcessorClock();
      outcome(changed, parse);
      slowestMs = Math.max(slowestMs, spent());
    }
    expect(slowestMs).toBeLessThan(RUNAWAY_MS);
  });
});

/** A chain of the length that judgeTdx demands: cut between certificates, it is a shorter one. */
function parsePckChain(pem: Uint8Array): void {
  if (parsePemChain(pem).length !== 3) throw new ParseError('invalid', 'PCK chain', 0, 'is cut');
}

function outcome(input: Uint8Array, parse: (input: Uint8Array) => unknown): string {
  try {
    parse(input);
    return 'read';
  } catch (error) {
    if (error instanceof ParseError) return 'refused';
    throw error;
  }
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = new Uint8Array(bytes);
  changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
  return changed;
}
