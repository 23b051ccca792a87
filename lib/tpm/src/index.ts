// The public names of @ringwall/tpm.

export {
  parseAttest,
  type TPMS_ATTEST,
  type TPMS_CERTIFY_INFO,
  type TPMS_CLOCK_INFO,
  type TPMS_QUOTE_INFO,
} from './structures/attest.ts';
export { TPM_CC } from './commands/command-codes.ts';
export { commands } from './commands/index.ts';
export type { Authorization } from './commands/frame.ts';
export {
  PCR_COUNT,
  TPM_ALG,
  TPM_ECC,
  TPM_GENERATED_VALUE,
  TPM_RH,
  TPM_SE,
  TPM_ST,
  TPM_SU,
  TPMA_NV,
  TPMA_OBJECT,
} from './constants.ts';
export { CREDENTIAL_BYTES } from './secrets/credential-sizes.ts';
export {
  MAX_EVENT_DATA_BYTES,
  MAX_EVENT_LOG_BYTES,
  MAX_EVENTS,
  MAX_LOG_ALGORITHMS,
  parseEventLog,
  replayEventLog,
  startupLocality,
  type EventLog,
  type EventLogAlgorithm,
  type LogEvent,
} from './event-log.ts';
export { parseUefiVariable, secureBootOf, type UefiVariable } from './event-data.ts';
export { EV_EVENT_TAG, EV_IPL, EV_NO_ACTION, EV_SEPARATOR, eventTypeName } from './event-types.ts';
export { guestCommands, type GuestCommandName } from './commands/guest-commands.ts';
export { computableHash, digest, hashAlgorithm, hashBytes, hmac, type ComputableHash, type HashName } from './hash.ts';
export { kdfa, kdfe } from './secrets/key-derivation.ts';
export {
  AK_ATTRIBUTES,
  akTemplate,
  BOOT_KEY_ATTRIBUTES,
  bootKeyTemplate,
  DEMANDED_PCRS,
  EK_ATTRIBUTES,
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  ekTemplate,
  MAX_EK_CERTIFICATE_BYTES,
  UNLOCKED_PCR,
  verifyKeyTemplate,
} from './commands/key-templates.ts';
export { makeCredential, type Credential } from './secrets/make-credential.ts';
export { pcrDigest, policyPcrDigest } from './policies/pcr-policy.ts';
export { encodePcrSelection, type TPMS_PCR_SELECTION } from './structures/pcr-selection.ts';
export {
  attributesOf,
  nameOf,
  parsePublic,
  pointOf,
  publicKeyOf,
  type ObjectAttributes,
  type TPMT_ASYM_SCHEME,
  type TPMT_PUBLIC,
  type TPMT_PUBLIC_ECC,
  type TPMT_PUBLIC_RSA,
  type TPMT_SYM_DEF_OBJECT,
} from './structures/public-area.ts';
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
  parseSignature,
  readSignature,
  verifySignature,
  type TPMS_SIGNATURE_ECDSA,
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
