// The host's part of a proof bundle, judged anew: for the CA that the machine's own TPM was certified by, at the time at
// which the broker judged the machine.
import { equalBytes } from '@ringwall/bytes';
import { judgeHost, type HostResult } from './host/judge.ts';
import type { HostReference } from './host/reference.ts';
import type { Policy } from './policy.ts';
import type { Proof } from './proof.ts';

/** Undefined where the bundle has no such part, or the policy does not say what a host must show. */
export async function judgeHostOfProof(
  proof: Proof,
  trust: {
    readonly policy?: Policy | undefined;
    readonly trustedRoots?: readonly Uint8Array[] | undefined;
    readonly hostReference?: HostReference | undefined;
  },
): Promise<HostResult | undefined> {
  const { host, at } = proof;
  const policy = trust.policy ?? proof.policy;
  if (host === undefined || policy.version === 1 || policy.hostTpm === undefined) return undefined;
  const reference = trust.hostReference ?? host.reference;
  // Of the CAs that may certify this machine's TPM, the one that the host speaks of; any other, where it speaks of none.
  const roots = trust.trustedRoots ?? proof.vtpmCa;
  const vtpmCa = roots.find((root) => equalBytes(root, host.evidence.vtpmCa)) ?? roots[0] ?? new Uint8Array();
  return judgeHost({
    evidence: host.evidence,
    question: { nonce: host.nonce, host: reference.host, vtpmCa, askedAt: host.askedAt },
    policy: policy.hostTpm,
    reference,
    activation: host.activation,
    now: at,
  });
}
