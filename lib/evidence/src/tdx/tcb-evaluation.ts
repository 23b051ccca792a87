// How good a platform’s firmware is, by Intel’s own rules: Intel TDX DCAP, TCB evaluation (“Get TDX TCB Info”, how to
// determine the TCB status), and the relaunch rule of TD report 1.5. All parts count: processor, module, quoting enclave.
import { equalBytes, toHex } from '@ringwall/bytes';
import { fails, holds, type Answer } from '../checks.ts';
import type { TcbStatus } from './intel-json.ts';
import type { PckCertificate } from './pck.ts';
import { equalsMasked, type QeIdentity } from './qe-identity.ts';
import type { SvnLevel, TcbInfo, TcbLevel, TdxModule, TdxModuleIdentity } from './tcb-info.ts';
import type { TdReport } from './td-report.ts';

/** What an evaluation comes to. With the relaunch ones, the guest began before an update that is there now. */
export type EvaluatedStatus = TcbStatus | 'TDRelaunchAdvised' | 'TDRelaunchAdvisedConfigurationNeeded';

export interface TcbEvaluation {
  readonly status: EvaluatedStatus;
  /** Intel’s advisories of the levels that apply, each once. */
  readonly advisories: readonly string[];
}

/** What signed collateral and signed quote say about one platform. */
export interface Platform {
  readonly pck: PckCertificate;
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly qeIsvSvn: number;
  readonly report: TdReport;
}

/** A sentence where no level applies: nothing is known about such a platform. */
export function evaluateTcb({ pck, tcbInfo, qeIdentity, qeIsvSvn, report }: Platform): TcbEvaluation | string {
  const onPlatform = tcbInfo.levels.filter((level) => isPlatformAtLeast(pck, level));
  const [sgxLevel] = onPlatform;
  if (sgxLevel === undefined)
    return 'no TCB level applies to this processor: a part of its firmware is older than in all of them';
  const level = onPlatform.find((candidate) => isModuleAtLeast(report.teeTcbSvn, candidate));
  if (level === undefined) return 'no TCB level applies to this TDX module: a part of it is older than in all of them';
  const module = moduleLevel(tcbInfo, report.teeTcbSvn);
  if (typeof module === 'string') return module;
  const qe = qeIdentity.levels.find(({ isvSvn }) => qeIsvSvn >= isvSvn);
  if (qe === undefined) return 'the quoting enclave is older than all that Intel knows';

  const advisories = [...new Set([...level.advisories, ...(module?.advisories ?? []), ...qe.advisories])];
  const withModule = converge(level.status, module?.status ?? 'UpToDate');
  if (isRelaunchAdvised(tcbInfo, report, { sgx: sgxLevel, withModule, module, qe })) {
    const needsConfiguration = /Configuration/.test(sgxLevel.status) || /Configuration/.test(withModule);
    return { status: needsConfiguration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised', advisories };
  }
  return { status: converge(withModule, qe.status), advisories };
}

/** tdx-module: MRSIGNERSEAM and SEAMATTRIBUTES are those of a module that Intel made and that is not in debug mode. */
export function checkModule(tcbInfo: TcbInfo, report: TdReport): Answer {
  const version = moduleVersion(report.teeTcbSvn);
  const module: TdxModule | undefined = version === 0 ? tcbInfo.module : identityOf(tcbInfo, version);
  if (module === undefined) return fails(`Intel says nothing about TDX module ${version}`);
  if (!equalBytes(report.mrSignerSeam, module.mrSigner)) {
    return fails(`the TDX module is signed by ${toHex(report.mrSignerSeam)}, which is not Intel’s`);
  }
  const isOrdinary = report.seamAttributes.every((byte) => byte === 0);
  if (!isOrdinary || !equalsMasked(report.seamAttributes, module.attributes, module.attributesMask)) {
    return fails(`the TDX module’s attributes are ${toHex(report.seamAttributes)}, expected zeros`);
  }
  return holds(`TDX module ${version}, security version ${report.teeTcbSvn[0] ?? 0}`);
}

function isPlatformAtLeast({ components, pceSvn }: PckCertificate, level: TcbLevel): boolean {
  return pceSvn >= level.pceSvn && isEachAtLeast(components, level.sgxComponents, 0);
}

/** From version 1 on, a module has an identity of its own, and its first two parts are compared there. */
function isModuleAtLeast(teeTcbSvn: Uint8Array, level: TcbLevel): boolean {
  return isEachAtLeast([...teeTcbSvn], level.tdxComponents, moduleVersion(teeTcbSvn) > 0 ? 2 : 0);
}

function isEachAtLeast(seen: readonly number[], demanded: readonly number[], from: number): boolean {
  return demanded.every((svn, index) => index < from || (seen[index] ?? -1) >= svn);
}

function moduleLevel(tcbInfo: TcbInfo, teeTcbSvn: Uint8Array): SvnLevel | undefined | string {
  const version = moduleVersion(teeTcbSvn);
  if (version === 0) return undefined;
  const identity = identityOf(tcbInfo, version);
  if (identity === undefined) return `Intel says nothing about TDX module ${version}`;
  const svn = teeTcbSvn[0] ?? 0;
  return (
    identity.levels.find(({ isvSvn }) => svn >= isvSvn) ?? `TDX module ${version} is older than all that Intel knows`
  );
}

/** Module and enclave are up to date, out of date or revoked; whatever else they were called is out of date. */
function converge(status: TcbStatus, part: TcbStatus): TcbStatus {
  if (part === 'Revoked' || status === 'Revoked') return 'Revoked';
  if (part === 'UpToDate') return status;
  return /Configuration/.test(status) ? 'OutOfDateConfigurationNeeded' : 'OutOfDate';
}

/** The module was old when the guest began and is new now: a guest that begins again would be up to date. */
function isRelaunchAdvised(
  tcbInfo: TcbInfo,
  { teeTcbSvn2 }: TdReport,
  levels: {
    readonly sgx: TcbLevel;
    readonly withModule: TcbStatus;
    readonly module: SvnLevel | undefined;
    readonly qe: SvnLevel;
  },
): boolean {
  const [latest] = tcbInfo.levels;
  if (teeTcbSvn2 === undefined || latest === undefined || levels.qe.status !== 'UpToDate') return false;
  if (/^OutOfDate|^Revoked/.test(levels.sgx.status) || !levels.withModule.startsWith('OutOfDate')) return false;
  if (levels.module?.status !== 'OutOfDate') return false;
  const [svn = 0, version = 0, loader = 0] = teeTcbSvn2;
  const newest = version === 0 ? latest.tdxComponents[0] : identityOf(tcbInfo, version)?.levels[0]?.isvSvn;
  return newest !== undefined && svn >= newest && loader >= (latest.tdxComponents[2] ?? 0);
}

function identityOf(tcbInfo: TcbInfo, version: number): TdxModuleIdentity | undefined {
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
  return tcbInfo.moduleIdentities.find((identity) => identity.id === id);
}

function moduleVersion(teeTcbSvn: Uint8Array): number {
  return teeTcbSvn[1] ?? 0;
}
