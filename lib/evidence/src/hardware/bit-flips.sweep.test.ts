// Every byte of what real processors signed, one bit flipped: where vectors.sweep.test.ts takes samples.
import { ParseError } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { hasVectors, realSnp, realTdx } from '../../testing/real-hardware.ts';
import { failedChecks } from '../../testing/snp-scene.ts';
import { judgeSnp } from '../snp/judge.ts';
import { AMD_ROOTS } from '../snp/roots.ts';
import { judgeTdx } from '../tdx/judge.ts';
import { splitTdxQuote } from '../tdx/quote.ts';
import { checkChain } from '../x509-chain.ts';
import { parseCertificate } from '../x509.ts';

describe.skipIf(!hasVectors)('one flipped bit in any byte', () => {
  it('of an AMD report is refused', async () => {
    const real = realSnp();
    const passed: number[] = [];
    for (let at = 0; at < real.report.length; at += 1) {
      if ((await judgeSnp({ ...real, report: flipped(real.report, at) })).verified !== undefined) passed.push(at);
    }
    expect(passed).toEqual([]);
  });

  // By the part of the judge that has to see it: with the report and the policy it took more than twice as long.
  it('of AMD certificates leads to no trusted root', async () => {
    const { collateral, now } = realSnp();
    const { certificates } = collateral;
    expect(await leadToAmd(certificates, now)).toBe(true);
    const passed: string[] = [];
    for (const [index, certificate] of certificates.entries()) {
      for (let at = 0; at < certificate.length; at += 1) {
        const changed = certificates.map((der, position) => (position === index ? flipped(der, at) : der));
        if (await leadToAmd(changed, now)) passed.push(`certificate ${index}, byte ${at}`);
      }
    }
    expect(passed).toEqual([]);
  });

  it('of an Intel quote fails a check that held before', async () => {
    const real = realTdx();
    const end = real.quote.length - splitTdxQuote(real.quote).tail.length;
    const before = new Set(failedChecks(await judgeTdx(real)));
    const unseen: number[] = [];
    for (let at = 0; at < end; at += 1) {
      const fails = failedChecks(await judgeTdx({ ...real, quote: flipped(real.quote, at) }));
      if (fails.every((id) => before.has(id))) unseen.push(at);
    }
    expect(unseen).toEqual([]);
  });
});

async function leadToAmd(certificates: readonly Uint8Array[], now: Date): Promise<boolean> {
  const pins = AMD_ROOTS.map(({ keyFingerprint }) => keyFingerprint);
  try {
    const chain = certificates.map((der) => parseCertificate(der));
    return (await checkChain(chain, pins, now)).signatures.ok;
  } catch (error) {
    if (error instanceof ParseError) return false;
    throw error;
  }
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = new Uint8Array(bytes);
  changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
  return changed;
}
