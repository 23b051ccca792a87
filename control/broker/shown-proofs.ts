// The proof of a machine as it is shown: the last one, of a boot that is watched with what has run in it, and the same as a result for
// other systems.
import { RingwallError, type MachineId } from '@ringwall/api';
import {
  earOfProof,
  EvidenceError,
  parseProof,
  signEar,
  signProof,
  verifyProof,
  type ImaLayer,
  type Proof,
} from '@ringwall/evidence';
import type { SigningKey } from '../keys/index.ts';
import type { BrokerStore } from './store.ts';
import type { WatchBook } from './watch-book.ts';

const NOT_REPLAYED =
  'the host has kept the TPM from an extend: the watch goes on from what it saw before, and a stranger could not';
const NO_ROOM = 'there is no room for it beside the evidence of its host';

export interface ProofParts {
  readonly store: BrokerStore;
  readonly watches: WatchBook;
  readonly signer: SigningKey;
  readonly now: () => Date;
}

/** The last proof; of a boot that is watched, with what has run in it up to the last good answer. */
export async function proofWithWhatRan(parts: ProofParts, id: MachineId): Promise<Proof> {
  const proof = lastProof(parts, id);
  if (proof.activation !== 'confirmed' || proof.signedReference === undefined) return proof;
  const { boot } = proof.challenge;
  const ima = parts.watches.ran(id, boot);
  const whole = typeof ima === 'string' ? ima : await proofWith(parts, proof, ima);
  parts.watches.leaveOut(id, boot, typeof whole === 'string' ? whole : undefined);
  return typeof whole === 'string' ? proof : whole;
}

/** The same as a result for other systems: judged anew, and signed by this broker as their verifier. */
export async function earOf(parts: ProofParts, id: MachineId): Promise<string> {
  const { signer, now } = parts;
  const proof = await proofWithWhatRan(parts, id);
  const report = await verifyProof(proof, { brokerKey: signer.publicKey, now: now() });
  const verifier = { developer: 'Ringwall', build: 'ringwall-broker' };
  return await signEar(await earOfProof(proof, report, verifier), signer);
}

function lastProof({ store }: ProofParts, id: MachineId): Proof {
  // Of the boot that was judged last: a machine that stands refused must not show the proof of a better day. Within one
  // boot the confirmed one counts, whatever somebody on the relay has tried since.
  const proofs = (['confirmed', 'unconfirmed', 'refused'] as const).flatMap((kind) => {
    const text = store.readProof(id, kind);
    return text === undefined ? [] : [parseProof(text)];
  });
  const last = proofs.toSorted((a, b) => b.at.getTime() - a.at.getTime())[0]?.challenge.boot;
  const proof = proofs.find(({ challenge }) => challenge.boot === last);
  if (proof !== undefined) return proof;
  throw new RingwallError('not-found', `${id} has not been attested yet`, {
    hint: 'start it, and ask again when its disk is unlocked',
  });
}

/** A sentence where nobody could make anything of it. */
async function proofWith({ signer, now }: ProofParts, proof: Proof, ima: ImaLayer): Promise<Proof | string> {
  try {
    const whole = await signProof({ ...proof, ima }, signer);
    const { ran } = await verifyProof(whole, { now: now() });
    return ran?.outcome === 'refused' ? NOT_REPLAYED : whole;
  } catch (error) {
    if (error instanceof EvidenceError && error.code === 'too-large') return NO_ROOM;
    throw error;
  }
}
