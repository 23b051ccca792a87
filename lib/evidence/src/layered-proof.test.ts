// A proof with its host in it: one chain from the computer that ran the machine to the machine's last file.
import { toHex, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeIma, imaNg } from '../../tpm/testing/ima-list.ts';
import type { HostLies } from '../testing/host-scene.ts';
import { LayeredScene } from '../testing/layered-proof.ts';
import { issueEk, makeCa, NOW } from '../testing/vtpm-ca.ts';
import { MACHINE } from '../testing/scene.ts';
import { chainOf, type Link } from './chain.ts';
import { explainProof, verifyProof, type ProofReport } from './proof-report.ts';
import { encodeProof, parseProof, type UnsignedProof } from './proof.ts';

let scene: LayeredScene;
beforeAll(async () => {
  scene = await LayeredScene.make();
});

async function report(changes: Partial<UnsignedProof>): Promise<ProofReport> {
  const proof = parseProof(encodeProof(await scene.prove(changes)));
  return verifyProof(proof, { brokerKey: scene.broker.publicKey, now: NOW });
}

const hostLink = (judged: ProofReport): Link | undefined => chainOf(judged).find(({ id }) => id === 'host');

describe('a layered proof', () => {
  it('is proven with its host, whose link carries its own checks, events and whose word it rests on', async () => {
    const judged = await report({ host: await scene.layer() });
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
    const { hostTpm: _, ...rest } = scene.policy;
    const undemanded = await report({ policy: { ...rest, evidence: ['vtpm'] }, host: await scene.layer() });
    expect(undemanded.outcome).toBe('proven');
    expect(hostLink(undemanded)?.state).toBe('absent');
    expect(hostLink(undemanded)?.says).toMatch(/^not part of this proof/);
  });

  it.each<[what: string, lies: () => HostLies | Promise<HostLies>, says: string]>([
    [
      'a host on which another QEMU ran',
      () => ({ ran: [...scene.host.booted, imaNg('/usr/bin/qemu-system-x86_64', new Uint8Array(32))] }),
      'is not the file of qemu-system-x86',
    ],
    [
      'a list that was cut after the quote',
      () => ({ imaLog: encodeIma(...scene.host.booted.slice(0, -1)) }),
      'do not lead to the quoted PCRs',
    ],
    ['an answer to another question', () => ({ extraData: new Uint8Array(32) }), 'answers another question'],
    ['the evidence of a host with another CA', async () => ({ vtpmCa: (await makeCa()).der }), 'another vTPM CA'],
    [
      'another TPM',
      () => ({ signer: scene.host.machine.tpm.bootKey.privateKey }),
      'is not that of the attestation key',
    ],
  ])('refuses %s', async (_what, lies, says) => {
    const judged = await report({ host: await scene.layer(await lies()) });
    // The broker that says it accepted this contradicts its own bundle.
    expect(judged.outcome).toBe('invalid');
    expect(judged.reasons.join('\n')).toContain(says);
    expect(hostLink(judged)?.state).toBe('broken');
    expect(chainOf(judged).find(({ id }) => id === 'kernel')?.state).not.toBe('holds');
  });

  it('does not take a good host for that of a machine whose TPM another CA certified', async () => {
    const stranger = await makeCa();
    const ekCertificate = await issueEk(stranger, scene.host.machine.tpm.ek.publicKey, MACHINE);
    const evidence = { ...(await scene.host.machine.evidence()), ekCertificate };
    const judged = await report({
      evidence,
      host: await scene.layer(),
      vtpmCa: [scene.host.machine.ca.der, stranger.der],
    });
    expect(judged.host?.outcome).toBe('accepted');
    expect(hostLink(judged)?.state).toBe('broken');
    expect(judged.reasons.join('\n')).toContain('none held that names this TPM');
  });

  it('is only a claim, and so is its host’s link, where nobody stands for the broker', async () => {
    const judged = await verifyProof(await scene.prove({ host: await scene.layer() }), { now: NOW });
    expect(judged.outcome).toBe('unanchored');
    expect(hostLink(judged)).toMatchObject({ state: 'claimed', anchors: [{ id: 'host', source: 'bundle' }] });
  });

  it('rests on the caller’s own word of what the host is, where they give it', async () => {
    const proof = await scene.prove({ host: await scene.layer() });
    const trust = { brokerKey: scene.broker.publicKey, now: NOW };
    const mine = await verifyProof(proof, { ...trust, hostReference: scene.host.reference });
    expect(mine.anchors.find(({ id }) => id === 'host')).toMatchObject({ source: 'caller' });
    expect(mine.outcome).toBe('proven');
    const tpm = { akName: `000b${toHex(utf8('x'.repeat(32)))}` };
    const other = await verifyProof(proof, { ...trust, hostReference: await scene.host.sign({ tpm }) });
    expect(other.outcome).toBe('refused');
    expect(other.reasons.join('\n')).toContain('another TPM');
  });

  it('of the largest host fits into a bundle', async () => {
    const ran = [...scene.host.booted, ...Array.from({ length: 9_000 }, (_, at) => imaNg(`/usr/lib/program-${at}`))];
    const judged = await report({ host: await scene.layer({ ran }) });
    expect(judged.outcome).toBe('proven');
    expect(explainProof(judged).at(-1)).toBe('  and 8968 more');
  });
});
