// X.509 certificates, RFC 5280, read strictly and no further than our chains need: names, validity, key, extensions. Written here, and small, because whoever trusts a verdict trusts this parser; a general library brings
// an ASN.1 compiler, a container of algorithms and a polyfill with it.
import { equalBytes, ParseError, toHex } from '@ringwall/bytes';
import { DER_TAG, DerReader, readBoolean, unsignedOf, type DerValue } from './der.ts';
import { verifySigned, type Signed } from './x509-signature.ts';

/** An EK certificate with an RSA-4096 signature has about 1,800 bytes. */
export const MAX_CERTIFICATE_BYTES = 4096;

const MAX_EXTENSIONS = 32;
const MAX_NAME_PARTS = 16;

/** Object identifiers by the hexadecimal of their DER content. */
const OID = {
  commonName: '550403',
  organization: '55040a',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  extendedKeyUsage: '551d25',
} as const;

/** KeyUsage, RFC 5280 section 4.2.1.3: bits of the first byte. */
export const KEY_USAGE = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  keyAgreement: 0x08,
  keyCertSign: 0x04,
  cRLSign: 0x02,
} as const;

export interface X509Name {
  /** DER: names are compared as bytes. */
  readonly der: Uint8Array;
  readonly commonNames: readonly string[];
  /** `O=Ringwall, CN=…`: text of whoever made the certificate. */
  readonly text: string;
}

export interface X509Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Only what the bytes say: whether anybody stands behind it is `isSignedBy`. */
export interface X509Certificate extends Signed {
  readonly serialNumber: string;
  readonly issuer: X509Name;
  readonly subject: X509Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Uint8Array;
  /** By the hexadecimal of their OID. */
  readonly extensions: ReadonlyMap<string, X509Extension>;
  readonly isCa: boolean;
  /** How many CAs may follow this one; undefined where the certificate sets no limit. */
  readonly pathLength: number | undefined;
  /** First byte of the KeyUsage bits, the second in bits 8 to 15; 0 where there is no such extension. */
  readonly keyUsage: number;
  /** Hexadecimal of the OIDs. */
  readonly extendedKeyUsage: readonly string[];
}

/** Exactly one certificate; throws ParseError. */
export function parseCertificate(der: Uint8Array): X509Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw new ParseError(
      'limit',
      'Certificate',
      0,
      `has ${der.length} bytes, expected at most ${MAX_CERTIFICATE_BYTES}`,
    );
  }
  const outer = new DerReader(der);
  const certificate = outer.sequence('Certificate');
  outer.end('Certificate');
  const tbs = certificate.read(DER_TAG.SEQUENCE, 'tbsCertificate');
  const algorithm = certificate.read(DER_TAG.SEQUENCE, 'signatureAlgorithm');
  const signature = bitString(certificate.read(DER_TAG.BIT_STRING, 'signatureValue'), 'signatureValue');
  certificate.end('Certificate');

  const fields = new DerReader(tbs.content);
  const version = new DerReader(fields.read(0xa0, 'version').content);
  if (toHex(version.read(DER_TAG.INTEGER, 'version').content) !== '02')
    throw invalid('version', 'is not 3, expected 3');
  version.end('version');
  const serial = fields.read(DER_TAG.INTEGER, 'serialNumber');
  const inner = fields.read(DER_TAG.SEQUENCE, 'signature');
  // RFC 5280 section 4.1.1.2: the algorithm inside the signed part must be the one outside.
  if (!equalBytes(inner.whole, algorithm.whole))
    throw invalid('signature', 'differs from signatureAlgorithm, expected the same');
  const issuer = readName(fields.read(DER_TAG.SEQUENCE, 'issuer'), 'issuer');
  const validity = fields.sequence('validity');
  const notBefore = readTime(validity.readAny('notBefore'), 'notBefore');
  const notAfter = readTime(validity.readAny('notAfter'), 'notAfter');
  validity.end('validity');
  const subject = readName(fields.read(DER_TAG.SEQUENCE, 'subject'), 'subject');
  const spki = readKeyInfo(fields.read(DER_TAG.SEQUENCE, 'subjectPublicKeyInfo'));
  const extensions = fields.done ? new Map<string, X509Extension>() : readExtensions(fields.read(0xa3, 'extensions'));
  fields.end('tbsCertificate');

  return {
    serialNumber: toHex(serial.content),
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    extensions,
    ...readBasicConstraints(extensions.get(OID.basicConstraints)),
    keyUsage: readKeyUsage(extensions.get(OID.keyUsage)),
    extendedKeyUsage: readExtendedKeyUsage(extensions.get(OID.extendedKeyUsage)),
    tbs: tbs.whole,
    signatureAlgorithm: algorithm.content,
    signature,
  };
}

/** Whether the key in `issuer` made the signature of `certificate`. Says nothing about what either may do. */
export function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): Promise<boolean> {
  return verifySigned(certificate, issuer.spki);
}

/** The common name, as far as a terminal shows it as itself. */
export function printableName(name: X509Name): string {
  const [text = ''] = name.commonNames;
  return /^[\x20-\x7e]{1,80}$/.test(text) ? `“${text}”` : 'a name that cannot be shown';
}

export function readName(value: DerValue, field: string): X509Name {
  const parts: { readonly oid: string; readonly text: string }[] = [];
  const sets = new DerReader(value.content);
  while (!sets.done) {
    const set = new DerReader(sets.read(DER_TAG.SET, field).content);
    while (!set.done) {
      const attribute = set.sequence(field);
      const oid = toHex(attribute.read(DER_TAG.OID, field).content);
      parts.push({ oid, text: readText(attribute.readAny(field)) });
      attribute.end(field);
      if (parts.length > MAX_NAME_PARTS) throw invalid(field, `has more than ${MAX_NAME_PARTS} parts`);
    }
  }
  const label = (oid: string): string => ({ [OID.commonName]: 'CN', [OID.organization]: 'O' })[oid] ?? `oid ${oid}`;
  return {
    der: value.whole,
    commonNames: parts.filter(({ oid }) => oid === OID.commonName).map(({ text }) => text),
    text: parts.map(({ oid, text }) => `${label(oid)}=${text}`).join(', '),
  };
}

/** Text of the three string types that certificates of this century use; another type shows as its bytes. */
function readText(value: DerValue): string {
  const texts: readonly number[] = [DER_TAG.UTF8_STRING, DER_TAG.PRINTABLE_STRING, DER_TAG.IA5_STRING];
  if (!texts.includes(value.tag)) return `#${toHex(value.whole)}`;
  return new TextDecoder().decode(value.content);
}

/** RFC 5280 section 4.1.2.5: UTCTime up to 2049, GeneralizedTime after, both with seconds and Z. */
export function readTime(value: DerValue, field: string): Date {
  const text = new TextDecoder('latin1').decode(value.content);
  const isUtc = value.tag === DER_TAG.UTC_TIME;
  if (!isUtc && value.tag !== DER_TAG.GENERALIZED_TIME) throw invalid(field, 'is not a time');
  const match = (isUtc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(
    text,
  );
  if (match === null) throw invalid(field, 'is not a time in UTC with seconds');
  const [, year = '', month, day, hour, minute, second] = match;
  const century = isUtc ? (Number(year) < 50 ? '20' : '19') : '';
  const iso = `${century}${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = new Date(iso);
  if (Number.isNaN(time.getTime()) || time.toISOString() !== iso) throw invalid(field, 'is not a time that exists');
  return time;
}

/** From inside the explicit tag, as certificates, revocation lists and their entries have them. */
export function readExtensions(explicit: DerValue): Map<string, X509Extension> {
  const outer = new DerReader(explicit.content);
  const list = outer.sequence('extensions');
  outer.end('extensions');
  const extensions = new Map<string, X509Extension>();
  while (!list.done) {
    const extension = list.sequence('Extension');
    const oid = toHex(extension.read(DER_TAG.OID, 'extnID').content);
    const critical = extension.optional(DER_TAG.BOOLEAN, 'critical');
    const value = extension.read(DER_TAG.OCTET_STRING, 'extnValue').content;
    extension.end('Extension');
    if (extensions.has(oid)) throw invalid('extensions', `has ${oid} twice, expected once`);
    if (extensions.size === MAX_EXTENSIONS) throw invalid('extensions', `has more than ${MAX_EXTENSIONS}`);
    extensions.set(oid, { critical: critical !== undefined && readBoolean(critical, 'critical'), value });
  }
  return extensions;
}

function readBasicConstraints(extension: X509Extension | undefined): Pick<X509Certificate, 'isCa' | 'pathLength'> {
  if (extension === undefined) return { isCa: false, pathLength: undefined };
  const outer = new DerReader(extension.value);
  const constraints = outer.sequence('basicConstraints');
  outer.end('basicConstraints');
  const ca = constraints.optional(DER_TAG.BOOLEAN, 'cA');
  const length = constraints.optional(DER_TAG.INTEGER, 'pathLenConstraint');
  constraints.end('basicConstraints');
  const pathLength = length === undefined ? undefined : unsignedOf(length, 1)?.[0];
  if (length !== undefined && pathLength === undefined) throw invalid('pathLenConstraint', 'is not 0..255');
  return { isCa: ca !== undefined && readBoolean(ca, 'cA'), pathLength };
}

function readKeyUsage(extension: X509Extension | undefined): number {
  if (extension === undefined) return 0;
  const outer = new DerReader(extension.value);
  const value = outer.read(DER_TAG.BIT_STRING, 'keyUsage');
  outer.end('keyUsage');
  const [unused = 8, first = 0, second = 0] = value.content;
  if (unused > 7 || value.content.length > 3) throw invalid('keyUsage', 'is not a list of usages');
  return first | (second << 8);
}

function readExtendedKeyUsage(extension: X509Extension | undefined): readonly string[] {
  if (extension === undefined) return [];
  const outer = new DerReader(extension.value);
  const list = outer.sequence('extKeyUsage');
  outer.end('extKeyUsage');
  const purposes: string[] = [];
  while (!list.done) purposes.push(toHex(list.read(DER_TAG.OID, 'KeyPurposeId').content));
  return purposes;
}

/** Its form is checked here, because not every WebCrypto refuses a key of so many bits less than it has. */
function readKeyInfo(value: DerValue): Uint8Array {
  const info = new DerReader(value.content);
  info.read(DER_TAG.SEQUENCE, 'algorithm');
  bitString(info.read(DER_TAG.BIT_STRING, 'subjectPublicKey'), 'subjectPublicKey');
  info.end('subjectPublicKeyInfo');
  return value.whole;
}

/** A BIT STRING of whole bytes. */
export function bitString(value: DerValue, field: string): Uint8Array {
  if (value.content[0] !== 0) throw invalid(field, 'has loose bits, expected whole bytes');
  return value.content.subarray(1);
}

function invalid(field: string, detail: string): ParseError {
  return new ParseError('invalid', field, 0, detail);
}
