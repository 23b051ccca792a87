// What stands inside each event, by the grammar of its type: TCG PC Client Platform Firmware Profile 1.06 section 10.4.
// A type is only what the log calls an event, and data is what whoever wrote the log wanted read: neither is
// authenticated. `standingOfData` says which data was measured; for all other events the digest alone speaks.

import { ParseError } from '@ringwall/bytes';
import type { EventLog, LogEvent } from './event-log.ts';
import { EV } from './event-types.ts';
import { asciiText, renderGuid, utf16Text } from './logs/event-text.ts';
import {
  parseFirmwareBlob,
  parseFirmwareBlob2,
  parseHandoffTables,
  parseHandoffTables2,
  parseImageLoad,
  parsePartitionTable,
  type FirmwareBlob,
  type HandoffTables,
  type ImageLoad,
  type PartitionTable,
} from './logs/firmware-events.ts';
import { parseIpl, type Ipl } from './logs/ipl.ts';
import { parseNoAction, type NoActionData } from './logs/no-action.ts';
import { parseSpdmEvent, type SpdmEvent } from './logs/spdm-event.ts';
import { parseTaggedEvent, type TaggedEvent } from './logs/tagged-event.ts';
import {
  GLOBAL_VARIABLE,
  parseAuthority,
  parseAuthorityVariable,
  parseFlag,
  parseUefiVariable,
  parseVariableContent,
  vendorOf,
  type UefiVariable,
  type VariableContent,
} from './logs/uefi-variable.ts';

const SECURE_BOOT = 'SecureBoot';
/** UEFI_PLATFORM_FIRMWARE_BLOB. */
const BLOB_BYTES = 16;
const SEPARATOR_BYTES = 4;
/** Section 10.4.1: what the four bytes of a separator say. */
const SEPARATORS: ReadonlyMap<string, Separator['meaning']> = new Map([
  ['0,0,0,0', 'end-of-preboot'],
  ['255,255,255,255', 'end-of-preboot'],
  ['1,0,0,0', 'error'],
]);

export interface Separator {
  readonly kind: 'separator';
  /** `other`: what an operating system closes its own PCRs with, as Windows does with "WBCL". */
  readonly meaning: 'end-of-preboot' | 'error' | 'other';
}

export interface VariableEvent {
  readonly kind: 'variable';
  readonly vendor: string;
  readonly name: string;
  readonly content: VariableContent;
  readonly data: Uint8Array;
}

/** S_CRTM_VERSION is a GUID, or UTF-16, or whatever the vendor likes. */
export interface CrtmVersion {
  readonly kind: 'crtm-version';
  readonly version: string | undefined;
}

export type EventData =
  | NoActionData
  | Separator
  | VariableEvent
  | CrtmVersion
  | FirmwareBlob
  | HandoffTables
  | ImageLoad
  | PartitionTable
  | Ipl
  | SpdmEvent
  | TaggedEvent
  | { readonly kind: 'text'; readonly text: string }
  /** Data that no specification gives a form: of the vendor, or of a note that is not known. */
  | { readonly kind: 'bytes' }
  /** A type that the specification does not list, or has taken back. */
  | { readonly kind: 'unknown' }
  /** Not of the form that its type demands. `reason` names the field. */
  | { readonly kind: 'malformed'; readonly reason: string; readonly offset: number };

type Parse = (data: Uint8Array, offset: number) => EventData;

const GRAMMAR: ReadonlyMap<number, Parse> = new Map<number, Parse>([
  [EV.POST_CODE, blobOrText],
  [EV.NO_ACTION, (data, offset) => parseNoAction(data, offset) ?? { kind: 'bytes' }],
  [EV.SEPARATOR, separator],
  [EV.ACTION, text],
  [EV.EVENT_TAG, tagged],
  [EV.S_CRTM_CONTENTS, blobOrText],
  [EV.S_CRTM_VERSION, crtmVersion],
  [EV.CPU_MICROCODE, textOrBytes],
  [EV.PLATFORM_CONFIG_FLAGS, textOrBytes],
  [EV.TABLE_OF_DEVICES, textOrBytes],
  [EV.COMPACT_HASH, textOrBytes],
  [EV.IPL, (data) => parseIpl(data) ?? { kind: 'bytes' }],
  [EV.IPL_PARTITION_DATA, textOrBytes],
  [EV.NONHOST_CODE, textOrBytes],
  [EV.NONHOST_CONFIG, textOrBytes],
  [EV.NONHOST_INFO, textOrBytes],
  [EV.OMIT_BOOT_DEVICE_EVENTS, text],
  [EV.POST_CODE2, blob2OrText],
  [EV.EFI_VARIABLE_DRIVER_CONFIG, variable],
  [EV.EFI_VARIABLE_BOOT, variable],
  [EV.EFI_VARIABLE_BOOT2, variable],
  [EV.EFI_BOOT_SERVICES_APPLICATION, parseImageLoad],
  [EV.EFI_BOOT_SERVICES_DRIVER, parseImageLoad],
  [EV.EFI_RUNTIME_SERVICES_DRIVER, parseImageLoad],
  [EV.EFI_GPT_EVENT, parsePartitionTable],
  [EV.EFI_GPT_EVENT2, parsePartitionTable],
  [EV.EFI_ACTION, text],
  [EV.EFI_PLATFORM_FIRMWARE_BLOB, parseFirmwareBlob],
  [EV.EFI_PLATFORM_FIRMWARE_BLOB2, parseFirmwareBlob2],
  [EV.EFI_HANDOFF_TABLES, parseHandoffTables],
  [EV.EFI_HANDOFF_TABLES2, parseHandoffTables2],
  [EV.EFI_HCRTM_EVENT, text],
  [EV.EFI_VARIABLE_AUTHORITY, authority],
  [EV.EFI_SPDM_FIRMWARE_BLOB, parseSpdmEvent],
  [EV.EFI_SPDM_FIRMWARE_CONFIG, parseSpdmEvent],
  [EV.EFI_SPDM_DEVICE_POLICY, variable],
  [EV.EFI_SPDM_DEVICE_AUTHORITY, authority],
]);

/**
 * The data of one event by the grammar of its type. Data that breaks it becomes `malformed`; with `strict` it throws
 * `ParseError`, and so does a type that is not known.
 */
export function parseEventData(event: LogEvent, options: { readonly strict?: boolean } = {}): EventData {
  const parse = GRAMMAR.get(event.type);
  if (parse === undefined) {
    if (options.strict !== true) return { kind: 'unknown' };
    throw new ParseError('unsupported', 'eventType', event.offset, `${event.typeName}, expected one that is known`);
  }
  try {
    return parse(event.data, event.dataOffset);
  } catch (error) {
    if (options.strict === true || !(error instanceof ParseError)) throw error;
    return { kind: 'malformed', reason: error.message, offset: error.offset };
  }
}

/**
 * Whether the log says that Secure Boot was on; undefined where it does not speak of it. Throws `ParseError` where the
 * variable is not the one byte 0 or 1 that UEFI 2.10 section 3.3 gives it, or is measured with two values.
 */
export function secureBootOf(log: EventLog): boolean | undefined {
  let found: boolean | undefined;
  for (const event of log.events) {
    if (event.type !== EV.EFI_VARIABLE_DRIVER_CONFIG) continue;
    const measured = parseUefiVariable(event.data, event.dataOffset);
    if (vendorOf(measured) !== GLOBAL_VARIABLE || measured.name !== SECURE_BOOT) continue;
    const value = parseFlag(SECURE_BOOT, measured.data, event.dataOffset);
    if (found !== undefined && found !== value) {
      throw new ParseError('invalid', SECURE_BOOT, event.offset, 'measured with two values, expected one');
    }
    found = value;
  }
  return found;
}

function variable(data: Uint8Array, offset: number): VariableEvent {
  const parsed = parseUefiVariable(data, offset);
  return variableEvent(parsed, parseVariableContent(parsed, offset));
}

function authority(data: Uint8Array, offset: number): VariableEvent {
  const parsed = parseAuthorityVariable(data, offset);
  return variableEvent(parsed, parseAuthority(parsed, offset));
}

function variableEvent(parsed: UefiVariable, content: VariableContent): VariableEvent {
  return { kind: 'variable', vendor: vendorOf(parsed), name: parsed.name, content, data: parsed.data };
}

function separator(data: Uint8Array, offset: number): EventData {
  if (data.length !== SEPARATOR_BYTES) {
    throw new ParseError('invalid', 'separator', offset, `has ${data.length} bytes, expected 4`);
  }
  return { kind: 'separator', meaning: SEPARATORS.get(data.join()) ?? 'other' };
}

function crtmVersion(data: Uint8Array, offset: number): EventData {
  if (data.length === 0) throw new ParseError('truncated', 'S-CRTM version', offset, 'is empty, expected something');
  const version = utf16Text(data) ?? asciiText(data) ?? (data.length === 16 ? renderGuid(data) : undefined);
  return { kind: 'crtm-version', version };
}

/** Linux 5.19 to 6.2 wrote the text alone, without the tag in front. */
function tagged(data: Uint8Array, offset: number): EventData {
  const alone = asciiText(data);
  return alone === undefined ? parseTaggedEvent(data, offset) : { kind: 'text', text: alone };
}

function blobOrText(data: Uint8Array, offset: number): EventData {
  const words = asciiText(data);
  if (words !== undefined) return { kind: 'text', text: words };
  return data.length === BLOB_BYTES ? parseFirmwareBlob(data, offset) : parseFirmwareBlob2(data, offset);
}

function blob2OrText(data: Uint8Array, offset: number): EventData {
  const words = asciiText(data);
  return words === undefined ? parseFirmwareBlob2(data, offset) : { kind: 'text', text: words };
}

function text(data: Uint8Array, offset: number): EventData {
  const words = asciiText(data);
  if (words === undefined) throw new ParseError('invalid', 'text', offset, 'is not printable ASCII, expected that');
  return { kind: 'text', text: words };
}

function textOrBytes(data: Uint8Array): EventData {
  const words = asciiText(data) ?? utf16Text(data);
  return words === undefined ? { kind: 'bytes' } : { kind: 'text', text: words };
}
