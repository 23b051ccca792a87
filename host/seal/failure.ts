// What a lane in another thread has failed with, as the error that it was there.
import { SEAL_ERROR_CODES, SealError } from '@ringwall/seal';
import type { Failure } from '../threads/index.ts';

export function errorOf({ name, message, code, offset }: Failure): Error {
  const sealCode = SEAL_ERROR_CODES.find((known) => known === code);
  if (name === 'SealError' && sealCode !== undefined) {
    return new SealError(sealCode, message, offset === undefined ? {} : { offset });
  }
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
