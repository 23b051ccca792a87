import { fromHex, ParseError, toHex } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt, flipBit } from '../../testing/attempt.ts';
import { readSwtpmEvidence } from '../../testing/evidence.ts';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { parseAttest } from './attest.ts';
import { TPM_ALG } from '../constants.ts';
import { DEMANDED_PCRS } from '../commands/key-templates.ts';
import { pcrDigest, policyPcrDigest } from '../policies/pcr-policy.ts';
import { nameOf } from './names.ts';
import { parsePublic } from './public-area.ts';
import { parseSignature, verifySignature } from './signature.ts';

const evidence = readSwtpmEvidence();
const ZEROS = new Map(DEMANDED_PCRS.map((pcr) => [pcr, new Uint8Array(32)]));

describe('parseAttest()', () => {
  test('reads a quote', async () => {
    expect(parseAttest(evidence.quote)).toMatchObject({
      magic: 0xff54_4347,
      type: 'quote',
      extraData: evidence.qualifying,
      clockInfo: { safe: true },
      attested: {
        pcrSelect: [{ hash: TPM_ALG.SHA256, pcrs: DEMANDED_PCRS }],
        pcrDigest: await pcrDigest(ZEROS, DEMANDED_PCRS),
      },
    });
  });

  test('reads a certification', async () => {
    expect(parseAttest(evidence.certify)).toMatchObject({
      type: 'certify',
      extraData: evidence.qualifying,
      attested: { name: await nameOf(evidence.bootPublic) },
    });
  });

  test.each([
    ['quote', evidence.quote],
    ['certify', evidence.certify],
  ])('refuses every truncation of a %s, and a byte more', (_, bytes) => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => parseAttest(bytes.subarray(0, length))).toThrow(ParseError);
    }
    expect(() => parseAttest(Uint8Array.of(...bytes, 0))).toThrow(ParseError);
  });

  test('arbitrary bytes throw only ParseError', () => {
    const heads = [
      '',
      'ff54434780180000',
      'ff54434780170000',
      'ff54434780140000',
      'ff54434780150000',
      toHex(evidence.quote.subarray(0, 109)),
    ].map((h) => fromHex(h));
    fc.assert(
      fc.property(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 200 }), (head, tail) => {
        expect(attempt(() => parseAttest(Uint8Array.of(...head, ...tail)))).toBeDefined();
      }),
    );
  });

  const quote = toHex(evidence.quote);
  /** magic 4, type 2, two TPM2Bs of 34, clock 8 and counts 8: the byte `safe`. */
  const safeAt = (4 + 2 + 2 + 34 + 2 + 32 + 16) * 2;
  test.each<[string, string, string]>([
    ['another magic', `00${quote.slice(2)}`, 'magic 0x544347, expected 0xff544347'],
    [
      'a type that attests to nothing',
      `ff544347801b${quote.slice(12)}`,
      'type 0x801b, expected 0x8014 to 0x801a or 0x801c',
    ],
    [
      'a signer longer than a Name',
      `ff54434780180043${'00'.repeat(67)}`,
      'qualifiedSigner.size 67, expected at most 66',
    ],
    ['a safe that is neither yes nor no', `${quote.slice(0, safeAt)}02${quote.slice(safeAt + 2)}`, 'clockInfo.safe 2'],
    [
      '4 thousand million PCR banks',
      `${quote.slice(0, safeAt + 18)}ffffffff`,
      'pcrSelect.count 4294967295, expected at most 16',
    ],
    [
      'a bitmap of 255 bytes',
      `${quote.slice(0, safeAt + 18)}00000001000bff`,
      'pcrSelect.sizeofSelect 255, expected at most 4',
    ],
  ])('refuses %s', (_, hex, message) => {
    expect(() => parseAttest(fromHex(hex))).toThrow(ParseError);
    expect(() => parseAttest(fromHex(hex))).toThrow(message);
  });

  test('a flipped bit in a quote never verifies', async () => {
    const key = parsePublic(evidence.akPublic);
    const signature = parseSignature(evidence.quoteSignature);
    await fc.assert(
      fc.asyncProperty(fc.nat(evidence.quote.length * 8 - 1), async (bit) => {
        expect(await verifySignature(key, signature, flipBit(evidence.quote, bit))).toBe(false);
      }),
    );
  });
});

describe('PCR digests', () => {
  test('policyPcrDigest() is the authPolicy that the TPM gave the boot key', async () => {
    const { authPolicy } = parsePublic(evidence.bootPublic);
    expect(await policyPcrDigest(DEMANDED_PCRS, await pcrDigest(ZEROS, DEMANDED_PCRS))).toEqual(authPolicy);
  });

  test('pcrDigest() does not depend on the order in which PCRs are named, and needs each value', async () => {
    const values = new Map([
      [1, new Uint8Array(32).fill(1)],
      [2, new Uint8Array(32).fill(2)],
    ]);
    expect(await pcrDigest(values, [2, 1, 2])).toEqual(await pcrDigest(values, [1, 2]));
    await expect(pcrDigest(values, [1, 3])).rejects.toThrow('pcr 3 has no SHA-256 value');
    await expect(pcrDigest(new Map([[1, new Uint8Array(20)]]), [1])).rejects.toThrow('pcr 1 has no SHA-256 value');
  });

  test('policyPcrDigest() changes with each PCR that is named', async () => {
    const digests = await Promise.all(
      DEMANDED_PCRS.map(async (left) =>
        toHex(
          await policyPcrDigest(
            DEMANDED_PCRS.filter((p) => p !== left),
            new Uint8Array(32),
          ),
        ),
      ),
    );
    expect(new Set(digests).size).toBe(DEMANDED_PCRS.length);
  });
});

describe.skipIf(!VECTORS_PRESENT)(`quotes of other TPMs${NEEDS_VECTORS}`, () => {
  test('keylime’s quote verifies with its AK, and not with one bit changed', async () => {
    const ak = parsePublic(readVector('quote/keylime/ak.pub').subarray(2));
    const quote = readVector('quote/keylime/quote.out');
    const signature = parseSignature(readVector('quote/keylime/quotesig.out'));
    expect(parseAttest(quote)).toMatchObject({ type: 'quote', extraData: readVector('quote/keylime/rand.out') });
    expect(await verifySignature(ak, signature, quote)).toBe(true);
    expect(await verifySignature(ak, signature, flipBit(quote, 900))).toBe(false);
  });

  test('the Windows guest’s quote verifies: SHA-1 bank, no nonce', async () => {
    const json: WindowsEvidence = JSON.parse(
      new TextDecoder().decode(readVector('eventlog/go-attestation/windows_gcp_shielded_vm.json')),
    );
    const quote = base64(json.Quote.Quote);
    const ak = parsePublic(base64(json.AK.Public));
    expect(parseAttest(quote)).toMatchObject({
      extraData: new Uint8Array(0),
      attested: { pcrSelect: [{ hash: TPM_ALG.SHA1 }] },
    });
    expect(await verifySignature(ak, parseSignature(base64(json.Quote.Signature)), quote)).toBe(true);
  });
});

interface WindowsEvidence {
  readonly AK: { readonly Public: string };
  readonly Quote: { readonly Quote: string; readonly Signature: string };
}

function base64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
