// What programs of this host add to the facts of layers.
import type { FactFinisher } from '@ringwall/oci';
import { passwordFinisher } from '../crypt/index.ts';
import { run } from '../exec/index.ts';

/** For one scan: their budgets of time are of all layers together. */
export function hostFinishers(): readonly FactFinisher[] {
  return [passwordFinisher(run)];
}
