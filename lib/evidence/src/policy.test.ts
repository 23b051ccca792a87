// Policies: what is read, what is refused, and that the JSON Schema that is shipped says the same.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EvidenceError } from './errors.ts';
import { checkAge, defaultPolicy, parsePolicy, policyJson, type PolicyV2 } from './policy.ts';

const NOW = new Date('2026-11-21T12:00:00Z');

/** Everything that a policy can say. */
const full: PolicyV2 = {
  version: 2,
  evidence: ['vtpm', 'host-tpm'],
  bank: 'sha256',
  pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15],
  untouchedPcrs: [11, 15],
  references: { signers: ['ab'.repeat(64)], ids: [`ref_${'cd'.repeat(32)}`] },
  rules: [
    {
      effect: 'allow',
      pcr: 1,
      type: 'EV_EFI_VARIABLE_BOOT',
      digests: 'any',
      mayBeMissing: true,
      reason: 'the order of boot options depends on which disks are there',
    },
    {
      effect: 'allow',
      pcr: 4,
      type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
      digests: ['01'.repeat(32)],
      mayBeMissing: false,
      reason: 'the new kernel, while it is rolled out',
    },
    { effect: 'deny', pcr: 4, digests: ['02'.repeat(32)], reason: 'a boot loader that was revoked' },
  ],
  freshness: { maxAgeSeconds: 180, watchSeconds: 60 },
  minimumTpmFirmware: '2019102300163636',
  hostTpm: {
    version: 1,
    kind: 'host-tpm',
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14],
    signers: ['ef'.repeat(64)],
    ekRoots: [{ certificate: 'MAA=', reason: 'the maker of the TPMs that we buy' }],
    rules: [
      {
        effect: 'allow',
        pcr: 5,
        type: 'EV_EFI_GPT_EVENT',
        digests: 'any',
        mayBeMissing: false,
        reason: 'disks are exchanged',
      },
    ],
    others: 'show',
    maxAgeSeconds: 600,
    exceptions: [{ what: 'other-banks', reason: 'this firmware has no way to switch SHA-1 off' }],
  },
};

type Json = Record<string, unknown>;
const copy = (): Json => JSON.parse(JSON.stringify(policyJson(full)));
const changed = (change: (policy: Json) => void): Json => {
  const policy = copy();
  change(policy);
  return policy;
};

describe('parsePolicy()', () => {
  it('reads both versions, and policyJson() writes them back', () => {
    for (const policy of [defaultPolicy, full]) {
      expect(parsePolicy(JSON.parse(JSON.stringify(policyJson(policy))))).toEqual(policy);
    }
  });

  it('checklist 12: refuses an empty, a partial and an unreadable policy', () => {
    for (const nothing of [undefined, null, {}, [], '', 'allow everything', { version: 2 }, { version: 3 }]) {
      expect(() => parsePolicy(nothing)).toThrow(EvidenceError);
    }
    for (const key of Object.keys(copy()).filter(
      (name) => !['references', 'freshness', 'minimumTpmFirmware'].includes(name),
    )) {
      const partial = changed((policy) => {
        delete policy[key];
      });
      expect(() => parsePolicy(partial), key).toThrow(EvidenceError);
    }
  });

  it.each<[what: string, change: (policy: Json) => void, says: string]>([
    ['no PCR', (policy) => (policy['pcrs'] = []), 'demands no PCR'],
    ['PCRs in another order', (policy) => (policy['pcrs'] = [1, 0]), 'not ascending'],
    ['a PCR that no platform has', (policy) => (policy['pcrs'] = [0, 24]), 'expected 0..23'],
    ['an untouched PCR that nobody quotes', (policy) => (policy['untouchedPcrs'] = [14]), 'not quoted'],
    ['the SHA-1 bank', (policy) => (policy['bank'] = 'sha1'), 'bank'],
    ['no vTPM', (policy) => (policy['evidence'] = ['host-tpm']), 'does not demand a vTPM'],
    ['a kind twice', (policy) => (policy['evidence'] = ['vtpm', 'vtpm']), 'twice'],
    ['an unknown kind', (policy) => (policy['evidence'] = ['vtpm', 'word of honour']), 'evidence[1]'],
    ['nobody who may say', (policy) => (policy['references'] = { signers: [], ids: [] }), 'lets nobody say'],
    [
      'a watch that is always late',
      (policy) => (policy['freshness'] = { maxAgeSeconds: 60, watchSeconds: 60 }),
      'overdue',
    ],
    ['hardware without rules for it', (policy) => (policy['evidence'] = ['vtpm', 'tdx']), 'policy.tdx is missing'],
    ['rules for hardware that is not demanded', (policy) => (policy['sevSnp'] = {}), 'does not demand sev-snp'],
    ['an unknown key', (policy) => (policy['trust'] = 'all'), 'unknown key'],
  ])('refuses %s', (_what, change, says) => {
    expect(() => parsePolicy(changed(change))).toThrow(says);
  });

  const rule = (change: Json): Json =>
    changed((policy) => {
      policy['rules'] = [{ effect: 'allow', pcr: 1, type: 'EV_ACTION', digests: 'any', reason: 'because', ...change }];
    });
  it.each<[what: string, change: Json, says: string]>([
    ['without a reason', { reason: ' ' }, 'does not say why'],
    ['that lets anything run', { pcr: 4 }, 'holds code'],
    ['for a PCR that nobody quotes', { pcr: 14 }, 'not quoted'],
    ['for a PCR that must be untouched', { pcr: 15 }, 'untouched'],
    ['without digests', { digests: [] }, 'names no digest'],
    ['with a digest in upper case', { digests: ['AB'.repeat(32)] }, 'SHA-256'],
    ['with another effect', { effect: 'ignore' }, 'effect'],
    ['with an unknown key', { note: 'trust me' }, 'unknown key'],
    ['that denies any', { effect: 'deny', type: undefined }, 'rules[0]'],
  ])('refuses a rule %s', (_what, change, says) => {
    expect(() => parsePolicy(rule(change))).toThrow(says);
  });

  it('throws EvidenceError alone, on any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(() => parsePolicy(value)).toThrow(EvidenceError);
      }),
      { numRuns: 300 },
    );
  });
});

describe('policy.schema.json', () => {
  const text = readFileSync(join(import.meta.dirname, '../policy.schema.json'), 'utf8');
  const schema = z.fromJSONSchema(JSON.parse(text));
  const reads = (value: unknown): boolean => {
    try {
      parsePolicy(value);
      return true;
    } catch {
      return false;
    }
  };

  it('accepts what is read', () => {
    for (const policy of [defaultPolicy, full]) expect(schema.safeParse(policyJson(policy)).success).toBe(true);
  });

  /** Rules between two members, which a schema cannot say. */
  const BEYOND =
    /ascending|not quoted|untouched|holds code|overdue|twice|does not demand|lets nobody|does not say why|is missing: |lacks PCR|one spelling|a reason is empty/;

  it('accepts whatever parsePolicy() reads, and refuses whatever it refuses for the form of one member', () => {
    // Each member of the full policy replaced by something else, one at a time.
    const values: readonly unknown[] = [0, -1, 25, 1.5, '', 'any', 'allow', true, null, [], {}, [0], ['x'], { x: 1 }];
    let compared = 0;
    const differing: string[] = [];
    const visit = (path: readonly (string | number)[], value: unknown): void => {
      for (const other of [...values, undefined]) {
        const mutant = copy();
        let parent: unknown = mutant;
        for (const key of path.slice(0, -1)) parent = Reflect.get(Object(parent), key);
        const last = path.at(-1);
        if (last === undefined) return;
        if (other === undefined) Reflect.deleteProperty(Object(parent), last);
        else Reflect.set(Object(parent), last, other);
        compared += 1;
        const accepted = schema.safeParse(mutant).success;
        const excused = accepted && BEYOND.test(reasonOf(mutant));
        if (accepted !== reads(mutant) && !excused) differing.push(`${path.join('.')} = ${JSON.stringify(other)}`);
      }
      if (typeof value !== 'object' || value === null) return;
      for (const [key, member] of Object.entries(value))
        visit([...path, Array.isArray(value) ? Number(key) : key], member);
    };
    for (const [key, member] of Object.entries(copy())) visit([key], member);
    expect(differing).toEqual([]);
    expect(compared).toBeGreaterThan(500);
  });
});

describe('checkAge()', () => {
  const at = (secondsAgo: number): Date => new Date(NOW.getTime() - secondsAgo * 1000);

  it('checklist 13: a verdict that is overdue counts no longer', () => {
    expect(checkAge(full, at(180), NOW).ok).toBe(true);
    expect(checkAge(full, at(181), NOW)).toEqual({
      ok: false,
      detail: 'the verdict is 181 s old, the policy allows 180 s',
    });
  });

  it('refuses a verdict from the future and one without a time', () => {
    expect(checkAge(full, at(-299), NOW).ok).toBe(true);
    expect(checkAge(full, at(-301), NOW).ok).toBe(false);
    expect(checkAge(full, new Date(Number.NaN), NOW).ok).toBe(false);
  });

  it('asks nothing where the policy sets no age', () => {
    expect(checkAge(defaultPolicy, at(1e9), NOW).ok).toBe(true);
  });
});

function reasonOf(policy: unknown): string {
  try {
    parsePolicy(policy);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}
