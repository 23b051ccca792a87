import { toHex } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { realEvents } from '../testing/event-log.ts';
import { makeSigner } from '../testing/proofs.ts';
import { MACHINE, makeScene, type Scene } from '../testing/scene.ts';
import { makeCa, NOW } from '../testing/vtpm-ca.ts';
import { EvidenceError } from './errors.ts';
import { defaultPolicy } from './policy.ts';
import { explainProof, verifyProof, type ProofReport, type ProofTrust } from './proof-report.ts';
import { encodeProof, MAX_PROOF_BYTES, parseProof, signProof, type Proof, type UnsignedProof } from './proof.ts';
import type { Signer } from './signer.ts';

let scene: Scene;
let broker: Signer;
let unsigned: UnsignedProof;
let proof: Proof;
let text: string;
beforeAll(async () => {
  scene = await makeScene();
  broker = await makeSigner();
  const evidence = await scene.evidence();
  const { verdict } = await scene.judge(evidence);
  unsigned = {
    machine: { id: MACHINE, name: 'alpha' },
    challenge: scene.challenge,
    evidence,
    reference: scene.reference,
    policy: defaultPolicy,
    verdict,
    activation: 'confirmed',
    vtpmCa: [scene.ca.der],
    at: NOW,
  };
  proof = await signProof(unsigned, broker);
  text = encodeProof(proof);
});

const trust = (): ProofTrust => ({ brokerKey: broker.publicKey, trustedRoots: [scene.ca.der], now: NOW });
const failedChecks = (report: ProofReport): string[] => report.checks.filter(({ ok }) => !ok).map(({ id }) => id);

describe('signProof(), encodeProof(), parseProof()', () => {
  it('give back what was put in', () => {
    const { outcome, proven, reasons } = unsigned.verdict;
    expect(parseProof(text)).toEqual({ ...proof, verdict: { outcome, proven, reasons } });
    expect(encodeProof(parseProof(new TextEncoder().encode(text)))).toBe(text);
    expect(text.length).toBeLessThan(24 * 1024);
  });

  it('refuse to sign what nobody could read', async () => {
    await expect(signProof({ ...unsigned, machine: { id: MACHINE, name: 'a\u001b[2J' } }, broker)).rejects.toThrow(
      'control character',
    );
  });

  it('refuse a broker’s signature of another form', async () => {
    const signer = { ...broker, sign: async () => new Uint8Array(70) };
    await expect(signProof(unsigned, signer)).rejects.toThrow(EvidenceError);
  });
});

describe('parseProof()', () => {
  type Json = Record<string, unknown>;
  const changed = (change: (value: Json) => void): string => {
    const value: Json = JSON.parse(text);
    change(value);
    return JSON.stringify(value);
  };
  const inside = (path: string, value: unknown): string =>
    changed((root) => {
      const keys = path.split('.');
      const last = keys.pop() ?? '';
      const parent = keys.reduce<Json>((at, key) => Object(at[key]), root);
      parent[last] = value;
    });

  it.each<[what: string, bundle: () => string]>([
    ['text that is no JSON', () => '{'],
    ['a list', () => '[]'],
    ['another format', () => inside('format', 'ringwall-proof/3')],
    ['an unknown key', () => inside('note', 'trust me')],
    ['an unknown key inside', () => inside('broker.note', 'trust me')],
    ['an unknown key in the reference', () => inside('reference.note', 'trust me')],
    ['a key named __proto__', () => text.replace('"format"', '"__proto__": {}, "format"')],
    ['a bundle for another machine than was challenged', () => inside('machine.id', 'mch_zzzzzzzzzzzzzzzzzzzz')],
    ['a nonce of 31 bytes', () => inside('challenge.nonce', '00'.repeat(31))],
    ['hexadecimal in upper case', () => inside('broker.publicKey', 'AB'.repeat(64))],
    ['base64 with white space', () => inside('evidence.quote', ' AAAA')],
    ['base64 without padding', () => inside('evidence.quote', 'AAA')],
    ['base64 with loose bits', () => inside('evidence.quote', 'AB==')],
    ['an evidence field beyond its limit', () => inside('evidence.quote', 'AAAA'.repeat(800))],
    ['a time in another form', () => inside('at', '2026-11-21')],
    ['a verdict that is neither', () => inside('verdict.outcome', 'maybe')],
    ['an escape sequence in a name', () => inside('machine.name', '\u001b[2J')],
    ['an escape sequence in a reference', () => inside('reference.image.name', '\u009b2J')],
    [
      'a reason of a thousand lines',
      () =>
        inside(
          'verdict.reasons',
          Array.from({ length: 65 }, () => 'no'),
        ),
    ],
    [
      'a CA list without end',
      () =>
        inside(
          'vtpmCa',
          Array.from({ length: 17 }, () => 'AAAA'),
        ),
    ],
    ['an empty policy', () => inside('policy', {})],
    ['an empty reference', () => inside('reference', {})],
    ['more than its limit', () => `${' '.repeat(MAX_PROOF_BYTES)}{}`],
    ['nesting without end', () => '['.repeat(100_000)],
  ])('refuses %s', (_what, bundle) => {
    expect(() => parseProof(bundle())).toThrow(EvidenceError);
  });

  it('refuses a bundle without any one of its keys', () => {
    for (const key of Object.keys(JSON.parse(text))) {
      const bundle = changed((value) => {
        delete value[key];
      });
      expect(() => parseProof(bundle), key).toThrow(EvidenceError);
    }
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < text.length - 2; length += 31) {
      expect(() => parseProof(text.slice(0, length))).toThrow(EvidenceError);
    }
  });
});

describe('verifyProof()', () => {
  it('proves what broker and CA of the caller stand for', async () => {
    const report = await verifyProof(parseProof(text), trust());
    expect(report.reasons).toEqual([]);
    expect(report.outcome).toBe('proven');
    expect(report.anchors.filter(({ source }) => source === 'bundle')).toEqual([]);
    const lines = explainProof(report);
    expect(lines[0]).toBe(`PROVEN: machine alpha (${MACHINE}), ${NOW.toISOString()}`);
    expect(lines).toContain('  the firmware is OVMF 2022.11-6+deb12u2, as in the manifest (sha256 b157d97b1f69…)');
    expect(lines.join('\n')).toContain('1 vTPM CA that may certify TPMs: you gave it');
    expect(lines.slice(-2)).toEqual([
      'Measured: 24 of 24 events as expected',
      'Ran: nothing is in this proof of what ran since the boot',
    ]);
  });

  it('takes the rest on the word of a broker whose key the caller gave', async () => {
    const report = await verifyProof(proof, { brokerKey: broker.publicKey, now: NOW });
    expect(report.outcome).toBe('proven');
    expect(report.anchors.find(({ id }) => id === 'vtpm-ca')?.source).toBe('broker');
    expect(explainProof(report).join('\n')).toContain('the broker says so, whose key you gave');
  });

  it('is not proven where the caller trusts nobody: anyone could have made it', async () => {
    const report = await verifyProof(proof, { now: NOW });
    expect(report.outcome).toBe('unanchored');
    expect(report.reasons).toHaveLength(6);
    expect(report.reasons.every((reason) => reason.startsWith('only the bundle itself says: '))).toBe(true);
    const lines = explainProof(report).join('\n');
    expect(lines).toContain('CONSISTENT, NOT PROVEN');
    expect(lines).toContain('If that is true, then:');
    expect(lines).not.toContain('Proven:');
  });

  it('is not proven by the vTPM CA alone: its guests could have made it', async () => {
    const report = await verifyProof(proof, { trustedRoots: [scene.ca.der], now: NOW });
    expect(report.outcome).toBe('unanchored');
  });

  it('is not proven while the guest has not shown that its AK is in the TPM', async () => {
    const unconfirmed = await signProof({ ...unsigned, activation: 'unconfirmed' }, broker);
    const report = await verifyProof(unconfirmed, trust());
    expect(report.outcome).toBe('unanchored');
    expect(report.reasons.join('\n')).toContain('never showed that its attestation key is inside the TPM');
  });

  it('refuses a bundle of another broker', async () => {
    const report = await verifyProof(await signProof(unsigned, await makeSigner()), trust());
    expect(report.outcome).toBe('invalid');
    expect(failedChecks(report)).toEqual(['broker-key']);
  });

  it('takes nothing on the word of a trusted broker that did not seal this very bundle', async () => {
    const altered = { ...proof, machine: { ...proof.machine, name: 'omega' } };
    for (const bundle of [altered, await signProof(unsigned, await makeSigner())]) {
      const { outcome, anchors } = await verifyProof(bundle, { brokerKey: broker.publicKey, now: NOW });
      expect(outcome).toBe('invalid');
      expect(new Set(anchors.map(({ source }) => source))).toEqual(new Set(['bundle']));
    }
  });

  it('refuses a bundle from the future', async () => {
    const at = new Date(NOW.getTime() + 10 * 60 * 1000);
    const report = await verifyProof(await signProof({ ...unsigned, at }, broker), trust());
    expect(failedChecks(report)).toEqual(['time']);
    expect(report.outcome).toBe('invalid');
  });

  it('refuses a vTPM CA that the caller does not trust', async () => {
    const report = await verifyProof(proof, { ...trust(), trustedRoots: [(await makeCa()).der] });
    expect(report.outcome).toBe('refused');
    expect(report.reasons.join('\n')).toContain('not signed by a vTPM CA that is trusted');
  });

  it('judges by the caller’s reference, where there is one', async () => {
    const events = scene.reference.events.map((item) =>
      item.what === 'kernel' ? { ...item, digest: 'ee'.repeat(32) } : item,
    );
    const report = await verifyProof(proof, { ...trust(), reference: { ...scene.reference, events } });
    expect(report.outcome).toBe('refused');
    expect(report.reasons[0]).toMatch(/^kernel \(PCR 4, .*expected eeeeeeeeeeee…$/);
  });

  it('judges by the caller’s policy, where there is one', async () => {
    const policy = { ...defaultPolicy, pcrs: [...defaultPolicy.pcrs, 16] };
    const report = await verifyProof(proof, { ...trust(), policy });
    expect(report.outcome).toBe('refused');
  });

  it('refuses a broker that accepts what does not pass', async () => {
    const evidence = await scene.evidence({ events: realEvents.slice(1) });
    const report = await verifyProof(await signProof({ ...unsigned, evidence }, broker), trust0());
    expect(report.outcome).toBe('invalid');
    expect(failedChecks(report)).toEqual(['agreement']);
    expect(explainProof(report)[0]).toContain('INVALID');
  });

  it('keeps a refusal a refusal, also where the evidence would pass', async () => {
    const verdict = { outcome: 'refused', proven: [], reasons: ['the nonce was used before'] } as const;
    const report = await verifyProof(await signProof({ ...unsigned, verdict }, broker), trust());
    expect(report.outcome).toBe('refused');
    expect(report.reasons).toEqual(['the broker refused it: the nonce was used before']);
  });

  it('is a record of a refusal with its reasons', async () => {
    const evidence = await scene.evidence({ events: realEvents.slice(1) });
    const { verdict } = await scene.judge(evidence);
    const refusal = await signProof({ ...unsigned, evidence, verdict }, broker);
    const report = await verifyProof(refusal, trust());
    expect(report.outcome).toBe('refused');
    expect(report.reasons).toEqual(verdict.reasons);
    expect(explainProof(report).join('\n')).toContain('Measured: 23 of 24 events as expected');
  });

  it('shows its own sentences, never those of the bundle', async () => {
    const verdict = { ...unsigned.verdict, proven: ['the moon is made of cheese'] };
    const report = await verifyProof(await signProof({ ...unsigned, verdict }, broker), trust());
    expect(explainProof(report).join('\n')).not.toContain('cheese');
  });

  it('refuses a bundle in which any byte that parses was changed', async () => {
    const bytes = new TextEncoder().encode(text);
    let parsed = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 0x20, max: 0x7e }), async (at, value) => {
        const changed = new Uint8Array(bytes);
        changed[at] = value;
        const other = tryParse(changed);
        // White space between tokens is not part of what is signed.
        fc.pre(other !== undefined && encodeProof(other) !== text);
        parsed += 1;
        expect((await verifyProof(other, trust())).outcome).toBe('invalid');
      }),
      { numRuns: 150, maxSkipsPerRun: 1000 },
    );
    expect(parsed).toBeGreaterThan(0);
  });

  function tryParse(bytes: Uint8Array): Proof | undefined {
    try {
      return parseProof(bytes);
    } catch (error) {
      if (error instanceof EvidenceError) return undefined;
      throw error;
    }
  }

  /** Trust in the broker alone, so that the bundle is held to its own rules. */
  function trust0(): ProofTrust {
    return { brokerKey: broker.publicKey, now: NOW };
  }

  it('names the broker by the key that the caller gave', async () => {
    const report = await verifyProof(proof, trust());
    const anchor = report.anchors.find(({ id }) => id === 'broker-key');
    expect(anchor?.what).toContain(toHex(broker.publicKey).slice(0, 12));
  });
});
