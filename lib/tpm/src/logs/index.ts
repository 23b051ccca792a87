// The public names of measurement logs; src/index.ts passes them on.

export { ccelIndexOfPcr, parseCcel, parseCcelTable, replayCcel, type CcelTable } from './ccel.ts';
export { encodeEventLog, type LogBank, type LoggedEvent } from './encode-event-log.ts';
export { MAX_FINAL_EVENTS_BYTES, mergeFinalEvents, parseFinalEvents, type FinalEvents } from './final-events.ts';
export { matchImaLog, type ImaMatch, type ImaMatchOptions } from './ima-match.ts';
export {
  IMA_START,
  ImaReplay,
  MAX_IMA_ENTRIES,
  type ImaBank,
  type ImaEntry,
  type ImaReplayOptions,
  type ImaState,
} from './ima-replay.ts';
export {
  MAX_IMA_PATH_BYTES,
  MAX_IMA_TEMPLATE_DATA_BYTES,
  MAX_IMA_TEMPLATE_NAME_BYTES,
  type ImaDigest,
  type ImaFieldId,
  type ImaFields,
} from './ima-template.ts';
export { MAX_IMA_LINE_BYTES, parseImaLine, readImaText } from './ima-text.ts';
export { MAX_LOG_ALGORITHMS, type BankName, type EventLogAlgorithm, type SpecId } from './spec-id.ts';
export type { FirmwareBlob, GptPartition, HandoffTables, ImageLoad, PartitionTable } from './firmware-events.ts';
export { MAX_DEVICE_PATH_NODES, parseDevicePath } from './device-path.ts';
export type { Ipl } from './ipl.ts';
export type {
  HcrtmComponent,
  Locator,
  NoActionData,
  NvIndexRecord,
  ReferenceManifest,
  StartupLocality,
} from './no-action.ts';
export { MAX_SIGNATURES, parseSignatureLists, type EfiSignature, type EfiSignatureList } from './signature-list.ts';
export type { SpdmEvent, SpdmMeasurement } from './spdm-event.ts';
export { MAX_TAG_DEPTH, MAX_TAGS, type Tag, type TaggedEvent } from './tagged-event.ts';
export { parseUefiVariable, type LoadOption, type UefiVariable, type VariableContent } from './uefi-variable.ts';
export { dataIsMeasured, standingOfData, type DataRule, type DataStanding } from './measured-data.ts';
export {
  checkBootSequence,
  comparePcrs,
  type BootFault,
  type BootFaultCode,
  type BootSequence,
  type PcrStanding,
} from './boot-sequence.ts';
export {
  isMeasuredText,
  MAX_SYSTEMD_LOG_BYTES,
  MAX_SYSTEMD_RECORDS,
  parseSystemdLog,
  replaySystemdLog,
  type SystemdRecord,
} from './systemd-log.ts';
export { MAX_TEXT_BYTES } from './event-text.ts';
