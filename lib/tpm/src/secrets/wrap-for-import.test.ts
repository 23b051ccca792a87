import { concatBytes, Cursor, equalBytes, toHex } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { eccPublicOf, generateP256, readSwtpmEvidence } from '../../testing/evidence.ts';
import { EK_ATTRIBUTES } from '../commands/ek-templates.ts';
import { TPM_ALG, TPMA_OBJECT } from '../constants.ts';
import { digest, hmac } from '../hash.ts';
import { nameOf } from '../structures/names.ts';
import { attributesOf, encodePublic, parsePublic, type TPMT_PUBLIC_ECC } from '../structures/public-area.ts';
import { pointOf } from '../structures/public-key.ts';
import { parseSensitive } from '../structures/sensitive.ts';
import { TpmError } from '../tpm-error.ts';
import { decryptAesCfb } from './aes-cfb.ts';
import { cipherKeyObject, hmacKeyObject, sealedObject, type ImportableObject } from './importable.ts';
import { kdfa, kdfe } from './key-derivation.ts';
import { wrapForImport, type ImportBlob } from './wrap-for-import.ts';

const EMPTY = new Uint8Array(0);
const DATA = new Uint8Array(20).fill(0x5a);
const evidence = readSwtpmEvidence();

describe('wrapForImport()', () => {
  test('the private parent opens it, and finds what was wrapped', async () => {
    const { pair, parent } = await softwareParent();
    const object = await sealedObject(DATA, { authValue: Uint8Array.of(1, 2) });
    const blob = await wrapForImport({ parent, object });
    expect(parseSensitive(await open(pair.privateKey, parent, blob, 'DUPLICATE'))).toEqual(object.sensitive);
    expect(blob.symmetricAlg).toEqual({ algorithm: TPM_ALG.NULL, keyBits: 0, mode: 0 });
  });

  test('a seed for an import is no seed for a credential', async () => {
    const { pair, parent } = await softwareParent();
    const blob = await wrapForImport({ parent, object: await sealedObject(DATA) });
    await expect(open(pair.privateKey, parent, blob, 'IDENTITY')).rejects.toThrow('integrity');
  });

  test('is another each time, and never shows the secret', async () => {
    const { parent } = await softwareParent();
    const object = await sealedObject(DATA);
    const [one, two] = [await wrapForImport({ parent, object }), await wrapForImport({ parent, object })];
    expect(equalBytes(one.duplicate, two.duplicate)).toBe(false);
    expect(toHex(one.duplicate)).not.toContain(toHex(DATA));
  });

  test.each<[string, () => Promise<unknown>]>([
    ['a parent that signs', async () => wrap({ parent: parsePublic(evidence.akPublic) })],
    ['a parent that decrypts for anyone', async () => wrap({ parent: parsePublic(evidence.bootPublic) })],
    ['a parent that is sealed data', async () => wrap({ parent: parsePublic((await sealedObject(DATA)).publicArea) })],
    ['an object that is fixed to its TPM', async () => wrap({ object: await changed(TPMA_OBJECT.fixedTPM) })],
    ['an object that is fixed to its parent', async () => wrap({ object: await changed(TPMA_OBJECT.fixedParent) })],
    [
      'encryptedDuplication without an inner wrapper',
      async () => wrap({ object: await sealedObject(DATA, { attributes: TPMA_OBJECT.encryptedDuplication }) }),
    ],
    ['an inner key of 15 bytes', async () => wrap({ inner: { key: new Uint8Array(15) } })],
    [
      'halves of two kinds',
      async () => {
        const [sealed, cipher] = [await sealedObject(DATA), await cipherKeyObject(new Uint8Array(16), TPM_ALG.CFB)];
        return wrap({ object: { publicArea: sealed.publicArea, sensitive: cipher.sensitive } });
      },
    ],
  ])('refuses %s', async (_, make) => {
    await expect(make()).rejects.toThrow(TpmError);
  });

  async function wrap(input: Partial<Parameters<typeof wrapForImport>[0]>): Promise<ImportBlob> {
    const { parent } = await softwareParent();
    return wrapForImport({ parent, object: await sealedObject(DATA), ...input });
  }
});

describe('objects to import', () => {
  test('unique is over the seed and the secret, in the object’s nameAlg', async () => {
    const { publicArea, sensitive } = await sealedObject(DATA, { nameAlg: TPM_ALG.SHA384 });
    expect(parsePublic(publicArea).unique).toEqual(await digest('sha384', concatBytes(sensitive.seedValue, DATA)));
    expect(sensitive.seedValue).toHaveLength(48);
    expect(parsePublic((await sealedObject(DATA)).publicArea).unique).not.toEqual(parsePublic(publicArea).unique);
  });

  test.each<[string, Parameters<typeof sealedObject>[1], boolean]>([
    ['nothing: opens with its empty value', {}, true],
    ['a policy: only the policy', { authPolicy: new Uint8Array(32) }, false],
    ['a value: the value', { authValue: Uint8Array.of(1) }, true],
    ['both: either', { authPolicy: new Uint8Array(32), authValue: Uint8Array.of(1) }, true],
  ])('with %s', async (_, options, userWithAuth) => {
    const { publicArea } = await sealedObject(DATA, options);
    expect(attributesOf(parsePublic(publicArea))).toMatchObject({ userWithAuth, fixedTPM: false, fixedParent: false });
  });

  test('purposes follow from the kind', async () => {
    const attributes = async ({ publicArea }: ImportableObject): Promise<[boolean, boolean]> => {
      const { sign, decrypt } = attributesOf(parsePublic(publicArea));
      return [sign, decrypt];
    };
    expect(await attributes(await sealedObject(DATA))).toEqual([false, false]);
    expect(await attributes(await hmacKeyObject(DATA, TPM_ALG.SHA256))).toEqual([true, false]);
    expect(await attributes(await cipherKeyObject(new Uint8Array(32), TPM_ALG.CFB))).toEqual([true, true]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['no data', () => sealedObject(EMPTY)],
    ['129 bytes', () => sealedObject(new Uint8Array(129))],
    ['a value longer than a digest', () => sealedObject(DATA, { authValue: new Uint8Array(33) })],
    ['a nameAlg that WebCrypto lacks', () => sealedObject(DATA, { nameAlg: TPM_ALG.SM3_256 })],
    ['a key of no AES', () => cipherKeyObject(new Uint8Array(17), TPM_ALG.CFB)],
  ])('refuse %s', async (_, make) => {
    await expect(make()).rejects.toThrow(TpmError);
  });
});

async function changed(attribute: number): Promise<ImportableObject> {
  const object = await sealedObject(DATA);
  const area = parsePublic(object.publicArea);
  return { ...object, publicArea: encodePublic({ ...area, objectAttributes: area.objectAttributes | attribute }) };
}

async function softwareParent(): Promise<{ readonly pair: CryptoKeyPair; readonly parent: TPMT_PUBLIC_ECC }> {
  const pair = await generateP256('ECDH');
  const options = { attributes: EK_ATTRIBUTES, scheme: TPM_ALG.NULL, aes: true };
  return { pair, parent: await eccPublicOf(pair.publicKey, options) };
}

/** What TPM2_Import does, by TPM 2.0 Part 1 section 23.3: the TPMT_SENSITIVE. */
async function open(
  privateKey: CryptoKey,
  parent: TPMT_PUBLIC_ECC,
  blob: ImportBlob,
  label: string,
): Promise<Uint8Array> {
  const point = new Cursor(blob.inSymSeed);
  const x = point.take(point.u16be('x.size'), 'x');
  const y = point.take(point.u16be('y.size'), 'y');
  const raw = concatBytes(Uint8Array.of(4), x, y);
  const theirs = await crypto.subtle.importKey('raw', raw, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
  const z = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, privateKey, 256));
  const seed = await kdfe('sha256', z, label, x, pointOf(parent)[0], 256);
  const name = await nameOf(blob.objectPublic);
  const outer = new Cursor(blob.duplicate);
  const integrity = outer.take(outer.u16be('integrity.size'), 'integrity');
  const encrypted = outer.rest('encrypted');
  const hmacKey = await kdfa('sha256', seed, 'INTEGRITY', EMPTY, EMPTY, 256);
  if (!equalBytes(await hmac('sha256', hmacKey, concatBytes(encrypted, name)), integrity)) throw new Error('integrity');
  const symKey = await kdfa('sha256', seed, 'STORAGE', name, EMPTY, 128);
  const inner = new Cursor(await decryptAesCfb(symKey, encrypted));
  const sensitive = inner.take(inner.u16be('size'), 'sensitive');
  inner.end('TPM2B_SENSITIVE');
  return sensitive;
}
