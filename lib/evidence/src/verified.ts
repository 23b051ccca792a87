// Trust in the type: Verified<T> is what only a passed judgement makes. A function that needs proof asks for it in its
// parameter, and whoever casts around the type is still stopped where it counts, at run time.

declare const verified: unique symbol;

/** Only judgeVtpm, judgeSnp and judgeTdx make one. */
export type Verified<T> = T & { readonly [verified]: true };

const judged = new WeakSet<object>();

/** For a judgement, once all checks hold; not a public name of this package. */
export function markVerified<T extends object>(evidence: T): Verified<T> {
  judged.add(Object.freeze(evidence));
  if (!isVerified(evidence)) throw new TypeError('evidence lost its mark');
  return evidence;
}

/** Whether this very object came out of a passed judgement of this process. */
export function isVerified<T extends object>(evidence: T): evidence is Verified<T> {
  return judged.has(evidence);
}
