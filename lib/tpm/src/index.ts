// The public names of @ringwall/tpm.

export { parseAttest, type Attested, type TPMS_ATTEST } from './structures/attest.ts';
export type {
  TPMS_CERTIFY_INFO,
  TPMS_COMMAND_AUDIT_INFO,
  TPMS_CREATION_INFO,
  TPMS_NV_CERTIFY_INFO,
  TPMS_NV_DIGEST_CERTIFY_INFO,
  TPMS_QUOTE_INFO,
  TPMS_SESSION_AUDIT_INFO,
  TPMS_TIME_ATTEST_INFO,
} from './structures/attested.ts';
export type { TPMS_CLOCK_INFO, TPMS_TIME_INFO } from './structures/clock-info.ts';
export { parseCreationData, type TPMS_CREATION_DATA } from './structures/creation-data.ts';
export { handleName, nameOf, nvNameOf, qualifiedNameOf } from './structures/names.ts';
export {
  encodeNvPublic,
  nvAttributesOf,
  nvTypeOf,
  parseNvPublic,
  type NvAttributes,
  type NvType,
  type TPMS_NV_PUBLIC,
} from './structures/nv-public.ts';
export { readAnswer, type AnswerReader } from './answers/answer.ts';
export type { SignedAttestation } from './answers/attestation.ts';
export { answers } from './answers/index.ts';
export type { CreationAnswer } from './answers/keys.ts';
export { tpmOver, type Tpm } from './client/tpm.ts';
export type { Transport } from './client/transport.ts';
export * as TPM_CC from './commands/command-codes.ts';
export { commands } from './commands/index.ts';
export type { Authorization } from './commands/frame.ts';
export type { SessionType } from './commands/sessions.ts';
export {
  PCR_COUNT,
  TPM_ALG,
  TPM_CAP,
  TPM_ECC,
  TPM_EO,
  TPM_GENERATED_VALUE,
  TPM_HT,
  TPM_NT,
  TPM_RH,
  TPM_SE,
  TPM_ST,
  TPM_SU,
  TPMA_NV,
  TPMA_OBJECT,
  TPMA_SESSION,
} from './constants.ts';
export { CREDENTIAL_BYTES } from './secrets/credential-sizes.ts';
export {
  MAX_EVENT_DATA_BYTES,
  MAX_EVENT_LOG_BYTES,
  MAX_EVENTS,
  NO_PCR,
  parseEventLog,
  replayEventLog,
  startupLocality,
  type EventLog,
  type EventLogOptions,
  type LogEvent,
} from './event-log.ts';
export {
  parseEventData,
  secureBootOf,
  type CrtmVersion,
  type EventData,
  type Separator,
  type VariableEvent,
} from './event-data.ts';
export { EV, EV_EVENT_TAG, EV_IPL, EV_NO_ACTION, EV_SEPARATOR, eventTypeName } from './event-types.ts';
export * from './logs/index.ts';
export { EK_ATTRIBUTES, ekTemplateOf, type EkTemplateName } from './commands/ek-templates.ts';
export { guestCommands, type GuestCommandName } from './commands/guest-commands.ts';
export {
  computableHash,
  digest,
  hashAlgorithm,
  hashBytes,
  hmac,
  sha256,
  type ComputableHash,
  type HashName,
} from './hash.ts';
export { kdfa, kdfe } from './secrets/key-derivation.ts';
export {
  AK_ATTRIBUTES,
  akTemplate,
  BOOT_KEY_ATTRIBUTES,
  bootKeyTemplate,
  DEMANDED_PCRS,
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  ekTemplate,
  MAX_EK_CERTIFICATE_BYTES,
  UNLOCKED_PCR,
  verifyKeyTemplate,
  WATCHED_PCRS,
} from './commands/key-templates.ts';
export { makeCredential, type Credential } from './secrets/make-credential.ts';
export { pcrDigest, policyPcrDigest } from './policies/pcr-policy.ts';
export { policyDigest } from './policies/policy-digest.ts';
export {
  policy,
  policyAuthorize,
  policyAuthorizeNv,
  policyAuthValue,
  policyCommandCode,
  policyCounterTimer,
  policyCpHash,
  policyDuplicationSelect,
  policyLocality,
  policyNameHash,
  policyNv,
  policyNvWritten,
  policyOr,
  policyPcr,
  policyPhysicalPresence,
  policySecret,
  policySigned,
  policyTemplate,
  type Comparison,
  type Policy,
  type PolicyStep,
} from './policies/policy.ts';
export {
  cipherKeyObject,
  hmacKeyObject,
  sealedObject,
  type ImportableObject,
  type ImportableOptions,
} from './secrets/importable.ts';
export { wrapForImport, type ImportBlob, type InnerWrapper } from './secrets/wrap-for-import.ts';
export {
  encodePcrSelection,
  encodePcrSelections,
  type PcrChoice,
  type TPMS_PCR_SELECTION,
} from './structures/pcr-selection.ts';
export {
  attributesOf,
  encodePublic,
  parsePublic,
  type ObjectAttributes,
  type PublicFields,
  type TPMT_PUBLIC,
  type TPMT_PUBLIC_ECC,
  type TPMT_PUBLIC_KEYEDHASH,
  type TPMT_PUBLIC_RSA,
  type TPMT_PUBLIC_SYMCIPHER,
} from './structures/public-area.ts';
export { pointOf, publicKeyOf } from './structures/public-key.ts';
export type { TPMT_ASYM_SCHEME, TPMT_KEYEDHASH_SCHEME, TPMT_SYM_DEF_OBJECT } from './structures/schemes.ts';
export { encodeSensitive, parseSensitive, type TPMT_SENSITIVE } from './structures/sensitive.ts';
export { encodeTpm2b, parseTpm2b } from './structures/sized.ts';
export type { TPMT_TK } from './structures/ticket.ts';
export { decodeResponseCode, type DecodedResponseCode, type ResponsePlace } from './commands/response-codes.ts';
export {
  bodyOf,
  MAX_RESPONSE_BYTES,
  parseFields,
  parseResponse,
  RESPONSE_HEADER_BYTES,
  RESPONSE_LAYOUTS,
  type Response,
  type ResponseFieldKind,
  type ResponseFields,
  type ResponseLayout,
} from './commands/responses.ts';
export {
  encodeSignature,
  parseSignature,
  readSignature,
  verifySignature,
  type TPMS_SIGNATURE_ECDSA,
  type TPMS_SIGNATURE_HMAC,
  type TPMS_SIGNATURE_RSA,
  type TPMT_SIGNATURE,
} from './structures/signature.ts';
export {
  fillTemplate,
  slot,
  slotsOf,
  templateLength,
  type CommandTemplate,
  type HandlePart,
  type Slot,
  type TemplatePart,
} from './commands/template.ts';
export { TPM_ERROR_CODES, TpmError, type TpmErrorCode } from './tpm-error.ts';
export { maskWithPoint, WRAP_LABEL, wrapToEccKey, type WrappedSecret } from './secrets/wrap-to-key.ts';
