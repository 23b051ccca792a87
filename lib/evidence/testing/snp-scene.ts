// The scene of SEV-SNP tests: an AMD of our own, a chip, a guest, and reports that may lie.
import { concatBytes, toHex, utf8 } from '@ringwall/bytes';
import {
  judgeSnp,
  keyFingerprint,
  type AmdRoot,
  type SnpJudgement,
  type SnpPolicy,
  type SnpProduct,
  type SnpResult,
} from '../src/index.ts';
import { der, derInteger } from './der-maker.ts';
import {
  certify,
  makeAuthority,
  makeCrl,
  makeKeys,
  makeRoot,
  spkiOf,
  type Algorithm,
  type Authority,
  type CertificateChanges,
} from './hardware-ca.ts';
import { NOW } from './vtpm-ca.ts';
import * as x509 from './x509-maker.ts';

export const AMD_OID = '1.3.6.1.4.1.3704.1';
export const CSP_ID = 'CN=provider.example';
/** BL, TEE, SNP, microcode of the scene’s chips, Turin’s with an FMC before them. */
const TCB: Readonly<Record<SnpProduct, readonly number[]>> = {
  Milan: [3, 1, 0, 0, 0, 0, 8, 115],
  Genoa: [3, 1, 0, 0, 0, 0, 8, 115],
  Turin: [2, 3, 1, 8, 0, 0, 0, 115],
};
const SPL_OF_BYTE = {
  Milan: [1, 2, 4, 5, 6, 7, 3, 8],
  Genoa: [1, 2, 4, 5, 6, 7, 3, 8],
  Turin: [9, 1, 2, 3, 5, 6, 7, 8],
};
const CPU: Readonly<Record<SnpProduct, readonly number[]>> = {
  Milan: [0x19, 1, 1],
  Genoa: [0x19, 0x11, 0],
  Turin: [0x1a, 2, 1],
};

export interface KeyChanges extends CertificateChanges {
  readonly product?: string;
  readonly tcb?: readonly number[];
  readonly hwId?: Uint8Array | undefined;
  readonly cspId?: string | undefined;
}

/** Bytes to write at an offset of a report. */
export type Patch = readonly [offset: number, bytes: readonly number[] | Uint8Array];

export interface SnpScene {
  readonly product: SnpProduct;
  readonly ark: Authority;
  readonly ask: Authority;
  readonly roots: readonly AmdRoot[];
  readonly policy: SnpPolicy;
  readonly reportData: Uint8Array;
  readonly chipId: Uint8Array;
  /** A certificate for the chip’s key. */
  readonly certificate: (changes?: KeyChanges) => Promise<Uint8Array>;
  /** A report, signed after the patches. */
  readonly report: (...patches: readonly Patch[]) => Promise<Uint8Array>;
  readonly judge: (changes?: Partial<SnpJudgement>) => Promise<SnpResult>;
}

export async function makeSnpScene(
  options: {
    readonly product?: SnpProduct;
    readonly kind?: 'vcek' | 'vlek';
    readonly version?: number;
    /** AMD’s is RSA-PSS, whose keys take long to make. */
    readonly algorithm?: Algorithm;
  } = {},
): Promise<SnpScene> {
  const { product = 'Milan', kind = 'vcek', version = 3, algorithm = 'P-384' } = options;
  const ark = await makeRoot(`ARK-${product}`, algorithm);
  const ask = await makeAuthority(ark, kind === 'vcek' ? `SEV-${product}` : `SEV-VLEK-${product}`, algorithm);
  const keys = await makeKeys('P-384');
  const hwId = crypto.getRandomValues(new Uint8Array(product === 'Turin' ? 8 : 64));
  const chipId = new Uint8Array(64);
  chipId.set(hwId);
  const reportData = crypto.getRandomValues(new Uint8Array(64));
  const measurement = crypto.getRandomValues(new Uint8Array(48));
  const roots = [{ product, keyFingerprint: await keyFingerprint(await spkiOf(ark.keys.publicKey)) }];
  const ofChip = kind === 'vcek' ? { hwId } : { cspId: CSP_ID };

  const certificate = (changes: KeyChanges = {}): Promise<Uint8Array> =>
    certify(ask, keys.publicKey, kind === 'vcek' ? 'SEV-VCEK' : 'SEV-VLEK', {
      usages: undefined,
      ...changes,
      extensions: keyExtensions(product, { ...ofChip, ...changes }),
    });
  const report = async (...patches: readonly Patch[]): Promise<Uint8Array> => {
    const bytes = plainReport(product, version, kind);
    bytes.set(reportData, 0x50);
    bytes.set(measurement, 0x90);
    bytes.set(chipId, 0x1a0);
    for (const [offset, patch] of patches) bytes.set(patch, offset);
    return signReport(bytes, keys.privateKey);
  };
  const policy: SnpPolicy = {
    version: 1,
    kind: 'sev-snp',
    products: [
      { product, minimumTcb: { fmc: product === 'Turin' ? 2 : 0, bootloader: 3, tee: 1, snp: 8, microcode: 115 } },
    ],
    minimumFirmware: { major: 1, minor: 55, build: 3 },
    minimumGuestAbi: { major: 1, minor: 51 },
    minimumGuestSvn: 2,
    signers: [kind],
    providers: kind === 'vlek' ? [{ cspId: CSP_ID, reason: 'our provider' }] : [],
    chipIds: 'any',
    vmpls: [0],
    guestPolicy: { required: [], allowed: ['smt'] },
    platform: { required: ['alias-check-complete'], refused: ['tsme'] },
    mitigations: [],
    measurements: [{ value: toHex(measurement), reason: 'image 1' }],
    hostData: [{ value: '00'.repeat(32), reason: 'none' }],
    idKeyDigests: [{ value: '00'.repeat(48), reason: 'none' }],
    authorKeyDigests: [{ value: '00'.repeat(48), reason: 'none' }],
    exceptions: [],
  };
  const crl = await makeCrl(ark);
  const good = { certificates: [await certificate(), ask.der, ark.der], crls: [crl] };
  const goodReport = await report();
  return {
    product,
    ark,
    ask,
    roots,
    policy,
    reportData,
    chipId,
    certificate,
    report,
    judge: (changes = {}) =>
      judgeSnp({
        report: goodReport,
        collateral: good,
        policy,
        expectedReportData: reportData,
        now: NOW,
        roots,
        ...changes,
      }),
  };
}

/** Ids of the checks that failed. */
export function failedChecks({ verdict }: { verdict: SnpResult['verdict'] }): string[] {
  return verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
}

function keyExtensions(product: SnpProduct, changes: KeyChanges): x509.Extension[] {
  const tcb = changes.tcb ?? TCB[product];
  const text = (value: string): Uint8Array => der(0x16, utf8(value));
  const extension = (oid: string, value: Uint8Array): x509.Extension =>
    new x509.Extension(`${AMD_OID}.${oid}`, false, new Uint8Array(value));
  return [
    extension('1', derInteger(0)),
    extension('2', text(changes.product ?? (product === 'Turin' ? product : `${product}-B0`))),
    ...SPL_OF_BYTE[product].map((spl, at) => extension(`3.${spl}`, derInteger(tcb[at] ?? 0))),
    ...(changes.hwId === undefined ? [] : [extension('4', changes.hwId)]),
    ...(changes.cspId === undefined ? [] : [extension('5', text(changes.cspId))]),
    ...(changes.extensions ?? []),
  ];
}

function plainReport(product: SnpProduct, version: number, kind: 'vcek' | 'vlek'): Uint8Array {
  const bytes = new Uint8Array(0x4a0);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, version, true);
  view.setUint32(4, 2, true); // GUEST_SVN
  bytes.set([51, 1, 0b11], 8); // ABI 1.51, SMT, reserved one
  view.setUint32(0x34, 1, true); // ECDSA P-384
  bytes[0x40] = 0b100001; // SMT, alias check complete
  bytes[0x48] = kind === 'vlek' ? 0b100 : 0;
  bytes.fill(0xff, 0x160, 0x180); // no migration agent
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) bytes.set(TCB[product], at);
  if (version >= 3) bytes.set(CPU[product], 0x188);
  bytes.set([3, 55, 1, 0, 3, 55, 1, 0], 0x1e8);
  return bytes;
}

async function signReport(bytes: Uint8Array, key: CryptoKey): Promise<Uint8Array> {
  const algorithm = { name: 'ECDSA', hash: 'SHA-384' };
  const signed = new Uint8Array(bytes.subarray(0, 0x2a0));
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, key, signed));
  const number = (from: number): Uint8Array =>
    concatBytes(signature.subarray(from, from + 48).toReversed(), new Uint8Array(24));
  return concatBytes(signed, number(0), number(48), new Uint8Array(512 - 144));
}
