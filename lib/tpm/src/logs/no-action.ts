// EV_NO_ACTION: notes in the log that no register was extended with, so that nothing in them is measured. PC Client
// Platform Firmware Profile 1.06 section 10.4.5, and the NV index records of the EFI SPDM measurements beside it.

import { Cursor, utf8 } from '@ringwall/bytes';
import { parseDevicePath } from './device-path.ts';
import { asciiText, decodeUtf16, readGuid, shown, shownUtf16 } from './event-text.ts';
import { parseSpecId, type SpecId } from './spec-id.ts';

const SIGNATURE_BYTES = 16;
export const STARTUP_LOCALITY_SIGNATURE: Uint8Array = utf8('StartupLocality\0');
/** Section 10.4.5.3: locality 0, 3, or 4 after an H-CRTM sequence. */
const STARTUP_LOCALITIES: ReadonlySet<number> = new Set([0, 3, 4]);
const LOCATOR_KINDS = ['raw', 'uri', 'device-path', 'variable'] as const;

/** TCG_EfiStartupLocalityEvent. */
export interface StartupLocality {
  readonly kind: 'startup-locality';
  readonly locality: number;
}

/** TCG_HCRTMComponentEvent: what the H-CRTM measured into PCR 0 before anything could keep a log. */
export interface HcrtmComponent {
  readonly kind: 'hcrtm-component';
  readonly description: string;
  readonly format: 'digest' | 'raw';
  readonly measurement: Uint8Array;
}

/** Where a reference manifest or a platform certificate can be had. */
export interface Locator {
  readonly kind: (typeof LOCATOR_KINDS)[number];
  /** A URI, a device path, or `guid-name` of a variable; empty for raw bytes. */
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** TCG_Sp800_155_PlatformId_Event, its second and its third form: which reference values this firmware should have. */
export interface ReferenceManifest {
  readonly kind: 'reference-manifest';
  readonly version: 1 | 2 | 3;
  /** IANA private enterprise number. */
  readonly vendorId: number;
  readonly manifestGuid: string;
  readonly platformManufacturer: string;
  readonly platformModel: string;
  readonly platformVersion: string;
  readonly firmwareManufacturer: string;
  readonly firmwareManufacturerId: number | undefined;
  readonly firmwareVersion: string;
  readonly manifestLocator: Locator | undefined;
  readonly certificateLocator: Locator | undefined;
}

/** TCG_NV_INDEX_INSTANCE_EVENT_LOG_STRUCT and ..._DYNAMIC_...: what an NV index, not a PCR, was extended with. */
export interface NvIndexRecord {
  readonly kind: 'nv-index-record';
  readonly index: 'instance' | 'dynamic';
  readonly version: number;
  readonly data: Uint8Array;
}

export type NoActionData = SpecId | StartupLocality | HcrtmComponent | ReferenceManifest | NvIndexRecord;

/** A note by its signature; undefined where it has none of those above. Throws `ParseError`. */
export function parseNoAction(data: Uint8Array, offset: number): NoActionData | undefined {
  const cursor = new Cursor(data, offset);
  if (cursor.remaining < SIGNATURE_BYTES) return undefined;
  const signature = new TextDecoder('latin1').decode(cursor.take(SIGNATURE_BYTES, 'signature'));
  switch (signature) {
    case 'Spec ID Event00\0':
    case 'Spec ID Event02\0':
    case 'Spec ID Event03\0':
      return parseSpecId(data, offset);
    case 'StartupLocality\0':
      return readStartupLocality(cursor);
    case 'H-CRTM CompMeas\0':
      return readHcrtmComponent(cursor);
    case 'SP800-155 Event\0':
      return readManifest(cursor, 1);
    case 'SP800-155 Event2':
      return readManifest(cursor, 2);
    case 'SP800-155 Event3':
      return readManifest(cursor, 3);
    case 'NvIndexInstance\0':
      return readNvIndexRecord(cursor, 'instance');
    case 'NvIndexDynamic \0':
      return readNvIndexRecord(cursor, 'dynamic');
    default:
      return undefined;
  }
}

function readStartupLocality(cursor: Cursor): StartupLocality {
  const locality = cursor.u8('startupLocality');
  if (!STARTUP_LOCALITIES.has(locality)) {
    throw cursor.error('invalid', 'startupLocality', `${locality}, expected 0, 3 or 4`);
  }
  cursor.end('TCG_EfiStartupLocalityEvent');
  return { kind: 'startup-locality', locality };
}

function readHcrtmComponent(cursor: Cursor): HcrtmComponent {
  const description = readString(cursor, 'componentDescription');
  const format = cursor.u8('measurementFormatType');
  if (format > 1) throw cursor.error('invalid', 'measurementFormatType', `${format}, expected 0 or 1`);
  const measurement = cursor.take(cursor.u16le('componentMeasurementSize'), 'componentMeasurement');
  cursor.end('TCG_HCRTMComponentEvent');
  return { kind: 'hcrtm-component', description, format: format === 0 ? 'digest' : 'raw', measurement };
}

function readManifest(cursor: Cursor, version: 1 | 2 | 3): ReferenceManifest {
  const vendorId = cursor.u32le('platformManufacturerId');
  const manifestGuid = readGuid(cursor, 'referenceManifestGuid');
  const named = version > 1;
  const text = (field: string): string => (named ? readString(cursor, field) : '');
  const manifest = {
    kind: 'reference-manifest',
    version,
    vendorId,
    manifestGuid,
    platformManufacturer: text('platformManufacturer'),
    platformModel: text('platformModel'),
    platformVersion: text('platformVersion'),
    firmwareManufacturer: text('firmwareManufacturer'),
    firmwareManufacturerId: named ? cursor.u32le('firmwareManufacturerId') : undefined,
    firmwareVersion: text('firmwareVersion'),
    manifestLocator: version === 3 ? readLocator(cursor, 'rimLocator') : undefined,
    certificateLocator: version === 3 ? readLocator(cursor, 'platformCertLocator') : undefined,
  } as const;
  // The first form is open at its end; Google's firmware fills the third with zeros.
  const rest = cursor.rest('reserved');
  if (version > 1 && rest.some((byte) => byte !== 0)) {
    throw cursor.error('trailing', 'TCG_Sp800_155_PlatformId_Event', `has ${rest.length} bytes after its end`);
  }
  return manifest;
}

function readLocator(cursor: Cursor, field: string): Locator | undefined {
  const type = cursor.u32le(field);
  const bytes = cursor.take(cursor.u32le(field), field);
  const kind = LOCATOR_KINDS[type];
  if (kind === undefined) throw cursor.error('invalid', field, `type ${type}, expected 0 to 3`);
  if (bytes.length === 0) return undefined;
  return { kind, bytes, text: locatorText(kind, bytes, cursor.offset - bytes.length) };
}

function locatorText(kind: Locator['kind'], bytes: Uint8Array, offset: number): string {
  if (kind === 'uri') return asciiText(bytes) ?? shown(new TextDecoder('latin1').decode(bytes));
  if (kind === 'device-path') return parseDevicePath(bytes, offset);
  if (kind === 'raw') return '';
  const cursor = new Cursor(bytes, offset);
  const guid = readGuid(cursor, 'variable');
  return `${guid}-${shownUtf16(cursor.rest('variable'))}`;
}

function readNvIndexRecord(cursor: Cursor, index: NvIndexRecord['index']): NvIndexRecord {
  const version = cursor.u16le('version');
  cursor.skip(6, 'reserved');
  return { kind: 'nv-index-record', index, version, data: cursor.rest('data') };
}

/** A length of one byte, then ASCII with or without NUL. Some firmware writes UTF-16 there. */
function readString(cursor: Cursor, field: string): string {
  const bytes = cursor.take(cursor.u8(field), field);
  if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 0)) return '';
  const text = asciiText(bytes);
  if (text !== undefined) return text;
  return bytes[1] === 0 ? shown(decodeUtf16(bytes)) : shown(new TextDecoder('latin1').decode(bytes));
}
