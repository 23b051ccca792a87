// Evidence that was cut off or changed anywhere: never accepted, never an exception, always in bounded time.
import { toHex } from '@ringwall/bytes';
import { parseEventLog } from '@ringwall/tpm';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { realReference } from '../testing/event-log.ts';
import { makeScene, type Scene } from '../testing/scene.ts';
import { EVIDENCE_FIELDS, type EvidenceField, type VtpmEvidence } from './evidence.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../bytes/testing/processor-time.ts';

/** Cut at every byte but these: of the log, all events look alike; the certificate has a test of its own (x509). */
const STEP_BYTES: Partial<Record<EvidenceField, number>> = { eventLog: 13, ekCertificate: 7 };

let scene: Scene;
let good: VtpmEvidence;
beforeAll(async () => {
  scene = await makeScene();
  good = await scene.evidence();
});

async function outcome(change: Partial<VtpmEvidence>): Promise<string> {
  const spent = startProcessorClock();
  const { verdict, verified } = await scene.judge({ ...good, ...change }, { expectedEkCertificate: undefined });
  if (spent() > RUNAWAY_MS) return 'too slow';
  if ((verified === undefined) !== (verdict.outcome === 'refused')) return 'verdict and mark disagree';
  if (verdict.outcome === 'refused' && verdict.reasons.length === 0) return 'refused without a reason';
  return verdict.outcome;
}

/** Pcr, type and digests of a log: what a quote stands behind. The rest is decoration that no check believes. */
function measuredPart(log: Uint8Array): string {
  try {
    return parseEventLog(log)
      .events.slice(1)
      .map(({ pcr, type, digests }) => `${pcr} ${type} ${toHex(digests.get('sha256') ?? new Uint8Array())}`)
      .join('\n');
  } catch {
    return 'unreadable';
  }
}

describe('judgeVtpm()', () => {
  it.each(EVIDENCE_FIELDS)('refuses every truncation of %s', async (field) => {
    const step = STEP_BYTES[field] ?? 1;
    for (let length = 0; length < good[field].length; length += step) {
      expect(await outcome({ [field]: good[field].subarray(0, length) }), `${length} bytes`).toBe('refused');
    }
  });

  it.each(EVIDENCE_FIELDS)('refuses %s with a byte more', async (field) => {
    expect(await outcome({ [field]: Uint8Array.of(...good[field], 0) })).toBe('refused');
  });

  const signed: readonly EvidenceField[] = EVIDENCE_FIELDS.filter((field) => field !== 'eventLog');
  it.each(signed)('refuses %s with any byte changed', async (field) => {
    const original = good[field];
    await fc.assert(
      fc.asyncProperty(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), async (at, difference) => {
        const changed = new Uint8Array(original);
        changed[at] = (changed[at] ?? 0) ^ difference;
        expect(await outcome({ [field]: changed })).toBe('refused');
      }),
      { numRuns: 60 },
    );
  });

  it('refuses an event log in which anything that was measured is changed', async () => {
    const before = measuredPart(good.eventLog);
    const edit = fc.tuple(fc.nat(good.eventLog.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        const changed = new Uint8Array(good.eventLog);
        for (const [at, value] of edits) changed[at] = value;
        fc.pre(measuredPart(changed) !== before);
        expect(await outcome({ eventLog: changed })).toBe('refused');
      }),
      { numRuns: 200 },
    );
  });

  it('refuses rubbish in every field', async () => {
    const bytes = fc.uint8Array({ maxLength: 600 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...EVIDENCE_FIELDS), bytes, async (field, rubbish) => {
        expect(await outcome({ [field]: rubbish })).toBe('refused');
      }),
      { numRuns: 120 },
    );
  });

  it('refuses parts of two good answers mixed', async () => {
    const other = await (await makeScene()).evidence();
    for (const field of EVIDENCE_FIELDS) {
      // All honest machines have the same log.
      if (field === 'eventLog') continue;
      expect(await outcome({ [field]: other[field] }), field).toBe('refused');
    }
  });

  it('judges the reference of the fixture, not one that the evidence brings', async () => {
    const reference = await realReference();
    expect(scene.reference).toEqual(reference);
    expect(await outcome({})).toBe('accepted');
  });
});
