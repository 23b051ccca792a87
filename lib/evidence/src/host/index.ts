// The public names of a host's evidence; src/index.ts passes them on.
export { expectedOfLog } from './boot-log.ts';
export { HOST_CHECK_TITLES, type HostCheckId } from './checks.ts';
export { hostEkKey, isEkOf } from './ek.ts';
export { hostIdOf, keyOfCa } from './host-id.ts';
export { HOST_EVIDENCE_LIMITS_BYTES, type HostEvidence, type HostEvidenceField } from './evidence.ts';
export {
  hostClockOf,
  judgeHost,
  type HostClock,
  type HostJudgement,
  type HostQuestion,
  type HostResult,
  type HostVerdict,
} from './judge.ts';
export type { HostRan } from './measured-files.ts';
export { parseHostPolicy, type EkRoot, type HostExceptionName, type HostPolicy } from './policy.ts';
export { compareHostReferences } from './reference-change.ts';
export {
  checkHostReference,
  decodeHostReference,
  encodeHostReference,
  hostReferenceJson,
  HOST_REFERENCE_FORMAT,
  MAX_HOST_FILES,
  MAX_HOST_REFERENCE_BYTES,
  parseHostReference,
  signHostReference,
  type HostFile,
  type HostReference,
  type HostReferenceContent,
  type UnsignedHostReference,
} from './reference.ts';
