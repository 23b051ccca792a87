// The EK certificate that a machine is registered with: what is asked of it before it is bound to the machine for good,
// and the public area of its key, as MakeCredential needs it.
import { X509Certificate } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { ekTemplate, parsePublic, type TPMT_PUBLIC } from '@ringwall/tpm';

/** More than an EK certificate's NV index could hold. */
export const CERTIFICATE_LIMIT_BYTES = 4096;
/** A host has one vTPM CA. */
export const CA_LIMIT = 16;

const COORDINATE_BYTES = 32;

/**
 * Refuses a certificate that could never be judged well: expired, of another machine, or not from one of the CAs that
 * come with it. The CAs themselves are believed here: who may register says which host's vTPMs a machine may use.
 */
export function checkRegistration(input: {
  readonly machine: string;
  readonly ekCertificate: Uint8Array;
  readonly vtpmCa: readonly Uint8Array[];
  readonly now: Date;
}): void {
  const { machine, vtpmCa, now } = input;
  if (vtpmCa.length === 0 || vtpmCa.length > CA_LIMIT) {
    throw refuse(`${String(vtpmCa.length)} vTPM CA certificates, expected 1..${String(CA_LIMIT)}`);
  }
  const certificate = readCertificate(input.ekCertificate, 'EK certificate');
  const roots = vtpmCa.map((der) => readCertificate(der, 'vTPM CA certificate'));
  if (certificate.subject !== `CN=${machine}`) throw refuse('the EK certificate names another machine');
  if (now < new Date(certificate.validFrom) || now > new Date(certificate.validTo)) {
    throw refuse('the EK certificate is not valid now');
  }
  const issued = roots.some((root) => root.ca && certificate.checkIssued(root) && certificate.verify(root.publicKey));
  if (!issued) throw refuse('the EK certificate is not from the vTPM CA that came with it');
  ekPublicOf(input.ekCertificate);
}

/** The EK as its TPM knows it: the key of the certificate in the public area of template L-2. */
export function ekPublicOf(ekCertificate: Uint8Array): TPMT_PUBLIC {
  const { publicKey } = readCertificate(ekCertificate, 'EK certificate');
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined) {
    throw refuse('the EK is not an ECC P-256 key');
  }
  const area = ekTemplate();
  // The template ends in the point, as two TPM2B of 32 bytes each.
  area.set(Buffer.from(x, 'base64url'), area.length - COORDINATE_BYTES - 2 - COORDINATE_BYTES);
  area.set(Buffer.from(y, 'base64url'), area.length - COORDINATE_BYTES);
  return parsePublic(area);
}

function readCertificate(der: Uint8Array, what: string): X509Certificate {
  if (der.length > CERTIFICATE_LIMIT_BYTES)
    throw refuse(`${what} of more than ${String(CERTIFICATE_LIMIT_BYTES)} bytes`);
  try {
    const certificate = new X509Certificate(der);
    // One encoding only: bytes after the certificate would make two certificates of one.
    if (certificate.raw.length !== der.length) throw new RangeError('trailing bytes');
    return certificate;
  } catch (error) {
    throw refuse(`the ${what} cannot be read`, error);
  }
}

function refuse(message: string, cause?: unknown): RingwallError {
  return new RingwallError('bad-request', message, {
    hint: 'make the machine anew: its vTPM was not made by the warden of this host, or was altered',
    cause,
  });
}
