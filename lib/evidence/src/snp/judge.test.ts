import { toHex } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeAuthority, makeCrl, makeRoot, certify } from '../../testing/hardware-ca.ts';
import { CSP_ID, failedChecks, makeSnpScene, type Patch, type SnpScene } from '../../testing/snp-scene.ts';
import { NOW, YEAR_MS } from '../../testing/vtpm-ca.ts';
import * as x509 from '../../testing/x509-maker.ts';
import { isVerified } from '../verified.ts';
import { SNP_CHECK_TITLES } from './checks.ts';
import { judgeSnp, type SnpJudgement } from './judge.ts';
import type { SnpException, SnpPolicy } from './policy.ts';
import { parseSnpReport } from './report.ts';

let scene: SnpScene;
beforeAll(async () => {
  scene = await makeSnpScene();
});

/** Ids of the checks that fail for a report with these bytes changed before it was signed. */
async function failsOf(patches: readonly Patch[], policy: Partial<SnpPolicy> = {}): Promise<string[]> {
  const report = await scene.report(...patches);
  return failedChecks(await scene.judge({ report, policy: { ...scene.policy, ...policy } }));
}

const except = (what: SnpException): Partial<SnpPolicy> => ({ exceptions: [{ what, reason: 'a test' }] });

describe('judgeSnp()', () => {
  it('accepts a good report, and only then makes it verified', async () => {
    const { verdict, verified } = await scene.judge();
    expect(verdict.reasons).toEqual([]);
    expect(verdict.outcome).toBe('accepted');
    expect(verdict.checks.map(({ id }) => id)).toEqual(Object.keys(SNP_CHECK_TITLES));
    expect(verified !== undefined && isVerified(verified)).toBe(true);
    expect(verified?.reportData).toEqual(scene.reportData);
    expect(verdict.proven.length).toBeGreaterThan(0);
  });

  it.each([
    ['Genoa', 'vcek', 2],
    ['Genoa', 'vlek', 4],
    ['Turin', 'vcek', 5],
    ['Turin', 'vlek', 3],
  ] as const)('accepts %s with a %s and a report of version %i', async (product, kind, version) => {
    const algorithm = kind === 'vcek' ? 'RSA-PSS' : 'P-384';
    const other = await makeSnpScene({ product, kind, version, algorithm });
    const result = await other.judge();
    expect(result.verdict.reasons).toEqual([]);
    expect(result.verified?.report.version).toBe(version);
    expect(result.verified?.endorsementKey.cspId).toBe(kind === 'vlek' ? CSP_ID : undefined);
  });

  it('answers every check when it is given nothing, and all of them with no', async () => {
    const policy: SnpPolicy = JSON.parse('{}');
    const { verdict, verified } = await judgeSnp({
      report: new Uint8Array(),
      collateral: { certificates: [], crls: [] },
      policy,
      expectedReportData: new Uint8Array(),
      now: new Date(Number.NaN),
    });
    expect(verified).toBeUndefined();
    expect(verdict.checks.map(({ id }) => id)).toEqual(Object.keys(SNP_CHECK_TITLES));
    expect(verdict.checks.every(({ ok }) => !ok)).toBe(true);
  });

  it('marks what an unsigned report says as a claim', async () => {
    const report = await scene.report();
    report[0x30] = 1;
    const { verdict } = await scene.judge({ report });
    expect(verdict.reasons).toContain(
      'the report is not signed by the key of the certificate: it was altered, or another chip’s',
    );
    expect(verdict.reasons.find((reason) => reason.includes('VMPL 1'))).toContain('a claim only');
  });
});

describe('checklist 14: SEV-SNP', () => {
  it('checklist 14: the signature is over every byte of the report', async () => {
    const report = await scene.report();
    const other = await (await makeSnpScene()).report();
    expect(failedChecks(await scene.judge({ report: other }))).toContain('report-signature');
    for (let at = 0; at < report.length; at += 31) {
      const changed = new Uint8Array(report);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(failedChecks(await scene.judge({ report: changed })), `byte ${at}`).toContain(
        at < 0x2a0 + 144 && !isPadding(at) ? 'report-signature' : 'report-size',
      );
    }
  });

  const content: readonly [what: string, patches: readonly Patch[], fails: string[], excuse?: SnpException][] = [
    ['debug policy', [[0x0a, [0b1011]]], ['debug'], 'debug'],
    ['migration policy', [[0x0a, [0b0111]]], ['migration'], 'migration-agent'],
    ['a migration agent', [[0x160, [1]]], ['migration'], 'migration-agent'],
    ['a guest policy bit that is not allowed', [[0x0a, [0b10_0011]]], ['guest-policy']],
    ['VMPL', [[0x30, [1]]], ['vmpl']],
    ['report data', [[0x50, [1, 2, 3, 4]]], ['report-data']],
    ['a masked chip id', [[0x1a0, new Uint8Array(64)]], ['chip'], 'masked-chip-id'],
    ['another chip’s id', [[0x1a0, [1, 2, 3, 4]]], ['chip']],
    ['reported TCB that is not the certificate’s', [[0x187, [116]]], ['tcb', 'tcb-order']],
    ['reported TCB below the certificate’s', [[0x187, [114]]], ['tcb', 'tcb-minimum']],
    ['committed TCB above the current', [[0x1e7, [116]]], ['tcb-order']],
    ['committed TCB below the minimum', [[0x1e6, [7]]], ['tcb-minimum']],
    ['launch TCB below the minimum', [[0x1f0, [2]]], ['tcb-minimum']],
    ['launch TCB above the current', [[0x1f0, [4]]], ['tcb-order']],
    ['current TCB below all others', [[0x38, [2]]], ['tcb-order', 'tcb-minimum']],
    ['a TCB part that is not known', [[0x1f2, [1]]], ['tcb-order', 'tcb-minimum']],
    ['firmware below the policy’s', [[0x1ec, [2]]], ['firmware']],
    ['current firmware below the committed', [[0x1e8, [2]]], ['firmware']],
    ['firmware below what the guest demands', [[0x08, [56]]], ['firmware']],
    ['a guest that demands too little', [[0x08, [50]]], ['guest-abi']],
    ['the guest’s security version', [[0x04, [1]]], ['guest-svn']],
    ['measurement', [[0x90, [1, 2, 3, 4]]], ['measurement']],
    ['host data', [[0xc0, [1]]], ['host-data']],
    ['id key', [[0xe0, [1]]], ['id-key']],
    [
      'author key',
      [
        [0x110, [1]],
        [0x48, [1]],
      ],
      ['author-key'],
    ],
    ['an author key that was not checked', [[0x110, [1]]], ['author-key']],
    ['a platform bit that is refused', [[0x40, [0b100011]]], ['platform']],
    ['a platform bit that is missing', [[0x40, [0b000001]]], ['platform']],
    ['a masked chip key', [[0x48, [2]]], ['signer']],
    ['a VLEK that is none', [[0x48, [4]]], ['signer']],
    ['no signer', [[0x48, [28]]], ['signer']],
    ['a processor of another product', [[0x188, [0x19, 0x11]]], ['product']],
    ['a processor that nobody knows', [[0x188, [0x1b, 0]]], ['product']],
  ];
  it.each(content)('checklist 14: %s', async (_what, patches, fails, excuse) => {
    expect(await failsOf(patches)).toEqual(fails);
    const excused = excuse === undefined ? {} : except(excuse);
    expect(await failsOf(patches, excused)).toEqual(excuse === undefined ? fails : []);
  });

  const unreadable: readonly [what: string, patches: readonly Patch[]][] = [
    ['version 1', [[0, [1]]]],
    ['version 6', [[0, [6]]]],
    ['another signature algorithm', [[0x34, [2]]]],
    ['a policy bit that is not known', [[0x0b, [4]]]],
    ['a policy without its reserved one', [[0x0a, [1]]]],
    ['a platform bit that is not known', [[0x40, [0b1100001]]]],
    ['a signer that is not known', [[0x48, [8]]]],
    ['reserved bits of KEY_INFO', [[0x48, [32]]]],
    ['reserved bytes at 4Ch', [[0x4c, [1]]]],
    ['reserved bytes after the stepping', [[0x18b, [1]]]],
    ['reserved bytes after a version', [[0x1eb, [1]]]],
    ['mitigation vectors of version 4 in version 3', [[0x1f8, [1]]]],
    ['reserved bytes before the signature', [[0x29f, [1]]]],
  ];
  it.each(unreadable)('checklist 14: %s is refused', async (_what, patches) => {
    const fails = await failsOf(patches);
    expect(fails[0]).toBe('report-form');
    expect(fails).toContain('debug');
  });

  it('checklist 14: mitigations are demanded by bit, at launch and now', async () => {
    const turin = await makeSnpScene({ product: 'Turin', version: 5 });
    const policy = { ...turin.policy, mitigations: [0, 3] };
    const judged = async (launch: number, current: number): Promise<string[]> =>
      failedChecks(await turin.judge({ policy, report: await turin.report([0x1f8, [launch]], [0x200, [current]]) }));
    expect(await judged(0b1001, 0b1011)).toEqual([]);
    expect(await judged(0b0001, 0b1011)).toEqual(['mitigations']);
    expect(await judged(0b1001, 0b0010)).toEqual(['mitigations']);
    expect(failedChecks(await scene.judge({ policy: { ...scene.policy, mitigations: [0] } }))).toEqual(['mitigations']);
  });

  it('checklist 14: only certain chips, and no masked one, where the policy names chips', async () => {
    const named = (value: Uint8Array): Partial<SnpPolicy> => ({
      chipIds: [{ value: toHex(value), reason: 'ours' }],
      ...except('masked-chip-id'),
    });
    expect(await failsOf([], named(scene.chipId))).toEqual([]);
    expect(await failsOf([], named(new Uint8Array(64)))).toEqual(['chip']);
    expect(await failsOf([[0x1a0, new Uint8Array(64)]], named(new Uint8Array(64)))).toEqual(['chip']);
  });

  it('checklist 14: a VLEK is believed of named providers only', async () => {
    const fleet = await makeSnpScene({ kind: 'vlek' });
    const providers = [{ cspId: 'CN=other.example', reason: 'another' }];
    expect(failedChecks(await fleet.judge({ policy: { ...fleet.policy, providers } }))).toEqual(['signer']);
    const onlyChips: Partial<SnpPolicy> = { signers: ['vcek'], providers: [] };
    expect(failedChecks(await fleet.judge({ policy: { ...fleet.policy, ...onlyChips } }))).toEqual(['signer']);
  });
});

describe('checklist 14: the certificates of AMD', () => {
  const collateral = async (
    changes: { leaf?: Uint8Array; ask?: Uint8Array; ark?: Uint8Array; crls?: readonly Uint8Array[] } = {},
  ): Promise<SnpJudgement['collateral']> => ({
    certificates: [
      changes.leaf ?? (await scene.certificate()),
      changes.ask ?? scene.ask.der,
      changes.ark ?? scene.ark.der,
    ],
    crls: changes.crls ?? [await makeCrl(scene.ark)],
  });
  const failing = async (given: Partial<SnpJudgement>): Promise<string[]> => failedChecks(await scene.judge(given));

  it('checklist 14: a root of the sender’s own is none', async () => {
    const other = await makeSnpScene();
    const { report, certificate, ask, ark } = other;
    const fails = await failing({
      report: await report(),
      collateral: { certificates: [await certificate(), ask.der, ark.der], crls: [await makeCrl(ark)] },
    });
    expect(fails).toContain('chain');
    expect(fails).toContain('product');
  });

  it('checklist 14: the pinned keys are AMD’s where the caller gives none', async () => {
    expect(await failing({ roots: undefined })).toEqual(['chain', 'product']);
    expect(await failing({ roots: [] })).toEqual(['chain', 'product']);
  });

  it('checklist 14: a root of another product is none', async () => {
    const roots = scene.roots.map((root) => ({ ...root, product: 'Genoa' as const }));
    expect(await failing({ roots })).toEqual(['product']);
  });

  it('checklist 14: a chain that is cut, turned or stitched together is refused', async () => {
    const { certificates, crls } = await collateral();
    const [leaf = new Uint8Array(), ask = new Uint8Array(), ark = new Uint8Array()] = certificates;
    expect(await failing({ collateral: { certificates: [leaf, ask], crls } })).toContain('chain-form');
    expect(await failing({ collateral: { certificates: [leaf, ark, ask], crls } })).toContain('chain');
    expect(await failing({ collateral: { certificates: [ask, ark, ark], crls } })).toContain('key-form');
    const namesake = await makeAuthority(scene.ark, scene.ask.name, 'P-384');
    expect(await failing({ collateral: { certificates: [leaf, namesake.der, ark], crls } })).toContain('chain');
  });

  it.each<[what: string, changes: Parameters<typeof makeAuthority>[3], fails: string[]]>([
    ['a signing key that is no CA', { ca: false }, ['chain-roles']],
    ['a signing key without keyCertSign', { usages: x509.KeyUsageFlags.cRLSign }, ['chain-roles']],
    ['a signing key that has expired', { notAfter: new Date(NOW.getTime() - 1) }, ['chain-validity']],
    [
      'a signing key with an unknown critical extension',
      { extensions: [new x509.Extension('1.2.3.4', true, new Uint8Array(2))] },
      ['chain-roles'],
    ],
  ])('checklist 14: %s', async (_what, changes, fails) => {
    const ask = await certify(scene.ark, scene.ask.keys.publicKey, scene.ask.name, { ca: true, ...changes });
    expect(await failing({ collateral: await collateral({ ask }) })).toEqual(fails);
  });

  it('checklist 14: a root whose path is too short for its chain', async () => {
    const ark = await certify(scene.ark, scene.ark.keys.publicKey, scene.ark.name, { ca: true, pathLength: 0 });
    expect(await failing({ collateral: await collateral({ ark }) })).toEqual(['chain-roles']);
  });

  it.each<[what: string, changes: Parameters<SnpScene['certificate']>[0], fails: string]>([
    ['is the certificate of a CA', { ca: true }, 'chain-roles'],
    ['is not valid yet', { notBefore: new Date(NOW.getTime() + 1000) }, 'chain-validity'],
    ['has expired', { notAfter: new Date(NOW.getTime() - 1000) }, 'chain-validity'],
    ['is for another firmware', { tcb: [3, 1, 0, 0, 0, 0, 8, 116] }, 'tcb'],
    ['is for another reserved part of the firmware', { tcb: [3, 1, 0, 1, 0, 0, 8, 115] }, 'tcb'],
    ['is for another chip', { hwId: new Uint8Array(64).fill(7) }, 'chip'],
    ['is for a chip id of another length', { hwId: new Uint8Array(8) }, 'key-form'],
    ['is for no chip', { hwId: undefined }, 'key-form'],
    ['is for chip and provider', { cspId: 'CN=both' }, 'key-form'],
    ['is of another kind', { name: 'SEV-VLEK' }, 'key-form'],
    ['is of no kind', { name: 'SEV' }, 'key-form'],
    ['is of a product that is not known', { product: 'Venice' }, 'key-form'],
    ['is of another product', { product: 'Genoa-B0' }, 'product'],
  ])('checklist 14: an endorsement key’s certificate that %s', async (_what, changes, fails) => {
    const leaf = await scene.certificate(changes);
    expect(await failing({ collateral: await collateral({ leaf }) })).toContain(fails);
  });

  it('checklist 14: a revoked signing key is refused', async () => {
    const crls = [await makeCrl(scene.ark, { revoked: ['05', '0102'] })];
    expect(await failing({ collateral: await collateral({ crls }) })).toEqual(['revoked']);
  });

  it('checklist 14: a revoked endorsement key is refused, where the signing key has a list', async () => {
    const leaf = await scene.certificate({ serialNumber: '77' });
    const crls = [await makeCrl(scene.ark), await makeCrl(scene.ask, { revoked: ['77'] })];
    expect(await failing({ collateral: await collateral({ leaf, crls }) })).toEqual(['revoked']);
  });

  it('checklist 14: a missing revocation list refuses, unless the policy says why not', async () => {
    const given = { collateral: await collateral({ crls: [] }) };
    expect(await failing(given)).toEqual(['crl', 'crl-fresh', 'revoked']);
    const policy = { ...scene.policy, ...except('missing-crl') };
    const { verdict } = await scene.judge({ ...given, policy });
    expect(verdict.outcome).toBe('accepted');
    expect(verdict.checks.find(({ id }) => id === 'crl')?.detail).toContain('because a test');
  });

  it.each<[what: string, list: () => Promise<Uint8Array>, fails: string[]]>([
    ['has expired', () => makeCrl(scene.ark, { nextUpdate: new Date(NOW.getTime() - 1000) }), ['crl-fresh']],
    ['is from the future', () => makeCrl(scene.ark, { thisUpdate: new Date(NOW.getTime() + 1000) }), ['crl-fresh']],
    [
      'is of somebody else',
      async () => makeCrl(await makeRoot(scene.ark.name, 'P-384')),
      ['crl', 'crl-fresh', 'revoked'],
    ],
    ['is only the signing key’s', () => makeCrl(scene.ask), ['crl', 'crl-fresh', 'revoked']],
    [
      'is partial',
      () => makeCrl(scene.ark, { extensions: [new x509.Extension('2.5.29.28', true, new Uint8Array(2))] }),
      ['crl', 'crl-fresh', 'revoked'],
    ],
  ])('checklist 14: a revocation list that %s', async (_what, list, fails) => {
    const policy = { ...scene.policy, exceptions: [] };
    expect(await failing({ policy, collateral: await collateral({ crls: [await list()] }) })).toEqual(fails);
  });

  it('checklist 14: expired collateral is said and does not pass, but at its own time', async () => {
    const { verdict } = await scene.judge({ now: new Date(NOW.getTime() + 3 * YEAR_MS) });
    expect(verdict.outcome).toBe('refused');
    expect(verdict.reasons.join('\n')).toMatch(/certificate|SEV-VCEK.* has expired on/);
    expect(verdict.reasons.join('\n')).toMatch(/revocation list .* has expired on/);
  });
});

/** The bytes of R and S that no number of P-384 reaches. */
function isPadding(at: number): boolean {
  const inSignature = at - 0x2a0;
  return inSignature >= 0 && (inSignature % 72 >= 48 || inSignature >= 144);
}

describe('parseSnpReport()', () => {
  it('reads the parts of version 5', async () => {
    const turin = await makeSnpScene({ product: 'Turin', version: 5 });
    const report = parseSnpReport(await turin.report([0x1f8, [1, 2]], [0x200, [3]]));
    expect(report.mitigations).toEqual({ launch: 0x201n, current: 3n });
    expect(report.cpu).toEqual({ family: 0x1a, model: 2, stepping: 1 });
    expect(report.guestAbi).toEqual({ major: 1, minor: 51 });
    expect([...report.guestPolicy]).toEqual(['smt']);
    expect(report.current).toEqual({ major: 1, minor: 55, build: 3 });
  });

  it('refuses every truncation, and bytes after the end', async () => {
    const bytes = await scene.report();
    for (let length = 0; length < bytes.length; length += 7) {
      expect(() => parseSnpReport(bytes.subarray(0, length))).toThrow('expected 1184');
    }
    expect(() => parseSnpReport(Uint8Array.of(...bytes, 0))).toThrow('expected 1184');
  });
});
