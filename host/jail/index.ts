// The public names of @ringwall/host/jail: a jail for one process, and what /proc says of it afterwards.
export {
  endedAtStart,
  endJail,
  endLease,
  readEnd,
  readExitCode,
  reclaimLeases,
  startJail,
  type Jail,
  type JailOptions,
  type StartedJail,
} from './start.ts';
export type { JailMemory } from './filled-memory.ts';
export { UidLeases, processesOf, LEASE_DIR, LEASE_RANGE, type Lease } from './leases.ts';
export { readCgroupLayout, removeCgroup, type CgroupLayout, type CgroupLimits } from './cgroup.ts';
export { readClosure } from './closure.ts';
export { READER_INPUT, runReader, type ReaderLimits } from './reader.ts';
export { feedKeyPipe, makeKeyPipe } from './key-pipe.ts';
export { readMemoryFile } from './memory-file.ts';
export { boundRunFile, makePassable, readRunFile } from './rundir.ts';
export { compileJail, JAIL_PROGRAMS, type JailFile, type JailLimits, type JailSpec } from './compile.ts';
export { seccompFilter, seccompRules, type SeccompProfile } from './profiles.ts';
export { protectionIds, readProtections, type ProtectedProcess } from './protections.ts';
