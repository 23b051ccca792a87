// The public names of the watch; src/index.ts passes them on.
export { WATCH_LIMITS, WatchAnswerReader, type WatchAnswer } from './answer.ts';
export { watchBaseline, type WatchBaseline } from './baseline.ts';
export {
  judgeWatch,
  MAX_ANSWER_MS,
  type WatchJudgement,
  type WatchOutcome,
  type WatchResult,
  type WatchVerdict,
} from './judge-watch.ts';
export { describeStray } from './measurements.ts';
export { overdueReason, WATCH_INTERVALS_MS, type WatchAge } from './overdue.ts';
export { askWatch, observeLine, observeQualifyingData, observeText, type WatchQuestion } from './question.ts';
export {
  MAX_KEPT_STRAYS,
  parseWatchRecord,
  renderWatchRecord,
  startWatch,
  type Stray,
  type WatchProgress,
  type WatchRecord,
} from './record.ts';
export {
  indexRuntimeFiles,
  MAX_RUNTIME_FILES_BYTES,
  parseRuntimeFiles,
  renderRuntimeFiles,
  type RuntimeFile,
  type RuntimeFiles,
  type RuntimeIndex,
  type RuntimePackage,
} from './runtime-files.ts';
export { WATCH_CHECK_TITLES, type WatchCheckId } from './watch-checks.ts';
