// The public names of @ringwall/evidence.

export { authenticodeDigest, MAX_PE_BYTES } from './authenticode.ts';
export {
  activationDigest,
  NONCE_BYTES,
  qualifyingData,
  qualifyingText,
  releaseDigest,
  releaseText,
  type Challenge,
  type Release,
} from './challenge.ts';
export { EvidenceError, type EvidenceErrorCode } from './errors.ts';
export { EVIDENCE_LIMITS_BYTES, type EvidenceField, type VtpmEvidence } from './evidence.ts';
export { parseFirmwareManifest, type FirmwareManifest } from './firmware.ts';
export { judgeVtpm, type VtpmJudgement } from './judge.ts';
export { defaultPolicy, parsePolicy, type Policy } from './policy.ts';
export { commandLineEvent, predictBoot, type BootSet } from './predict.ts';
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
export { MAX_EXPECTED_EVENTS, parseReference, type ExpectedEvent, type ReferenceValues } from './reference.ts';
export type { Check, EventStatus, JudgedEvent, Verdict, Verified } from './verdict.ts';
