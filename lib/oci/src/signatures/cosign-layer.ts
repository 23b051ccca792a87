// A signature as cosign attached it before there were bundles: a layer whose annotations hold signature, certificate and the entry of
// the log (cosign's "Signature Specification", "Properties"), put into the form of a Sigstore bundle 0.1, which says the same.
import type { Descriptor } from '../manifests/manifest.ts';
import { malformed, objectOf, parseJsonObject, textOf, type JsonObject } from '../manifests/json.ts';

export const COSIGN_LAYER_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';
/** A name and a digest. */
export const MAX_COSIGN_PAYLOAD_BYTES: number = 64 * 1024;

const WHAT = 'signature of cosign';
const SIGNATURE = 'dev.cosignproject.cosign/signature';
const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const LOG_BUNDLE = 'dev.sigstore.cosign/bundle';
const TIMESTAMP = 'dev.sigstore.cosign/rfc3161timestamp';
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----(?<base64>[A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;

/** `layer`: of a payload that was read, and has its digest. The JSON of a bundle. Throws OciError. */
export function bundleOfCosignLayer({ digest, annotations }: Descriptor): JsonObject {
  const [algorithm, hex = ''] = digest.split(':');
  if (algorithm !== 'sha256') throw malformed(WHAT, 'is of a payload that is not named by SHA-256');
  const signature = annotations[SIGNATURE] ?? '';
  if (signature === '') throw malformed(WHAT, 'has no signature');
  const certificate = annotations[CERTIFICATE] ?? '';
  const logged = annotations[LOG_BUNDLE] ?? '';
  const timestamp = annotations[TIMESTAMP] ?? '';
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      ...(certificate === ''
        ? { publicKey: { hint: '' } }
        : { x509CertificateChain: { certificates: [{ rawBytes: derOf(certificate) }] } }),
      tlogEntries: logged === '' ? [] : [logEntryOf(parseText(logged))],
      ...(timestamp === ''
        ? {}
        : {
            timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: timestampOf(parseText(timestamp)) }] },
          }),
    },
    messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: base64OfHex(hex) }, signature },
  };
}

function derOf(pem: string): string {
  const base64 = PEM_CERTIFICATE.exec(pem)?.groups?.['base64'];
  if (base64 === undefined) throw malformed(WHAT, 'has a certificate that is none');
  return base64.replaceAll(/\s/g, '');
}

function timestampOf(document: JsonObject): string {
  return textOf(document, 'SignedRFC3161Timestamp', WHAT);
}

/** As Rekor answers, and with the kind of the entry, which a bundle repeats. */
function logEntryOf(document: JsonObject): JsonObject {
  const payload = objectOf(document, 'Payload', WHAT);
  const body = textOf(payload, 'body', WHAT);
  const entry = parseText(textOfBase64(body));
  return {
    logIndex: integerOf(payload, 'logIndex'),
    logId: { keyId: base64OfHex(textOf(payload, 'logID', WHAT)) },
    kindVersion: { kind: textOf(entry, 'kind', WHAT), version: textOf(entry, 'apiVersion', WHAT) },
    integratedTime: integerOf(payload, 'integratedTime'),
    inclusionPromise: { signedEntryTimestamp: textOf(document, 'SignedEntryTimestamp', WHAT) },
    canonicalizedBody: body,
  };
}

function parseText(text: string): JsonObject {
  return parseJsonObject(new TextEncoder().encode(text), WHAT);
}

function integerOf(object: JsonObject, key: string): string {
  const value = object[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw malformed(WHAT, `has a ${key} that is no number`);
  return String(value);
}

function textOfBase64(base64: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(
      Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)),
    );
  } catch {
    throw malformed(WHAT, 'has an entry of a log that is no base64');
  }
}

function base64OfHex(hex: string): string {
  if (!/^(?:[0-9a-f]{2})+$/.test(hex)) throw malformed(WHAT, 'has the id of a log that is no hexadecimal');
  return btoa(hex.replaceAll(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16))));
}
