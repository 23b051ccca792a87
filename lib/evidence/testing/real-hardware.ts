// Evidence of real processors, from the vectors beside the repository: public samples that are not ours to copy into it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '@ringwall/bytes';
import { certificatesOf, parseSnpReport, parseTdReport, splitTdxQuote } from '../src/index.ts';
import type { SnpJudgement, SnpPolicy, TdxJudgement, TdxPolicy } from '../src/index.ts';

const VECTORS = join(import.meta.dirname, '../../../../shared/vectors');
/** Whether the vectors are there; tests that need them skip where they are not. */
export const hasVectors: boolean = existsSync(join(VECTORS, 'snp')) && existsSync(join(VECTORS, 'tdx'));
/** When the collateral of the TDX vector was current. */
export const TDX_TIME: Date = new Date('2023-07-01T00:00:00Z');

/** An AMD Milan’s report with its certificates, under a policy that it fulfils but for the missing revocation list. */
export function realSnp(): SnpJudgement {
  const report = fromHex(new TextDecoder().decode(read('snp/virtee-sev/report_milan.hex')).trim().toLowerCase());
  const { measurement, reportData } = parseSnpReport(report);
  const policy: SnpPolicy = {
    version: 1,
    kind: 'sev-snp',
    products: [{ product: 'Milan', minimumTcb: { fmc: 0, bootloader: 3, tee: 0, snp: 8, microcode: 115 } }],
    minimumFirmware: { major: 1, minor: 52, build: 4 },
    minimumGuestAbi: { major: 0, minor: 0 },
    minimumGuestSvn: 0,
    signers: ['vcek'],
    providers: [],
    chipIds: 'any',
    vmpls: [0],
    guestPolicy: { required: [], allowed: ['smt'] },
    platform: { required: [], refused: [] },
    mitigations: [],
    measurements: [{ value: toHex(measurement), reason: 'the vector' }],
    hostData: [{ value: '00'.repeat(32), reason: 'none' }],
    idKeyDigests: 'any',
    authorKeyDigests: 'any',
    exceptions: [{ what: 'missing-crl', reason: 'the vector has none' }],
  };
  const certificates = [
    read('snp/virtee-sev/vcek_milan.der'),
    ...certificatesOf(read('snp/virtee-sev/cert_chain_milan')),
  ];
  const collateral = { certificates, crls: [] };
  return { report, collateral, policy, expectedReportData: reportData, now: new Date('2026-11-21T12:00:00Z') };
}

/** An Intel processor’s quote with its collateral, which lacks the certificates that signed it. */
export function realTdx(): TdxJudgement {
  const folder = 'tdx/go-tdx-guest';
  const quote = read(`${folder}/tdx_prod_quote_SPR_E4.dat`);
  const parts = splitTdxQuote(quote);
  const { mrTd, reportData } = parseTdReport(parts.tdReport, parts.tdReportVersion);
  const policy: TdxPolicy = {
    version: 1,
    kind: 'tdx',
    statuses: [{ status: 'UpToDate', reason: 'nothing is known against it' }],
    minimumTeeTcbSvn: '00'.repeat(16),
    minimumEvaluationDataNumber: 0,
    fmspcs: 'any',
    attributes: { required: [], allowed: ['pks'] },
    xfam: { required: '0000000000000003', allowed: '000000000006dbe7' },
    mrSeam: 'any',
    mrTd: [{ value: toHex(mrTd), reason: 'the vector' }],
    rtmr0: 'any',
    rtmr1: 'any',
    rtmr2: 'any',
    rtmr3: 'any',
    mrConfigId: 'any',
    mrOwner: 'any',
    mrOwnerConfig: 'any',
    mrServiceTd: 'any',
    exceptions: [
      { what: 'unsigned-tail', reason: 'the vector has a text after its quote' },
      { what: 'sept-ve', reason: 'a guest of 2023' },
    ],
  };
  const collateral = {
    tcbInfo: read(`${folder}/sample_tcbInfo_response`),
    tcbInfoCertificates: [],
    qeIdentity: read(`${folder}/sample_qeIdentity_response`),
    qeIdentityCertificates: [],
    crls: [read(`${folder}/rootcrl.der`), read(`${folder}/pckcrl`)],
  };
  return { quote, collateral, policy, expectedReportData: reportData, now: TDX_TIME };
}

function read(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(VECTORS, path)));
}
