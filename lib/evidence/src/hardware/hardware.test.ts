// Binding texts, policies and collateral bundles.
import { toHex, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { newChallenge } from '../../testing/scene.ts';
import { makeSnpScene, type SnpScene } from '../../testing/snp-scene.ts';
import { makeTdxScene, type TdxScene } from '../../testing/tdx-scene.ts';
import { EvidenceError } from '../errors.ts';
import { parseSnpPolicy } from '../snp/policy.ts';
import { parseTdxPolicy } from '../tdx/policy.ts';
import { encodeCollateral, MAX_COLLATERAL_BYTES, parseCollateral, type Collateral } from './collateral.ts';
import {
  bindsVtpm,
  endorsesVtpmCa,
  reportDataFor,
  reportDataText,
  vtpmCaQualifyingData,
  vtpmCaReportData,
  vtpmCaText,
} from './report-data.ts';

const EK_NAME = Uint8Array.of(0x00, 0x0b, ...new Uint8Array(32).fill(7));
let snp: SnpScene;
let tdx: TdxScene;
beforeAll(async () => {
  snp = await makeSnpScene();
  tdx = await makeTdxScene();
});

describe('reportDataFor()', () => {
  const challenge = newChallenge();

  it('is SHA-512 over the documented text', async () => {
    const text = reportDataText({ kind: 'sev-snp', challenge, ekName: EK_NAME });
    expect(text).toBe(
      `ringwall-hardware 1\nsev-snp\n${toHex(challenge.nonce)}\n${challenge.machine}\n${challenge.boot}\n000b${'07'.repeat(32)}\n`,
    );
    const data = await reportDataFor({ kind: 'sev-snp', challenge, ekName: EK_NAME });
    expect(data).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-512', utf8(text))));
  });

  it('differs by kind, nonce, machine, boot and key', async () => {
    const base = { kind: 'sev-snp', challenge, ekName: EK_NAME } as const;
    const bindings = [
      base,
      { ...base, kind: 'tdx' } as const,
      { ...base, challenge: newChallenge() },
      { ...base, challenge: { ...challenge, machine: 'mch_other' } },
      { ...base, challenge: { ...challenge, boot: 'ff'.repeat(16) } },
      { ...base, ekName: EK_NAME.map((byte, at) => (at === 33 ? 0 : byte)) },
    ];
    const data = await Promise.all(bindings.map(async (binding) => toHex(await reportDataFor(binding))));
    expect(new Set(data).size).toBe(bindings.length);
  });

  it.each<[what: string, ekName: Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['a digest without its algorithm', EK_NAME.subarray(2)],
    ['a Name made with SHA-1', Uint8Array.of(0, 4, ...new Uint8Array(20))],
    ['a Name that is cut off', EK_NAME.subarray(0, 33)],
  ])('refuses %s for a Name', (_what, ekName) => {
    expect(() => reportDataText({ kind: 'tdx', challenge, ekName })).toThrow(EvidenceError);
  });
});

describe('bindsVtpm()', () => {
  it.each(['sev-snp', 'tdx'] as const)('holds for the EK that the evidence was asked about: %s', async (kind) => {
    const challenge = newChallenge();
    const expectedReportData = await reportDataFor({ kind, challenge, ekName: EK_NAME });
    const { verified } =
      kind === 'sev-snp'
        ? await snp.judge({ expectedReportData, report: await snp.report([0x50, expectedReportData]) })
        : await tdx.judge({ expectedReportData, quote: await tdx.quote({ report: [[0x208, expectedReportData]] }) });
    if (verified === undefined) throw new Error('refused');
    expect(await bindsVtpm(verified, { challenge, ekName: EK_NAME })).toBe(true);
    expect(await bindsVtpm(verified, { challenge: newChallenge(), ekName: EK_NAME })).toBe(false);
    const otherKey = Uint8Array.of(0, 0x0b, ...new Uint8Array(32));
    expect(await bindsVtpm(verified, { challenge, ekName: otherKey })).toBe(false);
    const copy = { ...verified };
    await expect(bindsVtpm(copy, { challenge, ekName: EK_NAME })).rejects.toThrow('passed judgement');
  });
});

describe('vtpmCaText()', () => {
  const binding = { nonce: new Uint8Array(32), host: 'host_a', spki: utf8('key') };

  it('names nonce, host and the CA’s key', async () => {
    const key = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', utf8('key'))));
    expect(await vtpmCaText(binding)).toBe(`ringwall-vtpm-ca 1\n${'00'.repeat(32)}\nhost_a\n${key}\n`);
    expect((await vtpmCaReportData(binding)).length).toBe(64);
    expect((await vtpmCaQualifyingData(binding)).length).toBe(32);
  });

  it('is what a host’s evidence carries that endorses the CA', async () => {
    const expectedReportData = await vtpmCaReportData(binding);
    const { verified } = await snp.judge({
      expectedReportData,
      report: await snp.report([0x50, expectedReportData]),
    });
    if (verified === undefined) throw new Error('refused');
    expect(await endorsesVtpmCa(verified, binding)).toBe(true);
    expect(await endorsesVtpmCa(verified, { ...binding, spki: utf8('other') })).toBe(false);
    expect(await endorsesVtpmCa(verified, { ...binding, host: 'host_b' })).toBe(false);
    await expect(endorsesVtpmCa({ ...verified }, binding)).rejects.toThrow('passed judgement');
  });

  it('refuses a host or nonce of another form', async () => {
    await expect(vtpmCaText({ ...binding, host: 'a\nb' })).rejects.toThrow(EvidenceError);
    await expect(vtpmCaText({ ...binding, nonce: new Uint8Array(31) })).rejects.toThrow(EvidenceError);
  });
});

describe.each([
  ['parseSnpPolicy', parseSnpPolicy, () => snp.policy],
  ['parseTdxPolicy', parseTdxPolicy, () => tdx.policy],
] as const)('%s()', (_name, parse, good) => {
  const policy = (): Record<string, unknown> => JSON.parse(JSON.stringify(good()));

  it('gives back what it was given', () => {
    expect(parse(policy())).toEqual(good());
  });

  it('refuses nothing, an empty object and other kinds', () => {
    for (const wrong of [
      undefined,
      null,
      [],
      {},
      'policy',
      { ...policy(), kind: 'vtpm' },
      { ...policy(), version: 2 },
    ]) {
      expect(() => parse(wrong)).toThrow(EvidenceError);
    }
  });

  it('refuses every key that is missing or of another type, and one more', () => {
    for (const key of Object.keys(policy())) {
      const { [key]: _removed, ...rest } = policy();
      expect(() => parse(rest), key).toThrow('is missing');
      for (const wrong of [null, 7.5, 'x', {}, [{}]]) {
        expect(() => parse({ ...rest, [key]: wrong }), `${key} ${JSON.stringify(wrong)}`).toThrow(EvidenceError);
      }
    }
    expect(() => parse({ ...policy(), more: 1 })).toThrow('unknown key');
  });

  it('refuses an exception without a reason, twice, or for what is never excused', () => {
    const exception = { what: 'debug', reason: 'a test' };
    expect(parse({ ...policy(), exceptions: [exception] }).exceptions).toEqual([exception]);
    for (const exceptions of [
      [{ what: 'debug' }],
      [{ what: 'debug', reason: ' ' }],
      [exception, exception],
      [{ what: 'signature', reason: 'a test' }],
    ]) {
      expect(() => parse({ ...policy(), exceptions })).toThrow(EvidenceError);
    }
  });
});

describe('parseSnpPolicy()', () => {
  it.each<[what: string, change: object]>([
    ['any measurement', { measurements: 'any' }],
    ['no measurement', { measurements: [] }],
    ['a measurement without a reason', { measurements: [{ value: '00'.repeat(48) }] }],
    ['a measurement of another length', { measurements: [{ value: '00'.repeat(32), reason: 'x' }] }],
    ['no product', { products: [] }],
    ['no signer', { signers: [] }],
    ['no VMPL', { vmpls: [] }],
    ['VMPL 4', { vmpls: [4] }],
    ['debug as an ordinary bit', { guestPolicy: { required: [], allowed: ['debug'] } }],
    ['a VLEK of any provider', { signers: ['vlek'], providers: [] }],
  ])('refuses %s', (_what, change) => {
    expect(() => parseSnpPolicy({ ...snp.policy, ...change })).toThrow(EvidenceError);
  });
});

describe('parseTdxPolicy()', () => {
  it.each<[what: string, change: object]>([
    ['any MRTD', { mrTd: 'any' }],
    ['no MRTD', { mrTd: [] }],
    ['no status', { statuses: [] }],
    ['the status Revoked', { statuses: [{ status: 'Revoked', reason: 'x' }] }],
    ['a status without a reason', { statuses: [{ status: 'OutOfDate' }] }],
    ['a list that allows nothing', { rtmr0: [] }],
    ['debug as an ordinary attribute', { attributes: { required: [], allowed: ['debug'] } }],
  ])('refuses %s', (_what, change) => {
    expect(() => parseTdxPolicy({ ...tdx.policy, ...change })).toThrow(EvidenceError);
  });
});

describe('parseCollateral()', () => {
  const bundles = (): readonly Collateral[] => [
    { kind: 'sev-snp', certificates: [snp.ask.der, snp.ark.der], crls: [] },
    { kind: 'tdx', ...tdx.collateral },
  ];

  it('gives back what encodeCollateral wrote', () => {
    for (const bundle of bundles()) expect(parseCollateral(encodeCollateral(bundle))).toEqual(bundle);
  });

  it('refuses every truncation', () => {
    for (const bundle of bundles()) {
      const file = encodeCollateral(bundle);
      for (let length = 0; length < file.length - 1; length += 97) {
        expect(() => parseCollateral(file.subarray(0, length))).toThrow(EvidenceError);
      }
    }
  });

  it.each<[what: string, change: (text: string) => string]>([
    ['another format', (text) => text.replace('collateral/1', 'collateral/2')],
    ['another kind', (text) => text.replace('"tdx"', '"sgx"')],
    ['the wrong kind', (text) => text.replace('"tdx"', '"sev-snp"')],
    ['one key more', (text) => text.replace('{', '{"more":1,')],
    ['a key that is missing', (text) => text.replace('"tcbInfo":', '"tcb":')],
    ['bytes that are no base64', (text) => text.replace('"tcbInfo": "', '"tcbInfo": "!')],
    ['text that is no JSON', (text) => `${text}]`],
  ])('refuses %s', (_what, change) => {
    const text = new TextDecoder().decode(encodeCollateral({ kind: 'tdx', ...tdx.collateral }));
    expect(change(text)).not.toBe(text);
    expect(() => parseCollateral(utf8(change(text)))).toThrow(EvidenceError);
  });

  it('refuses more than its limits', () => {
    expect(() => parseCollateral(new Uint8Array(MAX_COLLATERAL_BYTES + 1))).toThrow('at most');
    const long = new Uint8Array(5000);
    expect(() => parseCollateral(encodeCollateral({ kind: 'sev-snp', certificates: [long], crls: [] }))).toThrow(
      'certificates[0] has 5000 bytes',
    );
    const many = [long, long, long, long].map((bytes) => bytes.subarray(0, 10));
    expect(() => parseCollateral(encodeCollateral({ kind: 'sev-snp', certificates: many, crls: [] }))).toThrow(
      '4 items',
    );
  });
});
