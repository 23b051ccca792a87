// The scene of most tests: a machine that was registered, a challenge, and evidence for it that may lie.
import { judgeVtpm, defaultPolicy, type Challenge, type Judgement, type ReferenceValues } from '../src/index.ts';
import type { VtpmEvidence, VtpmJudgement } from '../src/index.ts';
import { realEvents, realReference } from './event-log.ts';
import { attest, makeSoftwareTpm, type Lies, type SoftwareTpm } from './software-tpm.ts';
import { issueEk, makeCa, NOW, type EkChanges, type TestCa } from './vtpm-ca.ts';

export const MACHINE = 'mch_aaaabbbbccccddddeeee';
export const BOOT = '00112233445566778899aabbccddeeff';

export interface Scene {
  readonly tpm: SoftwareTpm;
  readonly ca: TestCa;
  readonly ekCertificate: Uint8Array;
  readonly challenge: Challenge;
  readonly reference: ReferenceValues;
  /** Evidence for the scene's challenge. */
  evidence(lies?: Lies): Promise<VtpmEvidence>;
  /** A certificate of the scene's CA for the scene's EK. */
  certificate(changes: EkChanges): Promise<Uint8Array>;
  judge(evidence: VtpmEvidence, changes?: Partial<VtpmJudgement>): Promise<Judgement>;
}

export async function makeScene(): Promise<Scene> {
  const [tpm, ca, reference] = [await makeSoftwareTpm(), await makeCa(), await realReference()];
  const ekCertificate = await issueEk(ca, tpm.ek.publicKey, MACHINE);
  const challenge = newChallenge();
  return {
    tpm,
    ca,
    ekCertificate,
    challenge,
    reference,
    evidence: (lies = {}) => attest(tpm, ekCertificate, challenge, { events: realEvents, ...lies }),
    certificate: (changes) => issueEk(ca, tpm.ek.publicKey, MACHINE, changes),
    judge: (evidence, changes = {}) =>
      judgeVtpm({
        evidence,
        challenge,
        policy: defaultPolicy,
        reference,
        trustedRoots: [ca.der],
        expectedEkCertificate: ekCertificate,
        now: NOW,
        ...changes,
      }),
  };
}

export function newChallenge(): Challenge {
  return { nonce: crypto.getRandomValues(new Uint8Array(32)), machine: MACHINE, boot: BOOT };
}

/** Ids of the checks that failed. */
export function failed({ verdict }: Judgement): string[] {
  return verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
}
