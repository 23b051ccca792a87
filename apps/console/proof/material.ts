// What somebody dropped on the page, told apart by its content: a proof, or something that they trust. File names decide
// nothing, and every byte may come from an attacker.
import { fromHex, ParseError, utf8 } from '@ringwall/bytes';
import {
  certificatesOf,
  checkHostReference,
  checkReferenceSignature,
  checkReferenceTime,
  decodeHostReference,
  decodeReference,
  EvidenceError,
  HOST_REFERENCE_FORMAT,
  parsePolicy,
  parseProof,
  parseReference,
  REFERENCE_FORMAT,
  type Check,
  type HostReference,
  type Policy,
  type Proof,
  type ReferenceValues,
  type SignedReference,
} from '@ringwall/evidence';

/** One file, or one pasted text. */
export interface Given {
  /** From the file system of whoever dropped it, or `pasted text`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export type Material =
  | { readonly kind: 'proof'; readonly proof: Proof }
  | { readonly kind: 'broker-key'; readonly key: Uint8Array }
  | { readonly kind: 'vtpm-ca'; readonly certificates: readonly Uint8Array[] }
  | { readonly kind: 'reference'; readonly reference: ReferenceValues | SignedReference }
  | { readonly kind: 'reference-key'; readonly key: Uint8Array }
  | { readonly kind: 'host'; readonly reference: HostReference }
  | { readonly kind: 'policy'; readonly policy: Policy };

export type MistakeCode =
  | 'empty' // no bytes
  | 'too-large' // more than MAX_PROOF_BYTES
  | 'not-known' // neither JSON nor a key nor a certificate
  | 'not-a-proof' // JSON of something else
  | 'unknown-version' // a proof of a format that this page does not know
  | 'malformed' // a proof whose form is broken
  | 'bad-anchor' // something to trust whose form is broken
  | 'unreadable' // the browser could not read the file
  | 'too-many' // more files than somebody means to drop
  | 'too-slow' // the judgement did not end in time
  | 'no-browser'; // this browser lacks what judging needs

/** Why something that was given cannot be taken. `message` is lower case and without a full stop. */
export class Mistake extends Error {
  override readonly name = 'Mistake';
  readonly code: MistakeCode;

  constructor(code: MistakeCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** X and Y in hexadecimal; what follows is a comment, as in the file that `ringwall verify --broker-key` takes. */
const BROKER_KEY = /^\s*([0-9a-f]{128})(?:\s[^{]*)?$/;
/** The same, of whoever signs reference values: a word before it tells it from a broker’s. */
const REFERENCE_KEY = /^reference-key\s+([0-9a-f]{128})(?:\s[^{]*)?$/;
/** SEQUENCE with a length of two bytes: what a certificate in DER begins with (RFC 5280 4.1), and no text does. */
const DER_START = [0x30, 0x82] as const;

/** Throws Mistake. */
export async function recognise({ bytes }: Given, now: Date): Promise<Material> {
  if (bytes.length === 0) throw new Mistake('empty', 'it has no bytes');
  if (DER_START.every((byte, index) => bytes[index] === byte)) return { kind: 'vtpm-ca', certificates: [bytes] };
  const text = textOf(bytes).trim();
  if (text.startsWith('-----BEGIN CERTIFICATE-----')) {
    return { kind: 'vtpm-ca', certificates: anchorOf(() => certificatesOf(utf8(text))) };
  }
  const key = BROKER_KEY.exec(text)?.[1];
  if (key !== undefined) return { kind: 'broker-key', key: fromHex(key) };
  const signer = REFERENCE_KEY.exec(text)?.[1];
  if (signer !== undefined) return { kind: 'reference-key', key: fromHex(signer) };
  const value = jsonOf(text);
  if ('format' in value && value.format === REFERENCE_FORMAT) {
    return { kind: 'reference', reference: await signedReferenceOf(text, now) };
  }
  if ('format' in value && value.format === HOST_REFERENCE_FORMAT) {
    return { kind: 'host', reference: await hostReferenceOf(text, now) };
  }
  if ('format' in value) return { kind: 'proof', proof: proofOf(bytes, value.format) };
  if ('pcrs' in value) return { kind: 'policy', policy: anchorOf(() => parsePolicy(value)) };
  if ('events' in value) return { kind: 'reference', reference: anchorOf(() => parseReference(value)) };
  throw new Mistake('not-a-proof', 'it is JSON, but neither a proof nor reference values nor a policy');
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Mistake('not-known', 'it is not text');
  }
}

function jsonOf(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Mistake('not-known', 'it is neither JSON nor a key nor a certificate');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new Mistake('not-a-proof', 'it is JSON, but no object');
}

function proofOf(bytes: Uint8Array, format: unknown): Proof {
  try {
    return parseProof(bytes);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const version = typeof format === 'string' ? /^ringwall-proof\/(\d{1,9})$/.exec(format)?.[1] : undefined;
    const ofFormat = error.message.startsWith('proof.format ');
    if (ofFormat && version !== undefined) throw new Mistake('unknown-version', `its format is version ${version}`);
    throw new Mistake(ofFormat ? 'not-a-proof' : 'malformed', error.message);
  }
}

/** Whoever gives reference values stands for them; but an altered or expired file is not what they meant to give. */
async function signedReferenceOf(text: string, now: Date): Promise<SignedReference> {
  const reference = anchorOf(() => decodeReference(text));
  mustHold([await checkReferenceSignature(reference), checkReferenceTime(reference, now)]);
  return reference;
}

async function hostReferenceOf(text: string, now: Date): Promise<HostReference> {
  const reference = anchorOf(() => decodeHostReference(text));
  mustHold(await checkHostReference(reference, now));
  return reference;
}

function mustHold(answers: readonly Pick<Check, 'ok' | 'detail'>[]): void {
  for (const { ok, detail } of answers) if (!ok) throw new Mistake('bad-anchor', detail);
}

function anchorOf<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof EvidenceError || error instanceof ParseError) throw new Mistake('bad-anchor', error.message);
    throw error;
  }
}
