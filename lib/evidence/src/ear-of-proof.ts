// A proof's report in the words of EAR: what was seen of each of the eight things that AR4SI speaks of, and nothing more.
import { unshared, utf8 } from '@ringwall/bytes';
import { toBase64Url } from './base64.ts';
import { canonicalJson } from './canonical-json.ts';
import { chainOf, type Link, type LinkId } from './chain.ts';
import { EAR_PROFILE, tierOf, type Ear, type EarProfile, type EarStatus, type TrustVector } from './ear.ts';
import { policyJson } from './policy.ts';
import type { ProofReport } from './proof-report.ts';
import type { Proof } from './proof.ts';

/** Values of AR4SI section 2.3.4 that are used here. */
const NO_CLAIM = 0;
const AFFIRMED = 2;
/** Executables: approved ones were loaded during boot; nothing is said of later. */
const APPROVED_AT_BOOT = 3;
/** Storage: secrets are encrypted, by keys that a vTPM holds and no hardware. */
const ENCRYPTED_BY_SOFTWARE = 3;
const WARNED = 32;
const CONTRAINDICATED = 96;
/** Instance identity: not recognised. */
const UNRECOGNISED = 97;

/** `report` must be of `proof`. A result expires when the policy's age is over, if it sets one. */
export async function earOfProof(
  proof: Proof,
  report: ProofReport,
  verifier: Ear['verifier'],
  profile: EarProfile = EAR_PROFILE,
): Promise<Ear> {
  const vector = vectorOf(proof, report);
  const { policy } = proof;
  const maxAgeSeconds = policy.version === 2 ? policy.freshness?.maxAgeSeconds : undefined;
  return {
    profile,
    issuedAt: proof.at,
    ...(maxAgeSeconds === undefined ? {} : { expires: new Date(proof.at.getTime() + maxAgeSeconds * 1000) }),
    verifier,
    nonce: proof.challenge.nonce,
    appraisals: [
      { name: proof.machine.id, status: statusOf(report, vector), vector, policyIds: [await policyId(proof)] },
    ],
  };
}

function statusOf({ outcome }: ProofReport, vector: TrustVector): EarStatus {
  // A part that is refused refuses the whole, and a whole that rests on somebody's bare word is a warning at best.
  if (outcome === 'refused' || outcome === 'invalid') return 'contraindicated';
  if (Object.values(vector).some((value) => tierOf(value) === 'contraindicated')) return 'contraindicated';
  return outcome === 'proven' ? 'affirming' : 'warning';
}

function vectorOf(proof: Proof, report: ProofReport): TrustVector {
  const links = new Map(chainOf(report).map((link) => [link.id, link]));
  const of = (id: LinkId): Link['state'] => links.get(id)?.state ?? 'absent';
  const worst = (ids: readonly LinkId[], good: number): number =>
    Math.max(...ids.map((id) => valueOf(of(id), good)), NO_CLAIM);
  const processes = of('processes');
  return {
    'instance-identity': of('tpm') === 'broken' ? UNRECOGNISED : valueOf(of('tpm'), AFFIRMED),
    configuration: valueOf(of('firmware'), AFFIRMED),
    executables:
      processes === 'absent'
        ? worst(['firmware', 'boot-loader', 'kernel'], APPROVED_AT_BOOT)
        : worst(['firmware', 'boot-loader', 'kernel', 'processes'], AFFIRMED),
    'file-system': valueOf(of('system-image'), AFFIRMED),
    hardware: NO_CLAIM,
    'runtime-opaque': NO_CLAIM,
    'storage-opaque':
      report.outcome === 'proven' && proof.activation === 'confirmed' ? ENCRYPTED_BY_SOFTWARE : NO_CLAIM,
    'sourced-data': NO_CLAIM,
  };
}

function valueOf(state: Link['state'], good: number): number {
  return { holds: good, claimed: WARNED, broken: CONTRAINDICATED, absent: NO_CLAIM }[state];
}

/** RFC 6920: the policy by its digest. */
async function policyId({ policy }: Proof): Promise<string> {
  const text = unshared(utf8(canonicalJson(policyJson(policy))));
  return `ni:///sha-256;${toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', text)))}`;
}
