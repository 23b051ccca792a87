// An attestation result for other systems: EAR, draft-ietf-rats-ear-04, as a JWT (RFC 7519) with ES256 (RFC 7518 section
// 3.4). What the values of a trustworthiness vector mean: AR4SI, draft-ietf-rats-ar4si section 2.3.
// Relying parties that were written before draft 04 spell the claims with dots; the profile says which spelling it is.
import { unshared, utf8 } from '@ringwall/bytes';
import { fromBase64Url, toBase64Url } from './base64.ts';
import { canonicalJson, type JsonValue } from './canonical-json.ts';
import { CLOCK_SKEW_SECONDS } from './policy.ts';
import { EvidenceError } from './errors.ts';
import { POINT_BYTES, SIGNATURE_BYTES, verifySigned, type Signer } from './signer.ts';

export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#04';
/** That of Veraison and Trustee before draft 04. */
export const EAR_PROFILE_DOTTED = 'tag:github.com,2023:veraison/ear';
export type EarProfile = typeof EAR_PROFILE | typeof EAR_PROFILE_DOTTED;

/** Ours has 2 KiB; one with the annotated evidence of a large platform has some ten. */
export const MAX_EAR_BYTES: number = 64 * 1024;
/** A machine, its host, their processors and devices. */
const MAX_APPRAISALS = 64;
/** A result that nobody made a statement about the age of is not for ever. */
const DEFAULT_MAX_AGE_SECONDS = 24 * 3600;

export const EAR_STATUSES = ['none', 'affirming', 'warning', 'contraindicated'] as const;
export type EarStatus = (typeof EAR_STATUSES)[number];

export const TRUST_CLAIMS = [
  'instance-identity',
  'configuration',
  'executables',
  'file-system',
  'hardware',
  'runtime-opaque',
  'storage-opaque',
  'sourced-data',
] as const;
export type TrustClaim = (typeof TRUST_CLAIMS)[number];

/** 0: nothing is said. 2 to 31: affirming. 32 to 95: warning. From 96: contraindicated. Negative values: see AR4SI. */
export type TrustVector = Readonly<Partial<Record<TrustClaim, number>>>;

export interface Appraisal {
  /** Of what: a machine's id. */
  readonly name: string;
  readonly status: EarStatus;
  readonly vector: TrustVector;
  /** Which policies it was appraised by. */
  readonly policyIds: readonly string[];
}

export interface Ear {
  readonly profile: EarProfile;
  readonly issuedAt: Date;
  readonly expires?: Date | undefined;
  readonly verifier: { readonly developer: string; readonly build: string };
  /** What the evidence answered. */
  readonly nonce?: Uint8Array | undefined;
  readonly appraisals: readonly Appraisal[];
}

/** What the caller demands of a token. */
export interface EarTrust {
  /** The verifier's P-256 key, X and Y. It must not come from the token or its sender. */
  readonly publicKey: Uint8Array;
  readonly now: Date;
  readonly maxAgeSeconds?: number | undefined;
  /** The nonce that the caller gave to the verifier. */
  readonly nonce?: Uint8Array | undefined;
}

/** The token, as three parts in base64url with dots. */
export async function signEar(ear: Ear, signer: Signer): Promise<string> {
  const header: JsonValue = { alg: 'ES256', typ: 'JWT', kid: await keyThumbprint(signer.publicKey) };
  const signed = `${encodePart(header)}.${encodePart(claimsOf(ear))}`;
  const signature = await signer.sign(utf8(signed));
  return `${signed}.${toBase64Url(signature)}`;
}

/** The result in a token whose signature holds, that is not too old, and that names a profile known here. Throws EvidenceError. */
export async function verifyEar(token: string, trust: EarTrust): Promise<Ear> {
  if (token.length > MAX_EAR_BYTES) refuse(`it has ${token.length} characters, at most ${MAX_EAR_BYTES}`);
  const parts = token.split('.');
  const [header = '', payload = '', signatureText = ''] = parts;
  if (parts.length !== 3) refuse(`it has ${parts.length} parts, expected 3`);
  // The algorithm is the caller's, never the token's: its header can only agree.
  const { alg, crit } = decodePart(header, 'header');
  if (alg !== 'ES256') refuse('its header names another algorithm than ES256');
  if (crit !== undefined) refuse('its header has extensions that must be understood');
  const signature = fromBase64Url(signatureText);
  if (signature?.length !== SIGNATURE_BYTES) return refuse('its signature is not one of ES256');
  const signed = utf8(`${header}.${payload}`);
  if (!(await verifySigned(trust.publicKey, signature, signed))) refuse('its signature is not that of the verifier');
  const ear = readClaims(decodePart(payload, 'claims'));
  checkTimes(ear, trust);
  if (trust.nonce !== undefined && toBase64Url(ear.nonce ?? new Uint8Array()) !== toBase64Url(trust.nonce)) {
    refuse('it answers another question: its nonce is not the one that was asked with');
  }
  return ear;
}

/** RFC 7638: the digest of a key as a JWK, by which a relying party finds it. */
export async function keyThumbprint(publicKey: Uint8Array): Promise<string> {
  const [x, y] = [publicKey.subarray(0, POINT_BYTES / 2), publicKey.subarray(POINT_BYTES / 2)];
  const jwk = canonicalJson({ crv: 'P-256', kty: 'EC', x: toBase64Url(x), y: toBase64Url(y) });
  return toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(utf8(jwk)))));
}

/** The tier of AR4SI section 2.3.2 that a value is in. */
export function tierOf(value: number): EarStatus {
  if (value >= 96 || value <= -97) return 'contraindicated';
  if (value >= 32 || value <= -33) return 'warning';
  return value >= 2 || value <= -2 ? 'affirming' : 'none';
}

interface Spelling {
  readonly verifierId: string;
  readonly status: string;
  readonly vector: string;
  readonly policyIds: string;
}

const SPELLINGS: Readonly<Record<EarProfile, Spelling>> = {
  [EAR_PROFILE]: {
    verifierId: 'ear_verifier_id',
    status: 'ear_status',
    vector: 'ear_trustworthiness_vector',
    policyIds: 'ear_appraisal_policy_ids',
  },
  [EAR_PROFILE_DOTTED]: {
    verifierId: 'ear.verifier-id',
    status: 'ear.status',
    vector: 'ear.trustworthiness-vector',
    policyIds: 'ear.appraisal-policy-id',
  },
};

function claimsOf(ear: Ear): JsonValue {
  const names = SPELLINGS[ear.profile];
  return {
    eat_profile: ear.profile,
    iat: seconds(ear.issuedAt),
    ...(ear.expires === undefined ? {} : { exp: seconds(ear.expires) }),
    ...(ear.nonce === undefined ? {} : { eat_nonce: toBase64Url(ear.nonce) }),
    [names.verifierId]: { developer: ear.verifier.developer, build: ear.verifier.build },
    submods: Object.fromEntries(
      ear.appraisals.map(({ name, status, vector, policyIds }) => [
        name,
        { [names.status]: status, [names.vector]: vectorJson(vector), ...policyJson(ear.profile, policyIds) },
      ]),
    ),
  };
}

function vectorJson(vector: TrustVector): JsonValue {
  return Object.fromEntries(TRUST_CLAIMS.map((claim) => [claim, vector[claim] ?? 0]));
}

/** A list since draft 03, one text before. */
function policyJson(profile: EarProfile, ids: readonly string[]): { readonly [key: string]: JsonValue } {
  const [first] = ids;
  if (first === undefined) return {};
  return { [SPELLINGS[profile].policyIds]: profile === EAR_PROFILE ? ids : first };
}

type Claims = Readonly<Record<string, unknown>>;

function readClaims(claims: Claims): Ear {
  const profile = ([EAR_PROFILE, EAR_PROFILE_DOTTED] as const).find((known) => known === claims['eat_profile']);
  if (profile === undefined) return refuse('its profile is none of those that are known here');
  const names = SPELLINGS[profile];
  const verifier = asObject(claims[names.verifierId], names.verifierId);
  const submods = Object.entries(asObject(claims['submods'], 'submods'));
  if (submods.length === 0) refuse('it appraises nothing');
  if (submods.length > MAX_APPRAISALS) refuse(`it has ${submods.length} appraisals, at most ${MAX_APPRAISALS}`);
  const { exp, eat_nonce: nonce } = claims;
  return {
    profile,
    issuedAt: asTime(claims['iat'], 'iat'),
    ...(exp === undefined ? {} : { expires: asTime(exp, 'exp') }),
    ...(nonce === undefined
      ? {}
      : { nonce: fromBase64Url(asText(nonce, 'eat_nonce')) ?? refuse('its nonce is not base64url') }),
    verifier: { developer: asText(verifier['developer'], 'developer'), build: asText(verifier['build'], 'build') },
    appraisals: submods.map(([name, value]) => readAppraisal(name, asObject(value, 'an appraisal'), names)),
  };
}

function readAppraisal(name: string, claims: Claims, names: Spelling): Appraisal {
  const status = EAR_STATUSES.find((known) => known === claims[names.status]);
  if (status === undefined) return refuse(`${names.status} is none of ${EAR_STATUSES.join(', ')}`);
  const given = claims[names.vector] === undefined ? {} : asObject(claims[names.vector], names.vector);
  const vector = Object.fromEntries(
    TRUST_CLAIMS.map((claim) => {
      const value = given[claim] ?? 0;
      // AR4SI gives each claim one signed byte.
      if (typeof value !== 'number' || !Number.isInteger(value) || value < -128 || value > 127) {
        return refuse(`${claim} is not a whole number of -128..127`);
      }
      return [claim, value];
    }),
  );
  const ids = claims[names.policyIds];
  const policyIds =
    ids === undefined ? [] : (Array.isArray(ids) ? ids : [ids]).map((id) => asText(id, names.policyIds));
  // An appraiser's status is never better than what it says of the parts (draft section 3.3).
  const worst = Math.max(...TRUST_CLAIMS.map((claim) => rank(tierOf(vector[claim] ?? 0))));
  if (rank(status) < worst && status !== 'none') refuse(`it calls ${status} what its own vector does not`);
  return { name, status, vector, policyIds };
}

function rank(status: EarStatus): number {
  return EAR_STATUSES.indexOf(status);
}

function checkTimes({ issuedAt, expires }: Ear, { now, maxAgeSeconds = DEFAULT_MAX_AGE_SECONDS }: EarTrust): void {
  const age = seconds(now) - seconds(issuedAt);
  if (!Number.isFinite(age)) refuse('the time of the check is not known');
  if (age < -CLOCK_SKEW_SECONDS) refuse(`it is from ${issuedAt.toISOString()}, in the future`);
  if (age > maxAgeSeconds) refuse(`it is ${age} s old, at most ${maxAgeSeconds} s are accepted`);
  if (expires !== undefined && seconds(now) > seconds(expires)) refuse(`it expired on ${expires.toISOString()}`);
}

function encodePart(value: JsonValue): string {
  return toBase64Url(utf8(canonicalJson(value)));
}

function decodePart(part: string, what: string): Claims {
  const bytes = fromBase64Url(part);
  if (bytes === undefined) return refuse(`its ${what} is not base64url in its one spelling`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EvidenceError('token-invalid', `the token is refused: its ${what} is not JSON`, { cause });
  }
  return asObject(value, what);
}

/** Claims that nobody asks for are let through: a profile may be extended. */
function asObject(value: unknown, what: string): Claims {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(`${what} is not an object`);
  return Object.fromEntries(Object.entries(value));
}

function asText(value: unknown, what: string): string {
  return typeof value === 'string' ? value : refuse(`${what} is not a text`);
}

/** RFC 7519 NumericDate; ECMAScript's dates end in the year 275760. */
function asTime(value: unknown, what: string): Date {
  if (typeof value !== 'number' || !(value >= 0 && value <= 8.64e12)) return refuse(`${what} is not a time`);
  return new Date(value * 1000);
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function refuse(message: string): never {
  throw new EvidenceError('token-invalid', `the token is refused: ${message}`);
}
