import { concatBytes, Cursor, equalBytes, fromHex, toHex, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { eccPublicOf, generateP256, readSwtpmEvidence } from '../../testing/evidence.ts';
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from '../constants.ts';
import { CREDENTIAL_BYTES } from './credential-sizes.ts';
import { hmac } from '../hash.ts';
import { kdfa, kdfe } from './key-derivation.ts';
import { EK_ATTRIBUTES } from '../commands/ek-templates.ts';
import { decryptAesCfb, encryptAesCfb } from './aes-cfb.ts';
import { makeCredential, type Credential } from './make-credential.ts';
import { nameOf } from '../structures/names.ts';
import { parsePublic, type TPMT_PUBLIC_ECC } from '../structures/public-area.ts';
import { pointOf } from '../structures/public-key.ts';
import { maskWithPoint, wrapToEccKey } from './wrap-to-key.ts';

const evidence = readSwtpmEvidence();
const EMPTY = new Uint8Array(0);

describe('encryptAesCfb()', () => {
  // NIST SP 800-38A section F.3.13, CFB128-AES128, with its IV put before the text: the first block of a zero IV is
  // AES(0) xor the block, so the vector's IV is made to be the first block of ciphertext.
  test('agrees with SP 800-38A', async () => {
    const key = fromHex('2b7e151628aed2a6abf7158809cf4f3c');
    const iv = fromHex('000102030405060708090a0b0c0d0e0f');
    const keyStream = await encryptAesCfb(key, new Uint8Array(16));
    const first = iv.map((byte, index) => byte ^ (keyStream[index] ?? 0));
    const text =
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
      '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710';
    const encrypted = await encryptAesCfb(key, concatBytes(first, fromHex(text)));
    expect(toHex(encrypted)).toBe(
      `${toHex(iv)}3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b` +
        '26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6',
    );
    expect(toHex(await decryptAesCfb(key, encrypted)).slice(32)).toBe(text);
  });

  test('ends inside a block where the text does', async () => {
    const key = new Uint8Array(16).fill(7);
    const long = await encryptAesCfb(key, new Uint8Array(40));
    const short = await encryptAesCfb(key, new Uint8Array(34));
    expect(short).toEqual(long.slice(0, 34));
    expect(await encryptAesCfb(key, EMPTY)).toEqual(EMPTY);
  });
});

describe('key derivation', () => {
  test('kdfe() is SHA-256 of counter, Z, label with its zero, and both parties: what a shell can do', async () => {
    const z = new Uint8Array(32).fill(1);
    const u = new Uint8Array(32).fill(2);
    const v = new Uint8Array(32).fill(3);
    const text = concatBytes(Uint8Array.of(0, 0, 0, 1), z, utf8('RINGWALL\0'), u, v);
    const expected = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
    expect(await kdfe('sha256', z, 'RINGWALL', u, v, 256)).toEqual(expected);
  });

  test('longer output begins with the same block, and counts on', async () => {
    const long = await kdfe('sha256', EMPTY, 'X', EMPTY, EMPTY, 512);
    const second = concatBytes(Uint8Array.of(0, 0, 0, 2), utf8('X\0'));
    expect(long.slice(32)).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-256', second)));
  });

  test('kdfa() has the number of bits in what it authenticates', async () => {
    const key = Uint8Array.of(9);
    const text = concatBytes(
      Uint8Array.of(0, 0, 0, 1),
      utf8('STORAGE\0'),
      Uint8Array.of(5),
      Uint8Array.of(0, 0, 0, 128),
    );
    expect(await kdfa('sha256', key, 'STORAGE', Uint8Array.of(5), EMPTY, 128)).toEqual(
      (await hmac('sha256', key, text)).slice(0, 16),
    );
  });

  test.each([0, 7, -8, 4104, Number.NaN])('refuses %s bits', async (bits) => {
    await expect(kdfe('sha256', EMPTY, 'X', EMPTY, EMPTY, bits)).rejects.toThrow('expected a multiple of 8');
  });
});

describe('makeCredential()', () => {
  const secret = new Uint8Array(32).fill(0x5a);

  test('hides a secret that the private EK and the Name give back, in fixed lengths', async () => {
    const { pair, ek } = await softwareEk();
    const akName = await nameOf(evidence.akPublic);
    const credential = await makeCredential({ ekPublic: ek, akName, secret });
    expect(credential.idObject).toHaveLength(CREDENTIAL_BYTES.idObject);
    expect(credential.encryptedSecret).toHaveLength(CREDENTIAL_BYTES.encryptedSecret);
    expect(await activate(pair.privateKey, ek, akName, credential)).toEqual(secret);
    const otherName = await nameOf(evidence.bootPublic);
    await expect(activate(pair.privateKey, ek, otherName, credential)).rejects.toThrow('integrity');
  });

  test('is another each time', async () => {
    const input = { ekPublic: parsePublic(evidence.ekPublic), akName: await nameOf(evidence.akPublic), secret };
    const [one, two] = await Promise.all([makeCredential(input), makeCredential(input)]);
    expect(equalBytes(one.idObject, two.idObject)).toBe(false);
    expect(equalBytes(one.encryptedSecret, two.encryptedSecret)).toBe(false);
  });

  test.each([
    ['a signing key', evidence.akPublic],
    ['a key that decrypts for anyone', evidence.bootPublic],
  ])('refuses %s in place of the EK', async (_, bytes) => {
    const input = { ekPublic: parsePublic(bytes), akName: await nameOf(evidence.akPublic), secret };
    await expect(makeCredential(input)).rejects.toThrow('endorsement key is no storage key');
  });

  test('refuses a key that would decrypt anything for anyone, even with AES-CFB', async () => {
    const pair = await generateP256('ECDH');
    const attributes = EK_ATTRIBUTES & ~TPMA_OBJECT.restricted;
    const ekPublic = await eccPublicOf(pair.publicKey, { attributes, scheme: TPM_ALG.NULL, aes: true });
    const input = { ekPublic, akName: await nameOf(evidence.akPublic), secret };
    await expect(makeCredential(input)).rejects.toThrow('endorsement key is no storage key');
  });

  test.each([0, 33])('refuses a secret of %s bytes', async (length) => {
    const input = { ekPublic: parsePublic(evidence.ekPublic), akName: EMPTY, secret: new Uint8Array(length) };
    await expect(makeCredential(input)).rejects.toThrow(`secret has ${length} bytes, expected 1 to 32`);
  });
});

describe('wrapToEccKey()', () => {
  const secret32 = new Uint8Array(32).fill(0x33);

  test('masks a secret that the private key gives back', async () => {
    const pair = await generateP256('ECDH');
    const key = await eccPublicOf(pair.publicKey, { attributes: 0x0002_0432, scheme: TPM_ALG.NULL });
    const { ephemeral, masked } = await wrapToEccKey({ public: key, secret: secret32 });
    expect([ephemeral.length, masked.length]).toEqual([64, 32]);
    expect(equalBytes(masked, secret32)).toBe(false);
    const z = await agree(pair.privateKey, ephemeral);
    const ephemeralX = ephemeral.slice(0, 32);
    expect(await maskWithPoint({ masked, z, ephemeralX, key })).toEqual(secret32);
    expect(await maskWithPoint({ masked, z, ephemeralX, key, label: 'OTHER' })).not.toEqual(secret32);
  });

  test('refuses secrets of another length and keys of another kind', async () => {
    const key = parsePublic(evidence.bootPublic);
    await expect(wrapToEccKey({ public: key, secret: new Uint8Array(31) })).rejects.toThrow('secret has 31 bytes');
    // curveID stands before the null KDF (2 bytes) and the two coordinates (2 + 32 bytes each).
    const bytes = new Uint8Array(evidence.bootPublic);
    bytes[bytes.length - 71] = TPM_ECC.NIST_P384;
    await expect(wrapToEccKey({ public: parsePublic(bytes), secret: secret32 })).rejects.toThrow('expected ECC P-256');
  });
});

async function softwareEk(): Promise<{ readonly pair: CryptoKeyPair; readonly ek: TPMT_PUBLIC_ECC }> {
  const pair = await generateP256('ECDH');
  return {
    pair,
    ek: await eccPublicOf(pair.publicKey, { attributes: EK_ATTRIBUTES, scheme: TPM_ALG.NULL, aes: true }),
  };
}

async function agree(privateKey: CryptoKey, point: Uint8Array): Promise<Uint8Array> {
  const raw = concatBytes(Uint8Array.of(4), point);
  const theirs = await crypto.subtle.importKey('raw', raw, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, privateKey, 256));
}

/** TPM2_ActivateCredential by TPM 2.0 Part 1 section 24, as the TPM does it. */
async function activate(
  privateKey: CryptoKey,
  ek: TPMT_PUBLIC_ECC,
  akName: Uint8Array,
  { idObject, encryptedSecret }: Credential,
): Promise<Uint8Array> {
  const point = new Cursor(encryptedSecret);
  const x = point.take(point.u16be('x.size'), 'x');
  const y = point.take(point.u16be('y.size'), 'y');
  point.end('TPMS_ECC_POINT');
  const seed = await kdfe('sha256', await agree(privateKey, concatBytes(x, y)), 'IDENTITY', x, pointOf(ek)[0], 256);
  const blob = new Cursor(idObject);
  const integrity = blob.take(blob.u16be('integrityHMAC.size'), 'integrityHMAC');
  const encIdentity = blob.rest('encIdentity');
  const hmacKey = await kdfa('sha256', seed, 'INTEGRITY', EMPTY, EMPTY, 256);
  if (!equalBytes(await hmac('sha256', hmacKey, concatBytes(encIdentity, akName)), integrity))
    throw new Error('integrity');
  const symKey = await kdfa('sha256', seed, 'STORAGE', akName, EMPTY, 128);
  const inner = new Cursor(await decryptAesCfb(symKey, encIdentity));
  return inner.take(inner.u16be('size'), 'credential');
}
