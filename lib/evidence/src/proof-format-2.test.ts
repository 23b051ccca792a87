// Format 2 of the proof bundle: signed reference values, policies of version 2, layers; and format 1 beside it.
import { toHex } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeProof, makeSigner } from '../testing/proofs.ts';
import { makeScene, type Scene } from '../testing/scene.ts';
import { makeHostScene, type HostScene } from '../testing/host-scene.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import { EvidenceError } from './errors.ts';
import { defaultPolicy, type PolicyV2 } from './policy.ts';
import type { HostLayer, ImaLayer } from './proof-layers.ts';
import { verifyProof } from './proof-report.ts';
import { encodeProof, parseProof, verifyProofSignature, type Proof } from './proof.ts';
import { signReference, type SignedReference, type UnsignedReference } from './signed-reference.ts';
import type { Signer } from './signer.ts';

const DAY_MS = 24 * 3600 * 1000;

let scene: Scene;
let host: HostScene;
let broker: Signer;
let maker: Signer;
let unsigned: UnsignedReference;
let signedReference: SignedReference;
let policy: PolicyV2;
let proof: Proof;
beforeAll(async () => {
  scene = await makeScene();
  host = await makeHostScene();
  broker = await makeSigner();
  maker = await makeSigner();
  const { firmware, image, events } = scene.reference;
  unsigned = {
    by: 'the maker of hello',
    for: { firmware, kernel: { name: 'vmlinuz', digest: 'cd'.repeat(32) }, image },
    events,
    packages: [],
    notBefore: new Date(NOW.getTime() - DAY_MS),
    notAfter: new Date(NOW.getTime() + DAY_MS),
  };
  signedReference = await signReference(unsigned, maker);
  const { bank, pcrs, untouchedPcrs } = defaultPolicy;
  policy = {
    version: 2,
    evidence: ['vtpm'],
    bank,
    pcrs,
    untouchedPcrs,
    references: { signers: [toHex(maker.publicKey)], ids: [] },
    rules: [],
  };
  proof = await makeProof(scene, broker, {}, { signedReference, policy });
});

type Json = Record<string, unknown>;
const changed = (change: (value: Json) => void): string => {
  const value: Json = JSON.parse(encodeProof(proof));
  change(value);
  return JSON.stringify(value);
};

const layers = (): { host: HostLayer; ima: ImaLayer } => {
  const bytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
  return {
    host: {
      nonce: bytes(32),
      askedAt: NOW,
      evidence: {
        kind: 'host-tpm',
        ekCertificate: bytes(900),
        akPublic: bytes(88),
        quote: bytes(200),
        quoteSignature: bytes(72),
        eventLog: bytes(4000),
        imaLog: bytes(300),
        vtpmCa: scene.ca.der,
      },
      activation: 'confirmed',
      reference: host.reference,
    },
    ima: {
      nonce: bytes(32),
      from: 12,
      at: NOW,
      quote: bytes(200),
      quoteSignature: bytes(72),
      log: bytes(5000),
      image: {
        kernel: '01'.repeat(32),
        initrd: '02'.repeat(32),
        system: '03'.repeat(32),
        files: '04'.repeat(32),
        verityRootHash: '05'.repeat(32),
        hashOffset: 4096,
      },
      files: bytes(300),
    },
  };
};

describe('ringwall-proof/2', () => {
  it('is read as it was written, with and without layers', async () => {
    expect(proof.format).toBe('ringwall-proof/2');
    for (const changes of [{}, layers()]) {
      const written = await makeProof(scene, broker, {}, { signedReference, policy, ...changes });
      const read = parseProof(encodeProof(written));
      expect(read).toEqual(written);
      expect(await verifyProofSignature(read)).toBe(true);
    }
  });

  it('is proven with its policy, and refused where that policy names another signer', async () => {
    const trust = { brokerKey: broker.publicKey, now: NOW };
    expect((await verifyProof(proof, trust)).outcome).toBe('proven');
    const other: PolicyV2 = { ...policy, references: { signers: ['ab'.repeat(64)], ids: [] } };
    const report = await verifyProof(proof, { ...trust, policy: other });
    expect(report.outcome).toBe('refused');
    expect(report.reasons.join('\n')).toContain('the policy lets neither');
  });

  it('keeps saying what it said after the reference values expired: it counted at the time of the boot', async () => {
    const now = new Date(NOW.getTime() + 365 * DAY_MS);
    expect((await verifyProof(proof, { brokerKey: broker.publicKey, now })).outcome).toBe('proven');
  });

  it('is refused where its reference values had expired before the boot', async () => {
    const expired = await signReference({ ...unsigned, notBefore: new Date(0), notAfter: new Date(DAY_MS) }, maker);
    const late = await makeProof(scene, broker, {}, { signedReference: expired, policy });
    const report = await verifyProof(late, { brokerKey: broker.publicKey, now: NOW });
    // The broker that says it accepted this contradicts its own bundle.
    expect(report.outcome).toBe('invalid');
    expect(report.reasons.join('\n')).toContain('expired');
  });

  it('does not hold as format 1, whose signature begins with another line', async () => {
    const plain = await makeProof(scene, broker);
    expect(plain.format).toBe('ringwall-proof/1');
    expect(() => parseProof(changed((value) => (value['format'] = 'ringwall-proof/1')))).toThrow(EvidenceError);
    const renamed = encodeProof(plain).replace('ringwall-proof/1', 'ringwall-proof/2');
    expect(() => parseProof(renamed)).toThrow(EvidenceError);
  });

  it('cannot be written without a signed reference where it says more than format 1 can', async () => {
    await expect(makeProof(scene, broker, {}, { policy })).rejects.toThrow('needs a signed reference');
    await expect(makeProof(scene, broker, {}, layers())).rejects.toThrow('needs a signed reference');
  });

  it.each<[what: string, change: (value: Json) => void]>([
    ['an unsigned reference', (value) => (value['reference'] = {})],
    ['a layer of another form', (value) => (value['host'] = {})],
    ['a list of what ran in another form', (value) => (value['ima'] = { log: '' })],
    ['an unknown layer', (value) => (value['gpu'] = {})],
  ])('refuses %s', (_what, change) => {
    expect(() => parseProof(changed(change))).toThrow(EvidenceError);
  });

  it('is signed in every part', async () => {
    const written = await makeProof(scene, broker, {}, { signedReference, policy, ...layers() });
    const parts: readonly (readonly string[])[] = [
      ['reference', 'by', 'name'],
      ['host', 'reference', 'id'],
      ['host', 'nonce'],
      ['ima', 'from'],
      ['ima', 'image', 'files'],
      ['ima', 'nonce'],
    ];
    for (const path of parts) {
      const value: Json = JSON.parse(encodeProof(written));
      const last = path.at(-1) ?? '';
      const parent = path.slice(0, -1).reduce<Json>((at, key) => Object(at[key]), value);
      parent[last] =
        typeof parent[last] === 'number' ? 13 : String(parent[last]).replace(/.$/, (end) => (end === 'a' ? 'b' : 'a'));
      expect(await verifyProofSignature(parseProof(JSON.stringify(value))), path.join('.')).toBe(false);
    }
  });
});
