// Proof bundles for tests: a good one of the scene, and those that differ from it in what a test names.
import { defaultPolicy, signProof, type Proof, type Signer, type UnsignedProof } from '../src/index.ts';
import { realEvents } from './event-log.ts';
import { MACHINE, type Scene } from './scene.ts';
import type { Lies } from './software-tpm.ts';
import { ecKeys, NOW } from './vtpm-ca.ts';

export async function makeSigner(): Promise<Signer> {
  const { publicKey, privateKey } = await ecKeys();
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return {
    publicKey: point.slice(1),
    sign: async (message) => {
      const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
      return new Uint8Array(await crypto.subtle.sign(algorithm, privateKey, new Uint8Array(message)));
    },
  };
}

/** What an honest broker says of evidence with these lies; `changes` are the broker's own lies. */
export async function makeProof(
  scene: Scene,
  broker: Signer,
  lies: Lies = {},
  changes: Partial<UnsignedProof> = {},
): Promise<Proof> {
  const evidence = await scene.evidence({ events: realEvents, ...lies });
  const { verdict } = await scene.judge(evidence);
  const unsigned: UnsignedProof = {
    machine: { id: MACHINE, name: 'alpha' },
    challenge: scene.challenge,
    evidence,
    reference: scene.reference,
    policy: defaultPolicy,
    verdict,
    // A broker asks for the activation only where the rest has passed.
    activation: verdict.outcome === 'accepted' ? 'confirmed' : 'unconfirmed',
    vtpmCa: [scene.ca.der],
    at: NOW,
    ...changes,
  };
  return signProof(unsigned, broker);
}
