// What ran since the boot, in a proof bundle: judged anew, against the image that the reference values name.
import { toHex, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeIma, imaNg, violation, type TestImaEntry } from '../../tpm/testing/ima-list.ts';
import { sha256 } from '../testing/event-log.ts';
import { makeRanScene, type RanScene } from '../testing/ran.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import { strangersKey } from '../testing/watching.ts';
import { chainOf } from './chain.ts';
import { EvidenceError } from './errors.ts';
import { explainProof, verifyProof, type ProofReport } from './proof-report.ts';
import { encodeProof, parseProof, type Proof } from './proof.ts';
import { renderRuntimeFiles } from './watch/runtime-files.ts';

const EVIL = imaNg('/tmp/evil');
const busybox = imaNg('/bin/busybox');

let scene: RanScene;
let booted: readonly TestImaEntry[];
beforeAll(async () => {
  scene = await makeRanScene();
  booted = scene.watched.booted;
});

async function judged(proof: Proof | Promise<Proof>): Promise<ProofReport> {
  return verifyProof(await proof, { brokerKey: scene.broker.publicKey, now: NOW });
}

const failedOf = ({ ran }: ProofReport): string[] => (ran?.checks ?? []).filter(({ ok }) => !ok).map(({ id }) => id);
const processesOf = (report: ProofReport): string | undefined =>
  chainOf(report).find(({ id }) => id === 'processes')?.state;

describe('verifyProof() of a bundle that says what ran', () => {
  it('proves that all of it is of the image, and names each file with its package', async () => {
    const report = await judged(scene.proof(booted));
    expect(report.outcome).toBe('proven');
    expect(report.ran).toMatchObject({ outcome: 'expected', at: NOW, reasons: [] });
    expect(report.ran?.files).toEqual([
      expect.objectContaining({ path: '/bin/busybox', status: 'expected', package: 'busybox-static 1:1.35.0-4' }),
      expect.objectContaining({ path: '/lib/ringwall/start', status: 'expected', package: undefined }),
    ]);
    expect(processesOf(report)).toBe('holds');
    expect(report.anchors).toContainEqual(expect.objectContaining({ id: 'watch', source: 'broker' }));
    const text = explainProof(report).join('\n');
    expect(text).toContain('all 2 files that ran until');
    expect(text).toContain('Ran: 2 of 2 files are of the image');
  });

  it('reads the same after it was written down', async () => {
    const proof = await scene.proof(booted);
    expect(parseProof(encodeProof(proof))).toEqual(proof);
  });

  it('takes an answer to a question that went on within the list', async () => {
    const from = encodeIma(...booted.slice(0, 2)).length;
    expect((await judged(scene.proof(booted, { from }))).outcome).toBe('proven');
  });

  it('refuses where something ran that is not of the image, and says what', async () => {
    const report = await judged(scene.proof([...booted, EVIL, imaNg('/lib/modules/bad.ko')]));
    expect(report.outcome).toBe('refused');
    expect(report.ran?.outcome).toBe('unexpected');
    expect(failedOf(report)).toEqual(['ima-files']);
    expect(report.reasons).toEqual([
      expect.stringMatching(/^since its boot: \/tmp\/evil ran, which is not a file of the image hello/),
      expect.stringMatching(/^since its boot: \/lib\/modules\/bad\.ko was loaded/),
    ]);
    expect(report.ran?.files.map(({ status }) => status)).toEqual(['expected', 'expected', 'unknown', 'unknown']);
    expect(chainOf(report).at(-1)).toMatchObject({
      state: 'broken',
      says: '2 of 4 files that ran are not of the image',
      reasons: [expect.stringContaining('/tmp/evil'), expect.stringContaining('bad.ko')],
    });
    expect(explainProof(report).join('\n')).toContain('Ran: 2 of 4 files are of the image');
  });

  it('refuses a file of the image that was replaced, with the package of the true one', async () => {
    const other = imaNg('/bin/busybox', sha256(utf8('other')));
    const report = await judged(scene.proof([...booted, other]));
    expect(report.reasons.join('\n')).toMatch(/not the file of busybox-static 1:1\.35\.0-4 of the image hello/);
  });

  it('calls no process absent where the boot does not hold: it was not judged', async () => {
    const proof = await scene.proof(booted);
    const report = await judged({ ...proof, vtpmCa: [utf8('no certificate')] });
    expect(report.ran).toMatchObject({ outcome: 'refused', checks: [], files: [] });
    expect(processesOf(report)).toBe('claimed');
    expect(report.ran?.reasons).toEqual([expect.stringContaining('does not hold')]);
  });

  it('judges by the image of the caller’s own reference values, where they gave some', async () => {
    const proof = await scene.proof(booted);
    const reference = { ...proof.reference, image: { name: 'hello', digest: 'ab'.repeat(32) } };
    const report = await verifyProof(proof, { brokerKey: scene.broker.publicKey, reference, now: NOW });
    expect(report.outcome).toBe('refused');
    expect(failedOf(report)).toEqual(['ima-image']);
  });
});

describe('checklist 11: what ran, in a proof', () => {
  const at = (...entries: TestImaEntry[]): TestImaEntry[] => [...booted, ...entries];
  const list = (): Uint8Array => encodeIma(...booted);
  const cases: [what: string, failed: readonly string[], make: () => Promise<Proof>][] = [
    [
      'a list that runs ahead of PCR 10',
      [],
      () => scene.proof(at(imaNg('/bin/busybox')), { lies: { measured: booted } }),
    ],
    ['a list that is behind PCR 10', ['ima-pcrs'], () => scene.proof(booted, { lies: { measured: at(EVIL) } })],
    ['a violation', ['ima-violations', 'ima-files'], () => scene.proof(at(violation('/bin/busybox')))],
    [
      'a template hash that does not recompute',
      ['ima-list-form', 'ima-pcrs', 'ima-violations', 'ima-files'],
      () => scene.proof(booted, { lies: { log: renamed(list()) } }),
    ],
    ['the list of another boot', ['ima-list-start'], () => scene.proof([imaNg('boot_aggregate'), ...booted.slice(1)])],
    [
      'entries of another template',
      ['ima-list-template'],
      () => scene.proof(at({ ...busybox, template: 'ima-sig', fields: [...busybox.fields, utf8('')] })),
    ],
    ['a quote of another boot of the TPM', ['ima-same-boot'], () => scene.proof(booted, { lies: { resetCount: 99 } })],
    ['a clock before the boot’s', ['ima-clock-forward'], () => scene.proof(booted, { lies: { clock: 0n } })],
    [
      'a nonce that the quote does not answer',
      ['ima-quote-question'],
      () => scene.proof(booted, { ima: { nonce: new Uint8Array(32) } }),
    ],
    ['a place that the quote does not answer', ['ima-quote-question'], () => scene.proof(booted, { ima: { from: 7 } })],
    [
      'PCRs that were extended since',
      ['ima-pcrs'],
      () => scene.proof(booted, { lies: { pcrValues: new Map([[4, new Uint8Array(32)]]) } }),
    ],
  ];
  it.each(cases)('%s', async (_what, failed, make) => {
    const report = await judged(make());
    expect(failedOf(report)).toEqual(failed);
    expect(report.outcome).toBe(failed.length === 0 ? 'proven' : 'refused');
    // Of files and violations alone something is proven; of nothing where anything else fails.
    const proves = failed.every((id) => id === 'ima-files' || id === 'ima-violations');
    expect((report.ran?.files.length ?? 0) > 0).toBe(proves);
  });

  it('a quote that another key signed proves nothing of the list', async () => {
    const report = await judged(scene.proof(booted, { lies: { signer: await strangersKey() } }));
    expect(report.ran).toMatchObject({ outcome: 'refused', files: [] });
    expect(failedOf(report)).toContain('ima-quote-signature');
  });
});

describe('the list of what may run', () => {
  it('counts only as that of the image that the reference values name', async () => {
    const { list } = scene.watched;
    const longer = [...list.files, { path: '/tmp/evil', sha256: toHex(sha256(utf8('/tmp/evil'))), package: undefined }];
    const files = utf8(renderRuntimeFiles({ ...list, files: longer }));
    const ran = [...booted, EVIL];
    const ima = (await scene.proof(booted)).ima;
    if (ima === undefined) throw new Error('no layer');
    // First the list alone, then with its digest among the parts of the image.
    for (const changes of [{ files }, { files, image: { ...ima.image, files: toHex(sha256(files)) } }]) {
      const report = await judged(scene.proof(ran, { ima: changes }));
      expect(failedOf(report)).toEqual(['ima-image']);
      expect(report.outcome).toBe('refused');
    }
  });

  it.each(['kernel', 'initrd', 'system', 'files', 'verityRootHash'] as const)(
    'is bound to the %s of the image',
    async (part) => {
      const ima = (await scene.proof(booted)).ima;
      if (ima === undefined) throw new Error('no layer');
      const report = await judged(scene.proof(booted, { ima: { image: { ...ima.image, [part]: '00'.repeat(32) } } }));
      expect(failedOf(report)).toEqual(['ima-image']);
    },
  );
});

describe('bad input', () => {
  it('every truncation and many mutations of list and quote are refused, and never throw', async () => {
    const good = await scene.proof(booted);
    const { ima } = good;
    if (ima === undefined) throw new Error('no layer');
    for (const field of ['log', 'quote', 'quoteSignature'] as const) {
      const bytes = ima[field];
      for (let at = 0; at < bytes.length; at += 3) {
        const flipped = new Uint8Array(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        for (const other of [bytes.subarray(0, at), flipped]) {
          const report = await judged({ ...good, ima: { ...ima, [field]: other } });
          expect(report.ran?.outcome, `${field} at ${String(at)}`).toBe('refused');
        }
      }
    }
  });

  it('a layer of another form is no proof', async () => {
    const value: Record<string, unknown> = JSON.parse(encodeProof(await scene.proof(booted)));
    for (const changes of [{ from: -1 }, { first: 0 }, { at: 'now' }, { image: {} }, { log: '%' }]) {
      const changed = JSON.stringify({ ...value, ima: { ...Object(value['ima']), ...changes } });
      expect(() => parseProof(changed)).toThrow(EvidenceError);
    }
  });
});

/** The same list, in which a path reads otherwise. */
function renamed(list: Uint8Array): Uint8Array {
  const at = Buffer.from(list).indexOf('/bin/busybox');
  const other = new Uint8Array(list);
  other[at + 1] = 'x'.charCodeAt(0);
  return other;
}
