// The certificate of an endorsement key: TCG EK Credential Profile 2.5 section 3, RFC 5280. Its bytes come from whoever
// sends evidence; the roots come from the caller.
import { equalBytes, KnownBytes, toHex, unshared, utf8, Writer } from '@ringwall/bytes';
import { ekTemplate, parsePublic, type TPMT_PUBLIC } from '@ringwall/tpm';
import { fails, holds, type Answer } from './checks.ts';
import { messageOf } from './keys.ts';
import { unpadCertificate } from './x509-padding.ts';
import { isSignedBy, KEY_USAGE, parseCertificate, type X509Certificate } from './x509.ts';

/** tcg-kp-EKCertificate, 2.23.133.8.1, EK Credential Profile 3.2.16. */
const TCG_KP_EK_CERTIFICATE = '6781050801';
/** KeyUsage, SubjectAltName, BasicConstraints, ExtendedKeyUsage: another critical extension refuses (RFC 5280 4.2). */
const UNDERSTOOD_CRITICAL: ReadonlySet<string> = new Set(['551d0f', '551d11', '551d13', '551d25']);
const COORDINATE_BYTES = 32;

/** A machine shows the same certificate at each boot. Some 4 KiB each, read; a broker has some 10,000 machines. */
const MAX_READ = 16_384;
const READ = new KnownBytes<EkCertificate>(MAX_READ);
/** As many CAs as a caller may trust, some times over. */
const MAX_ROOTS = 64;
const ROOTS = new KnownBytes<X509Certificate>(MAX_ROOTS);
const SIGNED_BY = new WeakMap<X509Certificate, X509Certificate>();

/** A certificate that could be read: still only bytes that somebody sent. */
export interface EkCertificate {
  readonly x509: X509Certificate;
  /** The key in it, as the TPM's template makes it: what MakeCredential is done for. */
  readonly ekPublic: TPMT_PUBLIC;
}

/**
 * ek-form. A sentence where it cannot be read. Odd encodings are refused, and named, not repaired: our CA makes none, and a
 * certificate that reads the same in two spellings would be two registrations. A host's TPM has its maker's: host/ek.ts.
 */
export async function readEkCertificate(der: Uint8Array): Promise<EkCertificate | string> {
  const known = READ.get(der);
  if (known !== undefined) return known;
  const read = await readNewEkCertificate(der);
  if (typeof read !== 'string') READ.set(der, read);
  return read;
}

async function readNewEkCertificate(der: Uint8Array): Promise<EkCertificate | string> {
  const certificate = readUnpadded(der);
  if (typeof certificate === 'string') return `the EK certificate cannot be read: ${certificate}`;
  const ekPublic = await ekPublicOf(certificate);
  if (ekPublic === undefined) return 'the EK certificate is not for an ECC P-256 key';
  return { x509: certificate, ekPublic };
}

/** ek-chain and ek-validity: the root that signed it, and whether both are valid at `now`. */
export async function checkEkChain(
  certificate: X509Certificate,
  trustedRoots: readonly Uint8Array[],
  now: Date,
): Promise<{ readonly chain: Answer; readonly validity: Answer }> {
  if (trustedRoots.length === 0) return unrooted('no vTPM CA is trusted');
  const roots = trustedRoots.map((root) => readRoot(root)).filter((root) => typeof root !== 'string');
  if (roots.length === 0) return unrooted('none of the trusted vTPM CAs can be read');
  for (const root of roots) {
    if (!equalBytes(certificate.issuer.der, root.subject.der)) continue;
    if (!mayCertify(root) || !(await isSignedByKnown(certificate, root))) continue;
    return {
      chain: holds(`signed by ${printable(root.subject.text)}`),
      validity: checkValidity(certificate, root, now),
    };
  }
  return unrooted(
    `the EK certificate is not signed by a vTPM CA that is trusted: its issuer calls itself ${describeIssuer(certificate)}`,
  );
}

/** ek-usage: an endorsement certificate, of a key that agrees on secrets and signs nothing. */
export function checkEkUsage(certificate: X509Certificate): Answer {
  for (const [oid, { critical }] of certificate.extensions) {
    if (critical && !UNDERSTOOD_CRITICAL.has(oid)) {
      return fails(`the EK certificate has an unknown critical extension (OID ${oid} in DER)`);
    }
  }
  if (!certificate.extendedKeyUsage.includes(TCG_KP_EK_CERTIFICATE)) {
    return fails('the EK certificate is not one for an endorsement key: it lacks the extended key usage 2.23.133.8.1');
  }
  if (certificate.isCa) return fails('the EK certificate is one of a CA');
  if (certificate.keyUsage !== KEY_USAGE.keyAgreement) {
    return fails('the EK certificate’s key usage is not key agreement alone');
  }
  return holds('endorsement key, key agreement');
}

/** ek-machine: the subject's common name is the machine's id. */
export function checkEkMachine(certificate: X509Certificate, machine: string): Answer {
  const names = certificate.subject.commonNames;
  if (names.length === 1 && names[0] === machine) return holds(`for ${machine}`);
  const seen = names.length === 0 ? 'names no machine' : `is for ${printable(names.join(', '))}`;
  return fails(`the EK certificate ${seen}, expected ${machine}`);
}

/** ek-registered: byte for byte the certificate of the registration, where the caller knows it. */
export function checkEkRegistered(der: Uint8Array, expected: Uint8Array | undefined): Answer {
  if (expected === undefined) return holds('not asked: the caller named no registered certificate');
  if (equalBytes(der, expected)) return holds('byte for byte the same');
  return fails('the EK certificate is not the one that this machine was registered with: this is another TPM');
}

/** The issuing CA's name, for people. */
export function describeIssuer(certificate: X509Certificate): string {
  return printable(certificate.issuer.text);
}

function unrooted(detail: string): { readonly chain: Answer; readonly validity: Answer } {
  return { chain: fails(detail), validity: fails('the EK certificate’s validity has no CA to rest on') };
}

function readUnpadded(index: Uint8Array): X509Certificate | string {
  try {
    const { paddingBytes } = unpadCertificate(index);
    if (paddingBytes > 0) return `it is padded with ${paddingBytes} bytes, which its sender must cut off`;
  } catch (error) {
    return messageOf(error);
  }
  return readCertificate(index);
}

function readCertificate(der: Uint8Array): X509Certificate | string {
  try {
    return parseCertificate(der);
  } catch (error) {
    return messageOf(error);
  }
}

async function ekPublicOf(certificate: X509Certificate): Promise<TPMT_PUBLIC | undefined> {
  let point: Uint8Array;
  try {
    const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
    const key = await crypto.subtle.importKey('spki', unshared(certificate.spki), algorithm, true, []);
    point = new Uint8Array(await crypto.subtle.exportKey('raw', key));
  } catch {
    return undefined;
  }
  // The template ends in its unique field: two coordinates with their sizes. A key made from it has its own there.
  const template = ekTemplate();
  const parameters = template.subarray(0, template.length - 2 * (2 + COORDINATE_BYTES));
  const publicArea = new Writer()
    .bytes(parameters)
    .sized16be((x) => x.bytes(point.subarray(1, 1 + COORDINATE_BYTES)))
    .sized16be((y) => y.bytes(point.subarray(1 + COORDINATE_BYTES)))
    .finish();
  return parsePublic(publicArea);
}

/** A CA certifies some thousand TPMs. */
function readRoot(der: Uint8Array): X509Certificate | string {
  const known = ROOTS.get(der);
  if (known !== undefined) return known;
  const read = readCertificate(der);
  if (typeof read !== 'string') ROOTS.set(der, read);
  return read;
}

/** What was true of these very bytes stays true; whether they are valid now is asked each time. */
async function isSignedByKnown(certificate: X509Certificate, root: X509Certificate): Promise<boolean> {
  if (SIGNED_BY.get(certificate) === root) return true;
  const isSigned = await isSignedBy(certificate, root);
  if (isSigned) SIGNED_BY.set(certificate, root);
  return isSigned;
}

function mayCertify(root: X509Certificate): boolean {
  return root.isCa && (root.keyUsage & KEY_USAGE.keyCertSign) !== 0;
}

function checkValidity(certificate: X509Certificate, root: X509Certificate, now: Date): Answer {
  if (Number.isNaN(now.getTime())) return fails('the time of the judgement is not known');
  for (const [what, { notBefore, notAfter }] of [
    ['EK certificate', certificate],
    ['vTPM CA’s certificate', root],
  ] as const) {
    if (now < notBefore) return fails(`the ${what} is not valid before ${notBefore.toISOString()}`);
    if (now > notAfter) return fails(`the ${what} has expired on ${notAfter.toISOString()}`);
  }
  return holds(`valid until ${certificate.notAfter.toISOString()}`);
}

/** A name from a certificate is text of whoever made it; only what a terminal prints as itself is shown. */
function printable(text: string): string {
  if (/^[\x20-\x7e]{1,200}$/.test(text)) return `“${text}”`;
  return `a name that cannot be shown (${toHex(utf8(text.slice(0, 32)))}…)`;
}
