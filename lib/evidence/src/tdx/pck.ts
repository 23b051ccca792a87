// The certificate of a platform’s provisioning key: Intel SGX PCK Certificate and CRL Profile Specification, section 1.3.5.
// Which processor it is, and which firmware it ran when the certificate was made, is in one extension.
import { ParseError, toHex } from '@ringwall/bytes';
import { DER_TAG, DerReader, unsignedOf, type DerValue } from '../der.ts';
import { fails, holds, type Answer } from '../checks.ts';
import { curveOf } from '../x509-signature.ts';
import type { X509Certificate } from '../x509.ts';

/** 1.2.840.113741.1.13.1, hexadecimal of its DER content. */
const SGX = '2a864886f84d010d01';
const TCB = `${SGX}02`;
const COMPONENT = (number: number): string => `${TCB}${number.toString(16).padStart(2, '0')}`;
const PCE_SVN = `${TCB}11`;
const PCE_ID = `${SGX}03`;
const FMSPC = `${SGX}04`;
export const TCB_COMPONENTS = 16;

const PCK_CAS: readonly string[] = ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'];
const PCK_NAME = 'Intel SGX PCK Certificate';

export interface PckCertificate {
  /** CPUSVN as its 16 parts. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  /** Hexadecimal. */
  readonly pceId: string;
  /** Family, model, stepping, platform and custom SKU, hexadecimal: which TCB info applies. */
  readonly fmspc: string;
}

/** Throws ParseError. */
export function parsePck(certificate: X509Certificate): PckCertificate {
  if (curveOf(certificate.spki)?.name !== 'P-256') throw invalid('subjectPublicKeyInfo', 'is not on P-256');
  const extension = certificate.extensions.get(SGX);
  if (extension === undefined) throw invalid('SGX extensions', 'is missing');
  const outer = new DerReader(extension.value);
  const fields = readFields(outer.read(DER_TAG.SEQUENCE, 'SGX extensions'), 'SGX extensions');
  outer.end('SGX extensions');
  const tcb = readFields(take(fields, TCB, DER_TAG.SEQUENCE, 'TCB'), 'TCB');
  return {
    components: Array.from({ length: TCB_COMPONENTS }, (_, index) => readSvn(tcb, COMPONENT(index + 1), 1)),
    pceSvn: readSvn(tcb, PCE_SVN, 2),
    pceId: readOctets(fields, PCE_ID, 2, 'PCEID'),
    fmspc: readOctets(fields, FMSPC, 6, 'FMSPC'),
  };
}

/** The root signs PCK CAs, and certificates for other uses too: each name says which it is. */
export function checkPckNames([pck, ca]: readonly X509Certificate[]): Answer {
  const [name] = pck?.subject.commonNames ?? [];
  const [caName = ''] = ca?.subject.commonNames ?? [];
  if (name !== PCK_NAME) return fails('the first certificate is not that of a platform’s key');
  if (!PCK_CAS.includes(caName)) return fails('the platform’s certificate is not by a CA for platforms');
  return holds(caName);
}

function readFields(sequence: DerValue, field: string): ReadonlyMap<string, DerValue> {
  const fields = new Map<string, DerValue>();
  const reader = new DerReader(sequence.content);
  while (!reader.done) {
    const pair = reader.sequence(field);
    const oid = toHex(pair.read(DER_TAG.OID, field).content);
    const value = pair.readAny(field);
    pair.end(field);
    if (fields.has(oid)) throw invalid(field, `has ${oid} twice, expected once`);
    fields.set(oid, value);
  }
  return fields;
}

function readSvn(fields: ReadonlyMap<string, DerValue>, oid: string, bytes: number): number {
  const digits = unsignedOf(take(fields, oid, DER_TAG.INTEGER, 'SVN'), bytes);
  if (digits === undefined) throw invalid('SVN', `is longer than ${bytes} bytes`);
  return digits.reduce((value, digit) => value * 256 + digit, 0);
}

function readOctets(fields: ReadonlyMap<string, DerValue>, oid: string, bytes: number, field: string): string {
  const { content } = take(fields, oid, DER_TAG.OCTET_STRING, field);
  if (content.length !== bytes) throw invalid(field, `has ${content.length} bytes, expected ${bytes}`);
  return toHex(content);
}

function take(fields: ReadonlyMap<string, DerValue>, oid: string, tag: number, field: string): DerValue {
  const value = fields.get(oid);
  if (value?.tag !== tag) throw invalid(field, `${oid} is missing or of another type`);
  return value;
}

function invalid(field: string, detail: string): ParseError {
  return new ParseError('invalid', field, 0, detail);
}
