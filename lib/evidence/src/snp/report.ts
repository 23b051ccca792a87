// ATTESTATION_REPORT of SEV-SNP, versions 2 to 5: SEV Secure Nested Paging Firmware ABI Specification (AMD 56860), section
// 7.3, tables 23 to 26. Little endian. What is reserved must be zero: it could be a warning that is not understood here.
import { Cursor, ParseError, toHex } from '@ringwall/bytes';
import { TCB_BYTES } from './tcb.ts';

/** Every version has this size. */
export const SNP_REPORT_BYTES = 0x4a0;
/** The signature is over everything before it. */
const SIGNED_BYTES = 0x2a0;
/** R and S are little endian in 72 bytes each (table 136), for curves that no processor has. */
const SIGNATURE_NUMBER_BYTES = 72;
const P384_BYTES = 48;
const ECDSA_P384_SHA384 = 1;
const VERSIONS: readonly number[] = [2, 3, 4, 5];

/** GUEST_POLICY, table 9. Bit 17 is reserved and must be one. */
export const GUEST_POLICY_BITS = {
  smt: 16,
  'migration-agent': 18,
  debug: 19,
  'single-socket': 20,
  cxl: 21,
  'aes-256-xts': 22,
  'rapl-disabled': 23,
  'ciphertext-hiding': 24,
  'page-swap-disabled': 25,
} as const;
export type GuestPolicyBit = keyof typeof GUEST_POLICY_BITS;

/** PLATFORM_INFO, table 24. Bit 6 is reserved. */
export const PLATFORM_BITS = {
  smt: 0,
  tsme: 1,
  ecc: 2,
  'rapl-disabled': 3,
  'ciphertext-hiding': 4,
  'alias-check-complete': 5,
  tio: 7,
} as const;
export type PlatformBit = keyof typeof PLATFORM_BITS;

export interface SnpFirmwareVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

/** What the firmware says about a guest: true only where the signature of `signedPart` was verified. */
export interface SnpReport {
  readonly version: number;
  readonly guestSvn: number;
  /** The firmware API that the guest demands at least. */
  readonly guestAbi: { readonly major: number; readonly minor: number };
  readonly guestPolicy: ReadonlySet<GuestPolicyBit>;
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  readonly vmpl: number;
  /** TCB_VERSIONs as bytes: their layout depends on the product. */
  readonly currentTcb: Uint8Array;
  readonly reportedTcb: Uint8Array;
  readonly committedTcb: Uint8Array;
  readonly launchTcb: Uint8Array;
  readonly platform: ReadonlySet<PlatformBit>;
  readonly signer: 'vcek' | 'vlek' | 'none';
  /** The firmware left the signature away. */
  readonly isChipKeyMasked: boolean;
  readonly hasAuthorKey: boolean;
  readonly reportData: Uint8Array;
  readonly measurement: Uint8Array;
  readonly hostData: Uint8Array;
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly reportId: Uint8Array;
  readonly migrationAgentReportId: Uint8Array;
  /** Family, model and stepping of the processor, from version 3. */
  readonly cpu: { readonly family: number; readonly model: number; readonly stepping: number } | undefined;
  /** All zeros where the host masks it. */
  readonly chipId: Uint8Array;
  readonly current: SnpFirmwareVersion;
  readonly committed: SnpFirmwareVersion;
  /** Mitigations that the firmware verified, at launch and now, from version 4; one bit each. */
  readonly mitigations: { readonly launch: bigint; readonly current: bigint } | undefined;
}

/** The part that is signed and the signature as r and s, big endian; throws ParseError. Reads nothing else. */
export function splitSnpReport(bytes: Uint8Array): { readonly signedPart: Uint8Array; readonly signature: Uint8Array } {
  if (bytes.length !== SNP_REPORT_BYTES) {
    throw new ParseError('invalid', 'report', 0, `has ${bytes.length} bytes, expected ${SNP_REPORT_BYTES}`);
  }
  const cursor = new Cursor(bytes);
  const signedPart = cursor.take(SIGNED_BYTES, 'signed part');
  const signature = new Uint8Array([...readNumber(cursor, 'R'), ...readNumber(cursor, 'S')]);
  readZeros(cursor, cursor.remaining, 'signature');
  return { signedPart, signature };
}

/** The whole report; throws ParseError. */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  const { signedPart } = splitSnpReport(bytes);
  const cursor = new Cursor(signedPart);
  const version = cursor.u32le('VERSION');
  if (!VERSIONS.includes(version)) throw cursor.error('unsupported', 'VERSION', `${version}, expected 2 to 5`);
  const guestSvn = cursor.u32le('GUEST_SVN');
  const policy = readGuestPolicy(cursor);
  const familyId = cursor.take(16, 'FAMILY_ID');
  const imageId = cursor.take(16, 'IMAGE_ID');
  const vmpl = cursor.u32le('VMPL');
  const algorithm = cursor.u32le('SIGNATURE_ALGO');
  if (algorithm !== ECDSA_P384_SHA384) throw cursor.error('unsupported', 'SIGNATURE_ALGO', `${algorithm}, expected 1`);
  const currentTcb = cursor.take(TCB_BYTES, 'CURRENT_TCB');
  const platform = readBits(cursor.u64le('PLATFORM_INFO'), PLATFORM_BITS, 'PLATFORM_INFO');
  const key = readKeyInfo(cursor);
  readZeros(cursor, 4, 'reserved at 4Ch');
  const reportData = cursor.take(64, 'REPORT_DATA');
  const measurement = cursor.take(48, 'MEASUREMENT');
  const hostData = cursor.take(32, 'HOST_DATA');
  const idKeyDigest = cursor.take(48, 'ID_KEY_DIGEST');
  const authorKeyDigest = cursor.take(48, 'AUTHOR_KEY_DIGEST');
  const reportId = cursor.take(32, 'REPORT_ID');
  const migrationAgentReportId = cursor.take(32, 'REPORT_ID_MA');
  const reportedTcb = cursor.take(TCB_BYTES, 'REPORTED_TCB');
  const cpu = version < 3 ? undefined : readCpu(cursor);
  readZeros(cursor, version < 3 ? 24 : 21, 'reserved after REPORTED_TCB');
  const chipId = cursor.take(64, 'CHIP_ID');
  const committedTcb = cursor.take(TCB_BYTES, 'COMMITTED_TCB');
  const current = readVersion(cursor, 'CURRENT');
  const committed = readVersion(cursor, 'COMMITTED');
  const launchTcb = cursor.take(TCB_BYTES, 'LAUNCH_TCB');
  const mitigations =
    version < 4
      ? undefined
      : { launch: cursor.u64le('LAUNCH_MIT_VECTOR'), current: cursor.u64le('CURRENT_MIT_VECTOR') };
  readZeros(cursor, cursor.remaining, 'reserved before SIGNATURE');
  return {
    version,
    guestSvn,
    ...policy,
    familyId,
    imageId,
    vmpl,
    currentTcb,
    reportedTcb,
    committedTcb,
    launchTcb,
    platform,
    ...key,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    migrationAgentReportId,
    cpu,
    chipId,
    current,
    committed,
    mitigations,
  };
}

function readGuestPolicy(cursor: Cursor): Pick<SnpReport, 'guestAbi' | 'guestPolicy'> {
  const minor = cursor.u8('ABI_MINOR');
  const major = cursor.u8('ABI_MAJOR');
  const above = cursor.u16le('POLICY');
  const bits = BigInt(above) | (BigInt(cursor.u32le('POLICY')) << 16n);
  const mustBeOne = 0b10n;
  if ((bits & mustBeOne) === 0n) throw cursor.error('invalid', 'POLICY', 'has bit 17 clear, expected set');
  return { guestAbi: { major, minor }, guestPolicy: readBits((bits & ~mustBeOne) << 16n, GUEST_POLICY_BITS, 'POLICY') };
}

/** KEY_INFO, table 23, offset 48h. */
function readKeyInfo(cursor: Cursor): Pick<SnpReport, 'signer' | 'isChipKeyMasked' | 'hasAuthorKey'> {
  const info = cursor.u32le('KEY_INFO');
  const signingKey = (info >> 2) & 7;
  const signer = ({ 0: 'vcek', 1: 'vlek', 7: 'none' } as const)[signingKey];
  if (signer === undefined) throw cursor.error('unsupported', 'SIGNING_KEY', `${signingKey}, expected 0, 1 or 7`);
  if (info >>> 5 !== 0) throw cursor.error('unsupported', 'KEY_INFO', `0x${info.toString(16)} has reserved bits`);
  return { signer, isChipKeyMasked: (info & 2) !== 0, hasAuthorKey: (info & 1) !== 0 };
}

function readCpu(cursor: Cursor): { readonly family: number; readonly model: number; readonly stepping: number } {
  return { family: cursor.u8('CPUID_FAM_ID'), model: cursor.u8('CPUID_MOD_ID'), stepping: cursor.u8('CPUID_STEP') };
}

function readVersion(cursor: Cursor, field: string): SnpFirmwareVersion {
  const build = cursor.u8(`${field}_BUILD`);
  const minor = cursor.u8(`${field}_MINOR`);
  const major = cursor.u8(`${field}_MAJOR`);
  readZeros(cursor, 1, `reserved after ${field}_MAJOR`);
  return { major, minor, build };
}

function readBits<Name extends string>(
  value: bigint,
  positions: Readonly<Record<Name, number>>,
  field: string,
): ReadonlySet<Name> {
  const names = new Set<Name>();
  let rest = value;
  for (const name in positions) {
    const bit = 1n << BigInt(positions[name]);
    if ((value & bit) !== 0n) names.add(name);
    rest &= ~bit;
  }
  if (rest !== 0n) throw new ParseError('unsupported', field, 0, `has the unknown bits 0x${rest.toString(16)}`);
  return names;
}

function readNumber(cursor: Cursor, field: string): Uint8Array {
  const littleEndian = cursor.take(P384_BYTES, field);
  readZeros(cursor, SIGNATURE_NUMBER_BYTES - P384_BYTES, field);
  return littleEndian.toReversed();
}

function readZeros(cursor: Cursor, bytes: number, field: string): void {
  const at = cursor.offset;
  const taken = cursor.take(bytes, field);
  if (taken.some((byte) => byte !== 0)) {
    throw new ParseError('unsupported', field, at, `has ${toHex(taken.subarray(0, 8))}…, expected zeros`);
  }
}
