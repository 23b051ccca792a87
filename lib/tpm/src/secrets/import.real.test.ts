// Objects that were wrapped here, taken in and used by a real TPM.

import { utf8 } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import {
  cipherKeyObject,
  encodePublic,
  handleName,
  hmac,
  hmacKeyObject,
  nameOf,
  parsePublic,
  policy,
  policyDigest,
  policyPcr,
  policySecret,
  pcrDigest,
  sealedObject,
  TPM_ALG,
  TPM_ECC,
  TPM_RH,
  TPMA_OBJECT,
  tpmOver,
  wrapForImport,
  type ImportableObject,
  type Tpm,
  type TPMT_PUBLIC,
} from '../index.ts';

const EMPTY = new Uint8Array(0);
const SECRET = utf8('what the verifier sealed');
const STORAGE =
  TPMA_OBJECT.fixedTPM |
  TPMA_OBJECT.fixedParent |
  TPMA_OBJECT.sensitiveDataOrigin |
  TPMA_OBJECT.userWithAuth |
  TPMA_OBJECT.restricted |
  TPMA_OBJECT.decrypt;
const NO_SCHEME = { scheme: TPM_ALG.NULL, hashAlg: 0 };
const PARENTS: readonly (readonly [string, Uint8Array])[] = [
  ['RSA 2048, SHA-256, AES-128', rsaParent(2048, TPM_ALG.SHA256, 128)],
  ['RSA 3072, SHA-384, AES-256', rsaParent(3072, TPM_ALG.SHA384, 256)],
  ['ECC P-256, SHA-256, AES-128', eccParent(TPM_ECC.NIST_P256, TPM_ALG.SHA256, 128)],
  ['ECC P-384, SHA-384, AES-256', eccParent(TPM_ECC.NIST_P384, TPM_ALG.SHA384, 256)],
  ['ECC P-521, SHA-512, AES-256', eccParent(TPM_ECC.NIST_P521, TPM_ALG.SHA512, 256)],
];

describe.skipIf(!SWTPM_PRESENT)(`wrapForImport() for a real TPM${NEEDS_SWTPM}`, () => {
  let swtpm: PlainTpm;
  let tpm: Tpm;

  beforeAll(async () => {
    swtpm = await PlainTpm.fresh();
    tpm = tpmOver(swtpm);
  });

  afterAll(async () => {
    await swtpm[Symbol.asyncDispose]();
  });

  /** A storage key of the owner for as long as `use` takes. */
  async function withParent<T>(
    template: Uint8Array,
    use: (handle: number, area: TPMT_PUBLIC) => Promise<T>,
  ): Promise<T> {
    const made = await tpm.createPrimary(TPM_RH.OWNER, template);
    try {
      return await use(made.objectHandle, made.outPublic);
    } finally {
      await tpm.flushContext(made.objectHandle);
    }
  }

  /** Imports and loads `object`, and flushes it once `use` is done. */
  async function withImported<T>(
    object: ImportableObject,
    use: (handle: number) => Promise<T>,
    options: { readonly template?: Uint8Array; readonly inner?: Uint8Array } = {},
  ): Promise<T> {
    const { template = eccParent(TPM_ECC.NIST_P256, TPM_ALG.SHA256, 128), inner } = options;
    return withParent(template, async (parentHandle, parent) => {
      const blob = await wrapForImport({ parent, object, ...(inner === undefined ? {} : { inner: { key: inner } }) });
      const encryptionKey = inner ?? EMPTY;
      const { outPrivate } = await tpm.importObject({ parentHandle, ...blob, encryptionKey });
      const loaded = await tpm.load({ parentHandle, inPrivate: outPrivate, inPublic: blob.objectPublic });
      expect(loaded.name).toEqual(await nameOf(object.publicArea));
      try {
        return await use(loaded.objectHandle);
      } finally {
        await tpm.flushContext(loaded.objectHandle);
      }
    });
  }

  test.each(PARENTS)('sealed data comes out again under a parent of %s', async (_, template) => {
    const unsealed = await withImported(await sealedObject(SECRET), (handle) => tpm.unseal(handle), { template });
    expect(unsealed.outData).toEqual(SECRET);
  });

  test.each([TPM_ALG.SHA1, TPM_ALG.SHA384, TPM_ALG.SHA512])('an object’s own nameAlg may be 0x%i', async (nameAlg) => {
    const object = await sealedObject(new Uint8Array(128).fill(7), { nameAlg });
    expect((await withImported(object, (handle) => tpm.unseal(handle))).outData).toHaveLength(128);
  });

  test.each([16, 32])('an inner wrapper of %i bytes is undone by its key, and by no other', async (bytes) => {
    const inner = crypto.getRandomValues(new Uint8Array(bytes));
    const object = await sealedObject(SECRET, { attributes: TPMA_OBJECT.encryptedDuplication });
    expect((await withImported(object, (handle) => tpm.unseal(handle), { inner })).outData).toEqual(SECRET);
    await withParent(PARENTS[2]?.[1] ?? EMPTY, async (parentHandle, parent) => {
      const blob = await wrapForImport({ parent, object, inner: { key: inner } });
      const wrong = tpm.importObject({ parentHandle, ...blob, encryptionKey: new Uint8Array(bytes) });
      await expect(wrong).rejects.toMatchObject({ name: 'TpmError' });
    });
  });

  test('an authorization value is asked for', async () => {
    const object = await sealedObject(SECRET, { authValue: utf8('open sesame'), attributes: TPMA_OBJECT.noDA });
    await withImported(object, async (handle) => {
      await expect(tpm.unseal(handle)).rejects.toMatchObject({ code: 'authorization' });
      const opened = await tpm.unseal(handle, { password: utf8('open sesame') });
      expect(opened.outData).toEqual(SECRET);
    });
  });

  test('a policy decides alone', async () => {
    const zeros = await pcrDigest(new Map([[16, new Uint8Array(32)]]), [16]);
    const tree = policy(
      policyPcr([{ hash: TPM_ALG.SHA256, pcrs: [16] }], zeros),
      policySecret(handleName(TPM_RH.OWNER)),
    );
    const object = await sealedObject(SECRET, { authPolicy: await policyDigest(tree) });
    const session = async (): Promise<number> => {
      const { sessionHandle } = await tpm.startAuthSession('policy');
      await tpm.policyPcr(sessionHandle, [16]);
      await tpm.policySecret(TPM_RH.OWNER, sessionHandle);
      return sessionHandle;
    };
    await withImported(object, async (handle) => {
      await expect(tpm.unseal(handle)).rejects.toMatchObject({ code: 'authorization' });
      expect((await tpm.unseal(handle, { policySession: await session() })).outData).toEqual(SECRET);
      await tpm.pcrExtend(16, new Uint8Array(32).fill(1));
      const policySession = await session();
      await expect(tpm.unseal(handle, { policySession })).rejects.toMatchObject({ code: 'policy' });
      await tpm.flushContext(policySession);
      await tpm.pcrReset(16);
    });
  });

  test('an HMAC key makes the HMACs of its owner', async () => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    const object = await hmacKeyObject(key, TPM_ALG.SHA256);
    const made = await withImported(object, (handle) => tpm.hmac({ handle, buffer: SECRET }));
    expect(made.outHMAC).toEqual(await hmac('sha256', key, SECRET));
  });

  test('a cipher key encrypts as WebCrypto does with it', async () => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    const iv = crypto.getRandomValues(new Uint8Array(16));
    const object = await cipherKeyObject(key, TPM_ALG.CTR);
    const made = await withImported(object, (keyHandle) =>
      tpm.encryptDecrypt2({ keyHandle, inData: SECRET, decrypt: false, ivIn: iv }),
    );
    const ours = await crypto.subtle.importKey('raw', key, 'AES-CTR', false, ['encrypt']);
    const algorithm = { name: 'AES-CTR', counter: iv, length: 128 };
    expect(made.outData).toEqual(new Uint8Array(await crypto.subtle.encrypt(algorithm, ours, SECRET)));
  });

  test('another parent, another public area or a flipped bit: refused', async () => {
    const object = await sealedObject(SECRET);
    await withParent(PARENTS[2]?.[1] ?? EMPTY, async (parentHandle, parent) => {
      const blob = await wrapForImport({ parent, object });
      const flipped = blob.duplicate.map((byte, index) => (index === 40 ? byte ^ 1 : byte));
      await expect(tpm.importObject({ parentHandle, ...blob, duplicate: flipped })).rejects.toMatchObject({
        code: 'signature',
      });
      const other = (await sealedObject(SECRET)).publicArea;
      await expect(tpm.importObject({ parentHandle, ...blob, objectPublic: other })).rejects.toMatchObject({
        code: 'signature',
      });
      await withParent(PARENTS[0]?.[1] ?? EMPTY, async (stranger) => {
        await expect(tpm.importObject({ parentHandle: stranger, ...blob })).rejects.toMatchObject({ name: 'TpmError' });
      });
    });
  });

  test('the public areas of what was imported are read as they were written', async () => {
    const key = new Uint8Array(16).fill(3);
    for (const object of [await sealedObject(SECRET), await cipherKeyObject(key, TPM_ALG.CFB)]) {
      await withImported(object, async (handle) => {
        const { outPublic } = await tpm.readPublic(handle);
        expect(outPublic).toEqual(parsePublic(object.publicArea));
      });
    }
  });
});

function rsaParent(keyBits: number, nameAlg: number, aesBits: number): Uint8Array {
  const symmetric = { algorithm: TPM_ALG.AES, keyBits: aesBits, mode: TPM_ALG.CFB };
  const parameters = { symmetric, scheme: NO_SCHEME, keyBits, exponent: 65_537 };
  return encodePublic({
    type: TPM_ALG.RSA,
    nameAlg,
    objectAttributes: STORAGE,
    authPolicy: EMPTY,
    parameters,
    unique: EMPTY,
  });
}

function eccParent(curveID: number, nameAlg: number, aesBits: number): Uint8Array {
  const symmetric = { algorithm: TPM_ALG.AES, keyBits: aesBits, mode: TPM_ALG.CFB };
  const parameters = { symmetric, scheme: NO_SCHEME, curveID, kdf: NO_SCHEME };
  const unique = { x: EMPTY, y: EMPTY };
  return encodePublic({
    type: TPM_ALG.ECC,
    nameAlg,
    objectAttributes: STORAGE,
    authPolicy: EMPTY,
    parameters,
    unique,
  });
}
