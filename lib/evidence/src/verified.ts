// Trust in the type: Verified<T> is what only a passed judgement makes. A function that needs proof asks for it in its
// parameter, and whoever casts around the type is still stopped where it counts, at run time.
import type { VtpmEvidence } from './evidence.ts';

declare const verified: unique symbol;

/** Only judgeVtpm makes one. */
export type Verified<T> = T & { readonly [verified]: true };

const judged = new WeakSet<object>();

/** For judgeVtpm, once all checks hold; not a public name of this package. */
export function markVerified(evidence: VtpmEvidence): Verified<VtpmEvidence> {
  judged.add(Object.freeze(evidence));
  if (!isVerified(evidence)) throw new TypeError('evidence lost its mark');
  return evidence;
}

/** Whether this very object came out of a passed judgement of this process. */
export function isVerified(evidence: VtpmEvidence): evidence is Verified<VtpmEvidence> {
  return judged.has(evidence);
}
