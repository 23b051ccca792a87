// What a proof bundle may hold beside the boot of its machine: the host's own evidence, and what has run since the boot.
// Bytes only, each with a limit; what they are worth is for proof-host.ts and for the watch.
import { fromBase64, toBase64 } from './base64.ts';
import type { JsonValue } from './canonical-json.ts';
import { NONCE_BYTES } from './challenge.ts';
import type { ClosedObject, Refuse } from './json.ts';
import { HOST_EVIDENCE_LIMITS_BYTES, type HostEvidence, type HostEvidenceField } from './host/evidence.ts';
import { hostReferenceJson, parseHostReference, type HostReference } from './host/reference.ts';
import type { Activation } from './proof.ts';
import { hexBytes, readTime } from './signed-reference.ts';
import { toHex } from '@ringwall/bytes';

/** The machine's list, in base64, leaves room for the rest of a bundle. */
const MAX_LOG_BYTES = 128 * 1024;
/** As for a machine: an attestation, a signature. */
const MAX_ATTEST_BYTES = 2048;
const MAX_KEY_BYTES = 1024;
/** A million entries are what a kernel holds before its memory is the problem. */
const MAX_FIRST_ENTRY = 1_000_000;

/** Evidence of the computer that ran the machine, made for a nonce of the broker's and for the machine's vTPM CA. */
export interface HostLayer {
  readonly nonce: Uint8Array;
  /** When the broker made that nonce. */
  readonly askedAt: Date;
  readonly evidence: HostEvidence;
  /** The broker's word, as for the machine. */
  readonly activation: Activation;
  readonly reference: HostReference;
}

/** What has run since the last increment, and a quote that covers it. */
export interface ImaIncrement {
  readonly nonce: Uint8Array;
  /** How many entries came before. */
  readonly first: number;
  readonly quote: Uint8Array;
  readonly quoteSignature: Uint8Array;
  readonly log: Uint8Array;
}

export function readHostLayer(object: ClosedObject): HostLayer {
  const evidence = object.object('evidence');
  const bytes = (field: HostEvidenceField): Uint8Array =>
    readBase64(evidence, field, HOST_EVIDENCE_LIMITS_BYTES[field]);
  const host: HostLayer = {
    nonce: hexBytes(object, 'nonce', NONCE_BYTES),
    askedAt: readTime(object, 'askedAt'),
    evidence: {
      kind: evidence.oneOf('kind', ['host-tpm']),
      ekCertificate: bytes('ekCertificate'),
      akPublic: bytes('akPublic'),
      quote: bytes('quote'),
      quoteSignature: bytes('quoteSignature'),
      eventLog: bytes('eventLog'),
      imaLog: bytes('imaLog'),
      vtpmCa: bytes('vtpmCa'),
    },
    activation: object.oneOf('activation', ['confirmed', 'unconfirmed']),
    reference: parseHostReference(object.value('reference')),
  };
  evidence.end();
  object.end();
  return host;
}

export function hostJson(host: HostLayer): JsonValue {
  const { kind, ...fields } = host.evidence;
  return {
    nonce: toHex(host.nonce),
    askedAt: host.askedAt.toISOString(),
    evidence: { kind, ...base64Fields(fields) },
    activation: host.activation,
    reference: hostReferenceJson(host.reference),
  };
}

export function readImaIncrement(object: ClosedObject): ImaIncrement {
  const ima = {
    nonce: hexBytes(object, 'nonce', NONCE_BYTES),
    first: object.integer('first', 0, MAX_FIRST_ENTRY),
    quote: readBase64(object, 'quote', MAX_ATTEST_BYTES),
    quoteSignature: readBase64(object, 'quoteSignature', MAX_KEY_BYTES),
    log: readBase64(object, 'log', MAX_LOG_BYTES),
  };
  object.end();
  return ima;
}

export function imaJson({ nonce, first, ...fields }: ImaIncrement): JsonValue {
  return { nonce: toHex(nonce), first, ...base64Fields(fields) };
}

/** A member that is base64 in its one spelling. */
export function readBase64(object: ClosedObject, key: string, limitBytes: number): Uint8Array {
  return decodeBase64(object.value(key), limitBytes, (what) => object.refuse(key, what));
}

/** Looked at before it is decoded: four characters make three bytes. */
export function decodeBase64(value: unknown, limitBytes: number, refuse: Refuse): Uint8Array {
  if (typeof value !== 'string') return refuse('is not base64');
  if (value.length > Math.ceil(limitBytes / 3) * 4) return refuse(`has more than ${limitBytes} bytes`);
  const bytes = fromBase64(value);
  if (bytes === undefined) return refuse('is not base64 in its one spelling');
  return bytes.length > limitBytes ? refuse(`has more than ${limitBytes} bytes`) : bytes;
}

function base64Fields(fields: Readonly<Record<string, Uint8Array>>): { readonly [key: string]: JsonValue } {
  return Object.fromEntries(Object.entries(fields).map(([key, bytes]) => [key, toBase64(bytes)]));
}
