// The public names of @ringwall/evidence.

export { authenticodeDigest, MAX_PE_BYTES } from './authenticode.ts';
export { chainOf, LINK_TITLES, linkOfEvent, type Link, type LinkId, type LinkState } from './chain.ts';
export {
  activationDigest,
  NONCE_BYTES,
  qualifyingData,
  qualifyingText,
  releaseDigest,
  releaseText,
  unlockedText,
  type Challenge,
  type Release,
} from './challenge.ts';
export { EvidenceError, type EvidenceErrorCode } from './errors.ts';
export { EVIDENCE_LIMITS_BYTES, type EvidenceField, type VtpmEvidence } from './evidence.ts';
export { parseFirmwareManifest, type FirmwareManifest } from './firmware.ts';
export { judgeVtpm, releaseTargets, type Judgement, type ReleaseTargets, type VtpmJudgement } from './judge.ts';
export { CHECK_TITLES, type CheckId } from './checks.ts';
export { defaultPolicy, parsePolicy, type Policy } from './policy.ts';
export { commandLineEvent, predictBoot, predictFromDigests, type BootSet, type BootSetDigests } from './predict.ts';
export { patchKernelAsQemu, type QemuBoot } from './qemu-kernel.ts';
export {
  encodeProof,
  MAX_PROOF_BYTES,
  parseProof,
  PROOF_FORMAT,
  signProof,
  type Activation,
  type Proof,
  type ProofSigner,
  type ProofVerdict,
  type UnsignedProof,
} from './proof.ts';
export {
  explainProof,
  verifyProof,
  type Anchor,
  type ProofOutcome,
  type ProofReport,
  type ProofTrust,
  type Source,
} from './proof-report.ts';
export { MAX_EXPECTED_EVENTS, parseReference, type ExpectedEvent, type ReferenceValues } from './reference.ts';
export type { Check, EventStatus, JudgedEvent, Verdict } from './verdict.ts';
export { isVerified, type Verified } from './verified.ts';
