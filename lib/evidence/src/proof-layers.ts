// What a proof bundle may hold beside the boot of its machine: the host's own evidence, and what has run since the boot.
// Bytes only, each with a limit; what they are worth is for host-judgement.ts and runtime-judgement.ts.
import { fromBase64, toBase64 } from './base64.ts';
import type { JsonValue } from './canonical-json.ts';
import { NONCE_BYTES } from './challenge.ts';
import type { ClosedObject, Refuse } from './json.ts';
import { parseSignedReference, referenceJson, hexBytes, type SignedReference } from './signed-reference.ts';
import { toHex } from '@ringwall/bytes';

const MAX_NAME_CHARACTERS = 128;
/** The host's lists and the machine's, in base64, leave room for the rest of a bundle. */
const MAX_LOG_BYTES = 128 * 1024;
/** As for a machine: an attestation, a signature, a public area. */
const MAX_ATTEST_BYTES = 2048;
const MAX_KEY_BYTES = 1024;
const MAX_CERTIFICATE_BYTES = 4096;
/** A million entries are what a kernel holds before its memory is the problem. */
const MAX_FIRST_ENTRY = 1_000_000;

/** Evidence of the computer that ran the machine, made for a nonce that names the machine's vTPM CA. */
export interface HostLayer {
  readonly name: string;
  readonly nonce: Uint8Array;
  readonly evidence: {
    readonly kind: 'host-tpm';
    /** Empty where the host's maker gave its TPM none. */
    readonly ekCertificate: Uint8Array;
    readonly akPublic: Uint8Array;
    readonly quote: Uint8Array;
    readonly quoteSignature: Uint8Array;
    readonly eventLog: Uint8Array;
    /** The kernel's list of what ran on it; empty where it keeps none. */
    readonly imaLog: Uint8Array;
  };
  readonly reference: SignedReference;
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
  const host: HostLayer = {
    name: object.string('name', MAX_NAME_CHARACTERS),
    nonce: hexBytes(object, 'nonce', NONCE_BYTES),
    evidence: {
      kind: evidence.oneOf('kind', ['host-tpm']),
      ekCertificate: readBase64(evidence, 'ekCertificate', MAX_CERTIFICATE_BYTES),
      akPublic: readBase64(evidence, 'akPublic', MAX_KEY_BYTES),
      quote: readBase64(evidence, 'quote', MAX_ATTEST_BYTES),
      quoteSignature: readBase64(evidence, 'quoteSignature', MAX_KEY_BYTES),
      eventLog: readBase64(evidence, 'eventLog', MAX_LOG_BYTES),
      imaLog: readBase64(evidence, 'imaLog', MAX_LOG_BYTES),
    },
    reference: parseSignedReference(object.value('reference')),
  };
  evidence.end();
  object.end();
  return host;
}

export function hostJson(host: HostLayer): JsonValue {
  const { kind, ...fields } = host.evidence;
  return {
    name: host.name,
    nonce: toHex(host.nonce),
    evidence: { kind, ...base64Fields(fields) },
    reference: referenceJson(host.reference),
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
