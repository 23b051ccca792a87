// What the file system said, and what an operator can do about it.
import { RingwallError } from '@ringwall/api';

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

/** A full disk (or quota) is the operator's to solve, and said so; any other error stays what it is. */
export function fullOr(error: unknown): unknown {
  return isErrno(error, 'ENOSPC', 'EDQUOT') ? hostFull(error) : error;
}

export function hostFull(cause: unknown): RingwallError {
  return new RingwallError('host-full', 'the disk of this host is full', {
    hint: 'make room on the file system of the state directory, or remove machines (ringwall rm)',
    cause,
  });
}

/** A full or read-only disk, or one of somebody else, by the path that was wanted. */
export function explainFileError(error: unknown, path: string): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new RingwallError('host-full', `no room to write ${path}`, {
      hint: 'make room on that file system',
      cause: error,
    });
  }
  if (isErrno(error, 'EROFS', 'EACCES', 'EPERM')) {
    return new RingwallError('conflict', `this user may not read or write ${path}`, {
      hint: 'see who owns the state directory, and that it is not mounted read-only',
      cause: error,
    });
  }
  if (isErrno(error, 'ELOOP')) return new RingwallError('conflict', `${path} is a symbolic link`, { cause: error });
  return error;
}
