// What firmware measures of Secure Boot into PCR 7: its five variables, also where they are empty, and behind the separator
// what allowed each image. TCG PC Client Platform Firmware Profile 1.05 sections 3.3.4.8 and 10.4.1, UEFI 2.10 section 32.
import { concatBytes, equalBytes, fromHex, ParseError, toHex, unshared, Writer } from '@ringwall/bytes';
import { parseSignatureLists } from '@ringwall/tpm';
import { EvidenceError } from './errors.ts';
import type { ExpectedEvent } from './reference.ts';

/** EFI_GLOBAL_VARIABLE, UEFI 2.10 section 3.3, in the byte order of an EFI_GUID. */
const GLOBAL_VARIABLE = fromHex('61dfe48bca93d211aa0d00e098032b8c');
/** EFI_IMAGE_SECURITY_DATABASE_GUID, UEFI 2.10 section 32.6.1. */
const IMAGE_SECURITY_DATABASE = fromHex('cbb219d73a3d9645a3bcdad00e67656f');
/** A revocation list of 2025 has 24 KiB. */
export const MAX_VARIABLE_BYTES: number = 256 * 1024;

/** Contents of variables, without their attributes: EFI_SIGNATURE_LISTs, or nothing. */
export interface SecureBoot {
  readonly enabled: boolean;
  readonly PK: Uint8Array;
  readonly KEK: Uint8Array;
  readonly db: Uint8Array;
  readonly dbx: Uint8Array;
  /** The entry of db that allows the image: a certificate (DER) or a digest, as it stands there. Measured where it is on. */
  readonly authority?: Uint8Array;
}

const NOTHING = new Uint8Array();
/** A variable store that nobody has enrolled anything in. */
export const PRISTINE_SECURE_BOOT: SecureBoot = {
  enabled: false,
  PK: NOTHING,
  KEK: NOTHING,
  db: NOTHING,
  dbx: NOTHING,
};

/** SecureBoot, PK, KEK, db, dbx, each as a whole UEFI_VARIABLE_DATA. Throws EvidenceError `image-invalid`. */
export async function secureBootEvents(secureBoot: SecureBoot): Promise<ExpectedEvent[]> {
  const { enabled, PK, KEK, db, dbx } = secureBoot;
  if (enabled && PK.length === 0) refuse('Secure Boot cannot be on without a platform key (PK)');
  const databases = [
    { guid: GLOBAL_VARIABLE, name: 'PK', data: PK },
    { guid: GLOBAL_VARIABLE, name: 'KEK', data: KEK },
    { guid: IMAGE_SECURITY_DATABASE, name: 'db', data: db },
    { guid: IMAGE_SECURITY_DATABASE, name: 'dbx', data: dbx },
  ];
  for (const { name, data } of databases) signaturesOf(name, data);
  const flag = { guid: GLOBAL_VARIABLE, name: 'SecureBoot', data: Uint8Array.of(enabled ? 1 : 0) };
  return Promise.all([flag, ...databases].map((variable) => variableEvent('EV_EFI_VARIABLE_DRIVER_CONFIG', variable)));
}

/** What allowed the image, behind the separator; nothing where Secure Boot is off. Throws EvidenceError `image-invalid`. */
export async function authorityEvents({ enabled, db, authority }: SecureBoot): Promise<ExpectedEvent[]> {
  if (!enabled) return [];
  if (authority === undefined) return refuse('Secure Boot is on, and nobody said which entry of db allows the image');
  const entry = signaturesOf('db', db).find(({ data }) => equalBytes(data, authority));
  if (entry === undefined) return refuse('what is to allow the image is no entry of db');
  // EFI_SIGNATURE_DATA: who added it, then the entry.
  const data = concatBytes(guidBytes(entry.owner), entry.data);
  const event = await variableEvent('EV_EFI_VARIABLE_AUTHORITY', { guid: IMAGE_SECURITY_DATABASE, name: 'db', data });
  return [{ ...event, what: 'what allows the image, of UEFI variable db' }];
}

interface Variable {
  readonly guid: Uint8Array;
  readonly name: string;
  readonly data: Uint8Array;
}

async function variableEvent(type: string, { guid, name, data }: Variable): Promise<ExpectedEvent> {
  const digest = await crypto.subtle.digest('SHA-256', unshared(variableData(guid, name, data)));
  return { pcr: 7, type, digest: toHex(new Uint8Array(digest)), what: `UEFI variable ${name}` };
}

/** UEFI_VARIABLE_DATA, PFP 10.2.6: GUID, length of the name in characters, length of the data, name, data. */
function variableData(guid: Uint8Array, name: string, data: Uint8Array): Uint8Array {
  const writer = new Writer().bytes(guid).u64le(BigInt(name.length)).u64le(BigInt(data.length));
  for (let index = 0; index < name.length; index += 1) writer.u16le(name.charCodeAt(index));
  return writer.bytes(data).finish();
}

/** A variable whose content no firmware could read would be measured all the same; but nobody means to give one. */
function signaturesOf(
  name: string,
  data: Uint8Array,
): readonly { readonly owner: string; readonly data: Uint8Array }[] {
  if (data.length > MAX_VARIABLE_BYTES) {
    throw new EvidenceError(
      'too-large',
      `the variable ${name} has ${data.length} bytes, at most ${MAX_VARIABLE_BYTES}`,
    );
  }
  try {
    return parseSignatureLists(data, 0).flatMap(({ signatures }) => signatures);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return refuse(`the variable ${name} holds no signature lists: ${error.message}`);
  }
}

/** The first three parts of a GUID are numbers, and lie with their lowest byte first. */
function guidBytes(text: string): Uint8Array {
  const [first = '', second = '', third = '', ...rest] = text.split('-');
  const turned = [first, second, third].flatMap((part) => (part.match(/../g) ?? []).toReversed());
  return fromHex([...turned, ...rest].join(''));
}

function refuse(message: string): never {
  throw new EvidenceError('image-invalid', message);
}
