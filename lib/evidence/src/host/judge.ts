// The judgement of a host's evidence: does it answer this question, from the TPM that was enrolled for this host, for the
// CA that certified the machine's TPM; and did the host boot and run what its reference says? It reads as the list of
// checks (checks.ts). docs/protocols/host-evidence.md says why each is there.
import { equalBytes, toHex } from '@ringwall/bytes';
import { parseAttest, type TPMS_CLOCK_INFO } from '@ringwall/tpm';
import { checkQuotedPcrs, checkSignature, readQuote, type Quote } from '../attestations.ts';
import { NONCE_BYTES } from '../challenge.ts';
import { fails, holds, type Answer } from '../checks.ts';
import { HardwareFindings, type HardwareVerdict } from '../hardware/findings.ts';
import { HOST, vtpmCaQualifyingData } from '../hardware/report-data.ts';
import { checkAkAttributes, checkSigner, readAk, short, type KeyClaim } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../policy.ts';
import type { Activation } from '../proof.ts';
import { checkReferenceTime } from '../reference-manifest.ts';
import type { JudgedEvent } from '../verdict.ts';
import { markVerified, type Verified } from '../verified.ts';
import {
  checkHostBanks,
  checkHostCovered,
  checkHostEvents,
  checkHostOrder,
  judgeHostEvents,
  readHostLog,
} from './boot-log.ts';
import { HOST_CHECK_TITLES, type HostCheckId } from './checks.ts';
import { checkHostEkChain, checkHostEkUsage, readHostEk } from './ek.ts';
import { keyOfCa } from './host-id.ts';
import { HOST_EVIDENCE_FIELDS, HOST_EVIDENCE_LIMITS_BYTES, MAY_BE_EMPTY, type HostEvidence } from './evidence.ts';
import { checkHostStart, findQuotedState, judgeFiles, readHostList, type HostRan } from './measured-files.ts';
import { ekRootsOf, IMA_PCR, parsedHostPolicy, type HostPolicy } from './policy.ts';
import {
  checkHostReferenceAuthority,
  checkHostReferenceSignature,
  parsedHostReference,
  type HostReference,
} from './reference.ts';

/** What was asked of a host, and when. */
export interface HostQuestion {
  /** 32 random bytes, used once. */
  readonly nonce: Uint8Array;
  readonly host: string;
  /** The certificate (DER) of the CA that certified the TPMs of this host's machines. */
  readonly vtpmCa: Uint8Array;
  /** When the nonce was made: the answer cannot be older. */
  readonly askedAt: Date;
}

/** Counters of a TPM, as a quote that held said them last. */
export type HostClock = Pick<TPMS_CLOCK_INFO, 'resetCount' | 'restartCount' | 'clock'>;

export interface HostJudgement {
  readonly evidence: HostEvidence;
  readonly question: HostQuestion;
  readonly policy: HostPolicy;
  readonly reference: HostReference;
  /** Whether the host's TPM opened a credential made for its EK and its attestation key. */
  readonly activation: Activation;
  /** From a record that the host cannot roll back; undefined where there is none. */
  readonly last?: HostClock | undefined;
  readonly now: Date;
}

export interface HostVerdict extends HardwareVerdict {
  readonly kind: 'host-tpm';
  readonly events: readonly JudgedEvent[];
  /** What the quote speaks for; undefined where nothing could be judged. */
  readonly ran: HostRan | undefined;
}

export interface HostResult {
  readonly verdict: HostVerdict;
  /** Where the verdict is `accepted`. */
  readonly verified: Verified<HostEvidence> | undefined;
}

type Findings = HardwareFindings<HostCheckId>;

/** Judges. Never throws over what it is given: what is wrong is in the verdict. */
export async function judgeHost(input: HostJudgement): Promise<HostResult> {
  const findings: Findings = new HardwareFindings('host-tpm', HOST_CHECK_TITLES);
  const evidence = takeEvidence(findings, input.evidence);
  const policy = findings.read('host-policy', 'what a host must show', () => parsedHostPolicy(input.policy));
  const question = findings.tryRead('host-question', 'the question', () => takeQuestion(input.question));
  if (question !== undefined) findings.record('host-question', holds(`for ${question.host}`));
  const reference = await judgeReference(findings, { ...input, policy, question });
  if (question !== undefined) findings.record('host-vtpm-ca', checkVtpmCa(evidence, question));

  const ak = await judgeAk(findings, evidence, reference);
  await judgeEk(findings, { evidence, policy, reference, activation: input.activation, now: input.now });
  const quote = await judgeQuote(findings, { evidence, ak, question, policy });
  if (question !== undefined && policy !== undefined) {
    findings.record('host-fresh', checkFresh(question.askedAt, input.now, policy));
  }
  if (quote !== undefined) findings.record('host-clock', checkClock(quote.clockInfo, input.last));
  const measured = await judgeMeasured(findings, { evidence, policy, reference, quote });
  findings.claimsBecause(undefined);

  const verdict: HostVerdict = {
    ...findings.verdict(provenSentences({ question, policy, reference, ran: measured.ran })),
    kind: 'host-tpm',
    ...measured,
  };
  return { verdict, verified: verdict.outcome === 'accepted' ? markVerified(evidence) : undefined };
}

/** The counters of evidence that passed its judgement: to be kept, and given as `last` the next time. */
export function hostClockOf(evidence: Verified<HostEvidence>): HostClock {
  const { resetCount, restartCount, clock } = parseAttest(evidence.quote).clockInfo;
  return { resetCount, restartCount, clock };
}

/** A copy, so that nobody changes what was judged; a field that is missing or too large becomes empty. */
function takeEvidence(findings: Findings, given: Partial<HostEvidence> | undefined): HostEvidence {
  const wrong: string[] = [];
  const field = (name: (typeof HOST_EVIDENCE_FIELDS)[number]): Uint8Array => {
    const bytes: unknown = given?.[name];
    if (!(bytes instanceof Uint8Array)) wrong.push(`${name} is missing`);
    else if (bytes.length === 0 && name !== MAY_BE_EMPTY) wrong.push(`${name} is empty`);
    else if (bytes.length > HOST_EVIDENCE_LIMITS_BYTES[name]) {
      wrong.push(`${name} has ${bytes.length} bytes, at most ${HOST_EVIDENCE_LIMITS_BYTES[name]}`);
    } else return new Uint8Array(bytes);
    return new Uint8Array();
  };
  const evidence: HostEvidence = {
    kind: 'host-tpm',
    ekCertificate: field('ekCertificate'),
    akPublic: field('akPublic'),
    quote: field('quote'),
    quoteSignature: field('quoteSignature'),
    eventLog: field('eventLog'),
    imaLog: field('imaLog'),
    vtpmCa: field('vtpmCa'),
  };
  if (given?.kind !== 'host-tpm') wrong.push('its kind is not host-tpm');
  const bytes = HOST_EVIDENCE_FIELDS.reduce((total, name) => total + evidence[name].length, 0);
  const whole = wrong.length === 0;
  findings.record(
    'host-size',
    whole ? holds(`${bytes} bytes`) : fails(`the host’s evidence is not whole: ${wrong.join(', ')}`),
  );
  return evidence;
}

function takeQuestion({ nonce, host, vtpmCa, askedAt }: HostQuestion): HostQuestion & { readonly spki: Uint8Array } {
  if (!(nonce instanceof Uint8Array) || nonce.length !== NONCE_BYTES) throw new Error('its nonce is not 32 bytes');
  if (!HOST.test(host)) throw new Error('its host is not an id');
  if (Number.isNaN(askedAt.getTime())) throw new Error('its time is not known');
  const spki = keyOfCa(vtpmCa);
  return { nonce: new Uint8Array(nonce), host, vtpmCa: new Uint8Array(vtpmCa), askedAt, spki };
}

type Question = ReturnType<typeof takeQuestion>;

async function judgeReference(
  findings: Findings,
  given: {
    readonly reference: HostReference;
    readonly policy: HostPolicy | undefined;
    readonly question: Question | undefined;
    readonly now: Date;
  },
): Promise<HostReference | undefined> {
  const { policy, question } = given;
  const what = 'the host’s reference values';
  const reference = findings.tryRead('host-reference', what, () => parsedHostReference(given.reference));
  if (reference === undefined) return undefined;
  if (question !== undefined) {
    const same = reference.host === question.host;
    const wrong = `the reference values are of ${reference.host}, the question was asked of ${question.host}`;
    findings.record('host-reference', same ? holds(`of ${reference.host}`) : fails(wrong));
  }
  findings.record('host-reference-signature', await checkHostReferenceSignature(reference));
  findings.record('host-reference-time', checkReferenceTime(reference, given.now));
  if (policy === undefined) return reference;
  findings.record('host-reference-authority', checkHostReferenceAuthority(policy, reference));
  findings.record('host-reference-quoted', checkQuoted(policy, reference));
  return reference;
}

/** host-reference-quoted */
function checkQuoted(policy: HostPolicy, reference: HostReference): Answer {
  const stray = reference.events.find(({ pcr }) => pcr === IMA_PCR || !policy.pcrs.includes(pcr));
  if (stray === undefined) return holds('all in quoted PCRs');
  return fails(`${stray.what} is expected in PCR ${stray.pcr}, which the policy does not demand`);
}

/** host-vtpm-ca */
function checkVtpmCa(evidence: HostEvidence, question: Question): Answer {
  if (equalBytes(evidence.vtpmCa, question.vtpmCa)) return holds('byte for byte the same');
  return fails('the host speaks for another vTPM CA than the one that certified the machine’s TPM');
}

async function judgeAk(
  findings: Findings,
  evidence: HostEvidence,
  reference: HostReference | undefined,
): Promise<KeyClaim | undefined> {
  const ak = await readAk(evidence.akPublic, 'host’s attestation key');
  if (typeof ak === 'string') {
    findings.record('host-ak-form', fails(ak));
    return undefined;
  }
  findings.record('host-ak-form', holds('ECC P-256, ECDSA with SHA-256'));
  findings.record('host-ak-attributes', checkAkAttributes(ak));
  if (reference !== undefined) {
    const seen = toHex(ak.name);
    const wrong = `the host’s attestation key has the Name ${short(seen)}, enrolled is ${short(reference.tpm.akName)}: another TPM`;
    findings.record('host-ak-enrolled', seen === reference.tpm.akName ? holds(`Name ${short(seen)}`) : fails(wrong));
  }
  return ak;
}

const NOT_ASKED = 'not asked: the policy names no maker of TPMs';

async function judgeEk(
  findings: Findings,
  given: {
    readonly evidence: HostEvidence;
    readonly policy: HostPolicy | undefined;
    readonly reference: HostReference | undefined;
    readonly activation: Activation;
    readonly now: Date;
  },
): Promise<void> {
  const { evidence, policy, reference, activation, now } = given;
  if (policy === undefined || reference === undefined) return;
  const roots = ekRootsOf(policy);
  const enrolled = reference.tpm.ekKey;
  const ek = await readHostEk(evidence.ekCertificate);
  if (typeof ek === 'string') {
    const asked = roots.length > 0 || enrolled !== undefined;
    for (const id of EK_CHECKS) findings.record(id, asked ? fails(ek) : holds(NOT_ASKED));
    return;
  }
  findings.record('host-ek-form', holds(`serial number ${ek.x509.serialNumber}`));
  const wrong = `the EK of the host is ${short(ek.key)}, enrolled is ${short(enrolled ?? '')}: another TPM`;
  const same = enrolled === undefined || enrolled === ek.key;
  findings.record('host-ek-enrolled', same ? holds(`key ${short(ek.key)}`) : fails(wrong));
  if (roots.length === 0) {
    for (const id of MAKER_CHECKS) findings.record(id, holds(NOT_ASKED));
    return;
  }
  const { chain, validity } = await checkHostEkChain(ek, roots, now);
  findings.record('host-ek-chain', chain);
  findings.record('host-ek-validity', validity);
  findings.record('host-ek-usage', checkHostEkUsage(ek));
  const confirmed = activation === 'confirmed';
  const unproven = 'the host never showed that its attestation key is in the TPM of the EK certificate';
  findings.record('host-activation', confirmed ? holds('its TPM opened a credential') : fails(unproven));
}

const MAKER_CHECKS = ['host-ek-chain', 'host-ek-validity', 'host-ek-usage', 'host-activation'] as const;
const EK_CHECKS = ['host-ek-form', 'host-ek-enrolled', ...MAKER_CHECKS] as const;

/** Signature before anything of the bytes is read. */
async function judgeQuote(
  findings: Findings,
  given: {
    readonly evidence: HostEvidence;
    readonly ak: KeyClaim | undefined;
    readonly question: Question | undefined;
    readonly policy: HostPolicy | undefined;
  },
): Promise<Quote | undefined> {
  const { evidence, ak, question, policy } = given;
  if (ak === undefined) return undefined;
  const signature = await checkSignature(ak, evidence.quoteSignature, evidence.quote, 'host’s quote');
  if (!findings.record('host-quote-signature', signature)) return undefined;
  const quote = readQuote(evidence.quote);
  if (typeof quote === 'string') {
    findings.record('host-quote-form', fails(quote));
    return undefined;
  }
  findings.record('host-quote-form', holds('TPMS_ATTEST of a quote'));
  findings.record('host-quote-signer', await checkSigner(ak, quote.qualifiedSigner, 'host’s quote'));
  if (question !== undefined) findings.record('host-quote-nonce', await checkNonce(quote, question));
  if (policy !== undefined) findings.record('host-quote-pcrs', checkQuotedPcrs(quote, policy.pcrs));
  return quote;
}

/** host-quote-nonce */
async function checkNonce(quote: Quote, question: Question): Promise<Answer> {
  const expected = await vtpmCaQualifyingData(question);
  if (equalBytes(quote.extraData, expected)) return holds(`qualifying data ${short(expected)}`);
  return fails(
    `the host’s quote answers another question: its qualifying data is ${short(quote.extraData)}, expected ` +
      `${short(expected)} for this nonce, host and vTPM CA`,
  );
}

/** host-fresh */
function checkFresh(askedAt: Date, now: Date, { maxAgeSeconds }: HostPolicy): Answer {
  const ageSeconds = Math.floor((now.getTime() - askedAt.getTime()) / 1000);
  if (!Number.isFinite(ageSeconds)) return fails('the time of the judgement is not known');
  if (ageSeconds < -CLOCK_SKEW_SECONDS) return fails(`the host was asked ${-ageSeconds} s in the future`);
  if (ageSeconds <= maxAgeSeconds) return holds(`asked ${ageSeconds} s before, at most ${maxAgeSeconds} s are allowed`);
  return fails(`the host was asked ${ageSeconds} s before, the policy allows ${maxAgeSeconds} s`);
}

/** host-clock: Part 1 section 36. restartCount and clock are compared within one resetCount only. */
function checkClock(seen: TPMS_CLOCK_INFO, last: HostClock | undefined): Answer {
  if (last === undefined) return holds('this host was not seen before');
  const back = (what: string, now: bigint | number, before: bigint | number): Answer =>
    fails(`the ${what} of the host’s TPM went back from ${before} to ${now}: an earlier state of it was put back`);
  if (seen.resetCount < last.resetCount) return back('resetCount', seen.resetCount, last.resetCount);
  if (seen.resetCount > last.resetCount) return holds(`reset ${seen.resetCount}`);
  if (seen.restartCount < last.restartCount) return back('restartCount', seen.restartCount, last.restartCount);
  if (seen.clock < last.clock) return back('clock', seen.clock, last.clock);
  return holds(`reset ${seen.resetCount}, restart ${seen.restartCount}, ${seen.clock} ms`);
}

async function judgeMeasured(
  findings: Findings,
  given: {
    readonly evidence: HostEvidence;
    readonly policy: HostPolicy | undefined;
    readonly reference: HostReference | undefined;
    readonly quote: Quote | undefined;
  },
): Promise<Pick<HostVerdict, 'events' | 'ran'>> {
  const { evidence, policy, reference, quote } = given;
  const nothing = { events: [], ran: undefined };
  const read = await readHostLog(evidence.eventLog, evidence.akPublic);
  if (typeof read === 'string') {
    findings.record('host-log-form', fails(read));
    return nothing;
  }
  const { log, pcrs } = read;
  findings.record('host-log-form', holds(`${log.events.length} events`));
  const list = readHostList(evidence.imaLog, evidence.akPublic);
  findings.record('host-ima-form', list.form);
  findings.record('host-ima-template', list.template);
  if (policy === undefined || reference === undefined) return nothing;
  findings.record('host-log-banks', checkHostBanks(log, policy));
  findings.record('host-log-covered', checkHostCovered(log, policy));
  if (typeof pcrs === 'string') {
    findings.record('host-log-replay', fails(pcrs));
    return nothing;
  }
  findings.record('host-ima-start', await checkHostStart(list, pcrs));
  let count = list.entries.length;
  if (quote === undefined) findings.claimsBecause('no signed quote covers the host’s logs');
  else {
    const state = await findQuotedState(list, pcrs, { policy, quotedDigest: quote.attested.pcrDigest });
    findings.record('host-log-replay', describeReached(state?.entries));
    if (state === undefined) findings.claimsBecause('the host’s logs do not lead to its quote');
    else count = state.entries;
  }
  findings.record('host-log-order', checkHostOrder(read, policy));
  const events = judgeHostEvents(log, reference.events, policy);
  findings.record('host-events', checkHostEvents(events));
  const { violations, ran, unaltered, others, summary } = judgeFiles(list, count, { files: reference.files, policy });
  findings.record('host-ima-violations', violations);
  findings.record('host-files-ran', ran);
  findings.record('host-files-unaltered', unaltered);
  findings.record('host-files-others', others);
  return { events, ran: summary };
}

/** host-log-replay */
function describeReached(entries: number | undefined): Answer {
  if (entries !== undefined) return holds(`with ${entries} entries of what ran`);
  return fails(
    'boot log and list of what ran do not lead to the quoted PCRs: one of them was altered or cut, or a PCR was extended',
  );
}

function provenSentences(given: {
  readonly question: Question | undefined;
  readonly policy: HostPolicy | undefined;
  readonly reference: HostReference | undefined;
  readonly ran: HostRan | undefined;
}): readonly string[] {
  const { question, policy, reference, ran } = given;
  if (question === undefined || policy === undefined || reference === undefined || ran === undefined) return [];
  const tpm =
    policy.ekRoots.length > 0
      ? `the TPM of ${question.host} is one of a maker whom the policy names, and it answered this question`
      : `the key that ${reference.by} enrolled for ${question.host} answered this question`;
  const others = ran.otherCount === 0 ? 'nothing else has run' : `${ran.otherCount} other files have run`;
  return [
    tpm,
    `${question.host} booted what its reference of ${reference.notBefore.toISOString().slice(0, 10)} says`,
    `what starts its machines is unaltered (${ran.known} known files have run), and ${others}`,
    `${question.host} vouches for the CA that certified the machine’s TPM`,
  ];
}
