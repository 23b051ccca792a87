import { utf8 } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { EvidenceError } from './errors.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';

const FILE = { what: 'note', limitBytes: 20, invalid: 'proof-invalid' } as const;

function codeOf(work: () => unknown): string {
  try {
    return `no error: ${JSON.stringify(work())}`;
  } catch (error) {
    return error instanceof EvidenceError ? `${error.code}: ${error.message}` : String(error);
  }
}

describe('a file of JSON', () => {
  it('has two spaces and a line feed, and is read back', () => {
    const text = encodeJsonFile(FILE, { at: 'dawn' });
    expect(text).toBe('{\n  "at": "dawn"\n}\n');
    expect(decodeJsonFile(FILE, text)).toEqual({ at: 'dawn' });
    expect(decodeJsonFile(FILE, utf8(text))).toEqual({ at: 'dawn' });
  });

  it.each<[what: string, work: () => unknown, says: string]>([
    [
      'a byte too many, written',
      () => encodeJsonFile(FILE, 'x'.repeat(18)),
      'too-large: note has 21 bytes, at most 20',
    ],
    [
      'few characters of many bytes',
      () => encodeJsonFile(FILE, '€'.repeat(6)),
      'too-large: note has 21 bytes, at most 20',
    ],
    ['a byte too many, read', () => decodeJsonFile(FILE, ' '.repeat(21)), 'too-large: note has 21 bytes, at most 20'],
    ['no JSON', () => decodeJsonFile(FILE, '{'), 'proof-invalid: note is not JSON'],
    ['no UTF-8', () => decodeJsonFile(FILE, Uint8Array.of(0x22, 0xff, 0x22)), 'proof-invalid: note is not JSON'],
  ])('refuses %s', (_what, work, says) => {
    expect(codeOf(work)).toBe(says);
  });
});
