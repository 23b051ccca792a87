// The judgement of a vTPM's evidence: does it answer this challenge, does it come from a TPM that was made for this
// machine, and did that machine boot what the reference says? Only a passed judgement makes a Verified.
// It reads as the list of checks (checks.ts); each is a small function of its own in the files that are imported here.
import { encodePublic, nameOf, parsePublic, TPM_ALG, type TPMT_PUBLIC } from '@ringwall/tpm';
import {
  checkCertifiedName,
  checkNonce,
  checkQuotedPcrs,
  checkSameRun,
  checkSignature,
  checkTpmFirmware,
  readCertification,
  readQuote,
  type Certification,
  type Quote,
} from './attestations.ts';
import { checkChallenge, qualifyingData, type Challenge } from './challenge.ts';
import { fails, Findings, holds, type Answer, type CheckId } from './checks.ts';
import {
  checkEkChain,
  checkEkMachine,
  checkEkRegistered,
  checkEkUsage,
  describeIssuer,
  readEkCertificate,
  type EkCertificate,
} from './ek-certificate.ts';
import { checkEvents, judgeEvents } from './event-judgement.ts';
import { bindsVtpm } from './hardware/report-data.ts';
import { certifiedEk } from './host/binding.ts';
import type { HostEvidence } from './host/evidence.ts';
import type { SnpEvidence } from './snp/judge.ts';
import type { TdxEvidence } from './tdx/judge.ts';
import { checkBanks, checkCovered, checkReplay, checkUntouched, studyLog } from './event-log.ts';
import { EVIDENCE_FIELDS, EVIDENCE_LIMITS_BYTES, type VtpmEvidence } from './evidence.ts';
import {
  checkAkAttributes,
  checkBootKeyAttributes,
  checkBootKeyHierarchy,
  checkBootKeyPolicy,
  checkSigner,
  messageOf,
  readAk,
  readKey,
  type KeyClaim,
} from './keys.ts';
import { demandedBesides, parsedPolicy, rulesOf, type EvidenceKind, type Policy } from './policy.ts';
import { judgeReference, type ReferenceTrust } from './judge-reference.ts';
import type { ReferenceValues } from './reference.ts';
import { renderVerdict } from './render-verdict.ts';
import { applyRules } from './rules.ts';
import type { SignedReference } from './signed-reference.ts';
import type { JudgedEvent, Verdict } from './verdict.ts';
import { isVerified, markVerified, type Verified } from './verified.ts';

export type HardwareEvidence = Verified<SnpEvidence> | Verified<TdxEvidence> | Verified<HostEvidence>;

export interface VtpmJudgement {
  readonly evidence: VtpmEvidence;
  readonly challenge: Challenge;
  readonly policy: Policy;
  /** What somebody signed is judged as such: signature, time, and whether the policy lets them. */
  readonly reference: ReferenceValues | SignedReference;
  /** Whose word on it the caller takes, beside what the policy says. */
  readonly referenceTrust?: ReferenceTrust | undefined;
  /** Evidence of the processor or of the host, judged before; whether it vouches for this very TPM is asked here. */
  readonly hardware?: readonly HardwareEvidence[] | undefined;
  /** DER of the vTPM CAs that the caller trusts. They must not come from the evidence or its sender. */
  readonly trustedRoots: readonly Uint8Array[];
  /** The certificate that this machine was registered with, DER. */
  readonly expectedEkCertificate?: Uint8Array | undefined;
  readonly now: Date;
}

export interface Judgement {
  readonly verdict: Verdict;
  /** The evidence, where the verdict is `accepted`. */
  readonly verified: Verified<VtpmEvidence> | undefined;
}

/** What a key may be released to once a judgement has passed. */
export interface ReleaseTargets {
  /** The EK of the certificate: for MakeCredential. */
  readonly ekPublic: TPMT_PUBLIC;
  readonly akName: Uint8Array;
  readonly bootPublic: TPMT_PUBLIC;
  readonly bootKeyName: Uint8Array;
}

/** Judges. Never throws over what it is given: what is wrong is in the verdict. */
export async function judgeVtpm(input: VtpmJudgement): Promise<Judgement> {
  const findings = new Findings();
  const policy = read(findings, 'policy', () => parsedPolicy(input.policy));
  const reference = await judgeReference(findings, {
    given: input.reference,
    policy,
    trust: input.referenceTrust ?? {},
    now: input.now,
  });
  const challenge = read(findings, 'challenge', () => {
    checkChallenge(input.challenge);
    return input.challenge;
  });
  if (policy !== undefined && reference !== undefined) {
    findings.record('reference-quoted', checkQuoted(policy, reference));
  }
  const evidence = takeEvidence(findings, input.evidence);

  const ek = await judgeEkCertificate(findings, evidence, challenge, input);
  if (policy !== undefined) {
    findings.record('evidence-kinds', await checkKinds(demandedBesides(policy), input.hardware ?? [], ek, challenge));
  }
  const ak = await judgeAk(findings, evidence);
  const bootKey = await judgeBootKey(findings, evidence);
  const qualifying =
    challenge === undefined || bootKey === undefined ? undefined : await qualifyingData(challenge, bootKey.name);
  const [quoteSigned, certifySigned] = await judgeSignatures(findings, evidence, ak);
  const quote = await judgeQuote(findings, { evidence, ak, qualifying, policy, signed: quoteSigned });
  const certification = await judgeCertification(findings, {
    evidence,
    ak,
    bootKey,
    qualifying,
    signed: certifySigned,
  });
  await judgeTogether(findings, { quote, certification, bootKey, policy });
  const events = await judgeLog(findings, { evidence, quote, policy, reference, challenge });

  const verdict = renderVerdict(findings, {
    events,
    reference,
    challenge,
    issuer: ek === undefined ? '' : describeIssuer(ek.x509),
  });
  return { verdict, verified: verdict.outcome === 'accepted' ? markVerified(evidence) : undefined };
}

/** The keys of verified evidence. That it is verified is why nothing here is checked again. */
export async function releaseTargets(evidence: Verified<VtpmEvidence>): Promise<ReleaseTargets> {
  if (!isVerified(evidence)) throw new TypeError('evidence that did not come out of a passed judgement');
  const ek = await readEkCertificate(evidence.ekCertificate);
  if (typeof ek === 'string') throw new TypeError(ek);
  return {
    ekPublic: ek.ekPublic,
    akName: await nameOf(evidence.akPublic),
    bootPublic: parsePublic(evidence.bootPublic),
    bootKeyName: await nameOf(evidence.bootPublic),
  };
}

function read<T>(findings: Findings, id: CheckId, parse: () => T): T | undefined {
  try {
    const value = parse();
    findings.record(id, holds('read'));
    return value;
  } catch (error) {
    findings.record(id, fails(`${id}: ${messageOf(error)}`));
    return undefined;
  }
}

/** A copy, so that nobody changes what was judged; a field that is missing or too large becomes empty. */
function takeEvidence(findings: Findings, given: Partial<VtpmEvidence> | undefined): VtpmEvidence {
  const wrong: string[] = [];
  const field = (name: (typeof EVIDENCE_FIELDS)[number]): Uint8Array => {
    const bytes: unknown = given?.[name];
    if (!(bytes instanceof Uint8Array) || bytes.length === 0) wrong.push(`${name} is missing`);
    else if (bytes.length > EVIDENCE_LIMITS_BYTES[name]) {
      wrong.push(`${name} has ${bytes.length} bytes, at most ${EVIDENCE_LIMITS_BYTES[name]}`);
    } else return new Uint8Array(bytes);
    return new Uint8Array();
  };
  const evidence: VtpmEvidence = {
    kind: 'vtpm',
    ekCertificate: field('ekCertificate'),
    akPublic: field('akPublic'),
    bootPublic: field('bootPublic'),
    certify: field('certify'),
    certifySignature: field('certifySignature'),
    quote: field('quote'),
    quoteSignature: field('quoteSignature'),
    eventLog: field('eventLog'),
  };
  if (given?.kind !== 'vtpm') wrong.push('its kind is not vtpm');
  const bytes = EVIDENCE_FIELDS.reduce((total, name) => total + evidence[name].length, 0);
  findings.record(
    'evidence-size',
    wrong.length === 0 ? holds(`${bytes} bytes`) : fails(`the evidence is not whole: ${wrong.join(', ')}`),
  );
  return evidence;
}

async function judgeEkCertificate(
  findings: Findings,
  evidence: VtpmEvidence,
  challenge: Challenge | undefined,
  input: VtpmJudgement,
): Promise<EkCertificate | undefined> {
  findings.record('ek-registered', checkEkRegistered(evidence.ekCertificate, input.expectedEkCertificate));
  const ek = await readEkCertificate(evidence.ekCertificate);
  if (typeof ek === 'string') {
    findings.record('ek-form', fails(ek));
    return undefined;
  }
  findings.record('ek-form', holds(`serial number ${ek.x509.serialNumber}`));
  const { chain, validity } = await checkEkChain(ek.x509, input.trustedRoots, input.now);
  findings.record('ek-chain', chain);
  if (chain.ok) findings.record('ek-validity', validity);
  else findings.claimsBecause('no trusted CA signed this certificate');
  findings.record('ek-usage', checkEkUsage(ek.x509));
  if (challenge !== undefined) findings.record('ek-machine', checkEkMachine(ek.x509, challenge.machine));
  findings.claimsBecause(undefined);
  return ek;
}

async function judgeAk(findings: Findings, evidence: VtpmEvidence): Promise<KeyClaim | undefined> {
  const ak = await readAk(evidence.akPublic);
  if (typeof ak === 'string') {
    findings.record('ak-form', fails(ak));
    return undefined;
  }
  findings.record('ak-form', holds('ECC P-256, ECDSA with SHA-256'));
  findings.record('ak-attributes', checkAkAttributes(ak));
  return ak;
}

async function judgeBootKey(findings: Findings, evidence: VtpmEvidence): Promise<KeyClaim | undefined> {
  const bootKey = await readKey(evidence.bootPublic, 'boot key', TPM_ALG.NULL);
  if (typeof bootKey === 'string') {
    findings.record('boot-key-form', fails(bootKey));
    return undefined;
  }
  findings.record('boot-key-form', holds('ECC P-256'));
  findings.record('boot-key-attributes', checkBootKeyAttributes(bootKey));
  return bootKey;
}

/** Both before anything that they sign is read, and both at once: WebCrypto works on threads of its own. */
async function judgeSignatures(
  findings: Findings,
  evidence: VtpmEvidence,
  ak: KeyClaim | undefined,
): Promise<readonly [quote: boolean, certification: boolean]> {
  if (ak === undefined) return [false, false];
  const [quote, certification] = await Promise.all([
    checkSignature(ak, evidence.quoteSignature, evidence.quote, 'quote'),
    checkSignature(ak, evidence.certifySignature, evidence.certify, 'certification'),
  ]);
  return [findings.record('quote-signature', quote), findings.record('certify-signature', certification)];
}

async function judgeQuote(
  findings: Findings,
  given: {
    readonly evidence: VtpmEvidence;
    readonly ak: KeyClaim | undefined;
    readonly qualifying: Uint8Array | undefined;
    readonly policy: Policy | undefined;
    readonly signed: boolean;
  },
): Promise<{ readonly quote: Quote; readonly signed: boolean } | undefined> {
  const { evidence, ak, qualifying, policy, signed } = given;
  if (!signed) findings.claimsBecause('the signature of the quote does not hold');
  const quote = readQuote(evidence.quote);
  if (typeof quote === 'string') {
    findings.record('quote-form', fails(quote));
    findings.claimsBecause(undefined);
    return undefined;
  }
  findings.record('quote-form', holds('TPMS_ATTEST of a quote'));
  if (ak !== undefined) findings.record('quote-signer', await checkSigner(ak, quote.qualifiedSigner, 'quote'));
  if (qualifying !== undefined) findings.record('quote-nonce', checkNonce(quote, qualifying, 'quote'));
  if (policy !== undefined) {
    findings.record('quote-pcrs', checkQuotedPcrs(quote, policy.pcrs));
    findings.record('quote-firmware', checkTpmFirmware(quote, policy));
  }
  findings.claimsBecause(undefined);
  return { quote, signed };
}

async function judgeCertification(
  findings: Findings,
  given: {
    readonly evidence: VtpmEvidence;
    readonly ak: KeyClaim | undefined;
    readonly bootKey: KeyClaim | undefined;
    readonly qualifying: Uint8Array | undefined;
    readonly signed: boolean;
  },
): Promise<Certification | undefined> {
  const { evidence, ak, bootKey, qualifying, signed } = given;
  if (!signed) findings.claimsBecause('the signature of the certification does not hold');
  const certification = readCertification(evidence.certify);
  if (typeof certification === 'string') {
    findings.record('certify-form', fails(certification));
    findings.claimsBecause(undefined);
    return undefined;
  }
  findings.record('certify-form', holds('TPMS_ATTEST of a certification'));
  if (ak !== undefined) {
    findings.record('certify-signer', await checkSigner(ak, certification.qualifiedSigner, 'certification'));
  }
  if (qualifying !== undefined) {
    findings.record('certify-nonce', checkNonce(certification, qualifying, 'certification'));
  }
  if (bootKey !== undefined) {
    findings.record('certify-name', checkCertifiedName(certification, bootKey));
    const { qualifiedName } = certification.attested;
    findings.record('boot-key-hierarchy', await checkBootKeyHierarchy(bootKey, qualifiedName));
  }
  findings.claimsBecause(undefined);
  return certification;
}

/** What quote, certification and boot key say of each other. */
async function judgeTogether(
  findings: Findings,
  given: {
    readonly quote: { readonly quote: Quote; readonly signed: boolean } | undefined;
    readonly certification: Certification | undefined;
    readonly bootKey: KeyClaim | undefined;
    readonly policy: Policy | undefined;
  },
): Promise<void> {
  const { quote, certification, bootKey, policy } = given;
  if (quote === undefined) return;
  if (!quote.signed) findings.claimsBecause('the signature of the quote does not hold');
  if (certification !== undefined) findings.record('same-run', checkSameRun(quote.quote, certification));
  if (bootKey !== undefined && policy !== undefined) {
    const { pcrDigest } = quote.quote.attested;
    findings.record('boot-key-policy', await checkBootKeyPolicy(bootKey, policy.pcrs, pcrDigest));
  }
  findings.claimsBecause(undefined);
}

async function judgeLog(
  findings: Findings,
  given: {
    readonly evidence: VtpmEvidence;
    readonly quote: { readonly quote: Quote; readonly signed: boolean } | undefined;
    readonly policy: Policy | undefined;
    readonly reference: ReferenceValues | undefined;
    readonly challenge: Challenge | undefined;
  },
): Promise<readonly JudgedEvent[]> {
  const { evidence, quote, policy, reference, challenge } = given;
  const quotedDigest = quote?.quote.attested.pcrDigest ?? new Uint8Array();
  const studied = await studyLog(evidence.eventLog, quotedDigest);
  if (typeof studied === 'string') {
    findings.record('log-form', fails(studied));
    return [];
  }
  const { log } = studied;
  findings.record('log-form', holds(`${log.events.length} events`));
  findings.record('log-banks', checkBanks(log));
  if (policy === undefined) return [];
  if (quote?.signed !== true) findings.claimsBecause('no signed quote covers the log');
  else if (reference !== undefined && challenge !== undefined) {
    const context = { policy, expected: reference.events, challenge };
    if (!findings.record('log-replay', await checkReplay(studied, quotedDigest, context))) {
      findings.claimsBecause('the log does not replay to the quote');
    }
  }
  findings.record('log-covered', checkCovered(studied, policy));
  findings.record('log-untouched', checkUntouched(studied, policy));
  findings.record('log-data', studied.data);
  if (reference === undefined) return [];
  const events = applyRules(judgeEvents(log, reference.events), rulesOf(policy));
  findings.record('events', checkEvents(events));
  findings.claimsBecause(undefined);
  return events;
}

/** evidence-kinds: of each demanded kind, evidence that held and that names this TPM's EK, for this question. */
async function checkKinds(
  demanded: readonly EvidenceKind[],
  hardware: readonly HardwareEvidence[],
  ek: EkCertificate | undefined,
  challenge: Challenge | undefined,
): Promise<Answer> {
  if (demanded.length === 0) return holds('vtpm');
  const bound = new Set<string>();
  if (ek !== undefined && challenge !== undefined) {
    const ekName = await nameOf(encodePublic(ek.ekPublic));
    for (const evidence of hardware) {
      if (!isVerified(evidence)) continue;
      const binds =
        evidence.kind === 'host-tpm'
          ? await certifiedEk(evidence, ek.x509)
          : await bindsVtpm(evidence, { challenge, ekName });
      if (binds) bound.add(evidence.kind);
    }
  }
  const missing = demanded.filter((kind) => !bound.has(kind));
  if (missing.length === 0) return holds(['vtpm', ...demanded].join(', '));
  return fails(`the policy demands evidence of the kind ${missing.join(' and ')}, and none held that names this TPM`);
}

/** reference-quoted: nothing would stand behind an event of another PCR, however well the log agrees. */
function checkQuoted(policy: Policy, reference: ReferenceValues): Answer {
  const demanded = new Set(policy.pcrs);
  for (const { pcr, what } of reference.events) {
    if (!demanded.has(pcr)) return fails(`${what} is expected in PCR ${pcr}, which the policy does not demand`);
  }
  return holds('all in quoted PCRs');
}
