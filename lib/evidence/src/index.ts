// The public names of @ringwall/evidence.

export { authenticodeDigest, authenticodeRanges, MAX_PE_BYTES, type ByteRange } from './authenticode.ts';
export { chainOf, LINK_TITLES, linkOfEvent, type Link, type LinkId, type LinkState } from './chain.ts';
export {
  activationDigest,
  nextKeyHalf,
  NONCE_BYTES,
  qualifyingData,
  qualifyingText,
  releaseDigest,
  releaseText,
  unlockedText,
  type Challenge,
  type Release,
  type ReleaseMode,
} from './challenge.ts';
export {
  compareReferences,
  explainDifference,
  type Difference,
  type DifferenceInput,
  type Explanation,
  type GoodBoot,
} from './difference.ts';
export {
  EAR_PROFILE,
  EAR_PROFILE_DOTTED,
  MAX_EAR_BYTES,
  signEar,
  verifyEar,
  type Appraisal,
  type Ear,
  type EarProfile,
  type EarStatus,
  type EarTrust,
  type TrustVector,
} from './ear.ts';
export { earOfProof } from './ear-of-proof.ts';
export {
  diskKeyId,
  encodeErasure,
  ERASURE_FORMAT,
  MAX_ERASED_SNAPSHOTS,
  MAX_ERASURE_BYTES,
  parseErasure,
  signErasure,
  verifyErasure,
  type ErasedKey,
  type ErasedSnapshot,
  type Erasure,
  type ErasureReport,
  type SignedErasure,
} from './erasure.ts';
export { EvidenceError, type EvidenceErrorCode } from './errors.ts';
export { EVIDENCE_LIMITS_BYTES, type EvidenceField, type VtpmEvidence } from './evidence.ts';
export {
  encodeExport,
  EXPORT_FORMAT,
  exportContext,
  MAX_EXPORT_BYTES,
  parseExport,
  signExport,
  verifyExport,
  type ExportContent,
  type ExportedBase,
  type ExportedObject,
  type ExportTicket,
  type SignedExport,
  type SignedStart,
} from './export-ticket.ts';
export type { ExportedDisk, SealedDisk } from './exported-disks.ts';
export {
  encodeHostRecipient,
  HOST_RECIPIENT_FORMAT,
  parseHostRecipient,
  signHostRecipient,
  verifyHostRecipient,
  type HostRecipient,
} from './host-recipient.ts';
export { comparePolicies } from './policy-difference.ts';
export { parseFirmwareManifest, type FirmwareManifest } from './firmware.ts';
export {
  judgeVtpm,
  releaseTargets,
  type HardwareEvidence,
  type Judgement,
  type ReleaseTargets,
  type VtpmJudgement,
} from './judge.ts';
export { CHECK_TITLES, type CheckId } from './checks.ts';
export {
  checkAge,
  defaultPolicy,
  EVIDENCE_KINDS,
  parsePolicy,
  policyJson,
  type EvidenceKind,
  type Freshness,
  type Policy,
  type PolicyV1,
  type PolicyV2,
} from './policy.ts';
export { applyRules, CODE_PCRS, type AllowRule, type DenyRule, type EventRule } from './rules.ts';
export {
  commandLineEvent,
  predictBoot,
  predictFirmware,
  predictFromDigests,
  type BootSet,
  type BootSetDigests,
} from './predict.ts';
export {
  authorityEvents,
  MAX_VARIABLE_BYTES,
  PRISTINE_SECURE_BOOT,
  secureBootEvents,
  type SecureBoot,
} from './secure-boot.ts';
export { patchKernelAsQemu, type QemuBoot } from './qemu-kernel.ts';
export {
  encodeProof,
  MAX_PROOF_BYTES,
  parseProof,
  PROOF_FORMAT,
  signProof,
  type Activation,
  type Proof,
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
export { judgeHostOfProof } from './proof-host.ts';
export { imageDigestOf, imageText, type ImageParts } from './image-digest.ts';
export { MAX_PROOF_FILES_BYTES, MAX_PROOF_LOG_BYTES, type HostLayer, type ImaLayer } from './proof-layers.ts';
export type { RanFile, RanVerdict } from './proof-ima.ts';
export { checkReferenceTime } from './reference-manifest.ts';
export {
  checkReferenceAuthority,
  checkReferenceSignature,
  decodeReference,
  encodeReference,
  MAX_REFERENCE_BYTES,
  parseSignedReference,
  REFERENCE_FORMAT,
  referenceId,
  referenceJson,
  referenceValues,
  signReference,
  type Package,
  type ReferenceContent,
  type SignedReference,
  type UnsignedReference,
} from './signed-reference.ts';
export { isLearned, LEARNED_PREFIX, learnedContent, learnedImage, policyFor } from './learned.ts';
export type { Signer } from './signer.ts';
export {
  MAX_EXPECTED_EVENTS,
  parseReference,
  type Artefact,
  type ExpectedEvent,
  type ReferenceValues,
} from './reference.ts';
export { MAX_EVENTS_KEPT } from './render-verdict.ts';
export { GOOD_STATUSES, type Check, type EventStatus, type JudgedEvent, type Verdict } from './verdict.ts';
export { isVerified, type Verified } from './verified.ts';

// Hardware evidence: SEV-SNP and TDX.
export {
  COLLATERAL_FORMAT,
  encodeCollateral,
  MAX_COLLATERAL_BYTES,
  parseCollateral,
  type Collateral,
} from './hardware/collateral.ts';
export type { HardwareVerdict } from './hardware/findings.ts';
export type { Allowed, AllowedValue, PolicyException } from './hardware/policy-parts.ts';
export {
  bindsVtpm,
  endorsesVtpmCa,
  REPORT_DATA_BYTES,
  reportDataFor,
  reportDataText,
  vtpmCaQualifyingData,
  vtpmCaReportData,
  vtpmCaText,
  type HardwareKind,
  type VtpmBinding,
  type VtpmCaBinding,
} from './hardware/report-data.ts';
export { SNP_CHECK_TITLES, type SnpCheckId } from './snp/checks.ts';
export { judgeSnp, type SnpCollateral, type SnpEvidence, type SnpJudgement, type SnpResult } from './snp/judge.ts';
export { predictSnpMeasurement, type SnpLaunch } from './snp/launch-measurement.ts';
export { parseSnpPolicy, type SnpException, type SnpPolicy } from './snp/policy.ts';
export { parseSnpReport, SNP_REPORT_BYTES, type SnpReport } from './snp/report.ts';
export { AMD_ROOTS, type AmdRoot } from './snp/roots.ts';
export type { SnpProduct, SnpTcb } from './snp/tcb.ts';
export { TDX_CHECK_TITLES, type TdxCheckId } from './tdx/checks.ts';
export { judgeTdx, type TdxCollateral, type TdxEvidence, type TdxJudgement, type TdxResult } from './tdx/judge.ts';
export { parseTdxPolicy, type AcceptableStatus, type TdxException, type TdxPolicy } from './tdx/policy.ts';
export { MAX_QUOTE_BYTES, splitTdxQuote, type TdxQuote } from './tdx/quote.ts';
export { INTEL_ROOT_KEYS } from './tdx/roots.ts';
export type { EvaluatedStatus, TcbEvaluation } from './tdx/tcb-evaluation.ts';
export { parseTdReport, type TdReport } from './tdx/td-report.ts';
export { unpadCertificate, type UnpaddedCertificate } from './x509-padding.ts';
export { certificatesOf } from './x509-pem.ts';
export { keyFingerprint } from './x509-signature.ts';

// Evidence of a host with a TPM.
export * from './host/index.ts';

// The watch of a running machine.
export * from './watch/index.ts';
