// EK certificates as NV indices hold them: TCG EK Credential Profile 2.5 section 2.2 lets an index be larger than the
// certificate in it, and vendors fill the rest with zeros or ones. Anything else after it is refused, and so is BER.
import { Cursor, ParseError } from '@ringwall/bytes';
import { DER_TAG, DerReader } from './der.ts';

/** TPMs give an NV index at most 2 KiB; this is what one such index may waste. */
export const MAX_PADDING_BYTES = 2048;
/** TCG PC Client Specific TPM Interface 1.2, section 7.4: TCG_TAG_PCCLIENT_STORED_CERT, type, length. */
const STORED_CERTIFICATE_TAG = 0x1001;

export interface UnpaddedCertificate {
  readonly der: Uint8Array;
  readonly paddingBytes: number;
}

/** The certificate without what fills its index; throws ParseError that says what is odd. */
export function unpadCertificate(index: Uint8Array): UnpaddedCertificate {
  const cursor = new Cursor(index);
  const tag = cursor.u16be('EK certificate');
  if (tag === STORED_CERTIFICATE_TAG) {
    throw cursor.error('unsupported', 'EK certificate', 'has the header of a TPM 1.2, expected X.509 alone');
  }
  if (tag >> 8 !== DER_TAG.SEQUENCE) {
    throw cursor.error('invalid', 'EK certificate', `begins 0x${tag.toString(16)}, expected a SEQUENCE`);
  }
  if ((tag & 0xff) === 0x80) {
    throw cursor.error('unsupported', 'EK certificate', 'is BER of indefinite length, expected DER');
  }
  const der = new DerReader(index).read(DER_TAG.SEQUENCE, 'EK certificate').whole;
  const padding = index.subarray(der.length);
  if (padding.length > MAX_PADDING_BYTES) {
    throw new ParseError('limit', 'EK certificate', der.length, `is followed by ${padding.length} bytes of padding`);
  }
  const [fill] = padding;
  if (fill !== undefined && ((fill !== 0 && fill !== 0xff) || padding.some((byte) => byte !== fill))) {
    throw new ParseError('trailing', 'EK certificate', der.length, 'is followed by bytes that are no padding');
  }
  return { der, paddingBytes: padding.length };
}
