// The proof bundle: one JSON file with everything that a stranger needs to repeat the broker's judgement offline.
// The format is "ringwall-proof/1"; docs in this package's README. Every size has a bound, an unknown field is refused,
// and base64 and hexadecimal have one spelling, so that two bundles that differ in a byte differ in what they say.
import { fromHex, toHex, unshared, utf8 } from '@ringwall/bytes';
import { fromBase64, toBase64 } from './base64.ts';
import { canonicalJson, type JsonValue } from './canonical-json.ts';
import { NONCE_BYTES, checkChallenge, type Challenge } from './challenge.ts';
import { EvidenceError } from './errors.ts';
import { EVIDENCE_FIELDS, EVIDENCE_LIMITS_BYTES, type EvidenceField, type VtpmEvidence } from './evidence.ts';
import { ClosedObject } from './json.ts';
import { parsePolicy, type Policy } from './policy.ts';
import { parseReference, type ReferenceValues } from './reference.ts';
import type { Verdict } from './verdict.ts';

export const PROOF_FORMAT = 'ringwall-proof/1';
/** The largest evidence in base64, the largest reference and texts, doubled: a bundle of a real boot has 20 KiB. */
export const MAX_PROOF_BYTES: number = 1024 * 1024;
/** A host has one vTPM CA; a fleet that changes hosts has a few. */
export const MAX_CA_CERTIFICATES = 16;
const MAX_CA_BYTES = 4096;
const MAX_SENTENCES = 64;
const MAX_SENTENCE_CHARACTERS = 1024;
const MAX_NAME_CHARACTERS = 128;
const POINT_BYTES = 64;
const SIGNATURE_BYTES = 64;

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
  readonly reference: ReferenceValues;
  readonly policy: Policy;
  readonly verdict: ProofVerdict;
  readonly activation: Activation;
  /** Roots of EK certificates that the broker trusts for this machine, DER. */
  readonly vtpmCa: readonly Uint8Array[];
  /** When the broker judged. */
  readonly at: Date;
}

export interface Proof extends UnsignedProof {
  readonly format: typeof PROOF_FORMAT;
  readonly broker: {
    /** P-256, X and Y. */
    readonly publicKey: Uint8Array;
    /** ECDSA with SHA-256 over `proofSigningBytes`, r and s. */
    readonly signature: Uint8Array;
  };
}

/** The broker's P-256 key: how it signs is its own business. */
export interface ProofSigner {
  /** X and Y, 64 bytes. */
  readonly publicKey: Uint8Array;
  /** ECDSA with SHA-256 over `message`: r and s, 64 bytes, as WebCrypto gives them. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}

export async function signProof(unsigned: UnsignedProof, signer: ProofSigner): Promise<Proof> {
  const signature = await signer.sign(proofSigningBytes(unsigned, signer.publicKey));
  const proof: Proof = {
    ...unsigned,
    format: PROOF_FORMAT,
    broker: { publicKey: new Uint8Array(signer.publicKey), signature: new Uint8Array(signature) },
  };
  // A broker must never hand out a bundle that nobody can read.
  return parseProof(encodeProof(proof));
}

/** What the broker signs: a line that no other text of Ringwall begins with, then all but the signature. */
export function proofSigningBytes(unsigned: UnsignedProof, publicKey: Uint8Array): Uint8Array {
  const value: JsonValue = { ...unsignedJson(unsigned), broker: { publicKey: toHex(publicKey) } };
  return utf8(`${PROOF_FORMAT}\n${canonicalJson(value)}`);
}

/** Whether the broker's signature in the bundle is that of the key in the bundle. Whose key it is, is another question. */
export async function verifyProofSignature(proof: Proof): Promise<boolean> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const point = Uint8Array.of(4, ...proof.broker.publicKey);
  try {
    const key = await crypto.subtle.importKey('raw', point, algorithm, false, ['verify']);
    const message = unshared(proofSigningBytes(proof, proof.broker.publicKey));
    const signature = unshared(proof.broker.signature);
    return await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, message);
  } catch {
    return false; // a point off the curve is the only thing that WebCrypto throws at here
  }
}

/** The bundle as text: JSON with two spaces, ending in a line feed. */
export function encodeProof(proof: Proof): string {
  const { publicKey, signature } = proof.broker;
  const value = {
    format: PROOF_FORMAT,
    ...unsignedJson(proof),
    broker: { publicKey: toHex(publicKey), signature: toHex(signature) },
  };
  const text = `${JSON.stringify(value, undefined, 2)}\n`;
  if (text.length > MAX_PROOF_BYTES) {
    throw new EvidenceError('too-large', `proof has ${text.length} bytes, at most ${MAX_PROOF_BYTES}`);
  }
  return text;
}

/** A bundle from text. It says only that the text is a bundle, nothing about its truth. Throws EvidenceError. */
export function parseProof(input: string | Uint8Array): Proof {
  if (input.length > MAX_PROOF_BYTES) {
    throw new EvidenceError('too-large', `proof has ${input.length} bytes, at most ${MAX_PROOF_BYTES}`);
  }
  const object = new ClosedObject(parseJson(input), 'proof', refuse);
  const format = object.oneOf('format', [PROOF_FORMAT]);
  const proof: Proof = {
    format,
    machine: readMachine(object.object('machine')),
    challenge: readChallenge(object.object('challenge')),
    evidence: readEvidence(object.object('evidence')),
    reference: parseReference(object.value('reference')),
    policy: parsePolicy(object.value('policy')),
    verdict: readVerdict(object.object('verdict')),
    activation: object.oneOf('activation', ['confirmed', 'unconfirmed']),
    vtpmCa: object.array('vtpmCa', MAX_CA_CERTIFICATES, (item, path) => readBase64(item, path, MAX_CA_BYTES)),
    at: readTime(object.string('at', 32)),
    broker: readBroker(object.object('broker')),
  };
  object.end();
  if (proof.machine.id !== proof.challenge.machine) refuse('proof.machine.id is not the machine that was challenged');
  return proof;
}

function unsignedJson(proof: UnsignedProof): { readonly [key: string]: JsonValue } {
  const { verdict, reference, policy } = proof;
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
    reference: {
      version: reference.version,
      image: { name: reference.image.name, digest: reference.image.digest },
      firmware: { name: reference.firmware.name, digest: reference.firmware.digest },
      events: reference.events.map(({ pcr, type, digest, what }) => ({ pcr, type, digest, what })),
    },
    policy: {
      version: policy.version,
      kind: policy.kind,
      bank: policy.bank,
      pcrs: policy.pcrs,
      untouchedPcrs: policy.untouchedPcrs,
    },
    verdict: { outcome: verdict.outcome, proven: verdict.proven, reasons: verdict.reasons },
    activation: proof.activation,
    vtpmCa: proof.vtpmCa.map((certificate) => toBase64(certificate)),
    at: proof.at.toISOString(),
  };
}

function refuse(message: string): never {
  throw new EvidenceError('proof-invalid', message);
}

function parseJson(input: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof input === 'string' ? input : new TextDecoder('utf-8', { fatal: true }).decode(input));
  } catch (cause) {
    throw new EvidenceError('proof-invalid', 'proof is not JSON', { cause });
  }
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
  const bytes = (field: EvidenceField): Uint8Array =>
    readBase64(object.value(field), `proof.evidence.${field}`, EVIDENCE_LIMITS_BYTES[field]);
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

function readTime(text: string): Date {
  const at = new Date(text);
  if (Number.isNaN(at.getTime()) || at.toISOString() !== text)
    refuse('proof.at is not a time as toISOString() writes it');
  return at;
}

function readBroker(object: ClosedObject): Proof['broker'] {
  const hex = (key: string, bytes: number): Uint8Array =>
    fromHex(object.matching(key, new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `${bytes} bytes in hexadecimal`));
  const broker = { publicKey: hex('publicKey', POINT_BYTES), signature: hex('signature', SIGNATURE_BYTES) };
  object.end();
  return broker;
}

function readBase64(value: unknown, path: string, limitBytes: number): Uint8Array {
  if (typeof value !== 'string') return refuse(`${path} is not base64`);
  // Looked at before it is decoded: four characters make three bytes.
  if (value.length > Math.ceil(limitBytes / 3) * 4) return refuse(`${path} has more than ${limitBytes} bytes`);
  const bytes = fromBase64(value);
  if (bytes === undefined) return refuse(`${path} is not base64 in its one spelling`);
  if (bytes.length > limitBytes) return refuse(`${path} has more than ${limitBytes} bytes`);
  return bytes;
}
