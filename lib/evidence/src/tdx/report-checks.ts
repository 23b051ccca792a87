// What a policy and a question say of a TD report: each function answers one check of the list.
import { equalBytes, fromHex, toHex } from '@ringwall/bytes';
import { fails, holds, type Answer } from '../checks.ts';
import { checkAllowed, excuseOf, failsUnless } from '../hardware/policy-parts.ts';
import type { Validity } from './intel-json.ts';
import type { PckCertificate } from './pck.ts';
import type { TdxPolicy } from './policy.ts';
import type { TcbInfo } from './tcb-info.ts';
import type { TcbEvaluation } from './tcb-evaluation.ts';
import type { TdAttribute, TdReport } from './td-report.ts';

/** Intel TDX Module Base Architecture Specification, TD under debug: any of them makes the TD’s secrets the host’s. */
const UNTRUSTED: readonly TdAttribute[] = ['debug', 'hgs-plus-profile', 'perf-profile', 'pmt-profile'];
/** XFAM bits that are always on (x87, SSE), and all that TDX modules 1.0 and 1.5 can turn on. */
const XFAM_FIXED = 0x3n;
const XFAM_KNOWN = 0x6dbe7n;

export function checkTail(tail: Uint8Array, policy: TdxPolicy): Answer {
  if (tail.every((byte) => byte === 0)) return holds(`${tail.length} zero bytes`);
  return failsUnless(excuseOf(policy.exceptions, 'unsigned-tail'), `${tail.length} bytes follow the quote`);
}

export function checkFresh(
  collateral: Validity & { readonly evaluationDataNumber: number },
  what: string,
  policy: TdxPolicy,
  now: Date,
): Answer {
  const { issueDate, nextUpdate, evaluationDataNumber } = collateral;
  if (!(now >= issueDate)) return fails(`the ${what} begins on ${issueDate.toISOString()}`);
  if (!(now <= nextUpdate)) return fails(`the ${what} has expired on ${nextUpdate.toISOString()}`);
  if (evaluationDataNumber < policy.minimumEvaluationDataNumber) {
    return fails(`the ${what} is publication ${evaluationDataNumber}, below ${policy.minimumEvaluationDataNumber}`);
  }
  return holds(`publication ${evaluationDataNumber}, until ${nextUpdate.toISOString()}`);
}

export function checkTcbInfoPlatform(tcbInfo: TcbInfo, pck: PckCertificate, policy: TdxPolicy): Answer {
  if (tcbInfo.fmspc !== pck.fmspc || tcbInfo.pceId !== pck.pceId) {
    return fails(`the TCB info is for processor ${tcbInfo.fmspc}, the platform is ${pck.fmspc}`);
  }
  return checkAllowed(policy.fmspcs, fromHex(pck.fmspc), 'the processor (FMSPC)');
}

export function checkStatus(evaluation: TcbEvaluation | string, policy: TdxPolicy): Answer {
  if (typeof evaluation === 'string') return fails(evaluation);
  const { status, advisories } = evaluation;
  const why = advisories.length === 0 ? '' : ` (${advisories.join(', ')})`;
  const found = policy.statuses.find((allowed) => allowed.status === status);
  if (found === undefined) return fails(`the platform is ${status}${why}, which the policy does not allow`);
  return holds(`${status}${why}: ${found.reason}`);
}

export function checkTcbMinimum({ teeTcbSvn }: TdReport, { minimumTeeTcbSvn }: TdxPolicy): Answer {
  if (fromHex(minimumTeeTcbSvn).every((svn, at) => (teeTcbSvn[at] ?? -1) >= svn)) return holds(toHex(teeTcbSvn));
  return fails(`TEE_TCB_SVN is ${toHex(teeTcbSvn)}, the policy demands ${minimumTeeTcbSvn}`);
}

export function checkReportData(seen: Uint8Array, expected: Uint8Array): Answer {
  if (equalBytes(seen, expected)) return holds('the same 64 bytes');
  return fails(`the report data is ${short(seen)}, expected ${short(expected)}: it answers another question`);
}

export function checkDebug({ attributes }: TdReport, policy: TdxPolicy): Answer {
  const seen = UNTRUSTED.filter((name) => attributes.has(name));
  if (seen.length === 0) return holds('debugging and profiling are off');
  return failsUnless(excuseOf(policy.exceptions, 'debug'), `the host can look into the guest: ${seen.join(', ')}`);
}

export function checkMigration({ attributes }: TdReport, policy: TdxPolicy): Answer {
  if (!attributes.has('migratable')) return holds('the guest cannot be migrated');
  return failsUnless(excuseOf(policy.exceptions, 'migratable'), 'the guest can be taken to another machine');
}

export function checkSeptVe({ attributes }: TdReport, policy: TdxPolicy): Answer {
  if (attributes.has('sept-ve-disable')) return holds('SEPT_VE_DISABLE is set');
  return failsUnless(excuseOf(policy.exceptions, 'sept-ve'), 'SEPT_VE_DISABLE is not set');
}

export function checkAttributes({ attributes }: TdReport, policy: TdxPolicy): Answer {
  const { required, allowed } = policy.attributes;
  const missing = required.find((name) => !attributes.has(name));
  if (missing !== undefined) return fails(`the guest lacks the attribute ${missing}`);
  const listed: readonly TdAttribute[] = [...required, ...allowed];
  for (const name of attributes) {
    // These have checks of their own.
    if (UNTRUSTED.includes(name) || name === 'migratable' || name === 'sept-ve-disable') continue;
    if (!listed.includes(name)) return fails(`the guest has the attribute ${name}, which the policy does not allow`);
  }
  return holds([...attributes].join(', ') || 'none');
}

export function checkXfam({ xfam }: TdReport, policy: TdxPolicy): Answer {
  const [required, allowed] = [policy.xfam.required, policy.xfam.allowed].map((hex) => BigInt(`0x${hex}`));
  const text = `XFAM 0x${xfam.toString(16)}`;
  if ((xfam & XFAM_FIXED) !== XFAM_FIXED || (xfam & ~XFAM_KNOWN) !== 0n) return fails(`${text} has unknown features`);
  if (required === undefined || (xfam & required) !== required) return fails(`${text} lacks features of the policy`);
  if (allowed === undefined || (xfam & ~(allowed | required)) !== 0n) return fails(`${text} has more than is allowed`);
  return holds(text);
}

export function checkRtmrs({ rtmrs }: TdReport, policy: TdxPolicy): Answer {
  const answers = [policy.rtmr0, policy.rtmr1, policy.rtmr2, policy.rtmr3].map((allowed, index) =>
    checkAllowed(allowed, rtmrs[index] ?? new Uint8Array(), `RTMR${index}`),
  );
  return (
    answers.find(({ ok }) => !ok) ?? holds(answers.map(({ detail }, index) => `RTMR${index} ${detail}`).join('; '))
  );
}

export function checkConfig({ mrConfigId, mrOwner, mrOwnerConfig }: TdReport, policy: TdxPolicy): Answer {
  const answers = [
    checkAllowed(policy.mrConfigId, mrConfigId, 'MRCONFIGID'),
    checkAllowed(policy.mrOwner, mrOwner, 'MROWNER'),
    checkAllowed(policy.mrOwnerConfig, mrOwnerConfig, 'MROWNERCONFIG'),
  ];
  return answers.find(({ ok }) => !ok) ?? holds('MRCONFIGID, MROWNER and MROWNERCONFIG are allowed');
}

export function checkServiceTd({ mrServiceTd, version }: TdReport, policy: TdxPolicy): Answer {
  // Version 1.0 has no such TDs.
  if (mrServiceTd === undefined) return holds(`TD report ${version} knows none`);
  if (mrServiceTd.every((byte) => byte === 0)) return holds('there is none');
  return checkAllowed(policy.mrServiceTd, mrServiceTd, 'MRSERVICETD');
}

function short(bytes: Uint8Array): string {
  return `${toHex(bytes.subarray(0, 8))}…`;
}
