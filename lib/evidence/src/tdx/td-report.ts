// The TD report in a quote: Intel TDX Module ABI Specification, TDREPORT_STRUCT and TDINFO, version 1.0, and 1.5, which says
// in addition what the module has become since the guest began.
import { Cursor, ParseError } from '@ringwall/bytes';
import { TD_REPORT_BYTES, type TdReportVersion } from './quote.ts';

/** ATTRIBUTES, as arch/x86/include/asm/shared/tdx.h of Linux names the bits. The first four make a TD untrusted. */
export const TD_ATTRIBUTE_BITS = {
  debug: 0,
  'hgs-plus-profile': 4,
  'perf-profile': 5,
  'pmt-profile': 6,
  icssd: 16,
  lass: 27,
  'sept-ve-disable': 28,
  migratable: 29,
  pks: 30,
  'key-locker': 31,
  tpa: 62,
  perfmon: 63,
} as const;
export type TdAttribute = keyof typeof TD_ATTRIBUTE_BITS;

/** What a TDX module says about a guest: true only where the quote’s signature was verified. */
export interface TdReport {
  readonly version: TdReportVersion;
  /** The module’s and the loader’s security versions, when the guest began. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly attributes: ReadonlySet<TdAttribute>;
  readonly xfam: bigint;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  readonly reportData: Uint8Array;
  /** Those versions now; undefined in version 1.0. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** The TDs that may act for this one; undefined in version 1.0. */
  readonly mrServiceTd: Uint8Array | undefined;
}

/** Throws ParseError. */
export function parseTdReport(bytes: Uint8Array, version: TdReportVersion): TdReport {
  const cursor = new Cursor(bytes);
  if (bytes.length !== TD_REPORT_BYTES[version]) {
    throw cursor.error('invalid', 'TD report', `has ${bytes.length} bytes, expected ${TD_REPORT_BYTES[version]}`);
  }
  const digest = (field: string): Uint8Array => cursor.take(48, field);
  const teeTcbSvn = cursor.take(16, 'TEE_TCB_SVN');
  const mrSeam = digest('MRSEAM');
  const mrSignerSeam = digest('MRSIGNERSEAM');
  const seamAttributes = cursor.take(8, 'SEAMATTRIBUTES');
  const attributes = readAttributes(cursor.u64le('TDATTRIBUTES'));
  const xfam = cursor.u64le('XFAM');
  const mrTd = digest('MRTD');
  const mrConfigId = digest('MRCONFIGID');
  const mrOwner = digest('MROWNER');
  const mrOwnerConfig = digest('MROWNERCONFIG');
  const rtmrs = [digest('RTMR0'), digest('RTMR1'), digest('RTMR2'), digest('RTMR3')] as const;
  const reportData = cursor.take(64, 'REPORTDATA');
  const isLater = version === '1.5';
  const teeTcbSvn2 = isLater ? cursor.take(16, 'TEE_TCB_SVN_2') : undefined;
  const mrServiceTd = isLater ? digest('MRSERVICETD') : undefined;
  cursor.end('TD report');
  return {
    version,
    teeTcbSvn,
    mrSeam,
    mrSignerSeam,
    seamAttributes,
    attributes,
    xfam,
    mrTd,
    mrConfigId,
    mrOwner,
    mrOwnerConfig,
    rtmrs,
    reportData,
    teeTcbSvn2,
    mrServiceTd,
  };
}

/** A reserved bit could be a new way to look into a TD. */
function readAttributes(value: bigint): ReadonlySet<TdAttribute> {
  const attributes = new Set<TdAttribute>();
  let rest = value;
  let name: TdAttribute;
  for (name in TD_ATTRIBUTE_BITS) {
    const bit = 1n << BigInt(TD_ATTRIBUTE_BITS[name]);
    if ((value & bit) !== 0n) attributes.add(name);
    rest &= ~bit;
  }
  if (rest !== 0n) {
    throw new ParseError('unsupported', 'TDATTRIBUTES', 0, `has the unknown bits 0x${rest.toString(16)}`);
  }
  return attributes;
}
