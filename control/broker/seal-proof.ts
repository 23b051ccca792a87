// A proof as the broker hands it out: signed, and in a form that everybody can read.
import { encodeProof, EvidenceError, signProof, type UnsignedProof } from '@ringwall/evidence';
import type { SigningKey } from '../keys/index.ts';

export async function sealProof(proof: UnsignedProof, signer: SigningKey): Promise<string> {
  return encodeProof(await signProof(proof, signer));
}

/** The error where no bundle holds what was sent, or what it was judged by. */
export async function trySealProof(proof: UnsignedProof, signer: SigningKey): Promise<string | EvidenceError> {
  try {
    return await sealProof(proof, signer);
  } catch (error) {
    if (error instanceof EvidenceError) return error;
    throw error;
  }
}
