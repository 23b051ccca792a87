// Who must have signed an image before it is let in: a small file of the operator's (signature-policy.schema.json). It names signers,
// and says of which images which of them must have signed. What it does not speak of is refused.
import { isObject, listOf, malformed, parseJsonObject, textOf, textsOf, type JsonObject } from '../manifests/json.ts';
import { DEFAULT_DOMAIN } from '../references/reference.ts';
import { matchesPattern, patternFault } from './pattern.ts';

export const SIGNATURE_POLICY_FORMAT = 'ringwall-signature-policy/1';
/** What `cosign sign` states of an image, and nothing else about it. */
export const SIGNED_BY_COSIGN = 'https://sigstore.dev/cosign/sign/v1';

const WHAT = 'signature policy';
/** Each costs a verification for each signature that is found. */
const MAX_KEYS = 16;
const MAX_SIGNERS = 100;
const MAX_IMAGES = 1000;
const SIGNER_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const SIGNED_NAMES = ['repository', 'reference', 'any'] as const;

/**
 * How the name within a signature is held against the one that was asked for: the same repository; with the same tag; or not at all,
 * where the digest alone counts.
 */
export type SignedName = (typeof SIGNED_NAMES)[number];

/** Of a certificate: who vouched for the login, and whose it was. */
export interface PolicyIdentity {
  readonly issuer: string;
  /** A pattern. */
  readonly subject: string;
}

/** One of its keys or identities is enough. */
export interface PolicySigner {
  readonly name: string;
  /** Files of public keys, from the folder of the policy. */
  readonly keys: readonly string[];
  readonly identities: readonly PolicyIdentity[];
  /** A signature by a key must be in the transparency log, too. */
  readonly mustBeLogged: boolean;
  /** What a signed statement must state; a plain signature states the same as `SIGNED_BY_COSIGN`. */
  readonly predicateType: string;
}

export interface PolicyEntry {
  readonly names: readonly string[];
  /** All of them; empty where `unsigned` says why nobody must. */
  readonly signedBy: readonly PolicySigner[];
  readonly signedName: SignedName;
  /** '' where somebody must have signed. */
  readonly unsigned: string;
}

export interface SignaturePolicy {
  /** A file, from the folder of the policy; '' where there are only keys. */
  readonly trustedRoot: string;
  readonly images: readonly PolicyEntry[];
}

/** Throws OciError: of a policy with a slip of the pen, nothing is believed. */
export function parseSignaturePolicy(bytes: Uint8Array): SignaturePolicy {
  const document = parseJsonObject(bytes, WHAT);
  refuseOthers(document, ['$schema', 'format', 'trustedRoot', 'signers', 'images']);
  if (document['format'] !== SIGNATURE_POLICY_FORMAT) throw malformed(WHAT, `is not of ${SIGNATURE_POLICY_FORMAT}`);
  const trustedRoot = textOf(document, 'trustedRoot', WHAT);
  const signers = parseSigners(document['signers']);
  const images = listOf(document, 'images', WHAT).map((value) => parseEntry(value, signers));
  if (images.length === 0) throw malformed(WHAT, 'speaks of no images: it would refuse all of them');
  if (images.length > MAX_IMAGES) throw malformed(WHAT, `has more than ${String(MAX_IMAGES)} entries of images`);
  for (const { name, identities, mustBeLogged } of signers.values()) {
    if (trustedRoot === '' && (identities.length > 0 || mustBeLogged))
      throw malformed(WHAT, `has no trustedRoot, by which alone ${name} can be judged`);
  }
  return { trustedRoot, images };
}

/** The first entry that speaks of a repository, as `canonicalName` has it. */
export function entryFor({ images }: SignaturePolicy, name: string): PolicyEntry | undefined {
  return images.find(({ names }) => names.some((pattern) => matchesPattern(pattern, name)));
}

function parseSigners(value: unknown): ReadonlyMap<string, PolicySigner> {
  if (value === undefined) return new Map();
  if (!isObject(value)) throw malformed(WHAT, 'has signers that are no object');
  const names = Object.keys(value);
  if (names.length > MAX_SIGNERS) throw malformed(WHAT, `has more than ${String(MAX_SIGNERS)} signers`);
  return new Map(names.map((name) => [name, parseSigner(name, value[name])]));
}

function parseSigner(name: string, value: unknown): PolicySigner {
  const what = `signer “${name.slice(0, 64)}”`;
  if (!SIGNER_NAME.test(name)) throw malformed(WHAT, `has a ${what}: lower-case letters, digits and “-”`);
  if (!isObject(value)) throw malformed(WHAT, `has a ${what} that is no object`);
  refuseOthers(value, ['keys', 'identities', 'log', 'predicateType']);
  const keys = textsOf(value, 'keys', WHAT);
  const identities = listOf(value, 'identities', WHAT).map((each) => parseIdentity(each, what));
  if (keys.length + identities.length === 0 || keys.includes(''))
    throw malformed(WHAT, `gives ${what} no key and no identity`);
  if (keys.length + identities.length > MAX_KEYS)
    throw malformed(WHAT, `gives ${what} more than ${String(MAX_KEYS)} keys and identities`);
  const log = Object.hasOwn(value, 'log') ? value['log'] : false;
  if (typeof log !== 'boolean') throw malformed(WHAT, `says of ${what} a log that is neither true nor false`);
  const predicateType = textOf(value, 'predicateType', WHAT) || SIGNED_BY_COSIGN;
  return { name, keys, identities, mustBeLogged: log, predicateType };
}

function parseIdentity(value: unknown, what: string): PolicyIdentity {
  if (!isObject(value)) throw malformed(WHAT, `gives ${what} an identity that is no object`);
  refuseOthers(value, ['issuer', 'subject']);
  const [issuer, subject] = [textOf(value, 'issuer', WHAT), textOf(value, 'subject', WHAT)];
  // Anybody can have an address at an issuer that nobody named.
  if (issuer === '' || subject === '') throw malformed(WHAT, `gives ${what} an identity without issuer or subject`);
  const fault = patternFault(subject);
  if (fault !== undefined) throw malformed(WHAT, `gives ${what} a subject that ${fault}`);
  return { issuer, subject };
}

function parseEntry(value: unknown, signers: ReadonlyMap<string, PolicySigner>): PolicyEntry {
  if (!isObject(value)) throw malformed(WHAT, 'has an entry of images that is no object');
  refuseOthers(value, ['names', 'signedBy', 'signedName', 'unsigned']);
  const names = textsOf(value, 'names', WHAT);
  if (names.length === 0) throw malformed(WHAT, 'has an entry of images without names');
  for (const name of names) checkNamePattern(name);
  const shown = names[0] ?? '';
  const signedBy = textsOf(value, 'signedBy', WHAT).map((name) => {
    const signer = signers.get(name);
    if (signer === undefined) throw malformed(WHAT, `has no signer “${name.slice(0, 64)}”, who must sign ${shown}`);
    return signer;
  });
  const unsigned = textOf(value, 'unsigned', WHAT).trim();
  if ((signedBy.length === 0) === (unsigned === ''))
    throw malformed(WHAT, `says of ${shown} neither, or both: who must have signed, and why nobody must`);
  const wanted = textOf(value, 'signedName', WHAT) || 'repository';
  const signedName = SIGNED_NAMES.find((each) => each === wanted);
  if (signedName === undefined || (unsigned !== '' && Object.hasOwn(value, 'signedName')))
    throw malformed(
      WHAT,
      `says of ${shown} a signedName that is not one of ${SIGNED_NAMES.join(', ')}, or of no signature`,
    );
  return { names, signedBy, signedName, unsigned };
}

/** Whole names only: what a short one means, a reader should not have to know. */
function checkNamePattern(pattern: string): void {
  const fault = patternFault(pattern);
  if (fault !== undefined) throw malformed(WHAT, `has a name that ${fault}`);
  const [domain = '', ...rest] = pattern.split('/');
  if (pattern === '**' || (rest.length > 0 && /^localhost$|[.:]/.test(domain) && !domain.includes('*'))) return;
  throw malformed(
    WHAT,
    `has “${pattern.slice(0, 100)}”, a name without its registry, as in ${DEFAULT_DOMAIN}/library/*`,
  );
}

function refuseOthers(object: JsonObject, known: readonly string[]): void {
  const odd = Object.keys(object).find((key) => !known.includes(key));
  if (odd !== undefined) throw malformed(WHAT, `has “${odd.slice(0, 50)}”, which means nothing`);
}
