// Proof bundles for tests that say what ran since the boot: of a watched machine, which does as it is told.
import { toHex, utf8 } from '@ringwall/bytes';
import type { TestImaEntry } from '../../tpm/testing/ima-list.ts';
import {
  askWatch,
  defaultPolicy,
  imageDigestOf,
  renderRuntimeFiles,
  signProof,
  signReference,
  type ImaLayer,
  type ImageParts,
  type Proof,
  type Signer,
  type UnsignedProof,
} from '../src/index.ts';
import { realEvents, sha256 } from './event-log.ts';
import { makeSigner } from './proofs.ts';
import { MACHINE } from './scene.ts';
import { NOW } from './vtpm-ca.ts';
import { makeWatched, type Watched, type WatchLies } from './watching.ts';

const DAY_MS = 24 * 3600 * 1000;

export interface RanScene {
  readonly watched: Watched;
  readonly broker: Signer;
  /** Whoever signed the reference values. */
  readonly maker: Signer;
  /** What an honest broker says of a machine that has run `ran`; `ima` is what it has otherwise. */
  proof(
    ran: readonly TestImaEntry[],
    changes?: {
      readonly lies?: WatchLies;
      readonly ima?: Partial<ImaLayer>;
      readonly from?: number;
      readonly unsigned?: Partial<UnsignedProof>;
    },
  ): Promise<Proof>;
}

/** Its reference values count about the time `at`. */
export async function makeRanScene(at: Date = NOW): Promise<RanScene> {
  const [watched, broker, maker] = [await makeWatched(), await makeSigner(), await makeSigner()];
  const { scene, list } = watched;
  const files = utf8(renderRuntimeFiles(list));
  const digest = (what: string): string => toHex(sha256(utf8(what)));
  const image: ImageParts = {
    kernel: digest('kernel'),
    initrd: digest('initrd'),
    system: digest('system'),
    files: toHex(sha256(files)),
    verityRootHash: digest('verity'),
    hashOffset: 4096,
  };
  const signedReference = await signReference(
    {
      by: 'the maker of hello',
      for: {
        firmware: scene.reference.firmware,
        kernel: { name: 'vmlinuz', digest: image.kernel },
        image: { name: 'hello', digest: await imageDigestOf('hello', image) },
      },
      events: scene.reference.events,
      packages: [],
      notBefore: new Date(at.getTime() - DAY_MS),
      notAfter: new Date(at.getTime() + DAY_MS),
    },
    maker,
  );
  const evidence = await scene.evidence({ events: realEvents });
  const { verdict } = await scene.judge(evidence);
  const proof: RanScene['proof'] = async (ran, { lies, ima, from = 0, unsigned } = {}) => {
    const question = { ...askWatch(watched.record), from };
    // Of the answer, the list stands in the bundle from its beginning.
    const { quote, quoteSignature } = await watched.answer(question, ran, lies);
    const { log } = await watched.answer({ ...question, from: 0 }, ran, lies);
    const layer: ImaLayer = { nonce: question.nonce, from, at: NOW, quote, quoteSignature, log, image, files, ...ima };
    return signProof(
      {
        machine: { id: MACHINE, name: 'alpha' },
        challenge: scene.challenge,
        evidence,
        reference: { ...scene.reference, image: signedReference.for.image },
        signedReference,
        ima: layer,
        policy: defaultPolicy,
        verdict,
        activation: 'confirmed',
        vtpmCa: [scene.ca.der],
        at: NOW,
        ...unsigned,
      },
      broker,
    );
  };
  return { watched, broker, maker, proof };
}
