// Credentials for EKs of all standard templates, opened by a real TPM.

import { utf8 } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import {
  akTemplate,
  digest,
  ekTemplateOf,
  handleName,
  hashBytes,
  makeCredential,
  policy,
  policyAuthorizeNv,
  policyDigest,
  policySecret,
  TPM_ALG,
  TPM_RH,
  TpmError,
  tpmOver,
  type ComputableHash,
  type EkTemplateName,
  type Tpm,
} from '../index.ts';
import { policyIndexName } from '../../testing/ek-policy.ts';

/** Template, nameAlg; the low range needs PolicyA alone, the high range PolicyOR behind it. */
const EKS: readonly (readonly [EkTemplateName, ComputableHash, number])[] = [
  ['L-1', 'sha256', TPM_ALG.SHA256],
  ['L-2', 'sha256', TPM_ALG.SHA256],
  ['H-1', 'sha256', TPM_ALG.SHA256],
  ['H-2', 'sha256', TPM_ALG.SHA256],
  ['H-3', 'sha384', TPM_ALG.SHA384],
  ['H-4', 'sha512', TPM_ALG.SHA512],
  ['H-6', 'sha384', TPM_ALG.SHA384],
];

describe.skipIf(!SWTPM_PRESENT)(`makeCredential() for a real TPM${NEEDS_SWTPM}`, () => {
  let swtpm: PlainTpm;
  let tpm: Tpm;

  beforeAll(async () => {
    swtpm = await PlainTpm.fresh();
    tpm = tpmOver(swtpm);
  });

  afterAll(async () => {
    await swtpm[Symbol.asyncDispose]();
  });

  test.each(EKS)(
    'an EK of template %s opens what was made for it and the AK, and nothing else',
    async (name, hash, alg) => {
      const ek = await tpm.createPrimary(TPM_RH.ENDORSEMENT, ekTemplateOf(name));
      const ak = await tpm.createPrimary(TPM_RH.ENDORSEMENT, akTemplate());
      const secret = crypto.getRandomValues(new Uint8Array(hashBytes(hash)));
      const activate = async (akName: Uint8Array): Promise<Uint8Array> => {
        const credential = await makeCredential({ ekPublic: ek.outPublic, akName, secret });
        const { sessionHandle: policySession } = await tpm.startAuthSession('policy', alg);
        try {
          await tpm.policySecret(TPM_RH.ENDORSEMENT, policySession);
          if (name.startsWith('H')) {
            const policyA = await policyDigest(policy(policySecret(handleName(TPM_RH.ENDORSEMENT))), hash);
            const policyC = await policyDigest(policy(policyAuthorizeNv(await policyIndexName(hash))), hash);
            await tpm.policyOr(policySession, [policyA, policyC]);
          }
          const { certInfo } = await tpm.activateCredential({
            activateHandle: ak.objectHandle,
            keyHandle: ek.objectHandle,
            policySession,
            credentialBlob: credential.idObject,
            secret: credential.encryptedSecret,
          });
          return certInfo;
        } catch (error) {
          await tpm.flushContext(policySession);
          throw error;
        }
      };
      try {
        expect(await activate(ak.name)).toEqual(secret);
        const other = Uint8Array.of(0, 11, ...(await digest('sha256', utf8('another key'))));
        await expect(activate(other)).rejects.toThrow(TpmError);
        await expect(activate(other)).rejects.toMatchObject({ code: 'signature' });
      } finally {
        await tpm.flushContext(ek.objectHandle);
        await tpm.flushContext(ak.objectHandle);
      }
    },
  );
});
