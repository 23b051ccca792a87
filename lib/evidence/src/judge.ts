// The judgement of a vTPM's evidence (stub of the signature).
import type { Challenge } from './challenge.ts';
import type { VtpmEvidence } from './evidence.ts';
import type { Policy } from './policy.ts';
import type { ReferenceValues } from './reference.ts';
import type { Verdict, Verified } from './verdict.ts';

export interface VtpmJudgement {
  readonly evidence: VtpmEvidence;
  readonly challenge: Challenge;
  readonly policy: Policy;
  readonly reference: ReferenceValues;
  /** DER of the vTPM CAs that the caller trusts. */
  readonly trustedRoots: readonly Uint8Array[];
  /** The certificate that this machine was registered with, DER. */
  readonly expectedEkCertificate?: Uint8Array;
  readonly now: Date;
}

export async function judgeVtpm(
  _input: VtpmJudgement,
): Promise<{ verdict: Verdict; verified: Verified<VtpmEvidence> | undefined }> {
  throw new Error('not written yet');
}
