// What a proof bundle is worth: its evidence judged anew, and an account of whose word each part rests on.
import { equalBytes } from '@ringwall/bytes';
import type { HostVerdict } from './host/judge.ts';
import type { HostRan } from './host/measured-files.ts';
import type { HostReference } from './host/reference.ts';
import { judgeVtpm } from './judge.ts';
import { short } from './keys.ts';
import { demandedBesides, type EvidenceKind, type Policy } from './policy.ts';
import { judgeHostOfProof } from './proof-host.ts';
import { judgeImaOfProof, type RanVerdict } from './proof-ima.ts';
import { verifyProofSignature, type Proof } from './proof.ts';
import type { ReferenceValues } from './reference.ts';
import { isSignedReference, referenceValues, type SignedReference } from './signed-reference.ts';
import { GOOD_STATUSES, type Check, type Verdict } from './verdict.ts';

/** Clocks of broker and verifier differ; a bundle from further ahead was not made by an honest clock. */
const CLOCK_SKEW_MS: number = 5 * 60 * 1000;

/** Who says so: the caller of this function, the broker whose key the caller gave, the bundle alone, or not even that. */
export type Source = 'caller' | 'broker' | 'bundle' | 'nobody';

/** One thing that a proof rests on and that its evidence cannot show. */
export interface Anchor {
  readonly id: 'broker-key' | 'vtpm-ca' | 'reference' | 'policy' | 'activation' | 'freshness' | 'host' | 'watch';
  readonly what: string;
  readonly source: Source;
}

/**
 * `proven`: judged anew, accepted, and nothing rests on the bundle's own word. `unanchored`: it holds together, but anyone
 * could have made it, for lack of a key or CA that the caller trusts. `refused`: an authentic record of a refusal, or
 * evidence that does not pass now. `invalid`: the bundle contradicts itself or its signature.
 */
export type ProofOutcome = 'proven' | 'unanchored' | 'refused' | 'invalid';

export interface ProofReport {
  readonly outcome: ProofOutcome;
  readonly machine: { readonly id: string; readonly name: string };
  readonly at: Date;
  /** What the broker said then: its word, which the checks compare with the verdict. */
  readonly brokerSaid: Verdict['outcome'];
  /** Of the bundle: signature, times, agreement of what it says with what was judged now. */
  readonly checks: readonly Check[];
  /** Of the evidence, judged now. */
  readonly verdict: Verdict;
  /** What the policy demands beside the machine's own TPM. */
  readonly demanded: readonly EvidenceKind[];
  /** Of the host's evidence, judged now, where the bundle has it and the policy says what a host must show. */
  readonly host?: HostVerdict | undefined;
  /** Of what ran since the boot, judged now, where the bundle has it. */
  readonly ran?: RanVerdict | undefined;
  readonly anchors: readonly Anchor[];
  /** What evidence, host and list of what ran show: true where the outcome is `proven`. */
  readonly proven: readonly string[];
  /** Why it is not `proven`; empty if it is. */
  readonly reasons: readonly string[];
}

/** What the caller trusts for reasons of their own. All of it is better than the bundle's word. */
export interface ProofTrust {
  /** The broker's P-256 key, X and Y. */
  readonly brokerKey?: Uint8Array | undefined;
  /** vTPM CAs, DER. */
  readonly trustedRoots?: readonly Uint8Array[] | undefined;
  /** What must be measured. One that is signed must hold and count, at the time of the boot and now. */
  readonly reference?: ReferenceValues | SignedReference | undefined;
  /** Whose word on that is taken, P-256, X and Y: for `reference`, or where there is none for the bundle's own. */
  readonly referenceKey?: Uint8Array | undefined;
  /** What the host is that ran the machine. */
  readonly hostReference?: HostReference | undefined;
  readonly policy?: Policy | undefined;
  readonly now: Date;
}

export async function verifyProof(proof: Proof, trust: ProofTrust): Promise<ProofReport> {
  const host = await judgeHostOfProof(proof, trust);
  const reference = trust.reference ?? proof.signedReference ?? proof.reference;
  const { verdict, verified } = await judgeVtpm({
    evidence: proof.evidence,
    challenge: proof.challenge,
    policy: trust.policy ?? proof.policy,
    reference,
    referenceTrust: {
      signer: trust.referenceKey,
      // The bundle's own counted then. One that the caller gives now and that has expired is not what they meant to give.
      at: trust.reference === undefined ? undefined : trust.now,
    },
    trustedRoots: trust.trustedRoots ?? proof.vtpmCa,
    hardware: host?.verified === undefined ? [] : [host.verified],
    // Certificates are judged at the time of the boot; whether that time is believed is the broker's anchor.
    now: proof.at,
  });
  const values = isSignedReference(reference) ? referenceValues(reference) : reference;
  const ran = await judgeImaOfProof(proof, { verified, reference: values });
  const signature = await checkBrokerSignature(proof);
  const brokerKey = checkBrokerKey(proof, trust.brokerKey);
  const checks = [signature, brokerKey, checkTime(proof, trust.now), checkAgreement(proof, verdict, trust)];
  // A broker that is trusted stands for a bundle only where the seal is its own, and unbroken.
  const sealed = trust.brokerKey !== undefined && signature.ok && brokerKey.ok;
  const anchors = anchorsOf(proof, { trust, image: values.image.name, sealed, host: host?.verdict });
  return {
    outcome: outcomeOf(proof, checks, { verdict, ran }, anchors),
    machine: proof.machine,
    at: proof.at,
    brokerSaid: proof.verdict.outcome,
    checks,
    verdict,
    demanded: demandedBesides(trust.policy ?? proof.policy),
    ...(host === undefined ? {} : { host: host.verdict }),
    ...(ran === undefined ? {} : { ran }),
    anchors,
    proven: [...verdict.proven, ...(host?.verdict.proven ?? []), ...(ran?.proven ?? [])],
    reasons: reasonsOf(proof, checks, { verdict, host: host?.verdict, ran }, anchors),
  };
}

async function checkBrokerSignature(proof: Proof): Promise<Check> {
  const ok = await verifyProofSignature(proof);
  return {
    id: 'broker-signature',
    title: 'the bundle is signed by the broker key that it names',
    ok,
    detail: ok ? 'ECDSA P-256 with SHA-256' : 'the bundle was altered after the broker signed it, or was never signed',
  };
}

function checkBrokerKey(proof: Proof, trusted: Uint8Array | undefined): Check {
  const title = 'the broker is the one that the caller trusts';
  const { publicKey } = proof.broker;
  if (trusted === undefined) return { id: 'broker-key', title, ok: true, detail: 'not asked: the caller named no key' };
  const ok = equalBytes(publicKey, trusted);
  const detail = ok
    ? `key ${short(publicKey)}`
    : `the bundle is of another broker: its key is ${short(publicKey)}, expected ${short(trusted)}`;
  return { id: 'broker-key', title, ok, detail };
}

function checkTime(proof: Proof, now: Date): Check {
  const ok = proof.at.getTime() <= now.getTime() + CLOCK_SKEW_MS;
  return {
    id: 'time',
    title: 'the bundle is not from the future',
    ok,
    detail: ok ? proof.at.toISOString() : `the bundle says that it was made on ${proof.at.toISOString()}`,
  };
}

/** A broker that says "accepted" of evidence that does not pass is wrong or lies; with other rules, it may just differ. */
function checkAgreement(proof: Proof, verdict: Verdict, trust: ProofTrust): Check {
  const title = 'the broker’s verdict is the one that its own bundle leads to';
  const { reference, referenceKey, hostReference, policy, trustedRoots } = trust;
  const own = [reference, referenceKey, hostReference, policy, trustedRoots].every((given) => given === undefined);
  // A broker knows more than its bundle can show (which nonces were used, what was registered): it may be stricter.
  const ok = !own || proof.verdict.outcome === 'refused' || verdict.outcome === 'accepted';
  const detail = ok
    ? `the broker ${proof.verdict.outcome} it`
    : 'the broker says that it accepted this evidence, which does not pass';
  return { id: 'agreement', title, ok, detail };
}

function anchorsOf(
  proof: Proof,
  given: {
    readonly trust: ProofTrust;
    readonly image: string;
    readonly sealed: boolean;
    readonly host: HostVerdict | undefined;
  },
): readonly Anchor[] {
  const { trust, image, sealed, host } = given;
  const source = (word: unknown): Source => {
    if (word !== undefined) return 'caller';
    return sealed ? 'broker' : 'bundle';
  };
  const { vtpmCa, activation, ima } = proof;
  const roots = (trust.trustedRoots ?? vtpmCa).length;
  return [
    {
      id: 'broker-key',
      what: `broker key ${short(proof.broker.publicKey)}`,
      source: sealed ? 'caller' : 'bundle',
    },
    {
      id: 'vtpm-ca',
      what: roots === 1 ? '1 vTPM CA that may certify TPMs' : `${roots} vTPM CAs that may certify TPMs`,
      source: source(trust.trustedRoots),
    },
    {
      id: 'reference',
      what: `what image ${image} and its firmware measure`,
      source: source(trust.reference ?? trust.referenceKey),
    },
    { id: 'policy', what: 'which PCRs count', source: source(trust.policy) },
    {
      id: 'activation',
      what:
        activation === 'confirmed'
          ? 'that the attestation key is inside the TPM of the EK certificate (its TPM opened the credential)'
          : 'that the attestation key is inside the TPM of the EK certificate',
      source: activation === 'confirmed' ? source(undefined) : 'nobody',
    },
    { id: 'freshness', what: `that the nonce was fresh on ${proof.at.toISOString()}`, source: source(undefined) },
    ...(host === undefined ? [] : [hostAnchor(proof, trust, source)]),
    ...(ima === undefined ? [] : [watchAnchor(ima.at, source)]),
  ];
}

function watchAnchor(at: Date, source: (given: unknown) => Source): Anchor {
  return { id: 'watch', what: `that what ran was asked for on ${at.toISOString()}`, source: source(undefined) };
}

function hostAnchor(proof: Proof, trust: ProofTrust, source: (given: unknown) => Source): Anchor {
  const reference = trust.hostReference ?? proof.host?.reference;
  const what = `what ${reference?.host ?? 'the host'} is: its TPM’s key, its boot and its files, as ${reference?.by ?? ''} saw them`;
  return { id: 'host', what, source: source(trust.hostReference) };
}

function outcomeOf(
  proof: Proof,
  checks: readonly Check[],
  { verdict, ran }: Pick<ProofReport, 'verdict' | 'ran'>,
  anchors: readonly Anchor[],
): ProofOutcome {
  if (checks.some(({ ok }) => !ok)) return 'invalid';
  if (verdict.outcome === 'refused' || proof.verdict.outcome === 'refused') return 'refused';
  if (ran !== undefined && ran.outcome !== 'expected') return 'refused';
  if (proof.activation !== 'confirmed') return 'unanchored';
  return anchors.some(({ source }) => source === 'bundle') ? 'unanchored' : 'proven';
}

function reasonsOf(
  proof: Proof,
  checks: readonly Check[],
  { verdict, host, ran }: Pick<ProofReport, 'verdict' | 'host' | 'ran'>,
  anchors: readonly Anchor[],
): readonly string[] {
  const reasons = checks.filter(({ ok }) => !ok).map(({ detail }) => detail);
  reasons.push(...verdict.reasons, ...(host?.reasons ?? []).map((reason) => `its host: ${reason}`));
  reasons.push(...(ran?.reasons ?? []).map((reason) => `since its boot: ${reason}`));
  if (verdict.outcome === 'accepted' && proof.verdict.outcome === 'refused') {
    reasons.push(...proof.verdict.reasons.map((reason) => `the broker refused it: ${reason}`));
  }
  if (proof.activation !== 'confirmed') {
    reasons.push('the guest never showed that its attestation key is inside the TPM that was made for this machine');
  }
  reasons.push(
    ...anchors.filter(({ source }) => source === 'bundle').map(({ what }) => `only the bundle itself says: ${what}`),
  );
  return reasons;
}

const HEADLINES: Readonly<Record<ProofOutcome, string>> = {
  proven: 'PROVEN',
  unanchored: 'CONSISTENT, NOT PROVEN',
  refused: 'REFUSED',
  invalid: 'INVALID',
};

const SOURCES: Readonly<Record<Source, string>> = {
  caller: 'you gave it',
  broker: 'the broker says so, whose key you gave',
  bundle: 'only the bundle says so',
  nobody: 'nobody says so',
};

/**
 * The report as lines of text for a person. The sentences are this judgement's own; of the bundle's it quotes a broker's
 * reasons to refuse, and nothing that would speak for it.
 */
export function explainProof(report: ProofReport): string[] {
  const { machine, outcome, verdict, host, ran, proven, reasons, anchors } = report;
  const lines = [`${HEADLINES[outcome]}: machine ${machine.name} (${machine.id}), ${report.at.toISOString()}`];
  const claims = outcome === 'proven' ? proven : [];
  if (claims.length > 0) lines.push('', 'Proven:', ...claims.map((sentence) => `  ${sentence}`));
  if (reasons.length > 0) lines.push('', 'Not proven, because:', ...reasons.map((sentence) => `  ${sentence}`));
  if (outcome === 'unanchored') {
    lines.push('', 'If that is true, then:', ...proven.map((sentence) => `  ${sentence}`));
  }
  lines.push('', 'Rests on:', ...anchors.map(({ what, source }) => `  ${what}: ${SOURCES[source]}`));
  const measured = verdict.events.filter(({ status }) => status !== 'not-measured');
  const wrong = measured.filter(({ status }) => !GOOD_STATUSES.has(status));
  lines.push('', `Measured: ${measured.length - wrong.length} of ${measured.length} events as expected`);
  lines.push(ran === undefined ? 'Ran: nothing is in this proof of what ran since the boot' : describeRan(ran));
  if (host?.ran !== undefined) lines.push(...describeRanOnHost(host.ran));
  return lines;
}

/** Each file that is not of the image stands among the reasons. */
function describeRan({ at, files }: RanVerdict): string {
  const known = files.filter(({ status }) => status === 'expected').length;
  return `Ran: ${known} of ${files.length} files are of the image, up to ${at.toISOString()}`;
}

/** What ran on the host beside what is known: for whoever reads, since nobody judged it. */
function describeRanOnHost({ entries, known, otherCount, others }: HostRan): readonly string[] {
  const rest = otherCount - others.length;
  return [
    `On the host: ${entries} files ran, of the reference ${known}, others ${otherCount}`,
    ...others.map(({ path, sha256 }) => `  ${path} ${short(sha256)}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}
