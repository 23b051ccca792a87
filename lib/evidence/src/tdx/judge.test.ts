import { concatBytes, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { certify, makeAuthority, makeCrl, makeKeys, makeRoot } from '../../testing/hardware-ca.ts';
import { failedChecks } from '../../testing/snp-scene.ts';
import { makeTdxScene, type Patch, type QuoteChanges, type TdxScene } from '../../testing/tdx-scene.ts';
import { NOW, YEAR_MS } from '../../testing/vtpm-ca.ts';
import { isVerified } from '../verified.ts';
import { TDX_CHECK_TITLES } from './checks.ts';
import { judgeTdx, type TdxCollateral } from './judge.ts';
import type { AcceptableStatus, TdxException, TdxPolicy } from './policy.ts';
import { splitTdxQuote } from './quote.ts';

let scene: TdxScene;
beforeAll(async () => {
  scene = await makeTdxScene();
});

const except = (what: TdxException): Partial<TdxPolicy> => ({ exceptions: [{ what, reason: 'a test' }] });

/** Ids of the checks that fail for such a quote under such a policy. */
async function failsOf(changes: QuoteChanges, policy: Partial<TdxPolicy> = {}): Promise<string[]> {
  const quote = await scene.quote(changes);
  return failedChecks(await scene.judge({ quote, policy: { ...scene.policy, ...policy } }));
}

async function failsWith(changes: Partial<TdxCollateral>, policy: Partial<TdxPolicy> = {}): Promise<string[]> {
  const collateral = { ...scene.collateral, ...changes };
  return failedChecks(await scene.judge({ collateral, policy: { ...scene.policy, ...policy } }));
}

const STATUSES: readonly AcceptableStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
];
const allStatuses = STATUSES.map((status) => ({ status, reason: 'a test' }));

describe('judgeTdx()', () => {
  it('accepts a good quote, and only then makes it verified', async () => {
    const { verdict, verified } = await scene.judge();
    expect(verdict.reasons).toEqual([]);
    expect(verdict.outcome).toBe('accepted');
    expect(verdict.checks.map(({ id }) => id)).toEqual(Object.keys(TDX_CHECK_TITLES));
    expect(verified !== undefined && isVerified(verified)).toBe(true);
    expect(verified?.evaluation).toEqual({ status: 'UpToDate', advisories: [] });
    expect(verified?.reportData).toEqual(scene.reportData);
  });

  it.each(['1.0', '1.5'] as const)('accepts a quote of version 5 with TD report %s', async (body) => {
    const result = await scene.judge({ quote: await scene.quote({ body }) });
    expect(result.verdict.reasons).toEqual([]);
    expect(result.verified?.report.version).toBe(body);
  });

  it('answers every check when it is given nothing, and all of them with no', async () => {
    const policy: TdxPolicy = JSON.parse('{}');
    const { verdict, verified } = await judgeTdx({
      quote: new Uint8Array(),
      collateral: {
        tcbInfo: new Uint8Array(),
        tcbInfoCertificates: [],
        qeIdentity: new Uint8Array(),
        qeIdentityCertificates: [],
        crls: [],
      },
      policy,
      expectedReportData: new Uint8Array(),
      now: new Date(Number.NaN),
    });
    expect(verified).toBeUndefined();
    expect(verdict.checks.map(({ id }) => id)).toEqual(Object.keys(TDX_CHECK_TITLES));
    expect(verdict.checks.every(({ ok }) => !ok)).toBe(true);
  });

  it('marks what an unsigned quote says as a claim', async () => {
    const quote = await scene.quote({ report: [[0x78, [1]]] });
    quote[0x40] = (quote[0x40] ?? 0) ^ 1;
    const { verdict } = await scene.judge({ quote });
    expect(verdict.reasons.find((reason) => reason.includes('debug'))).toContain('a claim only');
  });
});

describe('checklist 14: the TD', () => {
  const zeros = [{ value: '00'.repeat(48), reason: 'none' }];
  const content: readonly [what: string, report: readonly Patch[], fails: string[], excuse?: TdxException][] = [
    ['DEBUG', [[0x78, [0x01]]], ['debug'], 'debug'],
    ['profiling with performance counters', [[0x78, [0x20]]], ['debug'], 'debug'],
    ['SEPT_VE_DISABLE that is not set', [[0x7b, [0]]], ['sept-ve'], 'sept-ve'],
    ['MIGRATABLE', [[0x7b, [0x30]]], ['migration'], 'migratable'],
    ['an attribute that is not allowed', [[0x7f, [0x80]]], ['attributes']],
    ['XFAM without SSE', [[0x80, [0xe5]]], ['xfam']],
    ['XFAM with more than is allowed', [[0x81, [0x42]]], ['xfam']],
    ['XFAM with a feature that is not known', [[0x84, [1]]], ['xfam']],
    ['MRSIGNERSEAM', [[0x40, [1]]], ['tdx-module']],
    ['SEAMATTRIBUTES', [[0x70, [1]]], ['tdx-module']],
    ['MRTD', [[0x88, [1, 2, 3, 4]]], ['mr-td']],
    ['RTMR0', [[0x148, [1]]], ['rtmrs']],
    ['RTMR2', [[0x1a8, [1]]], ['rtmrs']],
    ['MRCONFIGID', [[0xb8, [1]]], ['mr-config']],
    ['MROWNER', [[0xe8, [1]]], ['mr-config']],
    ['MROWNERCONFIG', [[0x118, [1]]], ['mr-config']],
    ['report data', [[0x208, [1, 2, 3, 4]]], ['report-data']],
    ['TEE_TCB_SVN below the policy’s', [[0x02, [2]]], ['tcb-status', 'tcb-minimum']],
  ];
  it.each(content)('checklist 14: %s', async (_what, report, fails, excuse) => {
    expect(await failsOf({ report })).toEqual(fails);
    const excused = excuse === undefined ? {} : except(excuse);
    expect(await failsOf({ report }, excused)).toEqual(excuse === undefined ? fails : []);
  });

  it.each<[bit: string, patch: Patch]>([
    ['1', [0x78, [0x02]]],
    ['8', [0x79, [0x01]]],
    ['26', [0x7b, [0x14]]],
    ['32', [0x7c, [0x01]]],
  ])('checklist 14: reserved attribute bit %s is refused', async (_bit, patch) => {
    const fails = await failsOf({ report: [patch] }, except('debug'));
    expect(fails).toEqual(expect.arrayContaining(['report-form', 'debug', 'attributes', 'report-data']));
  });

  it('checklist 14: MRSEAM, where the policy names one', async () => {
    const report: readonly Patch[] = [[0x10, [9]]];
    expect(await failsOf({ report }, { mrSeam: zeros })).toEqual(['mr-seam']);
    expect(await failsOf({ report: [] }, { mrSeam: zeros })).toEqual([]);
  });

  it('checklist 14: TDs that may act for this one', async () => {
    const report: readonly Patch[] = [[0x258, [9]]];
    expect(await failsOf({ body: '1.5', report })).toEqual(['service-td']);
  });

  it('checklist 14: an attribute that the policy demands', async () => {
    const attributes: TdxPolicy['attributes'] = { required: ['pks'], allowed: [] };
    expect(await failsOf({}, { attributes })).toEqual(['attributes']);
    expect(await failsOf({ report: [[0x7b, [0x50]]] }, { attributes })).toEqual([]);
  });
});

describe('checklist 14: the quote', () => {
  it.each<[what: string, changes: QuoteChanges]>([
    ['version 3', { header: [[0, [3]]] }],
    ['version 6', { header: [[0, [6]]] }],
    ['an attestation key on P-384', { header: [[2, [3]]] }],
    ['an SGX enclave', { header: [[4, [0]]] }],
    ['another quoting enclave’s vendor', { header: [[12, [0]]] }],
    ['certification data of another type', { certificationType: 5 }],
    ['a PCK that is only named', { pckDataType: 2 }],
  ])('checklist 14: %s is refused', async (_what, changes) => {
    expect((await failsOf(changes))[0]).toBe('quote-form');
  });

  it('checklist 14: only zeros may follow, unless the policy says why not', async () => {
    expect(await failsOf({ tail: new Uint8Array(3000) })).toEqual([]);
    expect(await failsOf({ tail: utf8('more') })).toEqual(['quote-end']);
    expect(await failsOf({ tail: utf8('more') }, except('unsigned-tail'))).toEqual([]);
  });

  it('checklist 14: the signature is over header and TD report', async () => {
    for (const at of [12, 30, 47, 48, 300, 631]) {
      const quote = await scene.quote();
      quote[at] = (quote[at] ?? 0) ^ 4;
      const fails = failedChecks(await scene.judge({ quote }));
      expect(fails, `byte ${at}`).toContain(at === 12 ? 'quote-form' : 'quote-signature');
    }
  });

  it('checklist 14: an attestation key that the quoting enclave does not vouch for', async () => {
    expect(await failsOf({ vouchedKey: new Uint8Array(64) })).toEqual(['attestation-key']);
    expect(await failsOf({ qeReport: [[0x160, [1]]] })).toEqual(['attestation-key']);
  });

  it('checklist 14: a quoting enclave that the platform’s key does not vouch for', async () => {
    const { privateKey } = await makeKeys('P-256');
    expect(await failsOf({ qeReportKey: privateKey })).toEqual(['qe-report-signature']);
  });

  it.each<[what: string, qeReport: readonly Patch[], fails: string[]]>([
    ['in debug mode', [[0x30, [0x13]]], ['qe-identity']],
    ['of another signer', [[0x80, [1]]], ['qe-identity']],
    ['of another product', [[0x100, [1]]], ['qe-identity']],
    ['with other MISCSELECT', [[0x10, [1]]], ['qe-identity']],
    ['that is out of date', [[0x102, [3]]], ['tcb-status']],
    ['that is revoked', [[0x102, [2]]], ['tcb-status']],
    ['that is older than all that Intel knows', [[0x102, [0]]], ['tcb-status']],
  ])('checklist 14: a quoting enclave %s', async (_what, qeReport, fails) => {
    expect(await failsOf({ qeReport })).toEqual(fails);
  });
});

describe('checklist 14: the certificates of Intel', () => {
  const withPck = async (pck: Uint8Array): Promise<QuoteChanges> => ({ pckChain: [pck, scene.ca.der, scene.root.der] });

  it('checklist 14: a root of the sender’s own is none', async () => {
    const other = await makeTdxScene();
    const result = await scene.judge({ quote: await other.quote(), collateral: other.collateral });
    expect(failedChecks(result)).toEqual(
      expect.arrayContaining(['pck-chain', 'tcb-info-signature', 'qe-identity-signature']),
    );
    expect(failedChecks(await scene.judge({ rootKeys: undefined }))).toEqual([
      'pck-chain',
      'tcb-info-signature',
      'qe-identity-signature',
    ]);
  });

  it.each<[what: string, changes: Parameters<TdxScene['pck']>[0], fails: string[]]>([
    ['for another use', { name: 'Intel SGX TCB Signing' }, ['pck-roles']],
    ['of a CA', { ca: true }, ['pck-roles']],
    ['that has expired', { notAfter: new Date(NOW.getTime() - 1000) }, ['pck-validity']],
    ['that is not valid yet', { notBefore: new Date(NOW.getTime() + 1000) }, ['pck-validity']],
    ['of another processor', { fmspc: '00806f050000' }, ['tcb-info-platform', 'tcb-status']],
    ['of another PCE', { pceId: '0001' }, ['tcb-info-platform', 'tcb-status']],
    ['that is cut off', { fmspc: '00' }, ['pck-platform', 'tcb-info-platform', 'tcb-status']],
  ])('checklist 14: a platform’s certificate %s', async (_what, changes, fails) => {
    expect(await failsOf(await withPck(await scene.pck(changes)))).toEqual(fails);
  });

  it('checklist 14: a chain of another length', async () => {
    expect(await failsOf({ pckChain: [await scene.pck(), scene.root.der] })).toContain('pck-form');
    expect(await failsOf({ pckChain: [await scene.pck(), scene.ca.der, scene.ca.der, scene.root.der] })).toContain(
      'pck-form',
    );
  });

  it('checklist 14: a platform’s certificate by a CA for something else', async () => {
    const ca = await makeAuthority(scene.root, 'Intel SGX Other CA', 'P-256');
    const pck = await certify(ca, scene.pckKeys.publicKey, 'Intel SGX PCK Certificate');
    expect(await failsOf({ pckChain: [pck, ca.der, scene.root.der] })).toContain('pck-roles');
  });

  it('checklist 14: a processor that the policy does not name', async () => {
    expect(await failsOf({}, { fmspcs: [{ value: '00806f050000', reason: 'others' }] })).toEqual([
      'tcb-info-platform',
      'tcb-status',
    ]);
  });

  it.each<[what: string, crls: () => Promise<readonly Uint8Array[]>, fails: string[]]>([
    [
      'a revoked PCK',
      async () => [await makeCrl(scene.root), await makeCrl(scene.ca, { revoked: ['0102'] })],
      ['revoked'],
    ],
    [
      'a revoked CA',
      async () => [await makeCrl(scene.root, { revoked: ['0102'] }), await makeCrl(scene.ca)],
      ['revoked'],
    ],
    [
      'a revoked signer of collateral',
      async () => [await makeCrl(scene.root, { revoked: ['0707'] }), await makeCrl(scene.ca)],
      ['revoked'],
    ],
    [
      'an expired list',
      async () => [await makeCrl(scene.root), await makeCrl(scene.ca, { nextUpdate: new Date(NOW.getTime() - 1000) })],
      ['crl-fresh'],
    ],
    ['no list of the root', async () => [await makeCrl(scene.ca)], ['crl', 'crl-fresh', 'revoked']],
    ['no list of the CA', async () => [await makeCrl(scene.root)], ['crl', 'crl-fresh', 'revoked']],
    [
      'a list that somebody else signed',
      async () => [await makeCrl(scene.root), await makeCrl(await makeRoot(scene.ca.name, 'P-256'))],
      ['crl', 'crl-fresh', 'revoked'],
    ],
    ['a list that cannot be read', async () => [Uint8Array.of(0x30, 0)], ['crl', 'crl-fresh', 'revoked']],
  ])('checklist 14: %s', async (_what, crls, fails) => {
    expect(await failsWith({ crls: await crls() })).toEqual(fails);
  });

  it('checklist 14: a missing revocation list refuses, unless the policy says why not', async () => {
    expect(await failsWith({ crls: [] })).toEqual(['crl', 'crl-fresh', 'revoked']);
    expect(await failsWith({ crls: [] }, except('missing-crl'))).toEqual([]);
  });
});

describe('checklist 14: what Intel says about firmware', () => {
  const asTcbInfo = async (info: (value: Record<string, unknown>) => void): Promise<string[]> =>
    failsWith({ tcbInfo: await scene.tcbInfo({ info }) });
  const asQeIdentity = async (info: (value: Record<string, unknown>) => void): Promise<string[]> =>
    failsWith({ qeIdentity: await scene.qeIdentity({ info }) });

  it('checklist 14: its signature is Intel’s, by a key for that', async () => {
    expect(await failsWith({ tcbInfo: await scene.tcbInfo({ key: scene.pckKeys.privateKey }) })).toEqual([
      'tcb-info-signature',
    ]);
    const pck = await certify(scene.root, scene.pckKeys.publicKey, 'Intel SGX PCK Certificate');
    const byPlatform = {
      tcbInfo: await scene.tcbInfo({ key: scene.pckKeys.privateKey }),
      tcbInfoCertificates: [pck, scene.root.der],
    };
    expect(await failsWith(byPlatform)).toEqual(['tcb-info-signature']);
    const swapped = { tcbInfo: scene.collateral.qeIdentity, qeIdentity: scene.collateral.tcbInfo };
    expect(await failsWith(swapped)).toEqual(expect.arrayContaining(['tcb-info-signature', 'qe-identity-signature']));
    expect(await failsWith({ qeIdentityCertificates: [] })).toEqual(['qe-identity-signature']);
  });

  it.each(['issueDate', 'nextUpdate'])('checklist 14: expired or early TCB info and identity: %s', async (key) => {
    const time = (key === 'issueDate' ? new Date(NOW.getTime() + 1000) : new Date(NOW.getTime() - 1000)).toISOString();
    const set = (value: Record<string, unknown>): void => {
      value[key] = time.replace(/\.\d+Z$/, 'Z');
    };
    expect(await asTcbInfo(set)).toEqual(['tcb-info-fresh']);
    expect(await asQeIdentity(set)).toEqual(['qe-identity-fresh']);
  });

  it('checklist 14: expired collateral is said and does not pass, but at its own time', async () => {
    const { verdict } = await scene.judge({ now: new Date(NOW.getTime() + YEAR_MS / 2) });
    expect(failedChecks({ verdict })).toEqual(['crl-fresh', 'tcb-info-fresh', 'qe-identity-fresh']);
    expect(verdict.reasons.join('\n')).toMatch(/the TCB info has expired on/);
    expect(verdict.reasons.join('\n')).toMatch(/identity has expired on/);
    expect(verdict.reasons.join('\n')).toMatch(/revocation list .* has expired on/);
  });

  it('checklist 14: a publication that is older than the policy demands', async () => {
    const policy = { minimumEvaluationDataNumber: 18 };
    expect(await failsWith({}, policy)).toEqual(['tcb-info-fresh', 'qe-identity-fresh']);
  });

  it.each<[what: string, key: string, value: unknown]>([
    ['version 2', 'version', 2],
    ['version 4', 'version', 4],
    ['SGX', 'id', 'SGX'],
    ['another type of TCB', 'tcbType', 1],
    ['no levels', 'tcbLevels', undefined],
    ['levels of another form', 'tcbLevels', [{}]],
  ])('checklist 14: TCB info of %s is refused', async (_what, key, wrong) => {
    const fails = await asTcbInfo((value) => {
      value[key] = wrong;
    });
    expect(fails[0]).toBe('tcb-info-form');
    expect(fails).toContain('tcb-status');
  });

  it.each<[what: string, key: string, value: unknown]>([
    ['version 1', 'version', 1],
    ['another enclave', 'id', 'QE'],
    ['levels of another form', 'tcbLevels', [{}]],
  ])('checklist 14: a quoting enclave’s identity of %s is refused', async (_what, key, wrong) => {
    const fails = await asQeIdentity((value) => {
      value[key] = wrong;
    });
    expect(fails[0]).toBe('qe-identity-form');
    expect(fails).toContain('tcb-status');
  });

  it('checklist 14: a status that is not known is refused', async () => {
    const fails = await failsWith({
      tcbInfo: utf8(new TextDecoder().decode(scene.collateral.tcbInfo).replace('UpToDate', 'Splendid')),
    });
    expect(fails).toContain('tcb-info-form');
  });

  it('checklist 14: a component that is missing is no component', async () => {
    const text = new TextDecoder().decode(scene.collateral.tcbInfo).replace('{"svn":5},', '');
    expect(await failsWith({ tcbInfo: utf8(text) })).toContain('tcb-info-form');
  });

  const levels: readonly [components: number[], pceSvn: number, status: string][] = [
    [[5, 5, 2], 11, 'UpToDate'],
    [[9, 9, 9, 1], 12, 'UpToDate'],
    [[5, 5, 1], 11, 'SWHardeningNeeded'],
    [[5, 4, 9], 11, 'ConfigurationNeeded'],
    [[5, 3, 9], 11, 'ConfigurationAndSWHardeningNeeded'],
    [[5, 2, 9], 11, 'OutOfDate'],
    [[5, 1, 9], 11, 'OutOfDateConfigurationNeeded'],
    [[4, 9, 9], 11, 'Revoked'],
    [[5, 5, 2], 10, 'Revoked'],
    [[3, 9, 9], 11, 'none'],
    [[5, 5, 2], 4, 'none'],
  ];
  it.each(levels)('checklist 14: components %j and PCE %i are %s', async (components, pceSvn, status) => {
    const quote = await scene.quote({
      pckChain: [await scene.pck({ components, pceSvn }), scene.ca.der, scene.root.der],
    });
    const strict = await scene.judge({ quote });
    expect(failedChecks(strict)).toEqual(status === 'UpToDate' ? [] : ['tcb-status']);
    const { verdict, verified } = await scene.judge({ quote, policy: { ...scene.policy, statuses: allStatuses } });
    const never = status === 'Revoked' || status === 'none';
    expect(failedChecks({ verdict })).toEqual(never ? ['tcb-status'] : []);
    expect(verified?.evaluation.status).toBe(never ? undefined : status);
  });

  it('checklist 14: every one of the 16 components counts', async () => {
    const tcbInfo = await scene.tcbInfo({
      info: (value) => {
        const raised = JSON.stringify(value.tcbLevels).replace(/"sgxtcbcomponents":\[.*?\]/g, (list) =>
          list.replaceAll('{"svn":0}', '{"svn":1}'),
        );
        value.tcbLevels = JSON.parse(raised);
      },
    });
    const judged = async (weak: number | undefined): Promise<string[]> => {
      const components = Array.from({ length: 16 }, (_, at) => (at === weak ? 0 : 9));
      const pck = await scene.pck({ components });
      const quote = await scene.quote({ pckChain: [pck, scene.ca.der, scene.root.der] });
      return failedChecks(await scene.judge({ quote, collateral: { ...scene.collateral, tcbInfo } }));
    };
    expect(await judged(undefined)).toEqual([]);
    for (let at = 0; at < 16; at += 1) expect(await judged(at), `component ${at + 1}`).toEqual(['tcb-status']);
  });

  it('checklist 14: every part of TEE_TCB_SVN counts', async () => {
    const tcbInfo = await scene.tcbInfo({
      info: (value) => {
        const raised = JSON.stringify(value.tcbLevels).replace(/"tdxtcbcomponents":\[.*?\]/g, (list) =>
          list.replaceAll(/\{"svn":\d\}/g, '{"svn":5}').replace('{"svn":5},{"svn":5}', '{"svn":5},{"svn":0}'),
        );
        value.tcbLevels = JSON.parse(raised);
      },
    });
    const policy = { ...scene.policy, minimumTeeTcbSvn: '00'.repeat(16) };
    for (const weak of [undefined, 0, 2, 3, 7, 15]) {
      const svns = Array.from({ length: 16 }, (_, at) => (at === 1 ? 0 : at === weak ? 4 : 5));
      const quote = await scene.quote({ report: [[0, svns]] });
      const result = await scene.judge({ quote, policy, collateral: { ...scene.collateral, tcbInfo } });
      expect(failedChecks(result), `part ${weak}`).toEqual(weak === undefined ? [] : ['tcb-status']);
    }
  });

  it('checklist 14: a module of version 1 has an identity of its own', async () => {
    const policy = { ...scene.policy, statuses: allStatuses, minimumTeeTcbSvn: '00'.repeat(16) };
    const judged = async (svns: number[]): Promise<unknown> => {
      const result = await scene.judge({ quote: await scene.quote({ report: [[0, svns]] }), policy });
      return result.verified?.evaluation ?? failedChecks(result);
    };
    expect(await judged([4, 1, 3])).toEqual({ status: 'UpToDate', advisories: [] });
    expect(await judged([2, 1, 3])).toEqual({ status: 'OutOfDate', advisories: ['INTEL-SA-2'] });
    expect(await judged([1, 1, 3])).toEqual(['tcb-status']);
    expect(await judged([4, 2, 3])).toEqual(['tdx-module', 'tcb-status']);
  });

  it('checklist 14: a guest that began under an old module can begin again under the new one', async () => {
    const judged = async (now: number[], components = [5, 5, 2]): Promise<string | undefined> => {
      const pckChain = [await scene.pck({ components }), scene.ca.der, scene.root.der];
      const report: readonly Patch[] = [
        [0, [2, 1, 3]],
        [0x248, now],
      ];
      const policy = { ...scene.policy, statuses: allStatuses, minimumTeeTcbSvn: '00'.repeat(16) };
      const quote = await scene.quote({ body: '1.5', report, pckChain });
      return (await scene.judge({ quote, policy })).verified?.evaluation.status;
    };
    expect(await judged([4, 1, 3])).toBe('TDRelaunchAdvised');
    expect(await judged([4, 1, 3], [5, 4, 1])).toBe('TDRelaunchAdvisedConfigurationNeeded');
    expect(await judged([3, 1, 3])).toBe('OutOfDate');
    expect(await judged([4, 1, 2])).toBe('OutOfDate');
  });
});

describe('splitTdxQuote()', () => {
  it('refuses every truncation', async () => {
    const quote = await scene.quote();
    for (let length = 0; length < quote.length; length += 13) {
      expect(() => splitTdxQuote(quote.subarray(0, length)), `${length} bytes`).toThrow('expected');
    }
  });

  it('refuses more bytes than its limit', async () => {
    const quote = concatBytes(await scene.quote(), new Uint8Array(32 * 1024));
    expect(() => splitTdxQuote(quote)).toThrow('expected at most 32768');
  });
});
