import { fromHex, ParseError, utf8, Writer } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { eccPublicOf, generateP256, readSwtpmEvidence } from '../../testing/evidence.ts';
import { attempt, flipBit } from '../../testing/attempt.ts';
import { TPM_ALG } from '../constants.ts';
import { AK_ATTRIBUTES } from '../commands/key-templates.ts';
import { parsePublic, type TPMT_PUBLIC } from './public-area.ts';
import { parseSignature, verifySignature, type TPMS_SIGNATURE_ECDSA, type TPMT_SIGNATURE } from './signature.ts';

const evidence = readSwtpmEvidence();
const ak = parsePublic(evidence.akPublic);
const MESSAGE = utf8('message');

const RSA_KEY = rsaKey(new Uint8Array(256).fill(0xff));

describe('parseSignature()', () => {
  test('refuses every truncation, and a byte more', () => {
    for (let length = 0; length < evidence.quoteSignature.length; length += 1) {
      expect(() => parseSignature(evidence.quoteSignature.subarray(0, length))).toThrow(ParseError);
    }
    expect(() => parseSignature(Uint8Array.of(...evidence.quoteSignature, 0))).toThrow(ParseError);
  });

  test.each([
    ['SM2', Uint8Array.of(0, 0x1b)],
    ['no signature', Uint8Array.of(0, 0x10)],
    [
      'an RSA signature of 8,192 bits',
      new Writer().u16be(0x14).u16be(0x0b).u16be(1024).bytes(new Uint8Array(1024)).finish(),
    ],
  ])('refuses %s', (_, bytes) => {
    expect(() => parseSignature(bytes)).toThrow(ParseError);
  });

  test('reads any two-byte scheme without another error than ParseError', () => {
    for (let scheme = 0; scheme < 0x100; scheme += 1) {
      expect(attempt(() => parseSignature(Uint8Array.of(0, scheme, 0, 11, 0, 0, 0, 0)))).toBeDefined();
    }
  });
});

describe('verifySignature()', () => {
  test('accepts what the TPM signed', async () => {
    expect(await verifySignature(ak, parseSignature(evidence.quoteSignature), evidence.quote)).toBe(true);
    expect(await verifySignature(ak, parseSignature(evidence.certifySignature), evidence.certify)).toBe(true);
  });

  test('a signature of one structure does not pass for another', async () => {
    expect(await verifySignature(ak, parseSignature(evidence.quoteSignature), evidence.certify)).toBe(false);
  });

  test('another key’s signature does not pass', async () => {
    expect(
      await verifySignature(parsePublic(evidence.ekPublic), parseSignature(evidence.quoteSignature), evidence.quote),
    ).toBe(false);
  });

  test.each<[string, Partial<TPMS_SIGNATURE_ECDSA>]>([
    ['r of zero', { signatureR: new Uint8Array(32) }],
    ['s of zero', { signatureS: new Uint8Array(32) }],
    ['an empty r', { signatureR: new Uint8Array(0) }],
    ['an r wider than the field', { signatureR: new Uint8Array(33).fill(1) }],
    ['r of all ones', { signatureR: new Uint8Array(32).fill(0xff) }],
    ['another hash than the key’s', { hash: TPM_ALG.SHA384 }],
  ])('refuses %s', async (_, change) => {
    const signature = { ...ecdsa(evidence.quoteSignature), ...change };
    expect(await verifySignature(ak, signature, evidence.quote)).toBe(false);
  });

  test('takes r and s without their leading zeros', async () => {
    const pair = await generateP256('ECDSA');
    const key = await eccPublicOf(pair.publicKey, { attributes: AK_ATTRIBUTES, scheme: TPM_ALG.ECDSA });
    // One signature in about 128 begins with a zero in r or s.
    for (let tries = 0; tries < 5000; tries += 1) {
      const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
      const raw = new Uint8Array(await crypto.subtle.sign(algorithm, pair.privateKey, MESSAGE));
      if (raw[0] !== 0) continue;
      const signature = {
        sigAlg: TPM_ALG.ECDSA,
        hash: TPM_ALG.SHA256,
        signatureR: raw.slice(1, 32),
        signatureS: raw.slice(32),
      };
      expect(await verifySignature(key, signature, MESSAGE)).toBe(true);
      return;
    }
    throw new Error('no signature began with a zero');
  });

  test('a hash other than the key’s is refused, even where the signature is right', async () => {
    const pair = await generateP256('ECDSA');
    const key = await eccPublicOf(pair.publicKey, { attributes: AK_ATTRIBUTES, scheme: TPM_ALG.ECDSA });
    const sign = async (name: string, hash: number): Promise<TPMS_SIGNATURE_ECDSA> => {
      const raw = new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: name }, pair.privateKey, MESSAGE));
      return { sigAlg: TPM_ALG.ECDSA, hash, signatureR: raw.slice(0, 32), signatureS: raw.slice(32) };
    };
    expect(await verifySignature(key, await sign('SHA-256', TPM_ALG.SHA256), MESSAGE)).toBe(true);
    expect(await verifySignature(key, await sign('SHA-384', TPM_ALG.SHA384), MESSAGE)).toBe(false);
    const free = await eccPublicOf(pair.publicKey, { attributes: AK_ATTRIBUTES, scheme: TPM_ALG.NULL });
    expect(await verifySignature(free, await sign('SHA-384', TPM_ALG.SHA384), MESSAGE)).toBe(true);
  });

  test('an RSA scheme other than the key’s is refused, even where the signature is right', async () => {
    const algorithm = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' };
    const pair = await crypto.subtle.generateKey({ name: 'RSA-PSS', ...algorithm }, true, ['sign', 'verify']);
    const { n = '' } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const modulus = Uint8Array.from(atob(n.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const sig = async (saltLength: number): Promise<TPMT_SIGNATURE> => {
      const raw = await crypto.subtle.sign({ name: 'RSA-PSS', saltLength }, pair.privateKey, MESSAGE);
      return { sigAlg: TPM_ALG.RSAPSS, hash: TPM_ALG.SHA256, sig: new Uint8Array(raw) };
    };
    // The salts of newer and of older TPMs, and one of neither.
    expect(await verifySignature(rsaKey(modulus), await sig(32), MESSAGE)).toBe(true);
    expect(await verifySignature(rsaKey(modulus), await sig(222), MESSAGE)).toBe(true);
    expect(await verifySignature(rsaKey(modulus), await sig(0), MESSAGE)).toBe(false);
    expect(await verifySignature(rsaKey(modulus, TPM_ALG.RSASSA), await sig(32), MESSAGE)).toBe(false);
  });

  test('a signature of RSA does not fit an ECC key, nor the other way round', async () => {
    const rsa = { sigAlg: TPM_ALG.RSASSA, hash: TPM_ALG.SHA256, sig: new Uint8Array(256) } as const;
    expect(await verifySignature(parsePublic(evidence.bootPublic), rsa, MESSAGE)).toBe(false);
    expect(await verifySignature(ak, rsa, MESSAGE)).toBe(false);
    expect(await verifySignature(RSA_KEY, ecdsa(evidence.quoteSignature), MESSAGE)).toBe(false);
  });

  test('an RSA signature of another length than the modulus does not pass', async () => {
    const short = { sigAlg: TPM_ALG.RSAPSS, hash: TPM_ALG.SHA256, sig: new Uint8Array(255) } as const;
    expect(await verifySignature(RSA_KEY, short, MESSAGE)).toBe(false);
  });

  test('a key that WebCrypto cannot use is an error, not a verdict', async () => {
    const offCurve = parsePublic(flipBit(evidence.akPublic, evidence.akPublic.length * 8 - 8));
    const attempted = verifySignature(offCurve, ecdsa(evidence.quoteSignature), MESSAGE);
    await expect(attempted).rejects.toThrow('public key is refused');
  });
});

function rsaKey(modulus: Uint8Array, scheme: number = TPM_ALG.NULL): TPMT_PUBLIC {
  const writer = new Writer().bytes(fromHex('0001000b0000044200000010')).u16be(scheme);
  if (scheme !== TPM_ALG.NULL) writer.u16be(TPM_ALG.SHA256);
  const parameters = writer.u16be(2048).u32be(0);
  return parsePublic(parameters.sized16be((unique) => unique.bytes(modulus)).finish());
}

function ecdsa(bytes: Uint8Array): TPMS_SIGNATURE_ECDSA {
  const signature = parseSignature(bytes);
  if (signature.sigAlg !== TPM_ALG.ECDSA) throw new Error('expected ECDSA');
  return signature;
}
