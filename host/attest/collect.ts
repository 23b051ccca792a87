// What this host's own TPM says: who it is, and a quote for a question. TPM 2.0 Part 3 sections 18.4 (quote) and 12.5
// (activation); TCG EK Credential Profile 2.5 section 2.2 (where certificates lie). The attestation key is a primary key of
// the endorsement hierarchy, made anew each time from its template: the same key as long as the TPM keeps its seed.
import { equalBytes, ParseError } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { HOST_EVIDENCE_LIMITS_BYTES, unpadCertificate } from '@ringwall/evidence';
import {
  akTemplate,
  EK_CERTIFICATE_NV_INDEX,
  ekTemplateOf,
  encodePublic,
  encodeSignature,
  nameOf,
  TPM_RH,
  TpmError,
  tpmOver,
  type Credential,
  type EkTemplateName,
  type Tpm,
} from '@ringwall/tpm';
import { openHostTpm, type HostTpmConfig } from './config.ts';
import { readBounded } from './read-bounded.ts';

/** EK Credential Profile 2.2.1.4: low range, RSA 2048. */
const RSA_EK_CERTIFICATE_NV_INDEX = 0x01c0_0002;
/** In this order: ECC is a hundred times faster to make. */
const CERTIFIED_EKS: readonly (readonly [index: number, template: EkTemplateName])[] = [
  [EK_CERTIFICATE_NV_INDEX, 'L-2'],
  [RSA_EK_CERTIFICATE_NV_INDEX, 'L-1'],
];
/** What any TPM gives in one NV_Read. */
const NV_CHUNK_BYTES = 512;
/** Certificate and padding: an index of a TPM has at most 2 KiB. */
const MAX_INDEX_BYTES = 4096;

/** Who the host's TPM is. */
export interface HostIdentity {
  /** X.509, DER; empty where its maker gave it none. */
  readonly ekCertificate: Uint8Array;
  /** TPMT_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** TPMT_PUBLIC. */
  readonly akPublic: Uint8Array;
}

export interface HostAnswer {
  /** TPMS_ATTEST. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly quoteSignature: Uint8Array;
  /** What was in the credential, where one was given and this TPM opened it. */
  readonly opened: Uint8Array | undefined;
  readonly eventLog: Uint8Array;
  readonly imaLog: Uint8Array;
}

export async function readHostIdentity(config: HostTpmConfig): Promise<HostIdentity> {
  return withTpm(config, async (tpm) => {
    const { ekCertificate, template } = await findEk(tpm);
    const ekPublic = await withPrimary(tpm, ekTemplateOf(template), async (_, area) => area);
    const akPublic = await withPrimary(tpm, akTemplate(), async (_, area) => area);
    return { ekCertificate, ekPublic, akPublic };
  });
}

/** The quote comes before IMA's list is read: the list may run ahead of the quote, and never be behind it. */
export async function answerAsHost(
  config: HostTpmConfig,
  question: {
    readonly qualifyingData: Uint8Array;
    readonly pcrs: readonly number[];
    readonly credential?: Credential | undefined;
  },
): Promise<HostAnswer> {
  const eventLog = await readBounded(config.eventLog, HOST_EVIDENCE_LIMITS_BYTES.eventLog);
  const { qualifyingData, pcrs, credential } = question;
  const signed = await withTpm(config, async (tpm) => {
    const { template } = await findEk(tpm);
    return withPrimary(tpm, akTemplate(), async (ak) => {
      const { attestation, signature } = await tpm.quote({ signHandle: ak, qualifyingData, pcrs });
      const opened = credential === undefined ? undefined : await open(tpm, { ak, template, credential });
      return { quote: attestation, quoteSignature: encodeSignature(signature), opened };
    });
  });
  return { ...signed, eventLog, imaLog: await readBounded(config.imaLog, HOST_EVIDENCE_LIMITS_BYTES.imaLog) };
}

/** Undefined where this TPM does not open it: whoever made it will see that from the answer. */
async function open(
  tpm: Tpm,
  given: { readonly ak: number; readonly template: EkTemplateName; readonly credential: Credential },
): Promise<Uint8Array | undefined> {
  const { ak, template, credential } = given;
  try {
    return await withPrimary(tpm, ekTemplateOf(template), async (ek) => {
      const { sessionHandle: policySession } = await tpm.startAuthSession('policy');
      try {
        await tpm.policySecret(TPM_RH.ENDORSEMENT, policySession);
        const { certInfo } = await tpm.activateCredential({
          activateHandle: ak,
          keyHandle: ek,
          policySession,
          credentialBlob: credential.idObject,
          secret: credential.encryptedSecret,
        });
        return certInfo;
      } catch (error) {
        await tpm.flushContext(policySession);
        throw error;
      }
    });
  } catch (error) {
    if (error instanceof TpmError) return undefined;
    throw error;
  }
}

async function findEk(tpm: Tpm): Promise<{ ekCertificate: Uint8Array; template: EkTemplateName }> {
  for (const [index, template] of CERTIFIED_EKS) {
    const stored = await readIndex(tpm, index);
    if (stored !== undefined) return { ekCertificate: unpadded(stored), template };
  }
  return { ekCertificate: new Uint8Array(), template: 'L-2' };
}

/** What cannot be read as a certificate is sent as it is: whoever judges it says what is wrong with it. */
function unpadded(stored: Uint8Array): Uint8Array {
  try {
    return unpadCertificate(stored).der;
  } catch (error) {
    if (error instanceof ParseError) return stored;
    throw error;
  }
}

async function readIndex(tpm: Tpm, nvIndex: number): Promise<Uint8Array | undefined> {
  let dataSize: number;
  try {
    ({ dataSize } = (await tpm.nvReadPublic(nvIndex)).nvPublic);
  } catch (error) {
    if (error instanceof TpmError) return undefined;
    throw error;
  }
  if (dataSize > MAX_INDEX_BYTES) throw new RingwallError('tpm-failed', `an EK certificate of ${dataSize} bytes`);
  const bytes = new Uint8Array(dataSize);
  for (let offset = 0; offset < dataSize; offset += NV_CHUNK_BYTES) {
    const size = Math.min(NV_CHUNK_BYTES, dataSize - offset);
    bytes.set((await tpm.nvRead({ nvIndex, size, offset })).data.subarray(0, size), offset);
  }
  return bytes;
}

async function withTpm<T>(config: HostTpmConfig, use: (tpm: Tpm) => Promise<T>): Promise<T> {
  await using transport = await openHostTpm(config);
  try {
    return await use(tpmOver(transport));
  } catch (cause) {
    if (cause instanceof RingwallError || !(cause instanceof Error)) throw cause;
    // What the TPM itself answered is no defect of ours.
    throw new RingwallError('tpm-failed', `the host’s TPM refused: ${cause.message}`, { cause });
  }
}

/** A key of the endorsement hierarchy for as long as `use` takes: transient slots are few. */
async function withPrimary<T>(
  tpm: Tpm,
  template: Uint8Array,
  use: (handle: number, area: Uint8Array) => Promise<T>,
): Promise<T> {
  const { objectHandle, outPublic, name } = await tpm.createPrimary(TPM_RH.ENDORSEMENT, template);
  try {
    const area = encodePublic(outPublic);
    if (!equalBytes(await nameOf(area), name)) throw new RingwallError('tpm-failed', 'the TPM names another key');
    return await use(objectHandle, area);
  } finally {
    await tpm.flushContext(objectHandle);
  }
}
