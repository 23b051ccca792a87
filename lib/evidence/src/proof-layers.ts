// What a proof bundle may hold beside the boot of its machine: the host's own evidence, and what has run since the boot.
// Bytes only, each with a limit; what they are worth is for proof-host.ts and for the watch.
import { fromBase64, toBase64 } from './base64.ts';
import type { JsonValue } from './canonical-json.ts';
import { NONCE_BYTES } from './challenge.ts';
import type { ClosedObject, Refuse } from './json.ts';
import { HOST_EVIDENCE_LIMITS_BYTES, type HostEvidence, type HostEvidenceField } from './host/evidence.ts';
import { hostReferenceJson, parseHostReference, type HostReference } from './host/reference.ts';
import type { ImageParts } from './image-digest.ts';
import type { Activation } from './proof.ts';
import { SHA256_HEX } from './reference.ts';
import { toHex } from '@ringwall/bytes';

/** The machine's list, in base64, leaves room for the rest of a bundle. */
export const MAX_PROOF_LOG_BYTES: number = 128 * 1024;
/** As for a machine: an attestation, a signature. */
const MAX_ATTEST_BYTES = 2048;
const MAX_KEY_BYTES = 1024;
/** The list of what may run: a Debian system's has 250 KiB. */
export const MAX_PROOF_FILES_BYTES: number = 512 * 1024;
/** Bytes of the kernel's list before the last question: it is read from the beginning all the same. */
const MAX_FROM_BYTES = MAX_PROOF_LOG_BYTES;

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

/** What has run since the boot, a quote that covers it, and the list of what may run in the image. */
export interface ImaLayer {
  /** Of the question that the quote answers, as docs/protocols/watching.md has it. */
  readonly nonce: Uint8Array;
  readonly from: number;
  /** When the broker judged the answer. */
  readonly at: Date;
  readonly quote: Uint8Array;
  readonly quoteSignature: Uint8Array;
  /** The kernel's binary list from its first byte on, up to where the quote speaks for it. */
  readonly log: Uint8Array;
  /** Of the image that the reference values name; their digest shows that `files` is its list. */
  readonly image: ImageParts;
  /** files.json. */
  readonly files: Uint8Array;
}

export function readHostLayer(object: ClosedObject): HostLayer {
  const evidence = object.object('evidence');
  const bytes = (field: HostEvidenceField): Uint8Array =>
    readBase64(evidence, field, HOST_EVIDENCE_LIMITS_BYTES[field]);
  const host: HostLayer = {
    nonce: object.hexBytes('nonce', NONCE_BYTES),
    askedAt: object.time('askedAt'),
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

export function readImaLayer(object: ClosedObject): ImaLayer {
  const image = object.object('image');
  const part = (key: string): string => image.matching(key, SHA256_HEX, 'a SHA-256 digest in lower-case hexadecimal');
  const ima = {
    nonce: object.hexBytes('nonce', NONCE_BYTES),
    from: object.integer('from', 0, MAX_FROM_BYTES),
    at: object.time('at'),
    quote: readBase64(object, 'quote', MAX_ATTEST_BYTES),
    quoteSignature: readBase64(object, 'quoteSignature', MAX_KEY_BYTES),
    log: readBase64(object, 'log', MAX_PROOF_LOG_BYTES),
    image: {
      kernel: part('kernel'),
      initrd: part('initrd'),
      system: part('system'),
      files: part('files'),
      verityRootHash: part('verityRootHash'),
      hashOffset: image.integer('hashOffset', 0, Number.MAX_SAFE_INTEGER),
    },
    files: readBase64(object, 'files', MAX_PROOF_FILES_BYTES),
  };
  image.end();
  object.end();
  return ima;
}

export function imaJson({ nonce, from, at, image, ...fields }: ImaLayer): JsonValue {
  const { kernel, initrd, system, files, verityRootHash, hashOffset } = image;
  return {
    nonce: toHex(nonce),
    from,
    at: at.toISOString(),
    image: { kernel, initrd, system, files, verityRootHash, hashOffset },
    ...base64Fields(fields),
  };
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
