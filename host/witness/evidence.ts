// The vTPM's evidence for a question of the broker's, made from outside the guest: docs/protocols/attestation.md, with the
// commands that a guest of ours would send. Keys are made anew for each answer and flushed after it: the guest finds
// every slot of its TPM as it left it. What is asked of the guest's owner is that the endorsement hierarchy stays open.
import { activationDigest, qualifyingData, type Challenge, type VtpmEvidence } from '@ringwall/evidence';
import {
  akTemplate,
  bootKeyTemplate,
  DEMANDED_PCRS,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  encodePublic,
  encodeSignature,
  fillTemplate,
  nameOf,
  TPM_RH,
  type Credential,
  type Tpm,
} from '@ringwall/tpm';

export interface Answer {
  readonly evidence: VtpmEvidence;
  readonly qualifying: Uint8Array;
}

/** Throws TpmError where the TPM refuses: whoever owns the guest can close the hierarchy, or fill all slots. */
export async function answerChallenge(tpm: Tpm, challenge: Challenge, eventLog: Uint8Array): Promise<Answer> {
  const { nvPublic } = await tpm.nvReadPublic(EK_CERTIFICATE_NV_INDEX);
  const { data: ekCertificate } = await tpm.nvRead({
    nvIndex: EK_CERTIFICATE_NV_INDEX,
    size: nvPublic.dataSize,
    offset: 0,
  });
  const bootTemplate = await bootKeyOf(tpm);
  return withPrimary(tpm, TPM_RH.ENDORSEMENT, akTemplate(), (ak, akPublic) =>
    withPrimary(tpm, TPM_RH.NULL, bootTemplate, async (bootKey, bootPublic) => {
      const qualifying = await qualifyingData(challenge, await nameOf(bootPublic));
      const signed = { signHandle: ak, qualifyingData: qualifying };
      const certified = await tpm.certify({ ...signed, objectHandle: bootKey });
      const quoted = await tpm.quote({ ...signed, pcrs: DEMANDED_PCRS });
      const evidence: VtpmEvidence = {
        kind: 'vtpm',
        ekCertificate,
        akPublic,
        bootPublic,
        certify: certified.attestation,
        certifySignature: encodeSignature(certified.signature),
        quote: quoted.attestation,
        quoteSignature: encodeSignature(quoted.signature),
        eventLog,
      };
      return { evidence, qualifying };
    }),
  );
}

/** Shows that the attestation key lives in the TPM of the EK. Nothing of a disk key comes out here. */
export async function activate(tpm: Tpm, qualifying: Uint8Array, credential: Credential): Promise<Uint8Array> {
  return withPrimary(tpm, TPM_RH.ENDORSEMENT, akTemplate(), async (ak) => {
    const { sessionHandle: policySession } = await tpm.startAuthSession('policy');
    try {
      await tpm.policySecret(TPM_RH.ENDORSEMENT, policySession);
      const { certInfo } = await tpm.activateCredential({
        activateHandle: ak,
        keyHandle: EK_HANDLE,
        policySession,
        credentialBlob: credential.idObject,
        secret: credential.encryptedSecret,
      });
      return await activationDigest(qualifying, certInfo);
    } catch (error) {
      // It is gone by itself where the command succeeded.
      await tpm.flushContext(policySession);
      throw error;
    }
  });
}

/** Bound to the PCRs as they are: a key that nobody uses, whose certificate says what the broker asks to see. */
async function bootKeyOf(tpm: Tpm): Promise<Uint8Array> {
  const { sessionHandle } = await tpm.startAuthSession('trial');
  try {
    await tpm.policyPcr(sessionHandle, DEMANDED_PCRS);
    const { policyDigest } = await tpm.policyGetDigest(sessionHandle);
    return fillTemplate(bootKeyTemplate(policyDigest, { x: random(), y: random() }));
  } finally {
    await tpm.flushContext(sessionHandle);
  }
}

async function withPrimary<T>(
  tpm: Tpm,
  hierarchy: number,
  template: Uint8Array,
  use: (handle: number, area: Uint8Array) => Promise<T>,
): Promise<T> {
  const { objectHandle, outPublic } = await tpm.createPrimary(hierarchy, template);
  try {
    return await use(objectHandle, encodePublic(outPublic));
  } finally {
    await tpm.flushContext(objectHandle);
  }
}

function random(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}
