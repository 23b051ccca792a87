import { fromHex, ParseError, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../testing/attempt.ts';
import { responseError } from './response-codes.ts';
import { bodyOf, MAX_RESPONSE_BYTES, parseFields, parseResponse } from './responses.ts';
import { TpmError, type TpmErrorCode } from '../tpm-error.ts';

describe('parseResponse()', () => {
  test('gives what follows the header', () => {
    expect(parseResponse(response(0, Uint8Array.of(7)))).toEqual({ ok: true, sessions: false, body: Uint8Array.of(7) });
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a cut header', response(0).subarray(0, 9)],
    ['a size below the bytes', response(0, Uint8Array.of(1), 10)],
    ['a size above the bytes', response(0, new Uint8Array(0), 11)],
    ['a size of 4 thousand million', response(0, new Uint8Array(0), 0xffff_ffff)],
    ['more than a TPM sends', response(0, new Uint8Array(MAX_RESPONSE_BYTES))],
    ['another tag', fromHex('00c40000000a00000000')],
  ])('refuses %s', (_, bytes) => {
    expect(() => parseResponse(bytes)).toThrow(ParseError);
  });

  test('arbitrary bytes throw only ParseError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 32 }), (bytes) => {
        expect(attempt(() => parseResponse(bytes))).toBeDefined();
      }),
    );
  });

  test('a refusal is an error with the code, not an exception', () => {
    expect(parseResponse(response(0x98e))).toMatchObject({ ok: false, error: { responseCode: 0x98e } });
    expect(() => bodyOf(response(0x98e))).toThrow(TpmError);
  });
});

describe('parseFields()', () => {
  const ecdh = new Writer()
    .u32be(70)
    .sized16be((point) => {
      point.sized16be((x) => x.bytes(new Uint8Array(32).fill(1)));
      point.sized16be((y) => y.bytes(new Uint8Array(32).fill(2)));
    })
    .bytes(fromHex('0000000000'))
    .finish();

  test('cuts the fields of a response', () => {
    const fields = parseFields('ecdhZGen', response(0, ecdh));
    expect(fields.x).toEqual(new Uint8Array(32).fill(1));
    expect(fields.y).toEqual(new Uint8Array(32).fill(2));
    expect(fields.authorization).toHaveLength(5);
  });

  test('refuses every truncation of its parameters', () => {
    for (let length = 0; length < ecdh.length - 5; length += 1) {
      expect(() => parseFields('ecdhZGen', response(0, ecdh.subarray(0, length)))).toThrow(ParseError);
    }
  });

  test('refuses bytes behind the last field', () => {
    expect(() => parseFields('policyGetDigest', response(0, fromHex('000100ff')))).toThrow(
      'policyGetDigest has 1 bytes after its end, expected 0',
    );
  });
});

describe('responseError()', () => {
  test.each<[number, TpmErrorCode, string]>([
    [0x098e, 'authorization', 'TPM_RC_AUTH_FAIL at session 1'],
    [0x099d, 'policy', 'TPM_RC_POLICY_FAIL at session 1'],
    [0x0128, 'policy', 'TPM_RC_PCR_CHANGED'],
    [0x01c4, 'parameter', 'TPM_RC_VALUE at parameter 1'],
    [0x02d5, 'parameter', 'TPM_RC_SIZE at parameter 2'],
    [0x0fc4, 'parameter', 'TPM_RC_VALUE at parameter 15'],
    [0x018b, 'not-found', 'TPM_RC_HANDLE at handle 1'],
    [0x028b, 'not-found', 'TPM_RC_HANDLE at handle 2'],
    [0x0a85, 'parameter', 'TPM_RC_HIERARCHY at session 2'],
    [0x02db, 'signature', 'TPM_RC_SIGNATURE at parameter 2'],
    [0x01df, 'signature', 'TPM_RC_INTEGRITY at parameter 1'],
    [0x0100, 'not-started', 'TPM_RC_INITIALIZE'],
    [0x0101, 'failure-mode', 'TPM_RC_FAILURE'],
    [0x012f, 'authorization', 'TPM_RC_AUTH_UNAVAILABLE'],
    [0x0143, 'unsupported', 'TPM_RC_COMMAND_CODE'],
    [0x0148, 'refused', 'TPM_RC_NV_LOCKED'],
    [0x014b, 'no-room', 'TPM_RC_NV_SPACE'],
    [0x0902, 'no-room', 'TPM_RC_OBJECT_MEMORY'],
    [0x0903, 'no-room', 'TPM_RC_SESSION_MEMORY'],
    [0x0910, 'not-found', 'TPM_RC_REFERENCE_H0 at handle 1'],
    [0x0918, 'not-found', 'TPM_RC_REFERENCE_S0 at session 1'],
    [0x0921, 'lockout', 'TPM_RC_LOCKOUT'],
    [0x0922, 'busy', 'TPM_RC_RETRY'],
    [0x001e, 'unsupported', 'TPM_RC_BAD_TAG'],
    [0x0500, 'refused', 'a code of its vendor'],
    [0x01bf, 'refused', 'an unknown format one code at handle 1'],
  ])('0x%s is %s: %s', (responseCode, code, text) => {
    const error = responseError(responseCode);
    expect(error).toMatchObject({ code, responseCode });
    expect(error.message).toBe(`tpm answered ${text} (0x${responseCode.toString(16).padStart(3, '0')})`);
  });

  test('every code has a message of one line', () => {
    const codes = Array.from({ length: 0xffff }, (_, index) => index + 1);
    expect(codes.filter((code) => !/^tpm answered [^\n]+\)$/.test(responseError(code).message))).toEqual([]);
  });
});

function response(code: number, body: Uint8Array = new Uint8Array(0), size: number = 10 + body.length): Uint8Array {
  return new Writer().u16be(0x8001).u32be(size).u32be(code).bytes(body).finish();
}
