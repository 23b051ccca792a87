// What stands inside an event: UEFI variables, TCG PC Client Platform Firmware Profile 1.06 section 10.2.6.

import { Cursor, ParseError, toHex } from '@ringwall/bytes';
import type { EventLog } from './event-log.ts';

/** EV_EFI_VARIABLE_DRIVER_CONFIG, section 10.4.1. */
const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001;
/** EFI_GLOBAL_VARIABLE, UEFI 2.10 section 3.3, in the byte order of the wire. */
const GLOBAL_VARIABLE_GUID = '61dfe48bca93d211aa0d00e098032b8c';
const SECURE_BOOT = 'SecureBoot';

/** UEFI_VARIABLE_DATA. The guid is as on the wire, 32 hex digits. */
export interface UefiVariable {
  readonly guid: string;
  readonly name: string;
  readonly data: Uint8Array;
}

/** Exactly one UEFI_VARIABLE_DATA; throws `ParseError`. */
export function parseUefiVariable(bytes: Uint8Array): UefiVariable {
  const cursor = new Cursor(bytes);
  const guid = toHex(cursor.take(16, 'variableName'));
  const nameLength = readLength(cursor, 'unicodeNameLength');
  const dataLength = readLength(cursor, 'variableDataLength');
  const name = new TextDecoder('utf-16le').decode(cursor.take(nameLength * 2, 'unicodeName'));
  const data = cursor.take(dataLength, 'variableData');
  cursor.end('UEFI_VARIABLE_DATA');
  return { guid, name, data };
}

/**
 * Whether the log says that Secure Boot was on; undefined where it does not speak of it. Throws `ParseError` where the
 * variable is not the one byte 0 or 1 that UEFI 2.10 section 3.3 gives it, or is measured with two values.
 */
export function secureBootOf(log: EventLog): boolean | undefined {
  let found: boolean | undefined;
  for (const event of log.events) {
    if (event.type !== EV_EFI_VARIABLE_DRIVER_CONFIG) continue;
    const variable = parseUefiVariable(event.data);
    if (variable.guid !== GLOBAL_VARIABLE_GUID || variable.name !== SECURE_BOOT) continue;
    const [value, ...more] = variable.data;
    if (value === undefined || value > 1 || more.length > 0) {
      const detail = `has ${variable.data.length} bytes, expected one byte that is 0 or 1`;
      throw new ParseError('invalid', SECURE_BOOT, event.offset, detail);
    }
    if (found !== undefined && found !== (value === 1)) {
      throw new ParseError('invalid', SECURE_BOOT, event.offset, 'measured with two values, expected one');
    }
    found = value === 1;
  }
  return found;
}

/** A UINT64 length, which must be a number of bytes or characters at hand before anything is done with it. */
function readLength(cursor: Cursor, field: string): number {
  const length = cursor.u64le(field);
  if (length > BigInt(cursor.remaining)) {
    throw cursor.error('truncated', field, `${length}, expected at most ${cursor.remaining}`);
  }
  return Number(length);
}
