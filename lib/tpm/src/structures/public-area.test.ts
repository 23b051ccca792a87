import { fromHex, ParseError, toHex, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt, flipBit } from '../../testing/attempt.ts';
import { readSwtpmEvidence } from '../../testing/evidence.ts';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { TPM_ALG, TPM_ECC } from '../constants.ts';
import { EK_ATTRIBUTES } from '../commands/ek-templates.ts';
import { AK_ATTRIBUTES, akTemplate, BOOT_KEY_ATTRIBUTES, ekTemplate } from '../commands/key-templates.ts';
import { nameOf } from './names.ts';
import { attributesOf, parsePublic, type TPMT_PUBLIC } from './public-area.ts';
import { pointOf, publicKeyOf } from './public-key.ts';
import { TpmError } from '../tpm-error.ts';

const evidence = readSwtpmEvidence();
const ALL = [evidence.ekPublic, evidence.akPublic, evidence.bootPublic];

describe('parsePublic()', () => {
  test('reads the keys that a TPM made from our templates', () => {
    expect(ALL.map((bytes) => parsePublic(bytes).objectAttributes)).toEqual([
      EK_ATTRIBUTES,
      AK_ATTRIBUTES,
      BOOT_KEY_ATTRIBUTES,
    ]);
    expect(parsePublic(evidence.ekPublic)).toMatchObject({
      type: TPM_ALG.ECC,
      parameters: { symmetric: { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB } },
    });
    expect(parsePublic(evidence.akPublic)).toMatchObject({
      parameters: { scheme: { scheme: TPM_ALG.ECDSA, hashAlg: TPM_ALG.SHA256 }, curveID: TPM_ECC.NIST_P256 },
    });
  });

  test('reads the templates themselves', () => {
    expect(parsePublic(akTemplate()).unique).toEqual({ x: new Uint8Array(0), y: new Uint8Array(0) });
    expect(toHex(parsePublic(ekTemplate()).authPolicy)).toMatch(/^8371976744/);
  });

  test('refuses every truncation', () => {
    for (const bytes of ALL) {
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => parsePublic(bytes.subarray(0, length))).toThrow(ParseError);
      }
    }
  });

  test('refuses a byte behind the end', () => {
    expect(() => parsePublic(Uint8Array.of(...evidence.akPublic, 0))).toThrow('TPMT_PUBLIC has 1 bytes after its end');
  });

  test('a flipped bit is refused, or makes another Name', async () => {
    const name = toHex(await nameOf(evidence.akPublic));
    await fc.assert(
      fc.asyncProperty(fc.nat(evidence.akPublic.length * 8 - 1), async (bit) => {
        const changed = attempt(() => parsePublic(flipBit(evidence.akPublic, bit)));
        const named = changed instanceof ParseError ? 'refused' : await nameOf(changed.bytes).catch(refused);
        expect(named instanceof Uint8Array ? toHex(named) : named).not.toBe(name);
      }),
    );
  });

  test('arbitrary bytes throw only ParseError', () => {
    const start = fc.constantFrom(fromHex(''), fromHex('0023000b'), fromHex('0001000b00050072'));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 120 }), (head, tail) => {
        expect(attempt(() => parsePublic(Uint8Array.of(...head, ...tail)))).toBeDefined();
      }),
    );
  });

  const ak = toHex(evidence.akPublic);
  test.each<[string, string, string]>([
    ['an object of no known type', `0006${ak.slice(4)}`, 'type 0x6, expected RSA, ECC, KEYEDHASH or SYMCIPHER'],
    ['a nameAlg that is no hash', `00230010${ak.slice(8)}`, 'nameAlg 0x10, expected a hash algorithm'],
    ['reserved attribute bits', `0023000b80050472${ak.slice(16)}`, 'objectAttributes has reserved bits 0x80000000'],
    [
      'an authPolicy longer than a digest',
      `0023000b000504720041${'00'.repeat(65)}${ak.slice(20)}`,
      'authPolicy.size 65',
    ],
    [
      'a hash as cipher',
      `0023000b000504720000000b${ak.slice(24)}`,
      'symmetric.algorithm 0xb, expected a cipher or NULL',
    ],
    [
      'a cipher as scheme',
      `0023000b00050472000000100006${ak.slice(28)}`,
      'scheme 0x6, expected an RSA, ECC or KDF scheme',
    ],
    [
      'a coordinate wider than any curve',
      `${ak.slice(0, 40)}0043${'01'.repeat(67)}0000`,
      'x.size 67, expected at most 66',
    ],
  ])('refuses %s', (_, hex, message) => {
    expect(() => parsePublic(fromHex(hex))).toThrow(ParseError);
    expect(() => parsePublic(fromHex(hex))).toThrow(message);
  });

  test('refuses an RSA modulus that is not as long as it says', () => {
    expect(() => parsePublic(rsaPublic(2048, 255))).toThrow('unique has 255 bytes, expected 256 for 2048 bits');
  });

  test('RSA exponent 0 stands for 65,537', () => {
    expect(parsePublic(rsaPublic(2048, 256))).toMatchObject({ parameters: { exponent: 65_537 } });
  });

  test('keeps its own copy of the bytes', () => {
    const bytes = new Uint8Array(evidence.akPublic);
    const parsed = parsePublic(bytes);
    bytes.fill(0);
    expect(parsed.bytes).toEqual(evidence.akPublic);
  });
});

describe('attributesOf()', () => {
  test('names the bits of an AK', () => {
    const set = Object.entries(attributesOf(parsePublic(evidence.akPublic))).filter(([, on]) => on);
    expect(set.map(([name]) => name)).toEqual([
      'fixedTPM',
      'fixedParent',
      'sensitiveDataOrigin',
      'userWithAuth',
      'noDA',
      'restricted',
      'sign',
    ]);
  });
});

describe('publicKeyOf()', () => {
  test('exports as the SubjectPublicKeyInfo of a certificate', async () => {
    const key = await publicKeyOf(parsePublic(evidence.ekPublic));
    const spki = toHex(new Uint8Array(await crypto.subtle.exportKey('spki', key)));
    const [x, y] = pointOf(eccOf(parsePublic(evidence.ekPublic)));
    expect(spki).toBe(`3059301306072a8648ce3d020106082a8648ce3d03010703420004${toHex(x)}${toHex(y)}`);
  });

  test('refuses a point that is not on the curve', async () => {
    const key = eccOf(parsePublic(evidence.akPublic));
    const moved = { ...key, unique: { x: key.unique.x, y: flipBit(key.unique.y, 7) } };
    await expect(publicKeyOf(moved)).rejects.toThrow(TpmError);
  });

  test('refuses an unknown curve and the point at nothing', async () => {
    const key = eccOf(parsePublic(evidence.akPublic));
    const bn256 = { ...key, parameters: { ...key.parameters, curveID: 0x10 } };
    await expect(publicKeyOf(bn256)).rejects.toThrow('curve 0x10, expected P-256, P-384 or P-521');
    await expect(publicKeyOf(parsePublic(akTemplate()))).rejects.toThrow(TpmError);
  });

  test('takes a coordinate whose leading zeros the TPM left out', () => {
    const key = eccOf(parsePublic(evidence.akPublic));
    const short = { ...key, unique: { x: Uint8Array.of(5), y: new Uint8Array(0) } };
    expect(toHex(pointOf(short)[0])).toBe(`${'00'.repeat(31)}05`);
    const long = { ...key, unique: { x: new Uint8Array(33).fill(1), y: new Uint8Array(0) } };
    expect(() => pointOf(long)).toThrow('x has 33 bytes, expected at most 32');
  });
});

describe.skipIf(!VECTORS_PRESENT)(`keys of other TPMs${NEEDS_VECTORS}`, () => {
  test('ak.name is the Name of ak.pub', async () => {
    const publicArea = readVector('quote/keylime/ak.pub').subarray(2);
    expect(await nameOf(publicArea)).toEqual(readVector('quote/keylime/ak.name'));
  });

  test.each(['ak', 'ek'])('%s.pub is the key of its PEM file', async (name) => {
    const key = await publicKeyOf(parsePublic(readVector(`quote/keylime/${name}.pub`).subarray(2)));
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', key));
    const pem = new TextDecoder().decode(readVector(`quote/keylime/${name}pub.pem`));
    expect(btoa(String.fromCharCode(...spki))).toBe(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''));
  });
});

function refused(error: unknown): string {
  if (error instanceof TpmError) return 'refused';
  throw error;
}

function eccOf(publicArea: TPMT_PUBLIC): Extract<TPMT_PUBLIC, { type: typeof TPM_ALG.ECC }> {
  if (publicArea.type !== TPM_ALG.ECC) throw new Error('expected an ECC key');
  return publicArea;
}

function rsaPublic(keyBits: number, modulusBytes: number): Uint8Array {
  return new Writer()
    .u16be(TPM_ALG.RSA)
    .u16be(TPM_ALG.SHA256)
    .u32be(AK_ATTRIBUTES)
    .u16be(0)
    .u16be(TPM_ALG.NULL)
    .u16be(TPM_ALG.RSASSA)
    .u16be(TPM_ALG.SHA256)
    .u16be(keyBits)
    .u32be(0)
    .sized16be((modulus) => modulus.bytes(new Uint8Array(modulusBytes).fill(0xff)))
    .finish();
}
