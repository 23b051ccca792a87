// What one host is, with the word of somebody who stands for it: the attestation key of its TPM, what it boots, and which
// files it starts machines with. Whoever signs it has seen the host once and says "this is it" (trust on first use): all
// that is judged later is whether it still is. The format is "ringwall-host-reference/1", docs/protocols/host-evidence.md.
import { toHex } from '@ringwall/bytes';
import type { JsonValue } from '../canonical-json.ts';
import { fails, holds, type Answer } from '../checks.ts';
import { HOST } from '../hardware/report-data.ts';
import type { ClosedObject } from '../json.ts';
import { short } from '../keys.ts';
import { checkReferenceTime, ManifestFormat, type SignedBy, type Vouched } from '../reference-manifest.ts';
import {
  expectedEventJson,
  readExpectedEvents,
  refuseReference,
  SHA256_HEX,
  type ExpectedEvent,
} from '../reference.ts';
import type { Signer } from '../signer.ts';
import type { HostPolicy } from './policy.ts';

export const HOST_REFERENCE_FORMAT = 'ringwall-host-reference/1';
/** 512 events of 300 bytes and 4,096 files of 200; one of a Debian host has 60 KiB. */
export const MAX_HOST_REFERENCE_BYTES: number = 1024 * 1024;
/** QEMU with its modules and libraries, swtpm, Node and Ringwall are about 200; all that a small server runs, 3,000. */
export const MAX_HOST_FILES = 4096;
/** PATH_MAX of Linux, without the NUL. */
const MAX_PATH_CHARACTERS = 4095;
const MAX_PACKAGE_CHARACTERS = 256;
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

export interface UnsignedHostReference extends HostReferenceContent, Vouched {}

/** Its id begins with `href_`. */
export interface HostReference extends HostReferenceContent, SignedBy<typeof HOST_REFERENCE_FORMAT> {}

const MANIFEST = new ManifestFormat<typeof HOST_REFERENCE_FORMAT, HostReferenceContent>({
  format: HOST_REFERENCE_FORMAT,
  words: { file: 'host reference', values: 'the host’s reference values' },
  id: { prefix: 'href_', text: 'ringwall-host-reference-id/1' },
  limitBytes: MAX_HOST_REFERENCE_BYTES,
  json: hostContentJson,
  read: readHostContent,
});

/** Throws EvidenceError where nobody could read the result. */
export function signHostReference(unsigned: UnsignedHostReference, signer: Signer): Promise<HostReference> {
  return MANIFEST.sign(unsigned, signer);
}

/** From JSON. It says only that the value has the form, nothing about its truth. Throws EvidenceError. */
export function parseHostReference(value: unknown): HostReference {
  return MANIFEST.parse(value);
}

/** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
export function parsedHostReference(given: HostReference): HostReference {
  return MANIFEST.parsed(given);
}

/** A reference from a file's text. Throws EvidenceError. */
export function decodeHostReference(input: string | Uint8Array): HostReference {
  return MANIFEST.decode(input);
}

/** As a file. Throws EvidenceError `too-large`. */
export function encodeHostReference(reference: HostReference): string {
  return MANIFEST.encode(reference);
}

export function hostReferenceJson(reference: HostReference): { readonly [key: string]: JsonValue } {
  return MANIFEST.json(reference);
}

/** host-reference-signature: whose key it is, is another question. */
export function checkHostReferenceSignature(reference: HostReference): Promise<Answer> {
  return MANIFEST.checkSignature(reference);
}

/** Whether somebody may accept it now: its id, its signature, its time. Whose key it is, is for a person to say. */
export async function checkHostReference(reference: HostReference, now: Date): Promise<readonly Answer[]> {
  return [await checkHostReferenceSignature(reference), checkReferenceTime(reference, now)];
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

/** host-reference-authority */
export function checkHostReferenceAuthority(policy: HostPolicy, { publicKey }: HostReference): Answer {
  if (policy.signers.includes(toHex(publicKey))) return holds(`the policy names the signer ${short(publicKey)}`);
  return fails(`the policy does not let ${short(publicKey)} say what a host is`);
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
