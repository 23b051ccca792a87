// The judgement of TDX evidence: is this quote of a processor of Intel, of firmware and a module that are good enough, of the
// guest that is expected, and for this question? It reads as the list of checks (checks.ts).
import { fails, holds, type Answer } from '../checks.ts';
import { checkRevocation } from '../crl.ts';
import { HardwareFindings, type HardwareVerdict } from '../hardware/findings.ts';
import { checkAllowed, excuseOf } from '../hardware/policy-parts.ts';
import { REPORT_DATA_BYTES } from '../hardware/report-data.ts';
import { messageOf } from '../keys.ts';
import { markVerified, type Verified } from '../verified.ts';
import { checkChain } from '../x509-chain.ts';
import { parsePemChain } from '../x509-pem.ts';
import { verifyRawEcdsa } from '../x509-signature.ts';
import { parseCertificate, type X509Certificate } from '../x509.ts';
import { TDX_CHECK_TITLES, type TdxCheckId } from './checks.ts';
import { checkAttestationKey, parseEnclaveReport, type EnclaveReport } from './enclave-report.ts';
import { splitSignedJson } from './intel-json.ts';
import { checkPckNames, parsePck, type PckCertificate } from './pck.ts';
import { parseTdxPolicy, type TdxPolicy } from './policy.ts';
import { checkQeIdentity, parseQeIdentity, type QeIdentity } from './qe-identity.ts';
import { attestationSpki, splitTdxQuote, type TdxQuote } from './quote.ts';
import {
  checkAttributes,
  checkConfig,
  checkDebug,
  checkFresh,
  checkMigration,
  checkReportData,
  checkRtmrs,
  checkSeptVe,
  checkServiceTd,
  checkStatus,
  checkTail,
  checkTcbInfoPlatform,
  checkTcbMinimum,
  checkXfam,
} from './report-checks.ts';
import { INTEL_ROOT_KEYS } from './roots.ts';
import { checkModule, evaluateTcb, type TcbEvaluation } from './tcb-evaluation.ts';
import { parseTcbInfo, type TcbInfo } from './tcb-info.ts';
import { parseTdReport, type TdReport } from './td-report.ts';

const PCK_CHAIN_LENGTH = 3;
const SIGNING_CHAIN_LENGTH = 2;
/** PCK keys lead to the same root: only a certificate of this name may sign collateral. */
const SIGNING_NAME = 'Intel SGX TCB Signing';

/** What goes with a quote, from files; every byte of it is the sender’s until it is verified. */
export interface TdxCollateral {
  /** The response of Intel’s service, byte for byte: `{"tcbInfo":…,"signature":"…"}`. */
  readonly tcbInfo: Uint8Array;
  /** DER: TCB signing, root. */
  readonly tcbInfoCertificates: readonly Uint8Array[];
  /** The response of Intel’s service, byte for byte: `{"enclaveIdentity":…,"signature":"…"}`. */
  readonly qeIdentity: Uint8Array;
  readonly qeIdentityCertificates: readonly Uint8Array[];
  /** DER: the root’s list, and that of the platform’s CA. */
  readonly crls: readonly Uint8Array[];
}

export interface TdxJudgement {
  readonly quote: Uint8Array;
  readonly collateral: TdxCollateral;
  readonly policy: TdxPolicy;
  /** What reportDataFor gives for the question that was asked. */
  readonly expectedReportData: Uint8Array;
  readonly now: Date;
  /** Fingerprints of root keys, instead of Intel’s own. They must not come from the evidence or its sender. */
  readonly rootKeys?: readonly string[] | undefined;
}

/** What a verified quote says. */
export interface TdxEvidence {
  readonly kind: 'tdx';
  readonly reportData: Uint8Array;
  readonly report: TdReport;
  readonly platform: PckCertificate;
  readonly evaluation: TcbEvaluation;
}

export interface TdxResult {
  readonly verdict: HardwareVerdict;
  /** Where the verdict is `accepted`. */
  readonly verified: Verified<TdxEvidence> | undefined;
}

type Findings = HardwareFindings<TdxCheckId>;

/** Judges. Never throws over what it is given: what is wrong is in the verdict. */
export async function judgeTdx(input: TdxJudgement): Promise<TdxResult> {
  const findings = new HardwareFindings<TdxCheckId>('tdx', TDX_CHECK_TITLES);
  const policy = findings.read('policy', 'the policy', () => parseTdxPolicy(input.policy));
  findings.record('question', checkQuestion(input));
  const quote = findings.read('quote-form', 'the quote', () => splitTdxQuote(input.quote));
  if (quote !== undefined && policy !== undefined) findings.record('quote-end', checkTail(quote.tail, policy));

  const tcbSigners = parseSigners(input.collateral.tcbInfoCertificates);
  const qeSigners = parseSigners(input.collateral.qeIdentityCertificates);
  const signers = [tcbSigners, qeSigners].flatMap((chain) => (typeof chain === 'string' ? [] : chain.slice(0, 1)));
  const pck = quote === undefined ? undefined : await judgePlatform(findings, { quote, input, policy, signers });
  const signed = quote === undefined ? undefined : await judgeSignatures(findings, quote, pck);
  const collateral = await judgeCollateral(findings, { input, policy, tcbSigners, qeSigners });

  let evaluation: TcbEvaluation | undefined;
  if (signed !== undefined && policy !== undefined) {
    const why = signed.why ?? (collateral.isSigned ? undefined : 'what is said to be Intel’s word is not signed by it');
    findings.claimsBecause(why);
    evaluation = judgeFirmware(findings, { ...signed, ...collateral, policy, pck: pck?.pck });
    findings.claimsBecause(signed.why);
    judgeContent(findings, { report: signed.report, policy, expectedReportData: input.expectedReportData });
  }
  findings.claimsBecause(undefined);

  const verdict = findings.verdict(provenSentences(evaluation, signed?.report));
  const platform = pck?.pck;
  if (verdict.outcome !== 'accepted' || !signed || evaluation === undefined || platform === undefined) {
    return { verdict, verified: undefined };
  }
  const { report } = signed;
  const evidence: TdxEvidence = { kind: 'tdx', reportData: report.reportData, report, platform, evaluation };
  return { verdict, verified: markVerified(evidence) };
}

interface JudgedPlatform {
  readonly pck: PckCertificate | undefined;
  readonly spki: Uint8Array;
  readonly trusted: boolean;
}

async function judgePlatform(
  findings: Findings,
  given: {
    readonly quote: TdxQuote;
    readonly input: TdxJudgement;
    readonly policy: TdxPolicy | undefined;
    readonly signers: readonly X509Certificate[];
  },
): Promise<JudgedPlatform | undefined> {
  const { quote, input, policy, signers } = given;
  const { now, collateral, rootKeys = INTEL_ROOT_KEYS } = input;
  const chain = findings.read('pck-form', 'the platform’s certificates', () =>
    parseChain(parsePemChain(quote.pckChain), PCK_CHAIN_LENGTH),
  );
  const [leaf, ca, root] = chain ?? [];
  if (chain === undefined || leaf === undefined || ca === undefined || root === undefined) return undefined;
  const answers = await checkChain(chain, rootKeys, now);
  const trusted = findings.record('pck-chain', answers.signatures);
  if (!trusted) findings.claimsBecause('the platform’s certificates lead to no trusted root');
  findings.record('pck-roles', answers.roles.ok ? checkPckNames(chain) : answers.roles);
  findings.record('pck-validity', answers.validity);
  const pck = findings.read('pck-platform', 'the platform’s certificate', () => parsePck(leaf));
  const revocation = await checkRevocation({
    certificates: [...chain, ...signers],
    demanded: [root, ca],
    crls: collateral.crls,
    now,
    missingAllowed: policy === undefined ? undefined : excuseOf(policy.exceptions, 'missing-crl'),
  });
  findings.record('crl', revocation.lists);
  findings.record('crl-fresh', revocation.fresh);
  findings.record('revoked', revocation.revoked);
  findings.claimsBecause(undefined);
  return { pck, spki: leaf.spki, trusted };
}

interface SignedContent {
  readonly report: TdReport;
  readonly qeReport: EnclaveReport;
  /** Why what they say is only a claim; undefined where every signature holds. */
  readonly why: string | undefined;
}

/** Signatures from the platform’s key down to the TD report, before anything is read from what they cover. */
async function judgeSignatures(
  findings: Findings,
  quote: TdxQuote,
  platform: JudgedPlatform | undefined,
): Promise<SignedContent | undefined> {
  let why = platform?.trusted === true ? undefined : 'the platform’s certificates lead to no trusted root';
  if (platform !== undefined) {
    const signed = await verifyRawEcdsa({
      spki: platform.spki,
      hash: 'SHA-256',
      signature: quote.qeReportSignature,
      message: quote.qeReport,
    });
    const wrong = 'the quoting enclave’s report is not signed by the platform’s key';
    findings.record('qe-report-signature', signed ? holds('ECDSA P-256 with SHA-256') : fails(wrong));
    if (!signed) why = 'the signature of the quoting enclave’s report does not hold';
  }
  findings.claimsBecause(why);
  const qeReport = parseEnclaveReport(quote.qeReport);
  if (!findings.record('attestation-key', await checkAttestationKey(qeReport, quote))) {
    why ??= 'nobody vouches for the attestation key';
    findings.claimsBecause(why);
  }
  const signed = await verifyRawEcdsa({
    spki: attestationSpki(quote),
    hash: 'SHA-256',
    signature: quote.signature,
    message: quote.signedPart,
  });
  const wrong = 'the quote is not signed by its attestation key: it was altered';
  findings.record('quote-signature', signed ? holds('ECDSA P-256 with SHA-256') : fails(wrong));
  if (!signed) why = 'the signature of the quote does not hold';
  findings.claimsBecause(why);
  const report = findings.read('report-form', 'the TD report', () =>
    parseTdReport(quote.tdReport, quote.tdReportVersion),
  );
  findings.claimsBecause(undefined);
  return report === undefined ? undefined : { report, qeReport, why };
}

interface JudgedCollateral {
  readonly tcbInfo: TcbInfo | undefined;
  readonly qeIdentity: QeIdentity | undefined;
  /** Whether Intel signed both. */
  readonly isSigned: boolean;
}

async function judgeCollateral(
  findings: Findings,
  given: {
    readonly input: TdxJudgement;
    readonly policy: TdxPolicy | undefined;
    readonly tcbSigners: readonly X509Certificate[] | string;
    readonly qeSigners: readonly X509Certificate[] | string;
  },
): Promise<JudgedCollateral> {
  const { input, policy, tcbSigners, qeSigners } = given;
  const { collateral, now } = input;
  const tcb = await judgeSignedJson(findings, input, {
    body: collateral.tcbInfo,
    name: 'tcbInfo',
    what: 'TCB info',
    signers: tcbSigners,
    check: 'tcb-info-signature',
  });
  const tcbInfo = attemptText(findings, 'tcb-info-form', 'the TCB info', tcb.text, parseTcbInfo);
  if (tcbInfo !== undefined && policy !== undefined) {
    findings.record('tcb-info-fresh', checkFresh(tcbInfo, 'TCB info', policy, now));
  }
  findings.claimsBecause(undefined);
  const qe = await judgeSignedJson(findings, input, {
    body: collateral.qeIdentity,
    name: 'enclaveIdentity',
    what: 'quoting enclave’s identity',
    signers: qeSigners,
    check: 'qe-identity-signature',
  });
  const qeIdentity = attemptText(findings, 'qe-identity-form', 'the identity', qe.text, parseQeIdentity);
  if (qeIdentity !== undefined && policy !== undefined) {
    findings.record('qe-identity-fresh', checkFresh(qeIdentity, 'quoting enclave’s identity', policy, now));
  }
  findings.claimsBecause(undefined);
  return { tcbInfo, qeIdentity, isSigned: tcb.signed && qe.signed };
}

/** The text, where it can be taken out; whether its signature holds is the check’s answer and marks what follows. */
async function judgeSignedJson(
  findings: Findings,
  { now, rootKeys = INTEL_ROOT_KEYS }: TdxJudgement,
  given: {
    readonly body: Uint8Array;
    readonly name: 'tcbInfo' | 'enclaveIdentity';
    readonly what: string;
    readonly signers: readonly X509Certificate[] | string;
    readonly check: TdxCheckId;
  },
): Promise<{ readonly text: Uint8Array | undefined; readonly signed: boolean }> {
  const { body, name, what, signers, check } = given;
  const json = findings.tryRead(check, `the ${what}`, () => splitSignedJson(body, name));
  if (json === undefined) return { text: undefined, signed: false };
  const answer = await checkJsonSignature(json, signers, rootKeys, now);
  const signed = findings.record(check, answer.ok ? answer : fails(`the ${what}: ${answer.detail}`));
  findings.claimsBecause(signed ? undefined : `the signature of the ${what} does not hold`);
  return { text: json.text, signed };
}

async function checkJsonSignature(
  json: { readonly text: Uint8Array; readonly signature: Uint8Array },
  signers: readonly X509Certificate[] | string,
  rootKeys: readonly string[],
  now: Date,
): Promise<Answer> {
  if (typeof signers === 'string') return fails(signers);
  const [signer] = signers;
  const { signatures, roles, validity } = await checkChain(signers, rootKeys, now);
  const wrong = [signatures, roles, validity].find(({ ok }) => !ok);
  if (wrong !== undefined || signer === undefined) return wrong ?? fails('nobody signed it');
  if (signer.subject.commonNames[0] !== SIGNING_NAME) return fails('its signer may not sign collateral');
  const { text: message, signature } = json;
  if (await verifyRawEcdsa({ spki: signer.spki, hash: 'SHA-256', signature, message })) return holds(validity.detail);
  return fails('its signature does not hold: it was altered');
}

function judgeFirmware(
  findings: Findings,
  given: SignedContent & JudgedCollateral & { readonly policy: TdxPolicy; readonly pck: PckCertificate | undefined },
): TcbEvaluation | undefined {
  const { report, qeReport, tcbInfo, qeIdentity, policy, pck } = given;
  let applies = false;
  if (tcbInfo !== undefined) {
    findings.record('tdx-module', checkModule(tcbInfo, report));
    if (pck !== undefined) applies = findings.record('tcb-info-platform', checkTcbInfoPlatform(tcbInfo, pck, policy));
  }
  if (qeIdentity !== undefined) findings.record('qe-identity', checkQeIdentity(qeReport, qeIdentity));
  findings.record('tcb-minimum', checkTcbMinimum(report, policy));
  if (tcbInfo === undefined || qeIdentity === undefined || pck === undefined || !applies) return undefined;
  const evaluation = evaluateTcb({ pck, tcbInfo, qeIdentity, qeIsvSvn: qeReport.isvSvn, report });
  findings.record('tcb-status', checkStatus(evaluation, policy));
  return typeof evaluation === 'string' ? undefined : evaluation;
}

function judgeContent(
  findings: Findings,
  given: { readonly report: TdReport; readonly policy: TdxPolicy; readonly expectedReportData: Uint8Array },
): void {
  const { report, policy, expectedReportData } = given;
  findings.record('report-data', checkReportData(report.reportData, expectedReportData));
  findings.record('debug', checkDebug(report, policy));
  findings.record('migration', checkMigration(report, policy));
  findings.record('sept-ve', checkSeptVe(report, policy));
  findings.record('attributes', checkAttributes(report, policy));
  findings.record('xfam', checkXfam(report, policy));
  findings.record('mr-seam', checkAllowed(policy.mrSeam, report.mrSeam, 'MRSEAM'));
  findings.record('mr-td', checkAllowed(policy.mrTd, report.mrTd, 'MRTD'));
  findings.record('rtmrs', checkRtmrs(report, policy));
  findings.record('mr-config', checkConfig(report, policy));
  findings.record('service-td', checkServiceTd(report, policy));
}

function checkQuestion({ expectedReportData, now }: TdxJudgement): Answer {
  if (!(expectedReportData instanceof Uint8Array) || expectedReportData.length !== REPORT_DATA_BYTES) {
    return fails(`the expected report data is not ${REPORT_DATA_BYTES} bytes`);
  }
  if (!(now instanceof Date) || Number.isNaN(now.getTime())) return fails('the time of the judgement is not known');
  return holds(now.toISOString());
}

function parseSigners(certificates: readonly Uint8Array[]): readonly X509Certificate[] | string {
  try {
    return parseChain(certificates, SIGNING_CHAIN_LENGTH);
  } catch (error) {
    return `its certificates cannot be read: ${messageOf(error)}`;
  }
}

function parseChain(certificates: readonly Uint8Array[], length: number): readonly X509Certificate[] {
  if (certificates.length !== length) {
    throw new RangeError(`there are ${certificates.length} certificates, expected ${length}`);
  }
  return certificates.map((der) => parseCertificate(der));
}

function attemptText<T>(
  findings: Findings,
  id: TdxCheckId,
  what: string,
  text: Uint8Array | undefined,
  parse: (text: Uint8Array) => T,
): T | undefined {
  return text === undefined ? undefined : findings.read(id, what, () => parse(text));
}

function provenSentences(evaluation: TcbEvaluation | undefined, report: TdReport | undefined): string[] {
  const debug = report?.attributes.has('debug') === true ? 'but the host can debug it' : 'and the host cannot debug it';
  return [
    `an Intel processor with TDX made this quote; its firmware is ${evaluation?.status ?? 'unknown'} by Intel’s own account`,
    `the guest’s memory is encrypted against the host, ${debug}`,
    'the guest began as a measurement that the policy expects, and what it measured since is allowed',
    'the quote was made for this question: its report data is the one that was asked for',
  ];
}
