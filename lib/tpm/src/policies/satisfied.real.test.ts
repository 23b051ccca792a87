// Policies that are satisfied by a signature, on a real TPM; and an object that moves to another parent under one.

import { concatBytes, utf8 } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eccPublicOf, generateP256 } from '../../testing/evidence.ts';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import {
  digest,
  ekTemplateOf,
  nameOf,
  parsePublic,
  policy,
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyDigest,
  policyDuplicationSelect,
  policyOr,
  policySigned,
  sealedObject,
  TPM_ALG,
  TPM_CC,
  TPM_RH,
  TPMA_OBJECT,
  tpmOver,
  encodePublic,
  wrapForImport,
  type Tpm,
  type TPMT_PUBLIC_ECC,
  type TPMT_SIGNATURE,
} from '../index.ts';

const SECRET = utf8('sealed');
const REF = utf8('release 7');

describe.skipIf(!SWTPM_PRESENT)(`policies satisfied on a real TPM${NEEDS_SWTPM}`, () => {
  let swtpm: PlainTpm;
  let tpm: Tpm;
  let signer: CryptoKeyPair;
  let signerPublic: TPMT_PUBLIC_ECC;
  let signerName: Uint8Array;

  beforeAll(async () => {
    swtpm = await PlainTpm.fresh();
    tpm = tpmOver(swtpm);
    signer = await generateP256('ECDSA');
    const attributes = TPMA_OBJECT.sign | TPMA_OBJECT.userWithAuth;
    signerPublic = await eccPublicOf(signer.publicKey, { attributes, scheme: TPM_ALG.ECDSA });
    signerName = await nameOf(signerPublic.bytes);
  });

  afterAll(async () => {
    await swtpm[Symbol.asyncDispose]();
  });

  async function sign(message: Uint8Array<ArrayBuffer>): Promise<TPMT_SIGNATURE> {
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
    const raw = new Uint8Array(await crypto.subtle.sign(algorithm, signer.privateKey, message));
    return {
      sigAlg: TPM_ALG.ECDSA,
      hash: TPM_ALG.SHA256,
      signatureR: raw.slice(0, 32),
      signatureS: raw.slice(32),
    };
  }

  /** A sealed object with this policy, loaded under a storage key, for as long as `use` takes. */
  async function withSealed(authPolicy: Uint8Array, use: (handle: number) => Promise<void>): Promise<void> {
    const parent = await tpm.createPrimary(TPM_RH.OWNER, storageKey());
    const blob = await wrapForImport({ parent: parent.outPublic, object: await sealedObject(SECRET, { authPolicy }) });
    const { outPrivate } = await tpm.importObject({ parentHandle: parent.objectHandle, ...blob });
    const input = { parentHandle: parent.objectHandle, inPrivate: outPrivate, inPublic: blob.objectPublic };
    const { objectHandle } = await tpm.load(input);
    try {
      await use(objectHandle);
    } finally {
      await tpm.flushContext(objectHandle);
      await tpm.flushContext(parent.objectHandle);
    }
  }

  test('PolicySigned: a signature over the session’s nonce opens it, one over another does not', async () => {
    await withSealed(await policyDigest(policy(policySigned(signerName, REF))), async (handle) => {
      const { objectHandle: authObject } = await tpm.loadExternal(signerPublic.bytes);
      const { sessionHandle: policySession, nonceTPM } = await tpm.startAuthSession('policy');
      const signed = (nonce: Uint8Array): Promise<TPMT_SIGNATURE> => sign(concatBytes(nonce, new Uint8Array(4), REF));
      const input = { authObject, policySession, nonceTPM, policyRef: REF };
      const replayed = await signed(new Uint8Array(nonceTPM.length));
      await expect(tpm.policySigned({ ...input, auth: replayed })).rejects.toMatchObject({ code: 'signature' });
      await tpm.policySigned({ ...input, auth: await signed(nonceTPM) });
      expect((await tpm.unseal(handle, { policySession })).outData).toEqual(SECRET);
      await tpm.flushContext(authObject);
    });
  });

  test('PolicyAuthorize: a policy that was signed opens it, another does not', async () => {
    await withSealed(await policyDigest(policy(policyAuthorize(signerName, REF))), async (handle) => {
      const approved = await policyDigest(policy(policyCommandCode(TPM_CC.Unseal)));
      const { objectHandle: keyHandle } = await tpm.loadExternal(signerPublic.bytes, TPM_RH.OWNER);
      const signature = await sign(concatBytes(approved, REF));
      const aHash = await digest('sha256', concatBytes(approved, REF));
      const { validation: checkTicket } = await tpm.verifySignatureOf({ keyHandle, digest: aHash, signature });
      const { sessionHandle: policySession } = await tpm.startAuthSession('policy');
      const input = { policySession, approvedPolicy: approved, policyRef: REF, keySign: signerName, checkTicket };
      await expect(tpm.policyAuthorize(input)).rejects.toMatchObject({ name: 'TpmError' });
      await tpm.policyCommandCode(policySession, TPM_CC.Unseal);
      await tpm.policyAuthorize(input);
      expect((await tpm.unseal(handle, { policySession })).outData).toEqual(SECRET);
      await tpm.flushContext(keyHandle);
    });
  });

  test('PolicyDuplicationSelect: an object goes to that parent alone, and opens there', async () => {
    const parent = await tpm.createPrimary(TPM_RH.OWNER, storageKey());
    const there = await tpm.createPrimary(TPM_RH.ENDORSEMENT, storageKey());
    const select = policy(policyDuplicationSelect({ newParentName: there.name }));
    const use = policy(policyAuthValue());
    const branches = [await policyDigest(select), await policyDigest(use)];
    const template = parsePublic((await sealedObject(SECRET)).publicArea);
    const inPublic = encodePublic({
      ...template,
      authPolicy: await policyDigest(policy(policyOr(select, use))),
      unique: new Uint8Array(0),
      type: TPM_ALG.KEYEDHASH,
      parameters: { scheme: { scheme: TPM_ALG.NULL, hashAlg: 0, kdf: 0 } },
    });
    const made = await tpm.create(parent.objectHandle, inPublic, { data: SECRET });
    const object = await tpm.load({
      parentHandle: parent.objectHandle,
      inPrivate: made.outPrivate,
      inPublic: made.outPublic.bytes,
    });
    const move = async (newParentHandle: number): Promise<{ duplicate: Uint8Array; outSymSeed: Uint8Array }> => {
      const { sessionHandle: policySession } = await tpm.startAuthSession('policy');
      const names = { newParentName: there.name, objectName: object.name };
      await tpm.policyDuplicationSelect(policySession, { ...names, includeObject: false });
      await tpm.policyOr(policySession, branches);
      try {
        return await tpm.duplicate({ objectHandle: object.objectHandle, newParentHandle, policySession });
      } catch (error) {
        await tpm.flushContext(policySession);
        throw error;
      }
    };
    const away = move(parent.objectHandle);
    await expect(away).rejects.toThrow('TPM_RC_POLICY_FAIL at session 1');
    const { duplicate, outSymSeed } = await move(there.objectHandle);
    await tpm.flushContext(object.objectHandle);
    await tpm.flushContext(parent.objectHandle);
    const parentHandle = there.objectHandle;
    const objectPublic = made.outPublic.bytes;
    const { outPrivate } = await tpm.importObject({ parentHandle, objectPublic, duplicate, inSymSeed: outSymSeed });
    const { objectHandle } = await tpm.load({ parentHandle, inPrivate: outPrivate, inPublic: objectPublic });
    expect((await tpm.unseal(objectHandle)).outData).toEqual(SECRET);
    await tpm.flushContext(objectHandle);
    await tpm.flushContext(parentHandle);
  });
});

/** The EK's template, but opened by its empty value. */
function storageKey(): Uint8Array {
  const area = parsePublic(ekTemplateOf('L-2'));
  const objectAttributes = (area.objectAttributes & ~TPMA_OBJECT.adminWithPolicy) | TPMA_OBJECT.userWithAuth;
  return encodePublic({ ...area, objectAttributes, authPolicy: new Uint8Array(0) });
}
