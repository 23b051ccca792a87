import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { MAX_EXTENSIONS } from './boot-record.ts';
import { encodeSavedWitness, MAX_SAVED_WITNESS_BYTES, parseSavedWitness } from './saved-state.ts';

const SAVED = {
  extensions: [
    { pcr: 0, digest: new Uint8Array(32).fill(1) },
    { pcr: 15, digest: new Uint8Array(32).fill(2) },
  ],
  tpm: { permanent: Uint8Array.of(3, 4, 5), volatile: Uint8Array.of(6) },
};
/** Of the count; then of the first PCR. */
const COUNT_AT = 8;
const PCR_AT = 10;
const PERMANENT_AT = PCR_AT + SAVED.extensions.length * 33;

describe('parseSavedWitness()', () => {
  const bytes = encodeSavedWitness(SAVED);
  const changed = (at: number, ...values: readonly number[]): Uint8Array => {
    const copy = new Uint8Array(bytes);
    copy.set(values, at);
    return copy;
  };

  test('gives what was encoded', () => {
    expect(parseSavedWitness(bytes)).toEqual(SAVED);
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => parseSavedWitness(bytes.subarray(0, length)), String(length)).toThrow(ParseError);
    }
  });

  test.each([
    ['another magic', changed(0, 0)],
    ['another version', changed(7, 2)],
    ['more extensions than are judged', changed(COUNT_AT, 0xff, 0xff)],
    ['a PCR that no TPM has', changed(PCR_AT, 24)],
    ['a state larger than any', changed(PERMANENT_AT, 0xff, 0xff, 0xff, 0xff)],
    ['something behind its end', Buffer.concat([bytes, Buffer.of(0)])],
  ])('refuses %s', (_, harmful) => {
    expect(() => parseSavedWitness(harmful)).toThrow(ParseError);
  });

  test('has room for all that is judged', () => {
    const extension = { pcr: 4, digest: new Uint8Array(32) };
    const all = Array.from({ length: MAX_EXTENSIONS }, () => extension);
    const blob = new Uint8Array(1024 * 1024);
    expect(encodeSavedWitness({ extensions: all, tpm: { permanent: blob, volatile: blob } })).toHaveLength(
      MAX_SAVED_WITNESS_BYTES,
    );
  });
});
