// The public names of @ringwall/control/files: small files that a crash leaves old or new and never half.
export { isErrno, makePrivateDirectory, readFileBounded, removeUnfinished, writeFileAtomic } from './atomic.ts';
