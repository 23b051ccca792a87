// Errors of the disk readers on their way between threads, which keep no classes.
import { PARSE_ERROR_CODES, ParseError } from '@ringwall/bytes';
import { DISK_ERROR_CODES, DiskError } from '@ringwall/disk';

export interface FailedWith {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly field: string | undefined;
  readonly offset: number | undefined;
}

export function failedWith(error: unknown): FailedWith {
  if (error instanceof ParseError) {
    const { name, message, code, field, offset } = error;
    return { name, message, code, field, offset };
  }
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return {
    name,
    message,
    code: error instanceof DiskError ? error.code : undefined,
    field: undefined,
    offset: undefined,
  };
}

export function errorOf({ name, message, code, field, offset }: FailedWith): Error {
  const parseCode = PARSE_ERROR_CODES.find((known) => known === code);
  if (name === 'ParseError' && parseCode !== undefined && field !== undefined && offset !== undefined) {
    return new ParseError(parseCode, field, offset, message.slice(field.length + 1));
  }
  const diskCode = DISK_ERROR_CODES.find((known) => known === code);
  return name === 'DiskError' && diskCode !== undefined ? new DiskError(diskCode, message) : new Error(message);
}
