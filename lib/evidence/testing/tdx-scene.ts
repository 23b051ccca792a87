// The scene of TDX tests: an Intel of our own, a platform, a guest, and quotes that may lie.
import { concatBytes, toHex, utf8 } from '@ringwall/bytes';
import {
  judgeTdx,
  keyFingerprint,
  type TdxCollateral,
  type TdxJudgement,
  type TdxPolicy,
  type TdxResult,
} from '../src/index.ts';
import { encodePem } from '../src/x509-pem.ts';
import { der, derInteger, derOid } from './der-maker.ts';
import {
  certify,
  makeAuthority,
  makeCrl,
  makeKeys,
  makeRoot,
  spkiOf,
  type Authority,
  type CertificateChanges,
} from './hardware-ca.ts';
import { NOW, YEAR_MS } from './vtpm-ca.ts';
import * as x509 from './x509-maker.ts';

const SGX_OID = '1.2.840.113741.1.13.1';
const FMSPC = '50806f000000';
const MR_SIGNER_QE = 'ab'.repeat(32);
export const QE_AUTHENTICATION_DATA: Uint8Array = Uint8Array.from({ length: 32 }, (_, index) => index);

export interface PckChanges extends CertificateChanges {
  readonly components?: readonly number[];
  readonly pceSvn?: number;
  readonly fmspc?: string;
  readonly pceId?: string;
}

/** Bytes to write at an offset. */
export type Patch = readonly [offset: number, bytes: readonly number[] | Uint8Array];

export interface QuoteChanges {
  readonly header?: readonly Patch[];
  readonly report?: readonly Patch[];
  readonly qeReport?: readonly Patch[];
  readonly qeReportKey?: CryptoKey;
  /** Instead of a digest over the key that signs. */
  readonly vouchedKey?: Uint8Array;
  readonly pckChain?: readonly Uint8Array[];
  readonly tail?: Uint8Array;
  /** Quote version 5 with this body. */
  readonly body?: '1.0' | '1.5';
  readonly certificationType?: number;
  readonly pckDataType?: number;
}

export interface JsonChanges {
  readonly info?: (info: Record<string, unknown>) => void;
  readonly key?: CryptoKey;
}

export interface TdxScene {
  readonly root: Authority;
  readonly ca: Authority;
  readonly signing: Authority;
  readonly policy: TdxPolicy;
  readonly reportData: Uint8Array;
  readonly collateral: TdxCollateral;
  readonly pck: (changes?: PckChanges) => Promise<Uint8Array>;
  readonly pckKeys: CryptoKeyPair;
  readonly quote: (changes?: QuoteChanges) => Promise<Uint8Array>;
  readonly tcbInfo: (changes?: JsonChanges) => Promise<Uint8Array>;
  readonly qeIdentity: (changes?: JsonChanges) => Promise<Uint8Array>;
  readonly judge: (changes?: Partial<TdxJudgement>) => Promise<TdxResult>;
}

export async function makeTdxScene(): Promise<TdxScene> {
  const root = await makeRoot('Intel SGX Root CA', 'P-256', { pathLength: 1 });
  const ca = await makeAuthority(root, 'Intel SGX PCK Platform CA', 'P-256');
  const signing = await makeAuthority(root, 'Intel SGX TCB Signing', 'P-256', { ca: false, serialNumber: '0707' });
  const pckKeys = await makeKeys('P-256');
  const attestation = await makeKeys('P-256');
  const reportData = crypto.getRandomValues(new Uint8Array(64));
  const mrTd = crypto.getRandomValues(new Uint8Array(48));
  const rootKeys = [await keyFingerprint(await spkiOf(root.keys.publicKey))];
  const pck = (changes: PckChanges = {}): Promise<Uint8Array> =>
    certify(ca, pckKeys.publicKey, 'Intel SGX PCK Certificate', {
      ...changes,
      extensions: [
        new x509.Extension(SGX_OID, false, new Uint8Array(sgxExtension(changes))),
        ...(changes.extensions ?? []),
      ],
    });
  const goodChain = [await pck(), ca.der, root.der];
  const quote = (changes: QuoteChanges = {}): Promise<Uint8Array> =>
    makeQuote({ attestation, pckKeys, reportData, mrTd, chain: goodChain }, changes);
  const signedJson = async (name: string, info: Record<string, unknown>, changes: JsonChanges): Promise<Uint8Array> => {
    changes.info?.(info);
    const text = JSON.stringify(info);
    const signature = await sign(changes.key ?? signing.keys.privateKey, utf8(text));
    return utf8(`{"${name}":${text},"signature":"${toHex(signature)}"}`);
  };
  const tcbInfo = (changes: JsonChanges = {}): Promise<Uint8Array> => signedJson('tcbInfo', plainTcbInfo(), changes);
  const qeIdentity = (changes: JsonChanges = {}): Promise<Uint8Array> =>
    signedJson('enclaveIdentity', plainQeIdentity(), changes);
  const collateral: TdxCollateral = {
    tcbInfo: await tcbInfo(),
    tcbInfoCertificates: [signing.der, root.der],
    qeIdentity: await qeIdentity(),
    qeIdentityCertificates: [signing.der, root.der],
    crls: [await makeCrl(root), await makeCrl(ca)],
  };
  const policy = plainPolicy(toHex(mrTd));
  const goodQuote = await quote();
  return {
    root,
    ca,
    signing,
    policy,
    reportData,
    collateral,
    pck,
    pckKeys,
    quote,
    tcbInfo,
    qeIdentity,
    judge: (changes = {}) =>
      judgeTdx({
        quote: goodQuote,
        collateral,
        policy,
        expectedReportData: reportData,
        now: NOW,
        rootKeys,
        ...changes,
      }),
  };
}

function plainPolicy(mrTd: string): TdxPolicy {
  const zeros = [{ value: '00'.repeat(48), reason: 'none' }];
  return {
    version: 1,
    kind: 'tdx',
    statuses: [{ status: 'UpToDate', reason: 'nothing is known against it' }],
    minimumTeeTcbSvn: '03000300000000000000000000000000',
    minimumEvaluationDataNumber: 15,
    fmspcs: [{ value: FMSPC, reason: 'our processors' }],
    attributes: { required: [], allowed: ['pks'] },
    xfam: { required: '0000000000000003', allowed: '00000000000602e4' },
    mrSeam: 'any',
    mrTd: [{ value: mrTd, reason: 'firmware 1' }],
    rtmr0: zeros,
    rtmr1: zeros,
    rtmr2: zeros,
    rtmr3: 'any',
    mrConfigId: zeros,
    mrOwner: zeros,
    mrOwnerConfig: zeros,
    mrServiceTd: zeros,
    exceptions: [],
  };
}

function plainTcbInfo(): Record<string, unknown> {
  const parts = (values: readonly number[]): unknown[] =>
    Array.from({ length: 16 }, (_, at) => ({ svn: values[at] ?? 0 }));
  const module = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) };
  const level = (sgx: number[], pcesvn: number, tdx: number[], tcbStatus: string, advisoryIDs?: string[]): unknown => ({
    tcb: { sgxtcbcomponents: parts(sgx), pcesvn, tdxtcbcomponents: parts(tdx) },
    tcbDate: '2026-01-01T00:00:00Z',
    tcbStatus,
    ...(advisoryIDs === undefined ? {} : { advisoryIDs }),
  });
  return {
    id: 'TDX',
    version: 3,
    issueDate: seconds(NOW.getTime() - YEAR_MS / 12),
    nextUpdate: seconds(NOW.getTime() + YEAR_MS / 12),
    fmspc: FMSPC.toUpperCase(),
    pceId: '0000',
    tcbType: 0,
    tcbEvaluationDataNumber: 17,
    tdxModule: module,
    tdxModuleIdentities: [
      {
        id: 'TDX_01',
        ...module,
        tcbLevels: [
          { tcb: { isvsvn: 4 }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'UpToDate' },
          { tcb: { isvsvn: 2 }, tcbDate: '2025-01-01T00:00:00Z', tcbStatus: 'OutOfDate', advisoryIDs: ['INTEL-SA-2'] },
        ],
      },
    ],
    tcbLevels: [
      level([5, 5, 2], 11, [3, 0, 3], 'UpToDate'),
      level([5, 5, 1], 11, [3, 0, 3], 'SWHardeningNeeded', ['INTEL-SA-1']),
      level([5, 4, 1], 11, [3, 0, 3], 'ConfigurationNeeded'),
      level([5, 3, 1], 11, [3, 0, 3], 'ConfigurationAndSWHardeningNeeded'),
      level([5, 2, 1], 11, [3, 0, 2], 'OutOfDate'),
      level([5, 1, 1], 11, [3, 0, 2], 'OutOfDateConfigurationNeeded'),
      level([4, 1, 1], 5, [1, 0, 1], 'Revoked'),
    ],
  };
}

function plainQeIdentity(): Record<string, unknown> {
  return {
    id: 'TD_QE',
    version: 2,
    issueDate: seconds(NOW.getTime() - YEAR_MS / 12),
    nextUpdate: seconds(NOW.getTime() + YEAR_MS / 12),
    tcbEvaluationDataNumber: 17,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: MR_SIGNER_QE.toUpperCase(),
    isvprodid: 2,
    tcbLevels: [
      { tcb: { isvsvn: 4 }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'UpToDate' },
      { tcb: { isvsvn: 3 }, tcbDate: '2025-01-01T00:00:00Z', tcbStatus: 'OutOfDate' },
      { tcb: { isvsvn: 1 }, tcbDate: '2024-01-01T00:00:00Z', tcbStatus: 'Revoked' },
    ],
  };
}

async function makeQuote(
  good: {
    readonly attestation: CryptoKeyPair;
    readonly pckKeys: CryptoKeyPair;
    readonly reportData: Uint8Array;
    readonly mrTd: Uint8Array;
    readonly chain: readonly Uint8Array[];
  },
  changes: QuoteChanges,
): Promise<Uint8Array> {
  const { body } = changes;
  const header = new Uint8Array(48);
  header.set([body === undefined ? 4 : 5, 0, 2, 0, 0x81]);
  header.set([0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07], 12);
  patch(header, changes.header);
  const report = new Uint8Array(body === '1.5' ? 648 : 584);
  report.set([3, 0, 3]); // TEE_TCB_SVN
  report[0x7b] = 0x10; // SEPT_VE_DISABLE
  report.set([0xe7, 0x02, 0x06], 0x80); // XFAM
  report.set(good.mrTd, 0x88);
  report.set(good.reportData, 0x208);
  if (body === '1.5') report.set([3, 0, 3], 0x248);
  patch(report, changes.report);
  const size = new Uint8Array(body === undefined ? 0 : 6);
  if (body !== undefined) {
    size[0] = body === '1.0' ? 2 : 3;
    new DataView(size.buffer).setUint32(2, report.length, true);
  }
  const signedPart = concatBytes(header, size, report);
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', good.attestation.publicKey)).subarray(1);

  const qeReport = new Uint8Array(384);
  qeReport[0x30] = 0x11;
  qeReport.fill(0xab, 0x80, 0xa0); // MRSIGNER
  qeReport.set([2, 0, 4, 0], 0x100); // ISVPRODID, ISVSVN
  const bound = concatBytes(changes.vouchedKey ?? point, QE_AUTHENTICATION_DATA);
  qeReport.set(new Uint8Array(await crypto.subtle.digest('SHA-256', bound)), 0x140);
  patch(qeReport, changes.qeReport);
  const pem = utf8((changes.pckChain ?? good.chain).map((certificate) => encodePem(certificate)).join(''));
  const certification = concatBytes(
    qeReport,
    await sign(changes.qeReportKey ?? good.pckKeys.privateKey, qeReport),
    le(2, QE_AUTHENTICATION_DATA.length),
    QE_AUTHENTICATION_DATA,
    le(2, changes.pckDataType ?? 5),
    le(4, pem.length),
    pem,
  );
  const signatureData = concatBytes(
    await sign(good.attestation.privateKey, signedPart),
    point,
    le(2, changes.certificationType ?? 6),
    le(4, certification.length),
    certification,
  );
  return concatBytes(signedPart, le(4, signatureData.length), signatureData, changes.tail ?? new Uint8Array());
}

function sgxExtension(changes: PckChanges): Uint8Array {
  const field = (oid: string, value: Uint8Array): Uint8Array => der(0x30, derOid(`${SGX_OID}.${oid}`), value);
  const octets = (hex: string): Uint8Array =>
    der(
      0x04,
      Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)),
    );
  const components = changes.components ?? [5, 5, 2];
  const svns = Array.from({ length: 16 }, (_, at) => field(`2.${at + 1}`, derInteger(components[at] ?? 0)));
  return der(
    0x30,
    field('1', octets('11'.repeat(16))),
    field(
      '2',
      der(0x30, ...svns, field('2.17', derInteger(changes.pceSvn ?? 11)), field('2.18', octets('00'.repeat(16)))),
    ),
    field('3', octets(changes.pceId ?? '0000')),
    field('4', octets(changes.fmspc ?? FMSPC)),
    field('5', der(0x0a, Uint8Array.of(1))),
  );
}

async function sign(key: CryptoKey, message: Uint8Array): Promise<Uint8Array> {
  const bytes = new Uint8Array(message);
  return new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, bytes));
}

function patch(bytes: Uint8Array, patches: readonly Patch[] = []): void {
  for (const [offset, value] of patches) bytes.set(value, offset);
}

function le(bytes: number, value: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => Math.floor(value / 256 ** at) % 256);
}

function seconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}
