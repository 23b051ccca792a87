// The EK certificate: what the TCG EK Credential Profile (version 2.5, section 3) asks of an endorsement certificate, for
// a vTPM with an ECC P-256 key. It binds this EK to one machine: the subject names the machine's id, and the broker
// keeps the certificate of the first registration for good.
import { fromHex, toHex } from '@ringwall/bytes';
import * as x509 from './x509.ts';

/** The NV index of the certificate holds this much, as NV_Write moves it in one command (MAX_NV_BUFFER_SIZE). */
export const EK_CERTIFICATE_LIMIT_BYTES: number = 1024;

/** tcg-kp-EKCertificate, EK Credential Profile 3.2.16. */
const TCG_KP_EK_CERTIFICATE = '2.23.133.8.1';

/** What swtpm says of itself (EK Credential Profile 3.2.9): manufacturer as vendor id in hexadecimal, model, version. */
const TPM_IDENTITY = '2.23.133.2.1=id:00001014, 2.23.133.2.2=swtpm, 2.23.133.2.3=id:20191023';

/**
 * SubjectDirectoryAttributes with one TPMSpecification (EK Credential Profile 3.2.10 and section 4):
 * family "2.0", level 0, revision 164, which is what libtpms implements.
 */
const SUBJECT_DIRECTORY_ATTRIBUTES = '2.5.29.9';
const TPM_SPECIFICATION = fromHex(
  [
    '30173015', // SEQUENCE OF Attribute
    '06056781050210', // type 2.23.133.2.16
    '310c300a', // values: SET OF TPMSpecification
    '0c03322e30', // family
    '020100', // level
    '020200a4', // revision
  ].join(''),
);

/** Clocks of hosts differ; a certificate that is not valid yet would refuse a machine's first boot. */
const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;

export interface EkCertificateRequest {
  readonly ekPublic: CryptoKey;
  readonly machine: string;
  readonly issuer: x509.X509Certificate;
  readonly issuerKey: CryptoKey;
  readonly now: Date;
}

export async function makeEkCertificate(request: EkCertificateRequest): Promise<Uint8Array<ArrayBuffer>> {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: [{ CN: [request.machine] }],
    issuer: request.issuer.subjectName,
    notBefore: new Date(request.now.getTime() - CLOCK_SKEW_MS),
    // No longer than the root: an EK lives as long as its TPM, and has no other end.
    notAfter: request.issuer.notAfter,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    publicKey: request.ekPublic,
    signingKey: request.issuerKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      // An ECC EK only agrees on keys (EK Credential Profile 3.2.14).
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyAgreement, true),
      new x509.ExtendedKeyUsageExtension([TCG_KP_EK_CERTIFICATE], false),
      new x509.SubjectAlternativeNameExtension([{ type: 'dn', value: TPM_IDENTITY }], false),
      new x509.Extension(SUBJECT_DIRECTORY_ATTRIBUTES, false, TPM_SPECIFICATION),
      await x509.AuthorityKeyIdentifierExtension.create(request.issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(request.ekPublic),
    ],
  });
  const der = new Uint8Array(certificate.rawData);
  if (der.length > EK_CERTIFICATE_LIMIT_BYTES) {
    throw new RangeError(
      `an EK certificate of ${String(der.length)} bytes, at most ${String(EK_CERTIFICATE_LIMIT_BYTES)}`,
    );
  }
  return der;
}

/** 16 random bytes, positive and without a leading zero byte (RFC 5280 section 4.1.2.2). */
export function randomSerial(): string {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return toHex(serial);
}
