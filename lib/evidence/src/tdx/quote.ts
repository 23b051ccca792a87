// A TDX quote, versions 4 and 5, taken apart: Intel TDX DCAP Quoting Library API, appendix A.3 and A.4. Little endian. Only
// where its parts are is read here; what they say is read after their signatures (td-report.ts, enclave-report.ts).
import { Cursor, fromHex, toHex } from '@ringwall/bytes';

/** A quote with its certificates has about 5,000 bytes; drivers hand out buffers of 8,000 and 16,384. */
export const MAX_QUOTE_BYTES: number = 32 * 1024;
export const TD_REPORT_BYTES = { '1.0': 584, '1.5': 648 } as const;
export type TdReportVersion = keyof typeof TD_REPORT_BYTES;
const HEADER_BYTES = 48;
const ENCLAVE_REPORT_BYTES = 384;
const SIGNATURE_BYTES = 64;
const KEY_BYTES = 64;

const ECDSA_P256 = 2;
const TEE_TDX = 0x81;
const INTEL_QE_VENDOR_ID = '939a7233f79c4ca9940a0db3957f0607';
/** Certification data: the quoting enclave’s report, and in it the PCK chain as PEM. */
const QE_REPORT_CERTIFICATION_DATA = 6;
const PCK_CERTIFICATE_CHAIN = 5;
/** Body types of version 5; 1 is an SGX enclave. */
const BODY_TYPES: ReadonlyMap<number, TdReportVersion> = new Map([
  [2, '1.0'],
  [3, '1.5'],
]);

/** SubjectPublicKeyInfo of a key on P-256, up to its coordinates. */
const P256_SPKI_PREFIX: Uint8Array = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

export interface TdxQuote {
  readonly version: 4 | 5;
  /** Header and TD report, which the attestation key signed. */
  readonly signedPart: Uint8Array;
  readonly tdReport: Uint8Array;
  readonly tdReportVersion: TdReportVersion;
  readonly signature: Uint8Array;
  /** X and Y, which the quoting enclave’s report vouches for. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: Uint8Array;
  /** By the PCK. */
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthenticationData: Uint8Array;
  /** PEM: PCK, its CA, the root. */
  readonly pckChain: Uint8Array;
  /** What follows the quote in its buffer, and no signature covers. */
  readonly tail: Uint8Array;
}

/** Throws ParseError. */
export function splitTdxQuote(bytes: Uint8Array): TdxQuote {
  const cursor = new Cursor(bytes);
  if (bytes.length > MAX_QUOTE_BYTES) {
    throw cursor.error('limit', 'quote', `has ${bytes.length} bytes, expected at most ${MAX_QUOTE_BYTES}`);
  }
  const version = readHeader(cursor);
  const tdReportVersion = version === 4 ? '1.0' : readBodyType(cursor);
  const tdReport = cursor.take(TD_REPORT_BYTES[tdReportVersion], 'TD report');
  const signedPart = bytes.slice(0, cursor.offset);
  const signed = cursor.sub(cursor.u32le('signature data size'), 'signature data');
  const tail = cursor.rest('tail');

  const signature = signed.take(SIGNATURE_BYTES, 'quote signature');
  const attestationKey = signed.take(KEY_BYTES, 'attestation key');
  expect(signed, signed.u16le('certification data type'), QE_REPORT_CERTIFICATION_DATA, 'certification data type');
  const certification = signed.sub(signed.u32le('certification data size'), 'certification data');
  signed.end('signature data');
  const qeReport = certification.take(ENCLAVE_REPORT_BYTES, 'QE report');
  const qeReportSignature = certification.take(SIGNATURE_BYTES, 'QE report signature');
  const qeAuthenticationData = certification.take(
    certification.u16le('QE authentication data size'),
    'QE authentication data',
  );
  expect(certification, certification.u16le('PCK data type'), PCK_CERTIFICATE_CHAIN, 'PCK data type');
  const pckChain = certification.take(certification.u32le('PCK data size'), 'PCK data');
  certification.end('certification data');
  return {
    version,
    signedPart,
    tdReport,
    tdReportVersion,
    signature,
    attestationKey,
    qeReport,
    qeReportSignature,
    qeAuthenticationData,
    pckChain,
    tail,
  };
}

/** The attestation key as WebCrypto takes it. */
export function attestationSpki(quote: TdxQuote): Uint8Array {
  return new Uint8Array([...P256_SPKI_PREFIX, ...quote.attestationKey]);
}

function readHeader(whole: Cursor): 4 | 5 {
  const cursor = whole.sub(HEADER_BYTES, 'header');
  const version = cursor.u16le('version');
  if (version !== 4 && version !== 5) throw cursor.error('unsupported', 'version', `${version}, expected 4 or 5`);
  expect(cursor, cursor.u16le('attestation key type'), ECDSA_P256, 'attestation key type');
  expect(cursor, cursor.u32le('TEE type'), TEE_TDX, 'TEE type');
  // QE SVN and PCE SVN of version 4, reserved in others: the signed sources for both are QE report and PCK certificate.
  cursor.skip(4, 'reserved');
  const vendor = toHex(cursor.take(16, 'QE vendor id'));
  if (vendor !== INTEL_QE_VENDOR_ID) throw cursor.error('unsupported', 'QE vendor id', `${vendor}, expected Intel’s`);
  cursor.skip(20, 'user data');
  cursor.end('header');
  return version;
}

function readBodyType(cursor: Cursor): TdReportVersion {
  const type = cursor.u16le('body type');
  const version = BODY_TYPES.get(type);
  if (version === undefined) throw cursor.error('unsupported', 'body type', `${type}, expected 2 or 3`);
  expect(cursor, cursor.u32le('body size'), TD_REPORT_BYTES[version], 'body size');
  return version;
}

function expect(cursor: Cursor, seen: number, expected: number, field: string): void {
  if (seen !== expected) throw cursor.error('unsupported', field, `${seen}, expected ${expected}`);
}
