// The public names of @ringwall/host/exec: the only folder that starts processes.
export { run, runChecked, type Run, type RunOptions, type RunResult } from './run.ts';
export {
  spawnDetached,
  FIRST_CHILD_FD,
  type ChildDescriptor,
  type DetachedProcess,
  type ExitStatus,
  type SpawnDetached,
  type SpawnDetachedOptions,
} from './detached.ts';
export {
  isAlive,
  killProcess,
  parseStat,
  readStat,
  refOf,
  signalProcess,
  waitForExit,
  type ProcessRef,
  type ProcessStat,
} from './process.ts';
export { socketPair, SOCKET_PATH_LIMIT_BYTES } from './socketpair.ts';
export { fakeRun, type FakeAnswer, type FakeRun } from './fake.ts';
