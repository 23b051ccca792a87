// A Sigstore of one's own, for tests: an authority that certifies logins (Fulcio), a log (Rekor), a log of certificates, and an
// authority of time, as sigstore-js's mocks have them. Its root is in no browser and no system.
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
// By their files: the index of the package would put itself between this process and every server that it asks.
import { initializeCA } from '@sigstore/mock/dist/fulcio/ca.js';
import { initializeCTLog } from '@sigstore/mock/dist/fulcio/ctlog.js';
import { initializeTLog } from '@sigstore/mock/dist/rekor/tlog.js';
import { initializeTSA } from '@sigstore/mock/dist/timestamp/tsa.js';

const ISSUER_OID = '1.3.6.1.4.1.57264.1.8';
const SHA256_OID = '2.16.840.1.101.3.4.2.1';
/** Its checkpoints begin with the host. */
const LOG_URL = 'https://log.example';
const HOUR_MS = 3_600_000;

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface Login {
  readonly issuer: string;
  readonly subject: string;
}

/** What a signature is attached with, as cosign does it: of the older form annotations, of the newer a bundle. */
export interface PrivateSigstore {
  /** `trusted_root.json`, without the parts that `lacking` names. */
  readonly trustedRoot: (lacking?: readonly ('tlogs' | 'ctlogs' | 'timestampAuthorities')[]) => unknown;
  /** Annotations of the layer that holds `payload`. */
  readonly signPayload: (
    payload: Buffer,
    by: KeyPair | Login,
    options?: SignOptions,
  ) => Promise<Record<string, string>>;
  /** A bundle 0.3 around a statement. */
  readonly signStatement: (statement: string, by: KeyPair | Login, options?: SignOptions) => Promise<SignedBundle>;
  /** A bundle 0.3 of a signature over `bytes` themselves. */
  readonly signBytes: (bytes: Buffer, by: KeyPair | Login) => Promise<SignedBundle>;
}

export interface SignOptions {
  /** What says when: the log, or the authority of time alone. */
  readonly time?: 'log' | 'timestamp' | 'none';
}

/** JSON of a bundle, to be changed by tests. */
export interface SignedBundle {
  mediaType: string;
  verificationMaterial: Record<string, unknown>;
  [content: string]: unknown;
}

export function newKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

export function pemOf({ publicKey }: KeyPair): string {
  return publicKey.export({ type: 'spki', format: 'pem' });
}

export async function openPrivateSigstore(): Promise<PrivateSigstore> {
  const [caKey, ctKey, logKey, tsaKey] = [newKeyPair(), newKeyPair(), newKeyPair(), newKeyPair()];
  const ctLog = await initializeCTLog(ctKey);
  const authority = await initializeCA(caKey, ctLog);
  const log = await initializeTLog(LOG_URL, logKey);
  const clock = await initializeTSA(tsaKey);
  const validFor = { start: new Date(Date.now() - HOUR_MS).toISOString() };
  const certified = (...certificates: readonly ArrayBufferView[]): unknown => ({
    certChain: { certificates: certificates.map((each) => ({ rawBytes: bufferOf(each).toString('base64') })) },
    validFor,
  });
  const logged = (publicKey: Buffer): unknown => ({
    baseUrl: LOG_URL,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: publicKey.toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
    logId: { keyId: digest(publicKey).toString('base64') },
  });
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [logged(log.publicKey)],
    ctlogs: [logged(ctLog.publicKey)],
    certificateAuthorities: [certified(authority.rootCertificate)],
    timestampAuthorities: [certified(clock.intCertificate, clock.rootCertificate)],
  };

  const certify = async (by: KeyPair | Login): Promise<{ key: KeyPair; certificate: Buffer | undefined }> => {
    if ('privateKey' in by) return { key: by, certificate: undefined };
    const key = newKeyPair();
    const certificate = await authority.issueCertificate({
      publicKey: Buffer.from(key.publicKey.export({ type: 'spki', format: 'der' })),
      subjectAltName: by.subject,
      extensions: [{ oid: ISSUER_OID, value: by.issuer }],
    });
    return { key, certificate: bufferOf(certificate) };
  };
  const verifierOf = (key: KeyPair, certificate: Buffer | undefined): string =>
    certificate === undefined ? pemOf(key) : pem(certificate);
  const enter = async (entry: object): Promise<LogAnswer> => {
    const [answer] = Object.values(await log.log(entry));
    if (answer === undefined) throw new Error('the log answers nothing');
    return JSON.parse(JSON.stringify(answer));
  };
  const hashedRekord = (hash: Buffer, signature: Buffer, verifier: string): object => ({
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: 'sha256', value: hash.toString('hex') } },
      signature: { content: signature.toString('base64'), publicKey: { content: btoa(verifier) } },
    },
  });
  const timestampOf = async (signature: Buffer): Promise<string> => {
    const request = {
      artifactHash: digest(signature),
      hashAlgorithmOID: SHA256_OID,
      nonce: 1,
      policyOID: '1.2.3',
      certReq: true,
    };
    // DER drops zeros at the end of a fraction, and the library reads three digits or none: 12.120 s is no time to it.
    while (![1, 2, 3, 4].includes(new Date().getMilliseconds() % 10)) await sleep(1);
    return bufferOf(await clock.timestamp(request)).toString('base64');
  };
  const materialOf = async (
    entry: object | undefined,
    kind: string,
    certificate: Buffer | undefined,
    timestamp: string | undefined,
  ): Promise<Record<string, unknown>> => ({
    ...(certificate === undefined
      ? { publicKey: { hint: '' } }
      : { certificate: { rawBytes: certificate.toString('base64') } }),
    tlogEntries: entry === undefined ? [] : [bundledEntry(await enter(entry), kind)],
    ...(timestamp === undefined
      ? {}
      : { timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: timestamp }] } }),
  });

  return {
    trustedRoot: (lacking = []) => ({ ...root, ...Object.fromEntries(lacking.map((part) => [part, []])) }),
    signPayload: async (payload, by, { time = 'log' } = {}) => {
      const { key, certificate } = await certify(by);
      const signature = sign('sha256', payload, key.privateKey);
      const answer =
        time === 'log'
          ? await enter(hashedRekord(digest(payload), signature, verifierOf(key, certificate)))
          : undefined;
      return {
        'dev.cosignproject.cosign/signature': signature.toString('base64'),
        ...(certificate === undefined ? {} : { 'dev.sigstore.cosign/certificate': pem(certificate) }),
        ...(time === 'timestamp'
          ? {
              'dev.sigstore.cosign/rfc3161timestamp': JSON.stringify({
                SignedRFC3161Timestamp: await timestampOf(signature),
              }),
            }
          : {}),
        ...(answer === undefined ? {} : { 'dev.sigstore.cosign/bundle': JSON.stringify(cosignEntry(answer)) }),
      };
    },
    signStatement: async (statement, by, { time = 'log' } = {}) => {
      const { key, certificate } = await certify(by);
      const payload = Buffer.from(statement);
      const payloadType = 'application/vnd.in-toto+json';
      const encoded = Buffer.from(
        `DSSEv1 ${String(payloadType.length)} ${payloadType} ${String(payload.length)} ${statement}`,
      );
      const signature = sign('sha256', encoded, key.privateKey);
      const envelope = {
        payloadType,
        payload: payload.toString('base64'),
        signatures: [{ sig: signature.toString('base64') }],
      };
      const entry = {
        apiVersion: '0.0.1',
        kind: 'dsse',
        spec: {
          payloadHash: { algorithm: 'sha256', value: digest(payload).toString('hex') },
          envelopeHash: { algorithm: 'sha256', value: digest(Buffer.from(JSON.stringify(envelope))).toString('hex') },
          signatures: [{ signature: signature.toString('base64'), verifier: btoa(verifierOf(key, certificate)) }],
        },
      };
      const timestamp = time === 'timestamp' ? await timestampOf(signature) : undefined;
      const verificationMaterial = await materialOf(time === 'log' ? entry : undefined, 'dsse', certificate, timestamp);
      return { mediaType: BUNDLE_TYPE, verificationMaterial, dsseEnvelope: envelope };
    },
    signBytes: async (bytes, by) => {
      const { key, certificate } = await certify(by);
      const signature = sign('sha256', bytes, key.privateKey);
      const entry = hashedRekord(digest(bytes), signature, verifierOf(key, certificate));
      return {
        mediaType: BUNDLE_TYPE,
        verificationMaterial: await materialOf(entry, 'hashedrekord', certificate, undefined),
        messageSignature: {
          messageDigest: { algorithm: 'SHA2_256', digest: digest(bytes).toString('base64') },
          signature: signature.toString('base64'),
        },
      };
    },
  };
}

const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** As Rekor answers. */
interface LogAnswer {
  readonly body: string;
  readonly integratedTime: number;
  readonly logIndex: number;
  readonly logID: string;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: { readonly rootHash: string; readonly checkpoint: string };
  };
}

function cosignEntry({ body, integratedTime, logIndex, logID, verification }: LogAnswer): unknown {
  const { signedEntryTimestamp: SignedEntryTimestamp } = verification;
  return { SignedEntryTimestamp, Payload: { body, integratedTime, logIndex, logID } };
}

/** The log has one leaf, which is its own root. */
function bundledEntry({ body, integratedTime, logIndex, logID, verification }: LogAnswer, kind: string): unknown {
  const { signedEntryTimestamp, inclusionProof } = verification;
  return {
    logIndex: String(logIndex),
    logId: { keyId: Buffer.from(logID, 'hex').toString('base64') },
    kindVersion: { kind, version: '0.0.1' },
    integratedTime: String(integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: '0',
      treeSize: '1',
      rootHash: Buffer.from(inclusionProof.rootHash, 'hex').toString('base64'),
      hashes: [],
      checkpoint: { envelope: inclusionProof.checkpoint },
    },
    canonicalizedBody: body,
  };
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function bufferOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function pem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
}
