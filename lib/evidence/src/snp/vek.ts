// VCEK and VLEK certificates: Versioned Chip Endorsement Key Certificate and KDS Interface Specification (AMD 57230),
// section 3; VLEK Certificate Definition (AMD 58369). What they say about chip and firmware is in extensions.
import { ParseError, toHex } from '@ringwall/bytes';
import { DER_TAG, DerReader, unsignedOf } from '../der.ts';
import type { X509Certificate } from '../x509.ts';
import { curveOf } from '../x509-signature.ts';
import { SNP_PRODUCTS, TCB_BYTES, type SnpProduct } from './tcb.ts';

/** 1.3.6.1.4.1.3704.1, hexadecimal of its DER content. */
const AMD = '2b060104019c7801';
const PRODUCT_NAME = `${AMD}02`;
const HWID = `${AMD}04`;
const CSP_ID = `${AMD}05`;
const spl = (number: number): string => `${AMD}03${number.toString(16).padStart(2, '0')}`;

/** Which security patch level of the certificate stands at which byte of TCB_VERSION. */
const SPL_BY_BYTE: Readonly<Record<SnpProduct, readonly number[]>> = {
  Milan: [1, 2, 4, 5, 6, 7, 3, 8],
  Genoa: [1, 2, 4, 5, 6, 7, 3, 8],
  Turin: [9, 1, 2, 3, 5, 6, 7, 8],
};
/** Turin’s chips are named by 8 bytes, those before by 64. */
const HWID_BYTES: Readonly<Record<SnpProduct, number>> = { Milan: 64, Genoa: 64, Turin: 8 };
const MAX_CSP_ID_CHARACTERS = 128;

export interface SnpEndorsementKey {
  /** Of one chip, or of a provider’s fleet. */
  readonly kind: 'vcek' | 'vlek';
  readonly product: SnpProduct;
  /** Of a VCEK. */
  readonly hwId: Uint8Array | undefined;
  /** Of a VLEK: which provider it was made for, printable. */
  readonly cspId: string | undefined;
  /** The TCB_VERSION that the key was derived from. */
  readonly tcb: Uint8Array;
}

/** What the certificate says; throws ParseError. */
export function parseEndorsementKey(certificate: X509Certificate): SnpEndorsementKey {
  if (curveOf(certificate.spki)?.name !== 'P-384') throw invalid('subjectPublicKeyInfo', 'is not on P-384');
  const [commonName] = certificate.subject.commonNames;
  const kind = ({ 'SEV-VCEK': 'vcek', 'SEV-VLEK': 'vlek' } as const)[commonName ?? ''];
  if (kind === undefined) throw invalid('subject', 'is neither SEV-VCEK nor SEV-VLEK');
  const productName = readText(certificate, PRODUCT_NAME, 'productName');
  // A VCEK names the stepping too: Milan-B0.
  const product = SNP_PRODUCTS.find((name) => productName === name || productName.startsWith(`${name}-`));
  if (product === undefined) throw invalid('productName', 'is not Milan, Genoa or Turin');
  const hwId = certificate.extensions.get(HWID)?.value;
  const cspId = certificate.extensions.has(CSP_ID) ? readText(certificate, CSP_ID, 'cspId') : undefined;
  if ((kind === 'vcek') !== (hwId !== undefined)) throw invalid('hwID', 'is not what a VCEK has and a VLEK has not');
  if ((kind === 'vlek') !== (cspId !== undefined)) throw invalid('cspID', 'is not what a VLEK has and a VCEK has not');
  if (hwId !== undefined && hwId.length !== HWID_BYTES[product]) {
    throw invalid('hwID', `has ${hwId.length} bytes, expected ${HWID_BYTES[product]}`);
  }
  const tcb = Uint8Array.from({ length: TCB_BYTES }, (_, at) =>
    readPatchLevel(certificate, SPL_BY_BYTE[product][at] ?? 0),
  );
  return { kind, product, hwId, cspId, tcb };
}

function readPatchLevel(certificate: X509Certificate, number: number): number {
  const field = `SPL ${number}`;
  const reader = new DerReader(extensionOf(certificate, spl(number), field));
  const level = unsignedOf(reader.read(DER_TAG.INTEGER, field), 1)?.[0];
  reader.end(field);
  if (level === undefined) throw invalid(field, 'is not 0..255');
  return level;
}

function readText(certificate: X509Certificate, oid: string, field: string): string {
  const reader = new DerReader(extensionOf(certificate, oid, field));
  const { content } = reader.read(DER_TAG.IA5_STRING, field);
  reader.end(field);
  const printable = content.every((byte) => byte >= 0x20 && byte < 0x7f);
  if (!printable || content.length === 0 || content.length > MAX_CSP_ID_CHARACTERS) {
    throw invalid(field, `${toHex(content.subarray(0, 16))} is not a printable text`);
  }
  return new TextDecoder().decode(content);
}

function extensionOf(certificate: X509Certificate, oid: string, field: string): Uint8Array {
  const extension = certificate.extensions.get(oid);
  if (extension === undefined) throw invalid(field, 'is missing');
  return extension.value;
}

function invalid(field: string, detail: string): ParseError {
  return new ParseError('invalid', field, 0, detail);
}
