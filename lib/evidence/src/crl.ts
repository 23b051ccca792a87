// Certificate revocation lists, RFC 5280 section 5: complete lists of one issuer only. Delta, indirect and partial lists
// say so in critical extensions, and those are refused.
import { equalBytes, ParseError, toHex } from '@ringwall/bytes';
import { DER_TAG, DerReader, type DerValue } from './der.ts';
import { fails, holds, type Answer } from './checks.ts';
import { verifySigned, type Signed } from './x509-signature.ts';
import {
  bitString,
  KEY_USAGE,
  printableName,
  readExtensions,
  readName,
  readTime,
  type X509Certificate,
  type X509Extension,
  type X509Name,
} from './x509.ts';

/** Intel's lists have about 3 KiB; 256 KiB hold five thousand revoked certificates. */
export const MAX_CRL_BYTES: number = 256 * 1024;
/** One for each issuer of a chain, and of the chain that signs collateral. */
export const MAX_CRLS = 8;

/** CRL Number and Authority Key Identifier are informative here; any critical extension refuses the list. */
export interface X509Crl extends Signed {
  readonly issuer: X509Name;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Serial numbers as `serialKey` writes them. */
  readonly revoked: ReadonlySet<string>;
}

export interface RevocationQuestion {
  /** Every certificate that must not be revoked; also the issuers of the lists. */
  readonly certificates: readonly X509Certificate[];
  /** Issuers of which a list must be there. */
  readonly demanded: readonly X509Certificate[];
  readonly crls: readonly Uint8Array[];
  readonly now: Date;
  /** Why a policy does without the lists that are missing. */
  readonly missingAllowed: string | undefined;
}

export interface RevocationAnswers {
  /** The demanded lists are there, signed by their issuers. */
  readonly lists: Answer;
  /** And they are current. */
  readonly fresh: Answer;
  readonly revoked: Answer;
}

/** Exactly one list; throws ParseError. */
export function parseCrl(der: Uint8Array): X509Crl {
  if (der.length > MAX_CRL_BYTES) {
    throw new ParseError('limit', 'CertificateList', 0, `has ${der.length} bytes, expected at most ${MAX_CRL_BYTES}`);
  }
  const outer = new DerReader(der);
  const list = outer.sequence('CertificateList');
  outer.end('CertificateList');
  const tbs = list.read(DER_TAG.SEQUENCE, 'tbsCertList');
  const algorithm = list.read(DER_TAG.SEQUENCE, 'signatureAlgorithm');
  const signature = bitString(list.read(DER_TAG.BIT_STRING, 'signatureValue'), 'signatureValue');
  list.end('CertificateList');

  const fields = new DerReader(tbs.content);
  if (toHex(fields.read(DER_TAG.INTEGER, 'version').content) !== '01') throw invalid('version', 'is not 2, expected 2');
  if (!equalBytes(fields.read(DER_TAG.SEQUENCE, 'signature').whole, algorithm.whole)) {
    throw invalid('signature', 'differs from signatureAlgorithm, expected the same');
  }
  const issuer = readName(fields.read(DER_TAG.SEQUENCE, 'issuer'), 'issuer');
  const thisUpdate = readTime(fields.readAny('thisUpdate'), 'thisUpdate');
  // Optional in the grammar, demanded by RFC 5280 section 5.1.2.5: a list that never ends would never be replaced.
  const nextUpdate = readTime(fields.readAny('nextUpdate'), 'nextUpdate');
  const revoked = readRevoked(fields.optional(DER_TAG.SEQUENCE, 'revokedCertificates'));
  refuseCritical(fields.done ? new Map<string, X509Extension>() : readExtensions(fields.read(0xa0, 'crlExtensions')));
  fields.end('tbsCertList');
  return {
    issuer,
    thisUpdate,
    nextUpdate,
    revoked,
    tbs: tbs.whole,
    signatureAlgorithm: algorithm.content,
    signature,
  };
}

/** What lists say about certificates. A list that cannot be read, or that none of the issuers signed, is a failure. */
export async function checkRevocation(question: RevocationQuestion): Promise<RevocationAnswers> {
  const { certificates, demanded, crls, now, missingAllowed } = question;
  if (crls.length > MAX_CRLS) return nothingSaid(`there are ${crls.length} revocation lists, at most ${MAX_CRLS}`);
  const bytes = crls.reduce((total, der) => total + der.length, 0);
  if (bytes > MAX_CRL_BYTES) return nothingSaid(`the revocation lists have ${bytes} bytes, at most ${MAX_CRL_BYTES}`);
  const lists: { readonly issuer: X509Certificate; readonly crl: X509Crl }[] = [];
  for (const [index, der] of crls.entries()) {
    const list = await issuedList(der, certificates);
    if (typeof list === 'string') return nothingSaid(`revocation list ${index + 1} ${list}`);
    lists.push(list);
  }
  const missing = demanded.find((issuer) => !lists.some((list) => list.issuer === issuer));
  if (missing !== undefined && missingAllowed === undefined) {
    return nothingSaid(`the revocation list of ${printableName(missing.subject)} is missing`);
  }
  return {
    lists:
      missing === undefined
        ? holds(`${lists.length} lists`)
        : holds(`no list of ${printableName(missing.subject)}: allowed by the policy, because ${missingAllowed ?? ''}`),
    fresh: checkFresh(
      lists.map(({ crl }) => crl),
      now,
    ),
    revoked: checkRevoked(certificates, lists),
  };
}

/** A serial number without leading zeros, so that two spellings of one number are one. */
export function serialKey(serialNumber: string): string {
  return serialNumber.replace(/^(?:00)+(?=.)/, '');
}

function readRevoked(value: DerValue | undefined): ReadonlySet<string> {
  const revoked = new Set<string>();
  if (value === undefined) return revoked;
  const entries = new DerReader(value.content);
  while (!entries.done) {
    const entry = entries.sequence('revokedCertificate');
    revoked.add(serialKey(toHex(entry.read(DER_TAG.INTEGER, 'userCertificate').content)));
    entry.readAny('revocationDate'); // revoked is revoked, whenever that was
    // removeFromCRL exists in delta lists only, so that every entry here is a revocation, whatever its reason.
    if (!entry.done) {
      const extensions = entry.read(DER_TAG.SEQUENCE, 'crlEntryExtensions');
      refuseCritical(readExtensions({ ...extensions, content: extensions.whole }));
    }
    entry.end('revokedCertificate');
  }
  return revoked;
}

/** IssuingDistributionPoint, DeltaCRLIndicator and CertificateIssuer are critical by RFC 5280: not read, so refused. */
function refuseCritical(extensions: ReadonlyMap<string, X509Extension>): void {
  for (const [oid, { critical }] of extensions) {
    if (critical) throw new ParseError('unsupported', 'extension', 0, `${oid} is critical and not known here`);
  }
}

async function issuedList(
  der: Uint8Array,
  issuers: readonly X509Certificate[],
): Promise<{ readonly issuer: X509Certificate; readonly crl: X509Crl } | string> {
  let crl: X509Crl;
  try {
    crl = parseCrl(der);
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`;
  }
  for (const issuer of issuers) {
    if (!equalBytes(issuer.subject.der, crl.issuer.der) || (issuer.keyUsage & KEY_USAGE.cRLSign) === 0) continue;
    if (await verifySigned(crl, issuer.spki)) return { issuer, crl };
  }
  return `is not signed by an issuer of this chain: it says ${printableName(crl.issuer)}`;
}

function checkFresh(crls: readonly X509Crl[], now: Date): Answer {
  for (const { issuer, thisUpdate, nextUpdate } of crls) {
    const name = printableName(issuer);
    if (!(now >= thisUpdate)) return fails(`the revocation list of ${name} begins on ${thisUpdate.toISOString()}`);
    if (!(now <= nextUpdate)) return fails(`the revocation list of ${name} has expired on ${nextUpdate.toISOString()}`);
  }
  return holds(crls.length === 0 ? 'there is none' : `until ${earliest(crls).toISOString()}`);
}

function checkRevoked(
  certificates: readonly X509Certificate[],
  lists: readonly { readonly issuer: X509Certificate; readonly crl: X509Crl }[],
): Answer {
  for (const certificate of certificates) {
    for (const { issuer, crl } of lists) {
      if (!equalBytes(certificate.issuer.der, issuer.subject.der)) continue;
      if (crl.revoked.has(serialKey(certificate.serialNumber))) {
        return fails(`${printableName(certificate.subject)}, serial number ${certificate.serialNumber}, is revoked`);
      }
    }
  }
  return holds('none is revoked');
}

function earliest(crls: readonly X509Crl[]): Date {
  return new Date(Math.min(...crls.map(({ nextUpdate }) => nextUpdate.getTime())));
}

function nothingSaid(detail: string): RevocationAnswers {
  const unknown = fails('nothing is known about revocation');
  return { lists: fails(detail), fresh: unknown, revoked: unknown };
}

function invalid(field: string, detail: string): ParseError {
  return new ParseError('invalid', field, 0, detail);
}
