import { fillTemplate, commands, TPM_CC, TPM_RH } from '@ringwall/tpm';
import { concatBytes, ParseError, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readExtension } from './extensions.ts';

const DIGEST = new Uint8Array(32).fill(7);
const DONE = Uint8Array.of(0x80, 0x02, 0, 0, 0, 10, 0, 0, 0, 0);
const REFUSED = Uint8Array.of(0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01);
const EXTEND = fillTemplate(commands.pcrExtend(4, DIGEST));

/** A command with one handle, and a response that says to what the TPM has hashed. */
function hashing(code: number, handle: number): { command: Uint8Array; response: Uint8Array } {
  const command = new Writer().u16be(0x8002).u32be(14).u32be(code).u32be(handle).finish();
  const values = new Writer().u32be(1).u16be(0x000b).bytes(DIGEST).finish();
  const response = new Writer()
    .u16be(0x8002)
    .u32be(14 + values.length)
    .u32be(0)
    .u32be(values.length)
    .bytes(values)
    .finish();
  return { command, response };
}

describe('readExtension()', () => {
  test('reads PCR and digest of TPM2_PCR_Extend', () => {
    expect(readExtension(EXTEND, DONE)).toEqual({ pcr: 4, digest: DIGEST });
  });

  test('believes nothing of a command that the TPM refused', () => {
    expect(readExtension(EXTEND, REFUSED)).toBeUndefined();
  });

  test.each([
    ['TPM2_PCR_Event', TPM_CC.PCR_Event],
    ['TPM2_EventSequenceComplete', TPM_CC.EventSequenceComplete],
  ])('reads what the TPM itself has hashed for %s', (_, code) => {
    const { command, response } = hashing(code, 11);
    expect(readExtension(command, response)).toEqual({ pcr: 11, digest: DIGEST });
  });

  test('takes nothing from a hash that went into no PCR', () => {
    const { command, response } = hashing(TPM_CC.PCR_Event, TPM_RH.NULL);
    expect(readExtension(command, response)).toBeUndefined();
  });

  test('takes nothing from any other command', () => {
    expect(readExtension(fillTemplate(commands.getRandom(8)), DONE)).toBeUndefined();
  });

  test('reads the SHA-256 digest among those of other banks', () => {
    const [head, list] = [EXTEND.slice(0, 27), new Writer().u32be(2)];
    const both = list.u16be(0x0004).bytes(new Uint8Array(20)).u16be(0x000b).bytes(DIGEST).finish();
    expect(readExtension(concatBytes(head, both), DONE)).toEqual({ pcr: 4, digest: DIGEST });
  });

  test('throws only ParseError for whatever a guest sends', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.nat(EXTEND.length).map((length) => EXTEND.slice(0, length)),
      fc.tuple(fc.nat(EXTEND.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, change]) => {
        const bytes = new Uint8Array(EXTEND);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(hostile, (command) => {
        const error = errorOf(() => readExtension(command, DONE));
        expect(error === undefined || error instanceof ParseError).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

function errorOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
