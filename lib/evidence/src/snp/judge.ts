// The judgement of SEV-SNP evidence: is this report of a processor of AMD, of firmware that is good enough, of the guest that
// is expected, and for this question? It reads as the list of checks (checks.ts).
import { fails, holds, type Answer } from '../checks.ts';
import { checkRevocation } from '../crl.ts';
import { HardwareFindings, type HardwareVerdict } from '../hardware/findings.ts';
import { checkAllowed, excuseOf } from '../hardware/policy-parts.ts';
import { REPORT_DATA_BYTES } from '../hardware/report-data.ts';
import { markVerified, type Verified } from '../verified.ts';
import { checkChain } from '../x509-chain.ts';
import { keyFingerprint, verifyRawEcdsa } from '../x509-signature.ts';
import { parseCertificate, type X509Certificate } from '../x509.ts';
import { SNP_CHECK_TITLES, type SnpCheckId } from './checks.ts';
import { parseSnpPolicy, type SnpPolicy } from './policy.ts';
import {
  checkAuthorKey,
  checkChip,
  checkDebug,
  checkFirmware,
  checkGuestAbi,
  checkGuestPolicy,
  checkGuestSvn,
  checkMigration,
  checkMitigations,
  checkPlatform,
  checkProduct,
  checkReportData,
  checkSigner,
  checkTcb,
  checkTcbMinimum,
  checkTcbOrder,
  checkVmpl,
  parseReportTcbs,
} from './report-checks.ts';
import { parseSnpReport, splitSnpReport, type SnpReport } from './report.ts';
import { AMD_ROOTS, type AmdRoot } from './roots.ts';
import type { SnpProduct } from './tcb.ts';
import { parseEndorsementKey, type SnpEndorsementKey } from './vek.ts';

/** VCEK, ASK, ARK, or VLEK, ASVK, ARK. */
const CHAIN_LENGTH = 3;

/** What goes with a report, from files; every byte of it is the sender’s until it is verified. */
export interface SnpCollateral {
  /** DER: endorsement key, signing key, root. */
  readonly certificates: readonly Uint8Array[];
  /** DER: the root’s list, and where there is one, the signing key’s. */
  readonly crls: readonly Uint8Array[];
}

export interface SnpJudgement {
  /** ATTESTATION_REPORT as the firmware made it. */
  readonly report: Uint8Array;
  readonly collateral: SnpCollateral;
  readonly policy: SnpPolicy;
  /** What reportDataFor gives for the question that was asked. */
  readonly expectedReportData: Uint8Array;
  readonly now: Date;
  /** Instead of AMD’s own. They must not come from the evidence or its sender. */
  readonly roots?: readonly AmdRoot[] | undefined;
}

/** What a verified report says. */
export interface SnpEvidence {
  readonly kind: 'sev-snp';
  readonly reportData: Uint8Array;
  readonly report: SnpReport;
  readonly endorsementKey: SnpEndorsementKey;
}

export interface SnpResult {
  readonly verdict: HardwareVerdict;
  /** Where the verdict is `accepted`. */
  readonly verified: Verified<SnpEvidence> | undefined;
}

/** Judges. Never throws over what it is given: what is wrong is in the verdict. */
export async function judgeSnp(input: SnpJudgement): Promise<SnpResult> {
  const findings = new HardwareFindings<SnpCheckId>('sev-snp', SNP_CHECK_TITLES);
  // Before the first wait: what is read is what was signed, whoever else holds the buffer.
  const bytes = new Uint8Array(input.report);
  const policy = findings.read('policy', 'the policy', () => parseSnpPolicy(input.policy));
  findings.record('question', checkQuestion(input));
  const certified = await judgeCertificates(findings, input, policy);
  const report = await judgeReport(findings, bytes, certified);
  if (policy !== undefined && certified !== undefined && report !== undefined) {
    judgeContent(findings, { report, certified, policy, expectedReportData: input.expectedReportData });
  }
  findings.claimsBecause(undefined);

  const verdict = findings.verdict(provenSentences(report, certified));
  if (verdict.outcome !== 'accepted' || report === undefined || certified === undefined) {
    return { verdict, verified: undefined };
  }
  const evidence: SnpEvidence = {
    kind: 'sev-snp',
    reportData: report.reportData,
    report,
    endorsementKey: certified.key,
  };
  return { verdict, verified: markVerified(evidence) };
}

interface Certified {
  readonly key: SnpEndorsementKey;
  readonly spki: Uint8Array;
  readonly rootProduct: SnpProduct | undefined;
}

async function judgeCertificates(
  findings: HardwareFindings<SnpCheckId>,
  input: SnpJudgement,
  policy: SnpPolicy | undefined,
): Promise<Certified | undefined> {
  const { collateral, now, roots = AMD_ROOTS } = input;
  const chain = findings.read('chain-form', 'the certificates', () => parseChain(collateral.certificates));
  const [leaf] = chain ?? [];
  const root = chain?.at(-1);
  if (chain === undefined || leaf === undefined || root === undefined) return undefined;
  const pins = roots.map(({ keyFingerprint: pin }) => pin);
  const answers = await checkChain(chain, pins, now);
  const trusted = findings.record('chain', answers.signatures);
  if (!trusted) findings.claimsBecause('the certificates lead to no trusted root');
  findings.record('chain-roles', answers.roles);
  findings.record('chain-validity', answers.validity);
  const revocation = await checkRevocation({
    certificates: chain,
    demanded: [root],
    crls: collateral.crls,
    now,
    missingAllowed: policy === undefined ? undefined : excuseOf(policy.exceptions, 'missing-crl'),
  });
  findings.record('crl', revocation.lists);
  findings.record('crl-fresh', revocation.fresh);
  findings.record('revoked', revocation.revoked);
  const key = findings.read('key-form', 'the endorsement key’s certificate', () => parseEndorsementKey(leaf));
  if (key === undefined) return undefined;
  const fingerprint = await keyFingerprint(root.spki);
  const rootProduct = trusted ? roots.find((pin) => pin.keyFingerprint === fingerprint)?.product : undefined;
  return { key, spki: leaf.spki, rootProduct };
}

/** The signature first: no field of a report is read before it, but those that say where the signature is. */
async function judgeReport(
  findings: HardwareFindings<SnpCheckId>,
  bytes: Uint8Array,
  certified: Certified | undefined,
): Promise<SnpReport | undefined> {
  const split = findings.read('report-size', 'the report', () => splitSnpReport(bytes));
  if (split === undefined) return undefined;
  let signed = false;
  if (certified !== undefined) {
    const { signature, signedPart: message } = split;
    signed = await verifyRawEcdsa({ spki: certified.spki, hash: 'SHA-384', signature, message });
    const wrong = 'the report is not signed by the key of the certificate: it was altered, or another chip’s';
    findings.record('report-signature', signed ? holds('ECDSA P-384 with SHA-384') : fails(wrong));
  }
  if (!signed) findings.claimsBecause('the signature of the report does not hold');
  return findings.read('report-form', 'the report', () => parseSnpReport(bytes));
}

function judgeContent(
  findings: HardwareFindings<SnpCheckId>,
  given: {
    readonly report: SnpReport;
    readonly certified: Certified;
    readonly policy: SnpPolicy;
    readonly expectedReportData: Uint8Array;
  },
): void {
  const { report, certified, policy, expectedReportData } = given;
  const { key, rootProduct } = certified;
  findings.record('signer', checkSigner(report, key, policy));
  findings.record('product', checkProduct(report, key, rootProduct, policy));
  findings.record('report-data', checkReportData(report.reportData, expectedReportData));
  findings.record('chip', checkChip(report, key, policy));
  findings.record('tcb', checkTcb(report, key));
  const tcbs = findings.tryRead('tcb-order', 'the report’s firmware', () => parseReportTcbs(report, key.product));
  if (tcbs !== undefined) {
    findings.record('tcb-order', checkTcbOrder(tcbs));
    findings.record('tcb-minimum', checkTcbMinimum(tcbs, key.product, policy));
  }
  findings.record('firmware', checkFirmware(report, policy));
  findings.record('guest-abi', checkGuestAbi(report, policy));
  findings.record('debug', checkDebug(report, policy));
  findings.record('migration', checkMigration(report, policy));
  findings.record('guest-policy', checkGuestPolicy(report, policy));
  findings.record('platform', checkPlatform(report, policy));
  findings.record('mitigations', checkMitigations(report, policy));
  findings.record('vmpl', checkVmpl(report, policy));
  findings.record('guest-svn', checkGuestSvn(report, policy));
  findings.record('measurement', checkAllowed(policy.measurements, report.measurement, 'the guest’s measurement'));
  findings.record('host-data', checkAllowed(policy.hostData, report.hostData, 'the host’s data'));
  findings.record('id-key', checkAllowed(policy.idKeyDigests, report.idKeyDigest, 'the id key’s digest'));
  findings.record('author-key', checkAuthorKey(report, policy));
}

function checkQuestion({ expectedReportData, now }: SnpJudgement): Answer {
  if (!(expectedReportData instanceof Uint8Array) || expectedReportData.length !== REPORT_DATA_BYTES) {
    return fails(`the expected report data is not ${REPORT_DATA_BYTES} bytes`);
  }
  if (!(now instanceof Date) || Number.isNaN(now.getTime())) return fails('the time of the judgement is not known');
  return holds(now.toISOString());
}

function parseChain(certificates: readonly Uint8Array[]): readonly X509Certificate[] {
  if (certificates.length !== CHAIN_LENGTH) {
    throw new RangeError(`there are ${certificates.length} certificates, expected ${CHAIN_LENGTH}`);
  }
  return certificates.map((der) => parseCertificate(der));
}

function provenSentences(report: SnpReport | undefined, certified: Certified | undefined): string[] {
  if (report === undefined || certified === undefined) return [];
  const { key } = certified;
  const whose = key.cspId === undefined ? 'of one chip, which its certificate names' : `of the provider “${key.cspId}”`;
  const debug = report.guestPolicy.has('debug') ? 'but the host can debug it' : 'and the host cannot debug it';
  return [
    `an AMD ${key.product} processor made this report, with the key ${whose}`,
    `the guest’s memory is encrypted against the host, ${debug}`,
    'the guest began as a measurement that the policy expects, under firmware that is not older than it demands',
    'the report was made for this question: its report data is the one that was asked for',
  ];
}
