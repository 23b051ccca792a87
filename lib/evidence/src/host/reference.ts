// What one host is, with the word of somebody who stands for it: the attestation key of its TPM, what it boots, and which
// files it starts machines with. Whoever signs it has seen the host once and says "this is it" (trust on first use): all
// that is judged later is whether it still is. The format is "ringwall-host-reference/1", docs/protocols/host-evidence.md.
import { toHex, unshared } from '@ringwall/bytes';
import type { JsonValue } from '../canonical-json.ts';
import { fails, holds, type Answer } from '../checks.ts';
import { ClosedObject, deepFreeze } from '../json.ts';
import { decodeJsonFile, encodeJsonFile } from '../json-file.ts';
import { short } from '../keys.ts';
import {
  expectedEventJson,
  readExpectedEvents,
  refuseReference,
  SHA256_HEX,
  type ExpectedEvent,
} from '../reference.ts';
import { checkReferenceTime, hexBytes, readTime } from '../signed-reference.ts';
import { POINT_BYTES, SIGNATURE_BYTES, signedText, verifySigned, type Signer } from '../signer.ts';
import { HOST } from '../hardware/report-data.ts';
import type { HostPolicy } from './policy.ts';

export const HOST_REFERENCE_FORMAT = 'ringwall-host-reference/1';
/** 512 events of 300 bytes and 4,096 files of 200; one of a Debian host has 60 KiB. */
export const MAX_HOST_REFERENCE_BYTES: number = 1024 * 1024;
/** QEMU with its modules and libraries, swtpm, Node and Ringwall are about 200; all that a small server runs, 3,000. */
export const MAX_HOST_FILES = 4096;
const MAX_NAME_CHARACTERS = 128;
/** PATH_MAX of Linux, without the NUL. */
const MAX_PATH_CHARACTERS = 4095;
const MAX_PACKAGE_CHARACTERS = 256;
const MAX_LIFE_MS: number = 2 * 366 * 24 * 3600 * 1000;
const FILE = { what: 'host reference', limitBytes: MAX_HOST_REFERENCE_BYTES, invalid: 'reference-invalid' } as const;
const ID_TEXT = 'ringwall-host-reference-id/1';
/** TPM_ALG_SHA256, then the digest. */
const NAME_HEX = /^000b[0-9a-f]{64}$/;

/** A file that machines, their TPMs or Ringwall itself are started with. */
export interface HostFile {
  /** Absolute, as the kernel sees it, without symbolic links. One path may be there with several contents. */
  readonly path: string;
  readonly sha256: string;
  /** `qemu-system-x86 1:7.2+dfsg-7+deb12u16`, where it is known. */
  readonly package?: string;
  /** Without it no machine can have been started: it must have been measured. */
  readonly required: boolean;
}

export interface HostReferenceContent {
  /** As the vTPM CA's binding names the host. */
  readonly host: string;
  readonly tpm: {
    /** Name of the attestation key, hexadecimal. */
    readonly akName: string;
    /** SHA-256 of the EK's SubjectPublicKeyInfo, where the TPM has a certificate. */
    readonly ekKey?: string;
  };
  readonly events: readonly ExpectedEvent[];
  readonly files: readonly HostFile[];
}

export interface UnsignedHostReference extends HostReferenceContent {
  /** For people: who made it. The key is what counts. */
  readonly by: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface HostReference extends UnsignedHostReference {
  readonly format: typeof HOST_REFERENCE_FORMAT;
  /** `href_` and the SHA-256 of the content. */
  readonly id: string;
  /** P-256, X and Y. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** Throws EvidenceError where nobody could read the result. */
export async function signHostReference(unsigned: UnsignedHostReference, signer: Signer): Promise<HostReference> {
  const reference = {
    ...unsigned,
    format: HOST_REFERENCE_FORMAT,
    id: await hostReferenceId(unsigned),
    publicKey: new Uint8Array(signer.publicKey),
  } as const;
  const signature = await signer.sign(signedText(HOST_REFERENCE_FORMAT, claimsJson(reference)));
  return decodeHostReference(encodeHostReference({ ...reference, signature: new Uint8Array(signature) }));
}

/** From JSON. It says only that the value has the form, nothing about its truth. Throws EvidenceError. */
export function parseHostReference(value: unknown): HostReference {
  const object = new ClosedObject(value, 'host reference', refuseReference);
  const by = object.object('by');
  const reference: HostReference = {
    format: object.oneOf('format', [HOST_REFERENCE_FORMAT]),
    id: object.matching('id', /^href_[0-9a-f]{64}$/, 'the id of a host’s reference values'),
    by: by.string('name', MAX_NAME_CHARACTERS),
    publicKey: hexBytes(by, 'publicKey', POINT_BYTES),
    ...readHostContent(object),
    notBefore: readTime(object, 'notBefore'),
    notAfter: readTime(object, 'notAfter'),
    signature: hexBytes(object, 'signature', SIGNATURE_BYTES),
  };
  by.end();
  object.end();
  const lifeMs = reference.notAfter.getTime() - reference.notBefore.getTime();
  if (lifeMs <= 0) refuseReference('host reference.notAfter is not after notBefore');
  if (lifeMs > MAX_LIFE_MS) refuseReference('host reference.notAfter is more than two years after notBefore');
  PARSED.add(deepFreeze(reference));
  return reference;
}

/** References that came out of the parser, frozen: they need not be read again, and their signature not be checked again. */
const PARSED = new WeakSet<HostReference>();
const CHECKED = new WeakMap<HostReference, Answer>();

/** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
export function parsedHostReference(given: HostReference): HostReference {
  return PARSED.has(given) ? given : parseHostReference(hostReferenceJson(given));
}

/** A reference from a file's text. Throws EvidenceError. */
export function decodeHostReference(input: string | Uint8Array): HostReference {
  return parseHostReference(decodeJsonFile(FILE, input));
}

/** As a file. Throws EvidenceError `too-large`. */
export function encodeHostReference(reference: HostReference): string {
  return encodeJsonFile(FILE, hostReferenceJson(reference));
}

export function hostReferenceJson(reference: HostReference): { readonly [key: string]: JsonValue } {
  return { ...claimsJson(reference), signature: toHex(reference.signature) };
}

function hostContentJson(content: HostReferenceContent): { readonly [key: string]: JsonValue } {
  const { host, tpm, events, files } = content;
  return {
    host,
    tpm: { akName: tpm.akName, ...(tpm.ekKey === undefined ? {} : { ekKey: tpm.ekKey }) },
    events: events.map((event) => expectedEventJson(event)),
    files: files.map((file) => ({
      path: file.path,
      sha256: file.sha256,
      ...(file.package === undefined ? {} : { package: file.package }),
      required: file.required,
    })),
  };
}

/** Whether somebody may accept it now: its id, its signature, its time. Whose key it is, is for a person to say. */
export async function checkHostReference(reference: HostReference, now: Date): Promise<readonly Answer[]> {
  return [await checkHostReferenceSignature(reference), checkReferenceTime(reference, now)];
}

/** host-reference-signature: whose key it is, is another question. */
export async function checkHostReferenceSignature(reference: HostReference): Promise<Answer> {
  if (!PARSED.has(reference)) return checkSignature(reference);
  const known = CHECKED.get(reference);
  if (known !== undefined) return known;
  const answer = await checkSignature(reference);
  CHECKED.set(reference, answer);
  return answer;
}

async function checkSignature(reference: HostReference): Promise<Answer> {
  if ((await hostReferenceId(reference)) !== reference.id) {
    return fails('the id of the host’s reference values is not that of their content');
  }
  const signed = signedText(HOST_REFERENCE_FORMAT, claimsJson(reference));
  if (!(await verifySigned(reference.publicKey, reference.signature, signed))) {
    return fails('the signature of the host’s reference values does not hold');
  }
  return holds(`signed by ${short(reference.publicKey)}`);
}

/** host-reference-authority */
export function checkHostReferenceAuthority(policy: HostPolicy, { publicKey }: HostReference): Answer {
  if (policy.signers.includes(toHex(publicKey))) return holds(`the policy names the signer ${short(publicKey)}`);
  return fails(`the policy does not let ${short(publicKey)} say what a host is`);
}

/** The id of this content. */
async function hostReferenceId(content: HostReferenceContent): Promise<string> {
  const text = unshared(signedText(ID_TEXT, hostContentJson(content)));
  return `href_${toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', text)))}`;
}

function claimsJson(reference: Omit<HostReference, 'signature'>): { readonly [key: string]: JsonValue } {
  return {
    format: reference.format,
    id: reference.id,
    by: { name: reference.by, publicKey: toHex(reference.publicKey) },
    ...hostContentJson(reference),
    notBefore: reference.notBefore.toISOString(),
    notAfter: reference.notAfter.toISOString(),
  };
}

function readHostContent(object: ClosedObject): HostReferenceContent {
  const tpm = object.object('tpm');
  const content: HostReferenceContent = {
    host: object.matching('host', HOST, 'the id of a host'),
    tpm: {
      akName: tpm.matching('akName', NAME_HEX, 'a Name made with SHA-256, in hexadecimal'),
      ...(tpm.has('ekKey') ? { ekKey: tpm.matching('ekKey', SHA256_HEX, 'a SHA-256 digest in hexadecimal') } : {}),
    },
    events: readExpectedEvents(object),
    files: object.array('files', MAX_HOST_FILES, (item, path) => readFile(object.inner(item, path), path)),
  };
  tpm.end();
  if (!content.files.some(({ required }) => required)) object.refuse('files', 'demands that nothing runs');
  return content;
}

function readFile(object: ClosedObject, path: string): HostFile {
  const file: HostFile = {
    path: object.string('path', MAX_PATH_CHARACTERS),
    sha256: object.matching('sha256', SHA256_HEX, 'a SHA-256 digest in lower-case hexadecimal'),
    ...(object.has('package') ? { package: object.string('package', MAX_PACKAGE_CHARACTERS) } : {}),
    required: object.boolean('required'),
  };
  object.end();
  if (!file.path.startsWith('/')) refuseReference(`${path}.path is not absolute`);
  return file;
}
