// The public names of @ringwall/control/files: small files that a crash leaves old or new and never half, and the
// directories that they lie in.
export { readFileBounded, removeUnfinished, writeFileAtomic } from './atomic.ts';
export { isThere, makeDirectory, makePrivateDirectory, namesIn, syncDirectory } from './directories.ts';
export { fullOr, hostFull, isErrno } from './errors.ts';
export { syncMeanwhile } from './sync-meanwhile.ts';
