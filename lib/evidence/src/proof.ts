// The proof bundle: one JSON file with everything that a stranger needs to repeat the broker's judgement offline.
// Formats are "ringwall-proof/2" and, read for ever, "ringwall-proof/1"; docs in this package's README. Every size has a
// bound, an unknown field is refused, and base64 and hexadecimal have one spelling, so that two bundles that differ in a
// byte differ in what they say.
import { fromHex, toHex } from '@ringwall/bytes';
import { toBase64 } from './base64.ts';
import type { JsonValue } from './canonical-json.ts';
import { NONCE_BYTES, checkChallenge, type Challenge } from './challenge.ts';
import { EvidenceError } from './errors.ts';
import { EVIDENCE_FIELDS, EVIDENCE_LIMITS_BYTES, type EvidenceField, type VtpmEvidence } from './evidence.ts';
import { ClosedObject } from './json.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { parsePolicy, policyJson, type Policy } from './policy.ts';
import {
  decodeBase64,
  hostJson,
  imaJson,
  readBase64,
  readHostLayer,
  readImaLayer,
  type HostLayer,
  type ImaLayer,
} from './proof-layers.ts';
import { expectedEventJson, parseReference, type ReferenceValues } from './reference.ts';
import { parseSignedReference, referenceJson, referenceValues, type SignedReference } from './signed-reference.ts';
import { POINT_BYTES, SIGNATURE_BYTES, signedText, verifySigned, type Signer } from './signer.ts';
import type { Verdict } from './verdict.ts';

/** What is written today, and what was written before reference values were signed. */
export const PROOF_FORMAT = 'ringwall-proof/2';
export const PROOF_FORMATS = ['ringwall-proof/2', 'ringwall-proof/1'] as const;
/**
 * The largest evidence of all layers in base64 (3.1 MiB, of it 2 of a host's logs and 0.7 of a list of files), with a host
 * reference of all that a small server runs (0.8 MiB). A bundle of a real boot has 30 KiB, with what ran since 60 to 400, and
 * with its host 300 more. Parts that are all at their own limits do not fit together: such a bundle is not made, and its
 * machine is refused with that reason.
 */
export const MAX_PROOF_BYTES: number = 4.5 * 1024 * 1024;
const FILE = { what: 'proof', limitBytes: MAX_PROOF_BYTES, invalid: 'proof-invalid' } as const;
/** A host has one vTPM CA; a fleet that changes hosts has a few. */
export const MAX_CA_CERTIFICATES = 16;
const MAX_CA_BYTES = 4096;
const MAX_SENTENCES = 64;
const MAX_SENTENCE_CHARACTERS = 1024;
const MAX_NAME_CHARACTERS = 128;

/** What the broker said at the time. Whoever verifies judges again and shows their own sentences, never these. */
export type ProofVerdict = Pick<Verdict, 'outcome' | 'proven' | 'reasons'>;

/**
 * Whether the guest answered with `activationDigest`, which only the TPM of the EK certificate can: without it, an
 * accepted verdict may rest on a software key that poses as attestation key. This is the broker's word; credential
 * activation leaves nothing that a third party could check.
 */
export type Activation = 'confirmed' | 'unconfirmed';

export interface UnsignedProof {
  readonly machine: { readonly id: string; readonly name: string };
  readonly challenge: Challenge;
  readonly evidence: VtpmEvidence;
  /** What the boot was judged by. */
  readonly reference: ReferenceValues;
  /** The same with the word of whoever stands for it. Without, the bundle is of format 1, and has none of what follows. */
  readonly signedReference?: SignedReference | undefined;
  readonly host?: HostLayer | undefined;
  readonly ima?: ImaLayer | undefined;
  readonly policy: Policy;
  readonly verdict: ProofVerdict;
  readonly activation: Activation;
  /** Roots of EK certificates that the broker trusts for this machine, DER. */
  readonly vtpmCa: readonly Uint8Array[];
  /** When the broker judged. */
  readonly at: Date;
}

export interface Proof extends UnsignedProof {
  readonly format: (typeof PROOF_FORMATS)[number];
  readonly broker: {
    /** P-256, X and Y. */
    readonly publicKey: Uint8Array;
    /** ECDSA with SHA-256 over `proofSigningBytes`, r and s. */
    readonly signature: Uint8Array;
  };
}

export async function signProof(unsigned: UnsignedProof, signer: Signer): Promise<Proof> {
  const signature = await signer.sign(proofSigningBytes(unsigned, signer.publicKey));
  const proof: Proof = {
    ...unsigned,
    format: formatOf(unsigned),
    broker: { publicKey: new Uint8Array(signer.publicKey), signature: new Uint8Array(signature) },
  };
  // A broker must never hand out a bundle that nobody can read.
  return parseProof(encodeProof(proof));
}

/** What the broker signs: all but the signature. */
export function proofSigningBytes(unsigned: UnsignedProof, publicKey: Uint8Array): Uint8Array {
  return signedText(formatOf(unsigned), { ...unsignedJson(unsigned), broker: { publicKey: toHex(publicKey) } });
}

/** Whether the broker's signature in the bundle is that of the key in the bundle. Whose key it is, is another question. */
export function verifyProofSignature(proof: Proof): Promise<boolean> {
  const { publicKey, signature } = proof.broker;
  return verifySigned(publicKey, signature, proofSigningBytes(proof, publicKey));
}

/** The bundle as a file. Throws EvidenceError `too-large`. */
export function encodeProof(proof: Proof): string {
  const { publicKey, signature } = proof.broker;
  const value = {
    format: formatOf(proof),
    ...unsignedJson(proof),
    broker: { publicKey: toHex(publicKey), signature: toHex(signature) },
  };
  return encodeJsonFile(FILE, value);
}

/** A bundle from text. It says only that the text is a bundle, nothing about its truth. Throws EvidenceError. */
export function parseProof(input: string | Uint8Array): Proof {
  const object = new ClosedObject(decodeJsonFile(FILE, input), 'proof', refuse);
  const format = object.oneOf('format', PROOF_FORMATS);
  const proof: Proof = {
    format,
    machine: readMachine(object.object('machine')),
    challenge: readChallenge(object.object('challenge')),
    evidence: readEvidence(object.object('evidence')),
    ...(format === PROOF_FORMAT ? readFormat2(object) : { reference: parseReference(object.value('reference')) }),
    policy: parsePolicy(object.value('policy')),
    verdict: readVerdict(object.object('verdict')),
    activation: object.oneOf('activation', ['confirmed', 'unconfirmed']),
    vtpmCa: object.array('vtpmCa', MAX_CA_CERTIFICATES, (item, path) =>
      decodeBase64(item, MAX_CA_BYTES, (what) => refuse(`${path} ${what}`)),
    ),
    at: object.time('at'),
    broker: readBroker(object.object('broker')),
  };
  object.end();
  if (proof.machine.id !== proof.challenge.machine) refuse('proof.machine.id is not the machine that was challenged');
  return proof;
}

/** Reference values and layers as format 2 has them. */
function readFormat2(object: ClosedObject): Pick<Proof, 'reference' | 'signedReference' | 'host' | 'ima'> {
  const signedReference = parseSignedReference(object.value('reference'));
  return {
    reference: referenceValues(signedReference),
    signedReference,
    ...(object.has('host') ? { host: readHostLayer(object.object('host')) } : {}),
    ...(object.has('ima') ? { ima: readImaLayer(object.object('ima')) } : {}),
  };
}

/** Format 1 has no place for what is more than the caller's own reference values and the first version of policies. */
function formatOf(proof: UnsignedProof): Proof['format'] {
  if (proof.signedReference !== undefined) return PROOF_FORMAT;
  if (proof.host !== undefined || proof.ima !== undefined || proof.policy.version !== 1) {
    throw new EvidenceError('proof-invalid', 'a bundle with layers or a policy of version 2 needs a signed reference');
  }
  return 'ringwall-proof/1';
}

function unsignedJson(proof: UnsignedProof): { readonly [key: string]: JsonValue } {
  const { verdict, policy } = proof;
  const evidence: Record<string, JsonValue> = { kind: proof.evidence.kind };
  for (const field of EVIDENCE_FIELDS) evidence[field] = toBase64(proof.evidence[field]);
  return {
    machine: { id: proof.machine.id, name: proof.machine.name },
    challenge: {
      nonce: toHex(proof.challenge.nonce),
      machine: proof.challenge.machine,
      boot: proof.challenge.boot,
    },
    evidence,
    reference:
      proof.signedReference === undefined
        ? unsignedReferenceJson(proof.reference)
        : referenceJson(proof.signedReference),
    ...(proof.host === undefined ? {} : { host: hostJson(proof.host) }),
    ...(proof.ima === undefined ? {} : { ima: imaJson(proof.ima) }),
    policy: policyJson(policy),
    verdict: { outcome: verdict.outcome, proven: verdict.proven, reasons: verdict.reasons },
    activation: proof.activation,
    vtpmCa: proof.vtpmCa.map((certificate) => toBase64(certificate)),
    at: proof.at.toISOString(),
  };
}

function unsignedReferenceJson(reference: ReferenceValues): JsonValue {
  return {
    version: reference.version,
    image: { name: reference.image.name, digest: reference.image.digest },
    firmware: { name: reference.firmware.name, digest: reference.firmware.digest },
    events: reference.events.map((event) => expectedEventJson(event)),
  };
}

function refuse(message: string): never {
  throw new EvidenceError('proof-invalid', message);
}

function readMachine(object: ClosedObject): Proof['machine'] {
  const machine = {
    id: object.string('id', MAX_NAME_CHARACTERS),
    name: object.string('name', MAX_NAME_CHARACTERS),
  };
  object.end();
  return machine;
}

function readChallenge(object: ClosedObject): Challenge {
  const nonce = new RegExp(`^[0-9a-f]{${NONCE_BYTES * 2}}$`);
  const challenge = {
    nonce: fromHex(object.matching('nonce', nonce, `${NONCE_BYTES} bytes in hexadecimal`)),
    machine: object.string('machine', MAX_NAME_CHARACTERS),
    boot: object.string('boot', MAX_NAME_CHARACTERS),
  };
  object.end();
  checkChallenge(challenge);
  return challenge;
}

function readEvidence(object: ClosedObject): VtpmEvidence {
  const kind = object.oneOf('kind', ['vtpm']);
  const bytes = (field: EvidenceField): Uint8Array => readBase64(object, field, EVIDENCE_LIMITS_BYTES[field]);
  const evidence: VtpmEvidence = {
    kind,
    ekCertificate: bytes('ekCertificate'),
    akPublic: bytes('akPublic'),
    bootPublic: bytes('bootPublic'),
    certify: bytes('certify'),
    certifySignature: bytes('certifySignature'),
    quote: bytes('quote'),
    quoteSignature: bytes('quoteSignature'),
    eventLog: bytes('eventLog'),
  };
  object.end();
  return evidence;
}

function readVerdict(object: ClosedObject): ProofVerdict {
  const verdict = {
    outcome: object.oneOf('outcome', ['accepted', 'refused']),
    proven: object.strings('proven', MAX_SENTENCES, MAX_SENTENCE_CHARACTERS),
    reasons: object.strings('reasons', MAX_SENTENCES, MAX_SENTENCE_CHARACTERS),
  };
  object.end();
  return verdict;
}

function readBroker(object: ClosedObject): Proof['broker'] {
  const broker = {
    publicKey: object.hexBytes('publicKey', POINT_BYTES),
    signature: object.hexBytes('signature', SIGNATURE_BYTES),
  };
  object.end();
  return broker;
}
