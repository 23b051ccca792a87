// UEFI_VARIABLE_DATA (PC Client Platform Firmware Profile 1.06 section 10.2.6), and what stands in the variables that
// decide a boot: UEFI 2.10 section 3.3 for their names and contents, and shim's own.

import { Cursor, ParseError, toHex } from '@ringwall/bytes';
import { readDevicePath } from './device-path.ts';
import { decodeUtf16, readLength, renderGuid, shownUtf16, utf8Text } from './event-text.ts';
import { parseEfiSignature, parseSignatureLists, type EfiSignature, type EfiSignatureList } from './signature-list.ts';

/** EFI_GLOBAL_VARIABLE, section 3.3. */
export const GLOBAL_VARIABLE = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** EFI_IMAGE_SECURITY_DATABASE_GUID, section 32.6.1. */
const IMAGE_SECURITY_DATABASE = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
/** SHIM_LOCK_GUID. */
const SHIM_LOCK = '605dab50-e046-4300-abb6-3dd810dd8b23';

/** Each of these is one byte, 0 or 1. */
const FLAGS: ReadonlySet<string> = new Set(['SecureBoot', 'SetupMode', 'AuditMode', 'DeployedMode', 'MokListTrusted']);
const DATABASES: ReadonlySet<string> = new Set(['PK', 'KEK', 'db', 'dbx', 'dbt', 'dbr', 'MokList', 'MokListX']);
/** `BootNext` is one option number, `BootOrder` and its like are lists of them. */
const ORDER = /^(Boot|Driver|SysPrep|PlatformRecovery)(Order|Next)$/;
const OPTION = /^(Boot|Driver|SysPrep|PlatformRecovery)[0-9A-F]{4}$/;

const SHIM_SLACK_BYTES = 6;

/** UEFI_VARIABLE_DATA. The guid is as on the wire, 32 hex digits. */
export interface UefiVariable {
  readonly guid: string;
  readonly name: string;
  readonly data: Uint8Array;
}

/** EFI_LOAD_OPTION, section 3.1.3. */
export interface LoadOption {
  readonly kind: 'load-option';
  readonly attributes: number;
  readonly description: string;
  readonly devicePaths: readonly string[];
  readonly optionalData: Uint8Array;
}

export type VariableContent =
  | LoadOption
  | { readonly kind: 'flag'; readonly value: boolean }
  | { readonly kind: 'boot-order'; readonly options: readonly string[] }
  | { readonly kind: 'signature-lists'; readonly lists: readonly EfiSignatureList[] }
  /** What allowed an image: one entry of a database. `owner` is undefined where shim logged the certificate alone. */
  | { readonly kind: 'authority'; readonly signature: EfiSignature | undefined }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes' };

/** Exactly one UEFI_VARIABLE_DATA; throws `ParseError`. */
export function parseUefiVariable(bytes: Uint8Array, offset = 0): UefiVariable {
  const cursor = new Cursor(bytes, offset);
  const variable = readUefiVariable(cursor);
  cursor.end('UEFI_VARIABLE_DATA');
  return variable;
}

/**
 * As EV_EFI_VARIABLE_AUTHORITY has it: shim before 15.3 logged its structure with room for two elements that are not
 * there, and measured all of it but the last byte.
 */
export function parseAuthorityVariable(bytes: Uint8Array, offset: number): UefiVariable {
  const cursor = new Cursor(bytes, offset);
  const variable = readUefiVariable(cursor);
  if (cursor.remaining !== SHIM_SLACK_BYTES) cursor.end('UEFI_VARIABLE_DATA');
  return variable;
}

/** The GUID of a variable as it is written. */
export function vendorOf(variable: UefiVariable): string {
  return renderGuid(Uint8Array.from(variable.guid.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)));
}

/** What a variable holds by its vendor and name; throws `ParseError` where it is not what such a variable must be. */
export function parseVariableContent(variable: UefiVariable, offset: number): VariableContent {
  const { name, data } = variable;
  const vendor = vendorOf(variable);
  if (vendor === SHIM_LOCK && name === 'SbatLevel') return { kind: 'text', text: utf8Text(data) ?? '' };
  if (![GLOBAL_VARIABLE, IMAGE_SECURITY_DATABASE, SHIM_LOCK].includes(vendor)) return { kind: 'bytes' };
  if (FLAGS.has(name)) return { kind: 'flag', value: parseFlag(name, data, offset) };
  if (DATABASES.has(name)) return { kind: 'signature-lists', lists: parseSignatureLists(data, offset) };
  if (vendor !== GLOBAL_VARIABLE) return { kind: 'bytes' };
  if (ORDER.test(name)) return { kind: 'boot-order', options: parseOrder(name, data, offset) };
  return OPTION.test(name) ? parseLoadOption(data, offset) : { kind: 'bytes' };
}

/** What EV_EFI_VARIABLE_AUTHORITY holds: an entry of a database, or one of shim's variables. */
export function parseAuthority(variable: UefiVariable, offset: number): VariableContent {
  const { name, data } = variable;
  if (vendorOf(variable) === SHIM_LOCK && name !== 'Shim' && name !== 'MokList') {
    return parseVariableContent(variable, offset);
  }
  // shim before 15.3 logged the certificate without its owner; DER begins with a SEQUENCE of two length bytes.
  const bare = data[0] === 0x30 && data[1] === 0x82;
  return { kind: 'authority', signature: bare ? undefined : parseEfiSignature(data, offset) };
}

/** One byte that is 0 or 1, section 3.3. */
export function parseFlag(name: string, data: Uint8Array, offset: number): boolean {
  const [value, ...more] = data;
  if (value === undefined || value > 1 || more.length > 0) {
    throw new ParseError('invalid', name, offset, `has ${data.length} bytes, expected one byte that is 0 or 1`);
  }
  return value === 1;
}

function readUefiVariable(cursor: Cursor): UefiVariable {
  const guid = toHex(cursor.take(16, 'variableName'));
  const nameLength = readLength(cursor, 'unicodeNameLength', 2);
  const dataLength = readLength(cursor, 'variableDataLength');
  const name = decodeUtf16(cursor.take(nameLength * 2, 'unicodeName'));
  return { guid, name, data: cursor.take(dataLength, 'variableData') };
}

function parseOrder(name: string, data: Uint8Array, offset: number): readonly string[] {
  const cursor = new Cursor(data, offset);
  const options: string[] = [];
  const prefix = name.replace(ORDER, '$1');
  while (cursor.remaining > 0) {
    options.push(prefix + cursor.u16le('option').toString(16).toUpperCase().padStart(4, '0'));
  }
  return options;
}

function parseLoadOption(data: Uint8Array, offset: number): LoadOption {
  const cursor = new Cursor(data, offset);
  const attributes = cursor.u32le('attributes');
  const pathLength = cursor.u16le('filePathListLength');
  const description = shownUtf16(readTerminated(cursor));
  const paths = cursor.sub(pathLength, 'filePathList');
  const devicePaths: string[] = [];
  while (paths.remaining > 0) devicePaths.push(readDevicePath(paths));
  return { kind: 'load-option', attributes, description, devicePaths, optionalData: cursor.rest('optionalData') };
}

/** UTF-16 up to and with its NUL. */
function readTerminated(cursor: Cursor): Uint8Array {
  const units: number[] = [];
  for (let unit = cursor.u16le('description'); unit !== 0; unit = cursor.u16le('description')) {
    units.push(unit & 0xff, unit >> 8);
  }
  return Uint8Array.from(units);
}
