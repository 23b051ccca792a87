// Why a lane has failed, on its way between threads, which keep no classes.
import { SEAL_ERROR_CODES, SealError } from '@ringwall/seal';

export interface Failure {
  readonly name: string;
  readonly message: string;
  /** Of a `SealError`, or of the system (`ENOSPC`). */
  readonly code: string | undefined;
  readonly offset: number | undefined;
}

export function failureOf(error: unknown): Failure {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return { name, message, code, offset: error instanceof SealError ? error.offset : undefined };
}

export function errorOf({ name, message, code, offset }: Failure): Error {
  const sealCode = SEAL_ERROR_CODES.find((known) => known === code);
  if (name === 'SealError' && sealCode !== undefined) {
    return new SealError(sealCode, message, offset === undefined ? {} : { offset });
  }
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
