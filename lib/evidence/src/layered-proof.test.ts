// A proof with its host in it: one chain from the computer that ran the machine to the machine's last file.
import { toHex, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeIma, imaNg } from '../../tpm/testing/ima-list.ts';
import { makeHostScene, type HostLies, type HostScene } from '../testing/host-scene.ts';
import { makeProof, makeSigner } from '../testing/proofs.ts';
import { issueEk, makeCa, NOW } from '../testing/vtpm-ca.ts';
import { MACHINE } from '../testing/scene.ts';
import { chainOf, type Link } from './chain.ts';
import { defaultPolicy, type PolicyV2 } from './policy.ts';
import { explainProof, verifyProof, type ProofReport } from './proof-report.ts';
import { encodeProof, parseProof, type Proof, type UnsignedProof } from './proof.ts';
import type { HostLayer } from './proof-layers.ts';
import { signReference, type SignedReference } from './signed-reference.ts';
import type { Signer } from './signer.ts';

const DAY_MS = 24 * 3600 * 1000;
let scene: HostScene;
let broker: Signer;
let signedReference: SignedReference;
let policy: PolicyV2;

beforeAll(async () => {
  [scene, broker] = [await makeHostScene(), await makeSigner()];
  const { firmware, image, events } = scene.machine.reference;
  signedReference = await signReference(
    {
      by: 'the maker of hello',
      for: { firmware, kernel: { name: 'vmlinuz', digest: 'cd'.repeat(32) }, image },
      events,
      packages: [],
      notBefore: new Date(NOW.getTime() - DAY_MS),
      notAfter: new Date(NOW.getTime() + DAY_MS),
    },
    broker,
  );
  const { bank, pcrs, untouchedPcrs } = defaultPolicy;
  policy = {
    version: 2,
    evidence: ['vtpm', 'host-tpm'],
    bank,
    pcrs,
    untouchedPcrs,
    rules: [],
    hostTpm: scene.policy,
  };
});

async function layer(lies: HostLies = {}): Promise<HostLayer> {
  const { nonce, askedAt } = scene.question;
  return {
    nonce,
    askedAt,
    evidence: await scene.evidence(lies),
    activation: 'unconfirmed',
    reference: scene.reference,
  };
}

/** What a broker would write that accepts whatever it is told to. */
function prove(changes: Partial<UnsignedProof>): Promise<Proof> {
  return makeProof(scene.machine, broker, {}, { signedReference, policy, ...changes });
}

async function report(changes: Partial<UnsignedProof>): Promise<ProofReport> {
  const proof = parseProof(encodeProof(await prove(changes)));
  return verifyProof(proof, { brokerKey: broker.publicKey, now: NOW });
}

const hostLink = (judged: ProofReport): Link | undefined => chainOf(judged).find(({ id }) => id === 'host');

describe('a layered proof', () => {
  it('is proven with its host, whose link carries its own checks, events and whose word it rests on', async () => {
    const judged = await report({ host: await layer() });
    expect(judged.reasons).toEqual([]);
    expect(judged.outcome).toBe('proven');
    expect(hostLink(judged)).toMatchObject({
      state: 'holds',
      says: 'its TPM has shown what it booted and ran, and that it vouches for the machine’s TPM',
      anchors: [{ id: 'host', source: 'broker' }],
    });
    expect(hostLink(judged)?.events.length).toBeGreaterThan(20);
    const lines = explainProof(judged).join('\n');
    expect(lines).toContain('vouches for the CA that certified the machine’s TPM');
    expect(lines).toContain('On the host: 4 files ran, of the reference 4, others 0');
  });

  it('is refused without its host where the policy demands one, and says nothing of one where it does not', async () => {
    const without = await report({});
    expect(without.outcome).toBe('invalid');
    expect(without.reasons.join('\n')).toContain('the policy demands evidence of the kind host-tpm');
    expect(hostLink(without)).toMatchObject({
      state: 'broken',
      reasons: expect.arrayContaining([
        'the policy demands evidence of the kind host-tpm, and none held that names this TPM',
      ]),
    });
    const { hostTpm: _, ...rest } = policy;
    const undemanded = await report({ policy: { ...rest, evidence: ['vtpm'] }, host: await layer() });
    expect(undemanded.outcome).toBe('proven');
    expect(hostLink(undemanded)?.state).toBe('absent');
    expect(hostLink(undemanded)?.says).toMatch(/^not part of this proof/);
  });

  it.each<[what: string, lies: () => HostLies | Promise<HostLies>, says: string]>([
    [
      'a host on which another QEMU ran',
      () => ({ ran: [...scene.booted, imaNg('/usr/bin/qemu-system-x86_64', new Uint8Array(32))] }),
      'is not the file of qemu-system-x86',
    ],
    [
      'a list that was cut after the quote',
      () => ({ imaLog: encodeIma(...scene.booted.slice(0, -1)) }),
      'do not lead to the quoted PCRs',
    ],
    ['an answer to another question', () => ({ extraData: new Uint8Array(32) }), 'answers another question'],
    ['the evidence of a host with another CA', async () => ({ vtpmCa: (await makeCa()).der }), 'another vTPM CA'],
    ['another TPM', () => ({ signer: scene.machine.tpm.bootKey.privateKey }), 'is not that of the attestation key'],
  ])('refuses %s', async (_what, lies, says) => {
    const judged = await report({ host: await layer(await lies()) });
    // The broker that says it accepted this contradicts its own bundle.
    expect(judged.outcome).toBe('invalid');
    expect(judged.reasons.join('\n')).toContain(says);
    expect(hostLink(judged)?.state).toBe('broken');
    expect(chainOf(judged).find(({ id }) => id === 'kernel')?.state).not.toBe('holds');
  });

  it('does not take a good host for that of a machine whose TPM another CA certified', async () => {
    const stranger = await makeCa();
    const ekCertificate = await issueEk(stranger, scene.machine.tpm.ek.publicKey, MACHINE);
    const evidence = { ...(await scene.machine.evidence()), ekCertificate };
    const judged = await report({
      evidence,
      host: await layer(),
      vtpmCa: [scene.machine.ca.der, stranger.der],
    });
    expect(judged.host?.outcome).toBe('accepted');
    expect(hostLink(judged)?.state).toBe('broken');
    expect(judged.reasons.join('\n')).toContain('none held that names this TPM');
  });

  it('is only a claim, and so is its host’s link, where nobody stands for the broker', async () => {
    const judged = await verifyProof(await prove({ host: await layer() }), { now: NOW });
    expect(judged.outcome).toBe('unanchored');
    expect(hostLink(judged)).toMatchObject({ state: 'claimed', anchors: [{ id: 'host', source: 'bundle' }] });
  });

  it('rests on the caller’s own word of what the host is, where they give it', async () => {
    const proof = await prove({ host: await layer() });
    const trust = { brokerKey: broker.publicKey, now: NOW };
    const mine = await verifyProof(proof, { ...trust, hostReference: scene.reference });
    expect(mine.anchors.find(({ id }) => id === 'host')).toMatchObject({ source: 'caller' });
    expect(mine.outcome).toBe('proven');
    const tpm = { akName: `000b${toHex(utf8('x'.repeat(32)))}` };
    const other = await verifyProof(proof, { ...trust, hostReference: await scene.sign({ tpm }) });
    expect(other.outcome).toBe('refused');
    expect(other.reasons.join('\n')).toContain('another TPM');
  });

  it('of the largest host fits into a bundle', async () => {
    const ran = [...scene.booted, ...Array.from({ length: 9_000 }, (_, at) => imaNg(`/usr/lib/program-${at}`))];
    const judged = await report({ host: await layer({ ran }) });
    expect(judged.outcome).toBe('proven');
    expect(explainProof(judged).at(-1)).toBe('  and 8968 more');
  });
});
