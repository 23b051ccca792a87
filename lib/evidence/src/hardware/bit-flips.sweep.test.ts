// Every byte of what real processors signed, one bit flipped: where vectors.sweep.test.ts takes samples.
import { describe, expect, it } from 'vitest';
import { hasVectors, realSnp, realTdx } from '../../testing/real-hardware.ts';
import { failedChecks } from '../../testing/snp-scene.ts';
import { judgeSnp } from '../snp/judge.ts';
import { judgeTdx } from '../tdx/judge.ts';
import { splitTdxQuote } from '../tdx/quote.ts';

describe.skipIf(!hasVectors)('one flipped bit in any byte', () => {
  it('of an AMD report is refused', async () => {
    const real = realSnp();
    const passed: number[] = [];
    for (let at = 0; at < real.report.length; at += 1) {
      if ((await judgeSnp({ ...real, report: flipped(real.report, at) })).verified !== undefined) passed.push(at);
    }
    expect(passed).toEqual([]);
  });

  it('of AMD certificates is refused', async () => {
    const real = realSnp();
    const { certificates } = real.collateral;
    const passed: string[] = [];
    for (const [index, certificate] of certificates.entries()) {
      for (let at = 0; at < certificate.length; at += 1) {
        const changed = certificates.map((der, position) => (position === index ? flipped(der, at) : der));
        const result = await judgeSnp({ ...real, collateral: { ...real.collateral, certificates: changed } });
        if (result.verified !== undefined) passed.push(`certificate ${index}, byte ${at}`);
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

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = new Uint8Array(bytes);
  changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
  return changed;
}
