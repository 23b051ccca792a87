// Proofs with their host in them, for tests: of an honest host, or of one that differs in what a test names.
import {
  defaultPolicy,
  signReference,
  type HostLayer,
  type PolicyV2,
  type Proof,
  type SignedReference,
  type Signer,
  type UnsignedProof,
} from '../src/index.ts';
import { makeHostScene, type HostLies, type HostScene } from './host-scene.ts';
import { makeProof, makeSigner } from './proofs.ts';
import { NOW } from './vtpm-ca.ts';

const DAY_MS = 24 * 3600 * 1000;

export class LayeredScene {
  readonly host: HostScene;
  readonly broker: Signer;
  /** Demands the machine's TPM and its host's. */
  readonly policy: PolicyV2;
  readonly #at: Date;
  readonly #signedReference: SignedReference;

  private constructor(host: HostScene, broker: Signer, signedReference: SignedReference, at: Date) {
    this.host = host;
    this.broker = broker;
    const { bank, pcrs, untouchedPcrs } = defaultPolicy;
    const evidence: PolicyV2['evidence'] = ['vtpm', 'host-tpm'];
    this.policy = { version: 2, evidence, bank, pcrs, untouchedPcrs, rules: [], hostTpm: host.policy };
    this.#signedReference = signedReference;
    this.#at = at;
  }

  /** `at`: when the broker judges. */
  static async make(at: Date = NOW): Promise<LayeredScene> {
    const [host, broker] = [await makeHostScene(), await makeSigner()];
    const { firmware, image, events } = host.machine.reference;
    const content = {
      by: 'the maker of hello',
      for: { firmware, kernel: { name: 'vmlinuz', digest: 'cd'.repeat(32) }, image },
      events,
      packages: [],
      notBefore: new Date(at.getTime() - DAY_MS),
      notAfter: new Date(at.getTime() + DAY_MS),
    };
    return new LayeredScene(host, broker, await signReference(content, broker), at);
  }

  async layer(lies: HostLies = {}): Promise<HostLayer> {
    const { nonce } = this.host.question;
    const { reference } = this.host;
    return { nonce, askedAt: this.#at, evidence: await this.host.evidence(lies), activation: 'unconfirmed', reference };
  }

  /** What a broker would write that accepts whatever it is told to. */
  prove(changes: Partial<UnsignedProof>): Promise<Proof> {
    const all = { signedReference: this.#signedReference, policy: this.policy, at: this.#at, ...changes };
    return makeProof(this.host.machine, this.broker, {}, all);
  }
}
