// The certificate of an endorsement key: TCG EK Credential Profile 2.5 section 3, RFC 5280. Its bytes come from whoever
// sends evidence; the roots come from the caller.
import * as x509 from '@peculiar/x509';
import { equalBytes, toHex, unshared, Writer } from '@ringwall/bytes';
import { ekTemplate, parsePublic, type TPMT_PUBLIC } from '@ringwall/tpm';
import { fails, holds, type Answer } from './checks.ts';

/** tcg-kp-EKCertificate, EK Credential Profile 3.2.16. */
const TCG_KP_EK_CERTIFICATE = '2.23.133.8.1';
const COMMON_NAME = '2.5.4.3';
/** Extensions that are looked at here or that change nothing (RFC 5280 section 4.2.1); another critical one refuses. */
const UNDERSTOOD_CRITICAL: ReadonlySet<string> = new Set(['2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.37']);
const STRONG_HASHES: ReadonlySet<string> = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
const MIN_RSA_BITS = 2048;
const COORDINATE_BYTES = 32;

/** A certificate that could be read: still only bytes that somebody sent. */
export interface EkCertificate {
  readonly x509: x509.X509Certificate;
  /** The key in it, as the TPM's template makes it: what MakeCredential is done for. */
  readonly ekPublic: TPMT_PUBLIC;
}

/** Reads the certificate. A sentence where it cannot be. */
export async function readEkCertificate(der: Uint8Array): Promise<EkCertificate | string> {
  const certificate = readCertificate(der);
  if (typeof certificate === 'string') return `the EK certificate ${certificate}`;
  const ekPublic = await ekPublicOf(certificate);
  if (ekPublic === undefined) return 'the EK certificate is not for an ECC P-256 key';
  return { x509: certificate, ekPublic };
}

/** ek-chain and ek-validity: the root that signed it, and whether both are valid at `now`. */
export async function checkEkChain(
  certificate: x509.X509Certificate,
  trustedRoots: readonly Uint8Array[],
  now: Date,
): Promise<{ readonly chain: Answer; readonly validity: Answer }> {
  if (trustedRoots.length === 0) return unrooted('no vTPM CA is trusted');
  const roots = trustedRoots.map((root) => readCertificate(root)).filter((root) => typeof root !== 'string');
  if (roots.length === 0) return unrooted('none of the trusted vTPM CAs can be read');
  for (const root of roots) {
    if (!equalBytes(nameBytes(certificate.issuerName), nameBytes(root.subjectName))) continue;
    if (!isCa(root) || !(await isSignedBy(certificate, root))) continue;
    return { chain: holds(`signed by ${describeName(root)}`), validity: checkValidity(certificate, root, now) };
  }
  return unrooted(
    `the EK certificate is not signed by a vTPM CA that is trusted: its issuer calls itself ${describeIssuer(certificate)}`,
  );
}

/** ek-usage: an endorsement certificate, of a key that agrees on secrets and signs nothing. */
export function checkEkUsage(certificate: x509.X509Certificate): Answer {
  const oids = certificate.extensions.map((extension) => extension.type);
  if (new Set(oids).size !== oids.length) return fails('the EK certificate has an extension twice');
  const strange = certificate.extensions.find(({ critical, type }) => critical && !UNDERSTOOD_CRITICAL.has(type));
  if (strange !== undefined) return fails(`the EK certificate has the unknown critical extension ${strange.type}`);
  const purposes = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [];
  if (!purposes.some((purpose) => purpose === TCG_KP_EK_CERTIFICATE)) {
    return fails('the EK certificate is not one for an endorsement key (extended key usage 2.23.133.8.1 is missing)');
  }
  if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca === true) {
    return fails('the EK certificate is one of a CA');
  }
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  if (usages !== x509.KeyUsageFlags.keyAgreement) {
    return fails('the EK certificate’s key usage is not key agreement alone');
  }
  return holds('endorsement key, key agreement');
}

/** ek-machine: the subject's common name is the machine's id. */
export function checkEkMachine(certificate: x509.X509Certificate, machine: string): Answer {
  const names = certificate.subjectName.getField(COMMON_NAME);
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
export function describeIssuer(certificate: x509.X509Certificate): string {
  return printable(certificate.issuer);
}

function unrooted(detail: string): { readonly chain: Answer; readonly validity: Answer } {
  return { chain: fails(detail), validity: fails('the EK certificate’s validity has no CA to rest on') };
}

/** Odd encodings are refused, not repaired: an NV index padded with zeros or ones is for the sender to trim. */
function readCertificate(der: Uint8Array): x509.X509Certificate | string {
  const length = derLength(der);
  if (length === undefined) return 'is not DER';
  if (length !== der.length) return `has ${der.length} bytes, expected ${length} as its DER says`;
  try {
    const certificate = new x509.X509Certificate(unshared(der));
    // Getters parse late; what cannot be read must show here.
    void [certificate.notBefore, certificate.notAfter, certificate.subject, certificate.issuer, certificate.extensions];
    return certificate;
  } catch {
    return 'cannot be read as X.509';
  }
}

/** Bytes of the outer SEQUENCE in its shortest definite form (X.690 section 10.1), or undefined. */
function derLength(der: Uint8Array): number | undefined {
  const [tag, first = 0, second = 0, third = 0] = der;
  if (tag !== 0x30) return undefined;
  if (first < 0x80) return 2 + first;
  if (first === 0x81 && second >= 0x80) return 3 + second;
  if (first === 0x82 && second > 0) return 4 + second * 256 + third;
  return undefined;
}

async function ekPublicOf(certificate: x509.X509Certificate): Promise<TPMT_PUBLIC | undefined> {
  let point: Uint8Array;
  try {
    const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
    const key = await crypto.subtle.importKey('spki', certificate.publicKey.rawData, algorithm, true, []);
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

function isCa(root: x509.X509Certificate): boolean {
  const mayCertify = root.getExtension(x509.BasicConstraintsExtension)?.ca === true;
  const usages = root.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  return mayCertify && (usages & x509.KeyUsageFlags.keyCertSign) !== 0;
}

async function isSignedBy(certificate: x509.X509Certificate, root: x509.X509Certificate): Promise<boolean> {
  try {
    if (!STRONG_HASHES.has(certificate.signatureAlgorithm.hash.name)) return false;
    const algorithm = root.publicKey.algorithm;
    if ('modulusLength' in algorithm && Number(algorithm.modulusLength) < MIN_RSA_BITS) return false;
    return await certificate.verify({ publicKey: root.publicKey, signatureOnly: true });
  } catch {
    return false; // an algorithm that WebCrypto lacks, or a signature that is no DER
  }
}

function checkValidity(certificate: x509.X509Certificate, root: x509.X509Certificate, now: Date): Answer {
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

function describeName(root: x509.X509Certificate): string {
  return printable(root.subject);
}

function nameBytes(name: x509.Name): Uint8Array {
  return new Uint8Array(name.toArrayBuffer());
}

/** A name from a certificate is text of whoever made it; only what a terminal prints as itself is shown. */
function printable(text: string): string {
  if (/^[\x20-\x7e]{1,200}$/.test(text)) return `“${text}”`;
  return `a name that cannot be shown (${toHex(new TextEncoder().encode(text.slice(0, 32)))}…)`;
}
