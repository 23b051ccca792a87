// JSON as a file: two spaces, a line feed at the end, and never more bytes than a limit. What is written here can be read
// here: the limit holds for both.
import { utf8 } from '@ringwall/bytes';
import type { JsonValue } from './canonical-json.ts';
import { EvidenceError, type EvidenceErrorCode } from './errors.ts';

export interface JsonFile {
  /** As messages name it: `proof`. */
  readonly what: string;
  readonly limitBytes: number;
  /** What it is when it is no JSON. */
  readonly invalid: EvidenceErrorCode;
}

/** Throws EvidenceError `too-large`. */
export function encodeJsonFile(file: JsonFile, value: JsonValue): string {
  const text = `${JSON.stringify(value, undefined, 2)}\n`;
  checkSize(file, utf8(text).length);
  return text;
}

/** Throws EvidenceError: `too-large` before anything is read, or `file.invalid`. */
export function decodeJsonFile(file: JsonFile, input: string | Uint8Array): unknown {
  checkSize(file, input.length);
  try {
    return JSON.parse(typeof input === 'string' ? input : new TextDecoder('utf-8', { fatal: true }).decode(input));
  } catch (cause) {
    throw new EvidenceError(file.invalid, `${file.what} is not JSON`, { cause });
  }
}

function checkSize({ what, limitBytes }: JsonFile, bytes: number): void {
  if (bytes > limitBytes) throw new EvidenceError('too-large', `${what} has ${bytes} bytes, at most ${limitBytes}`);
}
