// Which reference values a boot is judged by. A host proposes them; the broker decides: the first of an image from the
// first host, and the same artefacts in another size of machine, are taken as they are, and everything else waits for a
// person. docs/decisions/2026-11-21-changed-references-wait-for-a-person.md
import { RingwallError } from '@ringwall/api';
import { equalBytes, toHex } from '@ringwall/bytes';
import {
  checkReferenceSignature,
  checkReferenceTime,
  compareReferences,
  defaultPolicy,
  isLearned,
  type Policy,
  type ReferenceContent,
  type SignedReference,
} from '@ringwall/evidence';
import type { KeptReference, ReferenceStore } from './reference-store.ts';

/** Linux measures its command line and its initrd into it. */
const COMMAND_LINE_PCR = 9;
/** Enough of a digest for a person. */
const SHORT = 12;

/** What a boot is judged by, and why it is refused whatever it measured. */
export interface JudgedBy {
  readonly reference: SignedReference;
  readonly refusal: string | undefined;
}

export class References {
  readonly #store: ReferenceStore;
  readonly #now: () => Date;

  constructor(store: ReferenceStore, now: () => Date) {
    this.#store = store;
    this.#now = now;
  }

  get policy(): Policy {
    return this.#store.policy() ?? defaultPolicy;
  }

  /** A host says what a boot must measure. Throws where its word is none; says nothing of whether it counts. */
  async propose(reference: SignedReference): Promise<void> {
    const signature = await checkReferenceSignature(reference);
    if (!signature.ok) throw new RingwallError('bad-request', signature.detail);
    const time = checkReferenceTime(reference, this.#now());
    if (!time.ok) {
      throw new RingwallError('conflict', time.detail, { hint: 'have it signed again by whoever made it' });
    }
    if (isLearned(reference.for.image)) {
      throw new RingwallError('bad-request', 'what a machine has measured is learned by the broker, and not proposed');
    }
    const known = this.#store.find(reference.id);
    if (known !== undefined) {
      this.#renew(known, reference);
      return;
    }
    const ofImage = this.#store.list(reference.for.image.name);
    const isFirst = !ofImage.some(({ state }) => state !== 'proposed');
    // By the same signer: where a tenant stands for an image, its host does not stand for it in another size.
    const isSame = ofImage.some(
      ({ state, reference: other }) =>
        state === 'accepted' && equalBytes(other.publicKey, reference.publicKey) && sameButForSize(other, reference),
    );
    const mayBeTaken = this.#isTrusted(reference);
    if (mayBeTaken && isFirst) this.#keep(reference, 'accepted', 'first-use');
    else if (mayBeTaken && isSame) this.#keep(reference, 'accepted', 'same-artefacts');
    else this.#keep(reference, 'proposed', 'not-yet');
  }

  /** What a boot of a machine has measured waits for a person. */
  keepLearned(reference: SignedReference): void {
    if (this.#store.find(reference.id) === undefined) this.#keep(reference, 'proposed', 'not-yet');
  }

  /** The accepted reference for a boot that its host proposed this one for. */
  judgedBy(proposed: SignedReference): JudgedBy {
    const kept = this.#store.find(proposed.id);
    if (kept?.state === 'accepted') return { reference: kept.reference, refusal: undefined };
    const accepted = this.#store.list(proposed.for.image.name).find(({ state }) => state === 'accepted');
    return { reference: accepted?.reference ?? proposed, refusal: describeUnaccepted(proposed, accepted?.reference) };
  }

  list(image?: string): readonly KeptReference[] {
    return this.#store.list(image);
  }

  signers(): readonly string[] {
    return this.#store.signers();
  }

  /** What is waiting for a person: the newest proposal of an image, in all sizes of machine that came with it. */
  waiting(image: string): readonly SignedReference[] {
    const proposed = this.#store
      .list(image)
      .flatMap(({ state, reference }) => (state === 'proposed' ? [reference] : []));
    const [newest] = proposed;
    return newest === undefined ? [] : proposed.filter((reference) => sameArtefacts(reference, newest));
  }

  /** What accepting `reference` would change, as sentences. */
  diff(reference: ReferenceContent): readonly string[] {
    return compareReferences(this.#nearest(reference), reference);
  }

  /** From now on these count, and what was accepted of their image with other artefacts no longer. */
  async accept(references: readonly SignedReference[]): Promise<{ readonly retired: readonly SignedReference[] }> {
    for (const reference of references) {
      for (const answer of [await checkReferenceSignature(reference), checkReferenceTime(reference, this.#now())]) {
        if (!answer.ok) throw new RingwallError('bad-request', answer.detail);
      }
    }
    const retired = references.flatMap((fresh) =>
      this.#store
        .list(fresh.for.image.name)
        .filter(
          ({ state, reference }) =>
            state === 'accepted' && !references.some((other) => sameArtefacts(other, reference)),
        )
        .map(({ reference }) => reference),
    );
    this.#store.accept(references, retired, this.#now());
    return { retired };
  }

  acceptPolicy(policy: Policy): void {
    const { pcrs } = defaultPolicy;
    if (policy.pcrs.join() !== pcrs.join()) {
      throw new RingwallError(
        'bad-request',
        `the policy demands PCRs ${policy.pcrs.join(', ')}, and guests quote others`,
        {
          hint: `guests of this version quote ${pcrs.join(', ')}`,
        },
      );
    }
    this.#store.setPolicy(policy, this.#now());
  }

  /** Who signs counts: the first host that ever spoke is trusted, as its vTPM CA is at registration. */
  #isTrusted({ publicKey }: SignedReference): boolean {
    const key = toHex(publicKey);
    const signers = this.#store.signers();
    if (signers.length === 0) this.#store.trust(key, this.#now());
    return signers.length === 0 || signers.includes(key);
  }

  /** A reference that was signed again, with a longer life, by somebody who may. */
  #renew({ state, how, reference: old }: KeptReference, reference: SignedReference): void {
    // What a person has accepted by the word of another signer stays that signer's: a host's own word is no better.
    if (how === 'command' && !equalBytes(old.publicKey, reference.publicKey)) return;
    const isLonger = reference.notAfter > old.notAfter;
    if (isLonger && this.#isTrusted(reference)) this.#keep(reference, state, how);
  }

  #keep(reference: SignedReference, state: KeptReference['state'], how: KeptReference['how']): void {
    this.#store.keep(reference, state, how, this.#now());
  }

  /** Of the accepted ones, that which differs in the fewest events: the one for the same size of machine. */
  #nearest(reference: ReferenceContent): SignedReference | undefined {
    const digests = new Set(reference.events.map(({ pcr, digest }) => `${String(pcr)} ${digest}`));
    const shared = ({ events }: ReferenceContent): number =>
      events.filter(({ pcr, digest }) => digests.has(`${String(pcr)} ${digest}`)).length;
    return this.#store
      .list(reference.for.image.name)
      .flatMap((kept) => (kept.state === 'accepted' ? [kept.reference] : []))
      .toSorted((left, right) => shared(right) - shared(left))[0];
  }
}

/**
 * The size of a machine is measured by the firmware, and into the kernel's header. The command line has nothing of it, and
 * whoever starts a machine names the broker on it that the guest will believe: another one is another boot.
 */
function sameButForSize(left: ReferenceContent, right: ReferenceContent): boolean {
  return sameArtefacts(left, right) && digestsOf(left, COMMAND_LINE_PCR) === digestsOf(right, COMMAND_LINE_PCR);
}

function digestsOf({ events }: ReferenceContent, wanted: number): string {
  return events
    .filter(({ pcr }) => pcr === wanted)
    .map(({ digest }) => digest)
    .join();
}

export function sameArtefacts(left: ReferenceContent, right: ReferenceContent): boolean {
  return (['image', 'kernel', 'firmware'] as const).every((part) => left.for[part].digest === right.for[part].digest);
}

function describeUnaccepted(proposed: ReferenceContent, accepted: ReferenceContent | undefined): string {
  const { name } = proposed.for.image;
  const part = (['image', 'kernel', 'firmware'] as const).find(
    (other) => accepted?.for[other].digest !== proposed.for[other].digest,
  );
  const sameLine =
    accepted === undefined || digestsOf(accepted, COMMAND_LINE_PCR) === digestsOf(proposed, COMMAND_LINE_PCR);
  const what = part ?? (sameLine ? 'signer' : 'command line');
  const subject = what === 'image' ? `the image ${name}` : `the ${what} of the image ${name}`;
  const digests =
    accepted === undefined || part === undefined
      ? ''
      : ` (sha256 ${proposed.for[part].digest.slice(0, SHORT)}, accepted is ${accepted.for[part].digest.slice(0, SHORT)})`;
  const commands = ['diff', 'try', 'accept'].map((verb) => `ringwall reference ${verb} ${name}`);
  return `${subject} has changed${digests}, and nobody has accepted that yet: ${commands.join(', ')}`;
}
