// A chain of certificates up to a key that the caller trusts: RFC 5280 section 6, for chains in which each certificate is
// signed by the next. Trust is in public keys, pinned by their fingerprint: no certificate of the sender's becomes a root.
import { equalBytes } from '@ringwall/bytes';
import { fails, holds, type Answer } from './checks.ts';
import { isSignedBy, KEY_USAGE, printableName, type X509Certificate } from './x509.ts';
import { keyFingerprint } from './x509-signature.ts';

/** KeyUsage, SubjectAltName, BasicConstraints, ExtendedKeyUsage: another critical extension refuses (RFC 5280 4.2). */
const UNDERSTOOD_CRITICAL: ReadonlySet<string> = new Set(['551d0f', '551d11', '551d13', '551d25']);

export interface ChainAnswers {
  /** Each is signed by the next, and the last by the pinned key, which is its own. */
  readonly signatures: Answer;
  /** CAs are CAs within their path length, the first is none, nothing critical is unknown. */
  readonly roles: Answer;
  readonly validity: Answer;
}

/** `chain` begins with the certificate of the key in use and ends with the root's. `pins`: fingerprints of root keys. */
export async function checkChain(
  chain: readonly X509Certificate[],
  pins: readonly string[],
  now: Date,
): Promise<ChainAnswers> {
  return {
    signatures: await checkSignatures(chain, pins),
    roles: checkRoles(chain),
    validity: checkValidity(chain, now),
  };
}

async function checkSignatures(chain: readonly X509Certificate[], pins: readonly string[]): Promise<Answer> {
  const root = chain.at(-1);
  if (root === undefined || chain.length < 2) return fails('the chain has no root');
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? root;
    const what = printableName(certificate.subject);
    if (!equalBytes(certificate.issuer.der, issuer.subject.der)) {
      return fails(`${what} names another issuer than ${printableName(issuer.subject)}`);
    }
    if (!(await isSignedBy(certificate, issuer))) {
      return fails(`${what} is not signed by ${printableName(issuer.subject)}`);
    }
  }
  const fingerprint = await keyFingerprint(root.spki);
  if (!pins.includes(fingerprint)) return fails(`the chain ends at a key that is not trusted: ${fingerprint}`);
  return holds(`${chain.length} certificates, up to key ${fingerprint.slice(0, 12)}…`);
}

function checkRoles(chain: readonly X509Certificate[]): Answer {
  for (const [index, certificate] of chain.entries()) {
    const what = printableName(certificate.subject);
    for (const [oid, { critical }] of certificate.extensions) {
      if (critical && !UNDERSTOOD_CRITICAL.has(oid)) {
        return fails(`${what} has an unknown critical extension (OID ${oid} in DER)`);
      }
    }
    if (index === 0) {
      if (certificate.isCa) return fails(`${what} is the certificate of a CA`);
      if (certificate.keyUsage !== 0 && (certificate.keyUsage & KEY_USAGE.digitalSignature) === 0) {
        return fails(`${what} is not for signatures`);
      }
      continue;
    }
    if (!certificate.isCa || (certificate.keyUsage & KEY_USAGE.keyCertSign) === 0) {
      return fails(`${what} may not sign certificates`);
    }
    const casBelow = index - 1;
    if (certificate.pathLength !== undefined && certificate.pathLength < casBelow) {
      return fails(`${what} allows ${certificate.pathLength} CAs below it, here are ${casBelow}`);
    }
  }
  return holds('each for what it is used for');
}

function checkValidity(chain: readonly X509Certificate[], now: Date): Answer {
  if (Number.isNaN(now.getTime())) return fails('the time of the judgement is not known');
  for (const { subject, notBefore, notAfter } of chain) {
    const what = printableName(subject);
    if (now < notBefore) return fails(`${what} is not valid before ${notBefore.toISOString()}`);
    if (now > notAfter) return fails(`${what} has expired on ${notAfter.toISOString()}`);
  }
  const until = new Date(Math.min(...chain.map(({ notAfter }) => notAfter.getTime())));
  return holds(`valid until ${until.toISOString()}`);
}
