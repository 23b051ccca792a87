// What a policy, a certificate and a question say of a report: each function answers one check of the list.
import { equalBytes, toHex } from '@ringwall/bytes';
import { fails, holds, type Answer } from '../checks.ts';
import { checkAllowed, excuseOf, failsUnless } from '../hardware/policy-parts.ts';
import type { SnpPolicy } from './policy.ts';
import type { SnpFirmwareVersion, SnpReport } from './report.ts';
import { isTcbAtLeast, parseTcb, tcbText, type SnpProduct, type SnpTcb } from './tcb.ts';
import type { SnpEndorsementKey } from './vek.ts';

/** CPUID families and models of each product, AMD 56860 section 7.3 and AMD’s processor programming references. */
const PROCESSORS: readonly { product: SnpProduct; family: number; first: number; last: number }[] = [
  { product: 'Milan', family: 0x19, first: 0x00, last: 0x0f },
  { product: 'Genoa', family: 0x19, first: 0x10, last: 0x1f },
  { product: 'Genoa', family: 0x19, first: 0xa0, last: 0xaf },
  { product: 'Turin', family: 0x1a, first: 0x00, last: 0x11 },
];

/** The four TCB_VERSIONs of a report, read as the product lays them out. */
export interface ReportTcbs {
  readonly current: SnpTcb;
  readonly reported: SnpTcb;
  readonly committed: SnpTcb;
  readonly launch: SnpTcb;
}

/** Throws ParseError. */
export function parseReportTcbs(report: SnpReport, product: SnpProduct): ReportTcbs {
  return {
    current: parseTcb(report.currentTcb, product, 'CURRENT_TCB'),
    reported: parseTcb(report.reportedTcb, product, 'REPORTED_TCB'),
    committed: parseTcb(report.committedTcb, product, 'COMMITTED_TCB'),
    launch: parseTcb(report.launchTcb, product, 'LAUNCH_TCB'),
  };
}

export function checkSigner(report: SnpReport, key: SnpEndorsementKey, policy: SnpPolicy): Answer {
  if (report.isChipKeyMasked) return fails('the host has masked the chip’s key: such a report is not signed');
  if (report.signer !== key.kind)
    return fails(`the report says that ${report.signer} signed it, which ${key.kind} did`);
  if (!policy.signers.includes(key.kind))
    return fails(`the report is signed by a ${key.kind}, which the policy refuses`);
  if (key.cspId === undefined) return holds('the key of one chip');
  const provider = policy.providers.find(({ cspId }) => cspId === key.cspId);
  if (provider === undefined)
    return fails(`the report is signed by the key of “${key.cspId}”, which the policy refuses`);
  return holds(`the key of “${key.cspId}”: ${provider.reason}`);
}

export function checkProduct(
  report: SnpReport,
  key: SnpEndorsementKey,
  rootProduct: SnpProduct | undefined,
  policy: SnpPolicy,
): Answer {
  const { product } = key;
  if (rootProduct !== product) return fails(`the certificate is for ${product}, its root for ${rootProduct ?? 'none'}`);
  if (report.cpu !== undefined) {
    const { family, model } = report.cpu;
    const processor = PROCESSORS.find((row) => row.family === family && row.first <= model && model <= row.last);
    if (processor?.product !== product) {
      return fails(`the processor is family ${family}, model ${model}, which is not ${product}`);
    }
  }
  if (!policy.products.some((allowed) => allowed.product === product)) return fails(`the policy refuses ${product}`);
  return holds(product);
}

export function checkReportData(seen: Uint8Array, expected: Uint8Array): Answer {
  if (equalBytes(seen, expected)) return holds('the same 64 bytes');
  return fails(`the report data is ${short(seen)}, expected ${short(expected)}: it answers another question`);
}

/** A masked chip id is zeros, and says nothing; any other must be the certificate’s. */
export function checkChip(report: SnpReport, key: SnpEndorsementKey, policy: SnpPolicy): Answer {
  const { chipId } = report;
  if (chipId.every((byte) => byte === 0)) {
    if (policy.chipIds !== 'any') return fails('the chip’s id is masked, and the policy allows certain chips only');
    return failsUnless(excuseOf(policy.exceptions, 'masked-chip-id'), 'the chip’s id is masked');
  }
  if (key.hwId !== undefined) {
    const padded = new Uint8Array(chipId.length);
    padded.set(key.hwId);
    if (!equalBytes(padded, chipId)) {
      return fails(`the report is of chip ${short(chipId)}, the certificate for ${short(padded)}`);
    }
  }
  return checkAllowed(policy.chipIds, chipId, 'the chip’s id');
}

/** The key is derived from the firmware: a host that reports older firmware than it has gets another key. */
export function checkTcb(report: SnpReport, key: SnpEndorsementKey): Answer {
  if (equalBytes(report.reportedTcb, key.tcb)) return holds(toHex(key.tcb));
  return fails(`the report says firmware ${toHex(report.reportedTcb)}, the certificate ${toHex(key.tcb)}`);
}

export function checkTcbOrder({ current, reported, committed, launch }: ReportTcbs): Answer {
  for (const [what, tcb] of Object.entries({ reported, committed, launch })) {
    if (!isTcbAtLeast(current, tcb)) {
      return fails(`the ${what} firmware (${tcbText(tcb)}) is newer than the current one (${tcbText(current)})`);
    }
  }
  return holds(tcbText(current));
}

/** Committed, because the host may go back to it at any time; launch, because the measurement was made under it. */
export function checkTcbMinimum(tcbs: ReportTcbs, product: SnpProduct, policy: SnpPolicy): Answer {
  const minimum = policy.products.find((allowed) => allowed.product === product)?.minimumTcb;
  if (minimum === undefined) return fails(`the policy names no firmware for ${product}`);
  for (const [what, tcb] of Object.entries({ ...tcbs })) {
    if (!isTcbAtLeast(tcb, minimum)) {
      return fails(`the ${what} firmware (${tcbText(tcb)}) is below the policy’s (${tcbText(minimum)})`);
    }
  }
  return holds(`at least ${tcbText(minimum)}`);
}

export function checkFirmware({ current, committed, guestAbi }: SnpReport, policy: SnpPolicy): Answer {
  const minimum = policy.minimumFirmware;
  if (isOlder(current, committed)) {
    return fails(`the current firmware ${versionText(current)} is older than the committed ${versionText(committed)}`);
  }
  if (isOlder(committed, minimum)) {
    return fails(`the committed firmware ${versionText(committed)} is below the policy’s ${versionText(minimum)}`);
  }
  if (isOlder(current, { ...guestAbi, build: 0 })) {
    return fails(`the firmware ${versionText(current)} is below what the guest demands`);
  }
  return holds(versionText(committed));
}

export function checkGuestAbi({ guestAbi }: SnpReport, { minimumGuestAbi }: SnpPolicy): Answer {
  if (isOlder({ ...guestAbi, build: 0 }, { ...minimumGuestAbi, build: 0 })) {
    const [seen, wanted] = [guestAbi, minimumGuestAbi].map(({ major, minor }) => `${major}.${minor}`);
    return fails(`the guest demands firmware interface ${seen ?? ''}, the policy ${wanted ?? ''}`);
  }
  return holds(`${guestAbi.major}.${guestAbi.minor}`);
}

export function checkDebug(report: SnpReport, policy: SnpPolicy): Answer {
  if (!report.guestPolicy.has('debug')) return holds('debugging is refused');
  return failsUnless(excuseOf(policy.exceptions, 'debug'), 'the host can debug the guest, and read all of it');
}

export function checkMigration(report: SnpReport, policy: SnpPolicy): Answer {
  const isBound = report.migrationAgentReportId.some((byte) => byte !== 0xff);
  if (!isBound && !report.guestPolicy.has('migration-agent')) return holds('there is none');
  return failsUnless(excuseOf(policy.exceptions, 'migration-agent'), 'a migration agent can take the guest elsewhere');
}

export function checkGuestPolicy({ guestPolicy }: SnpReport, policy: SnpPolicy): Answer {
  const { required, allowed } = policy.guestPolicy;
  const missing = required.find((bit) => !guestPolicy.has(bit));
  if (missing !== undefined) return fails(`the guest’s policy lacks ${missing}`);
  for (const bit of guestPolicy) {
    // These two have checks of their own.
    if (bit === 'debug' || bit === 'migration-agent' || required.includes(bit) || allowed.includes(bit)) continue;
    return fails(`the guest’s policy has ${bit}, which the policy does not allow`);
  }
  return holds([...guestPolicy].join(', ') || 'no bit');
}

export function checkPlatform({ platform }: SnpReport, policy: SnpPolicy): Answer {
  const missing = policy.platform.required.find((bit) => !platform.has(bit));
  if (missing !== undefined) return fails(`the platform lacks ${missing}`);
  const refused = policy.platform.refused.find((bit) => platform.has(bit));
  if (refused !== undefined) return fails(`the platform has ${refused}, which the policy refuses`);
  return holds([...platform].join(', ') || 'no bit');
}

export function checkMitigations({ mitigations, version }: SnpReport, policy: SnpPolicy): Answer {
  for (const bit of policy.mitigations) {
    if (mitigations === undefined) return fails(`a report of version ${version} says nothing about mitigations`);
    const mask = 1n << BigInt(bit);
    if ((mitigations.launch & mitigations.current & mask) === 0n) {
      return fails(`mitigation ${bit} was not verified at launch and now`);
    }
  }
  return holds(policy.mitigations.length === 0 ? 'the policy demands none' : `bits ${policy.mitigations.join(', ')}`);
}

export function checkVmpl({ vmpl }: SnpReport, policy: SnpPolicy): Answer {
  if (policy.vmpls.includes(vmpl)) return holds(`VMPL ${vmpl}`);
  return fails(`the report was asked for from VMPL ${vmpl}, which the policy does not allow`);
}

export function checkGuestSvn({ guestSvn }: SnpReport, { minimumGuestSvn }: SnpPolicy): Answer {
  if (guestSvn >= minimumGuestSvn) return holds(`${guestSvn}`);
  return fails(`the guest’s security version is ${guestSvn}, the policy’s ${minimumGuestSvn}`);
}

/** A key that the firmware did not check is no key: without the bit, the digest means nothing. */
export function checkAuthorKey(report: SnpReport, policy: SnpPolicy): Answer {
  if (!report.hasAuthorKey && report.authorKeyDigest.some((byte) => byte !== 0)) {
    return fails('there is an author key that the firmware did not check');
  }
  return checkAllowed(policy.authorKeyDigests, report.authorKeyDigest, 'the author key’s digest');
}

function isOlder(version: SnpFirmwareVersion, than: SnpFirmwareVersion): boolean {
  if (version.major !== than.major) return version.major < than.major;
  if (version.minor !== than.minor) return version.minor < than.minor;
  return version.build < than.build;
}

function versionText({ major, minor, build }: SnpFirmwareVersion): string {
  return `${major}.${minor}.${build}`;
}

function short(bytes: Uint8Array): string {
  return `${toHex(bytes.subarray(0, 8))}…`;
}
