// EV_EFI_SPDM_FIRMWARE_BLOB and EV_EFI_SPDM_FIRMWARE_CONFIG: what a device said of itself over SPDM, in
// DEVICE_SECURITY_EVENT_DATA and DEVICE_SECURITY_EVENT_DATA2. PC Client Platform Firmware Profile 1.06 section 10.2.8;
// DMTF DSP0274 for the measurement blocks within.

import { Cursor } from '@ringwall/bytes';
import { parseDevicePath } from './device-path.ts';
import { readLength } from './event-text.ts';

const SIGNATURE_BYTES = 16;
const SIGNATURE_1 = 'SPDM Device Sec\0';
const SIGNATURE_2 = 'SPDM Device Sec2';
const AUTH_STATES: ReadonlyMap<number, SpdmEvent['authState']> = new Map([
  [0x00, 'success'],
  [0x01, 'no-authentication'],
  [0x02, 'no-binding'],
  [0x03, 'no-signature'],
  [0x04, 'invalid'],
  [0xff, 'no-spdm'],
]);
const DEVICE_TYPES = ['none', 'pci', 'usb'] as const;

/** SPDM_MEASUREMENT_BLOCK. */
export interface SpdmMeasurement {
  readonly index: number;
  readonly specification: number;
  readonly measurement: Uint8Array;
}

export interface SpdmEvent {
  readonly kind: 'spdm';
  readonly version: 1 | 2;
  /** What firmware found when it authenticated the device; its first form does not say. */
  readonly authState:
    | 'success'
    | 'no-authentication'
    | 'no-binding'
    | 'no-signature'
    | 'invalid'
    | 'no-spdm'
    | 'unknown';
  readonly deviceType: (typeof DEVICE_TYPES)[number] | 'unknown';
  readonly devicePath: string;
  /** SPDM's own numbers of hash algorithms, DSP0274. */
  readonly hashAlgorithm: number | undefined;
  readonly measurements: readonly SpdmMeasurement[];
  readonly certificateChain: Uint8Array | undefined;
  /** Identifies the PCI or USB device. */
  readonly deviceContext: Uint8Array;
}

/** Throws `ParseError`. */
export function parseSpdmEvent(data: Uint8Array, offset: number): SpdmEvent {
  const cursor = new Cursor(data, offset);
  const signature = new TextDecoder('latin1').decode(cursor.take(SIGNATURE_BYTES, 'signature'));
  if (signature === SIGNATURE_1) return readFirst(cursor);
  if (signature === SIGNATURE_2) return readSecond(cursor);
  throw cursor.error('invalid', 'signature', `${JSON.stringify(signature)}, expected "SPDM Device Sec"`);
}

function readFirst(cursor: Cursor): SpdmEvent {
  const version = cursor.u16le('version');
  if (version > 1) throw cursor.error('unsupported', 'version', `${version}, expected 0 or 1`);
  cursor.skip(2, 'length');
  const hashAlgorithm = cursor.u32le('spdmHashAlgo');
  const deviceType = deviceTypeOf(cursor.u32le('deviceType'));
  const measurements = [readMeasurement(cursor)];
  const devicePath = readPath(cursor);
  return {
    kind: 'spdm',
    version: 1,
    authState: 'unknown',
    deviceType,
    devicePath,
    hashAlgorithm,
    measurements,
    certificateChain: undefined,
    deviceContext: cursor.rest('deviceContext'),
  };
}

function readSecond(cursor: Cursor): SpdmEvent {
  const version = cursor.u16le('version');
  if (version !== 2) throw cursor.error('unsupported', 'version', `${version}, expected 2`);
  const authState = AUTH_STATES.get(cursor.u8('authState')) ?? 'unknown';
  cursor.skip(1, 'reserved');
  const length = cursor.u32le('length');
  const left = cursor.remaining;
  if (length !== left && length !== left + SIGNATURE_BYTES + 8) {
    throw cursor.error('invalid', 'length', `${length}, expected ${left} or that of the whole structure`);
  }
  const deviceType = deviceTypeOf(cursor.u32le('deviceType'));
  const subHeaderType = cursor.u32le('subHeaderType');
  const subHeaderLength = cursor.u32le('subHeaderLength');
  cursor.skip(8, 'subHeaderUid');
  const devicePath = readPath(cursor);
  const sub = readSubHeader(subHeaderType, cursor.sub(subHeaderLength, 'subHeader'));
  return {
    kind: 'spdm',
    version: 2,
    authState,
    deviceType,
    devicePath,
    ...sub,
    deviceContext: cursor.rest('deviceContext'),
  };
}

function readSubHeader(
  type: number,
  cursor: Cursor,
): Pick<SpdmEvent, 'hashAlgorithm' | 'measurements' | 'certificateChain'> {
  if (type > 1) throw cursor.error('unsupported', 'subHeaderType', `${type}, expected 0 or 1`);
  cursor.skip(2, 'spdmVersion');
  const blocks = cursor.u8(type === 0 ? 'spdmMeasurementBlockCount' : 'spdmSlotId');
  cursor.skip(1, 'reserved');
  const hashAlgorithm = cursor.u32le('spdmHashAlgo');
  if (type === 1) return { hashAlgorithm, measurements: [], certificateChain: cursor.rest('spdmCertChain') };
  const measurements = Array.from({ length: blocks }, () => readMeasurement(cursor));
  cursor.end('sub header');
  return { hashAlgorithm, measurements, certificateChain: undefined };
}

function readMeasurement(cursor: Cursor): SpdmMeasurement {
  const index = cursor.u8('index');
  const specification = cursor.u8('measurementSpecification');
  return { index, specification, measurement: cursor.take(cursor.u16le('measurementSize'), 'measurement') };
}

function readPath(cursor: Cursor): string {
  const length = readLength(cursor, 'devicePathLength');
  const offset = cursor.offset;
  return parseDevicePath(cursor.take(length, 'devicePath'), offset);
}

function deviceTypeOf(type: number): SpdmEvent['deviceType'] {
  return DEVICE_TYPES[type] ?? 'unknown';
}
