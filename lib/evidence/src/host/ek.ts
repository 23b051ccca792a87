// The EK certificate of a host's TPM, as its maker issued it: TCG EK Credential Profile 2.5 section 3. Makers of hardware
// do many things that our own vTPM CA does not: RSA keys, empty subjects, CAs of their own below their roots. Whoever
// writes the policy names the CA that issued it; no other certificate of the sender's counts. Revocation is not looked at.
import { equalBytes, KnownBytes } from '@ringwall/bytes';
import { parsePublic, publicKeyOf } from '@ringwall/tpm';
import { fails, holds, type Answer } from '../checks.ts';
import { messageOf } from '../keys.ts';
import { unpadCertificate } from '../x509-padding.ts';
import { keyFingerprint } from '../x509-signature.ts';
import { isSignedBy, KEY_USAGE, parseCertificate, printableName, type X509Certificate } from '../x509.ts';

/** tcg-kp-EKCertificate, 2.23.133.8.1, EK Credential Profile 3.2.16. */
const TCG_KP_EK_CERTIFICATE = '6781050801';
/** KeyUsage, SubjectAltName, BasicConstraints, ExtendedKeyUsage: another critical extension refuses (RFC 5280 4.2). */
const UNDERSTOOD_CRITICAL: ReadonlySet<string> = new Set(['551d0f', '551d11', '551d13', '551d25']);
/** An RSA EK takes secrets, an ECC EK agrees on them. */
const EK_USAGES: readonly number[] = [KEY_USAGE.keyEncipherment, KEY_USAGE.keyAgreement];

export interface HostEk {
  readonly x509: X509Certificate;
  /** SHA-256 of its SubjectPublicKeyInfo, hexadecimal. */
  readonly key: string;
}

/** A host shows the same certificate each time. Some 8 KiB each, read. */
const MAX_READ = 1024;
const READ = new KnownBytes<HostEk>(MAX_READ);

/** host-ek-form. A sentence where it cannot be read. */
export async function readHostEk(der: Uint8Array): Promise<HostEk | string> {
  if (der.length === 0) return 'the host’s TPM has no EK certificate';
  const known = READ.get(der);
  if (known !== undefined) return known;
  try {
    const x509 = certificateIn(der);
    const ek = { x509, key: await keyFingerprint(x509.spki) };
    READ.set(der, ek);
    return ek;
  } catch (error) {
    return `the EK certificate of the host cannot be read: ${messageOf(error)}`;
  }
}

/** What a reference enrols of a certificate: SHA-256 of its key; undefined where there is none. Throws ParseError. */
export async function hostEkKey(der: Uint8Array): Promise<string | undefined> {
  return der.length === 0 ? undefined : keyFingerprint(certificateIn(der).spki);
}

/** Whether `ekPublic` (TPMT_PUBLIC) is the key of the certificate: only then a credential for it shows anything. */
export async function isEkOf(ekPublic: Uint8Array, certificate: Uint8Array): Promise<boolean> {
  try {
    const key = await publicKeyOf(parsePublic(ekPublic));
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', key));
    return (await keyFingerprint(spki)) === (await keyFingerprint(certificateIn(certificate).spki));
  } catch {
    return false; // whatever cannot be read is not that key
  }
}

/** As an NV index holds it: with what the maker filled the rest of the index with. Throws ParseError. */
function certificateIn(index: Uint8Array): X509Certificate {
  return parseCertificate(unpadCertificate(index).der);
}

/** host-ek-chain and host-ek-validity. */
export async function checkHostEkChain(
  { x509 }: HostEk,
  roots: readonly Uint8Array[],
  now: Date,
): Promise<{ readonly chain: Answer; readonly validity: Answer }> {
  for (const der of roots) {
    const root = tryParse(der);
    if (root === undefined || !equalBytes(x509.issuer.der, root.subject.der)) continue;
    if (!root.isCa || (root.keyUsage & KEY_USAGE.keyCertSign) === 0 || !(await isSignedBy(x509, root))) continue;
    return { chain: holds(`signed by ${printableName(root.subject)}`), validity: checkValidity(x509, root, now) };
  }
  const detail =
    `the EK certificate of the host is not signed by a maker of TPMs whom the policy names: ` +
    `its issuer calls itself ${printableName(x509.issuer)}`;
  return { chain: fails(detail), validity: fails('the EK certificate’s validity has no CA to rest on') };
}

/** host-ek-usage */
export function checkHostEkUsage({ x509 }: HostEk): Answer {
  for (const [oid, { critical }] of x509.extensions) {
    if (critical && !UNDERSTOOD_CRITICAL.has(oid)) {
      return fails(`the EK certificate of the host has an unknown critical extension (OID ${oid} in DER)`);
    }
  }
  if (!x509.extendedKeyUsage.includes(TCG_KP_EK_CERTIFICATE)) {
    return fails('the EK certificate of the host lacks the extended key usage 2.23.133.8.1');
  }
  if (x509.isCa) return fails('the EK certificate of the host is one of a CA');
  if (!EK_USAGES.includes(x509.keyUsage)) {
    return fails('the EK certificate of the host is not for key encipherment or key agreement alone');
  }
  return holds('endorsement key');
}

function checkValidity(certificate: X509Certificate, root: X509Certificate, now: Date): Answer {
  if (Number.isNaN(now.getTime())) return fails('the time of the judgement is not known');
  for (const [what, { notBefore, notAfter }] of [
    ['EK certificate of the host', certificate],
    ['certificate of its TPM’s maker', root],
  ] as const) {
    if (now < notBefore) return fails(`the ${what} is not valid before ${notBefore.toISOString()}`);
    if (now > notAfter) return fails(`the ${what} has expired on ${notAfter.toISOString()}`);
  }
  return holds(`valid until ${certificate.notAfter.toISOString()}`);
}

function tryParse(der: Uint8Array): X509Certificate | undefined {
  try {
    return parseCertificate(der);
  } catch {
    return undefined;
  }
}
