// The public names of measurement logs; src/index.ts passes them on.

export { ccelIndexOfPcr, parseCcel, parseCcelTable, replayCcel, type CcelTable } from './ccel.ts';
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
