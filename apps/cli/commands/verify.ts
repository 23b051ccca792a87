// `ringwall verify`: checks a proof bundle offline, with the same judgement as the broker's, and explains it.
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';

export function run(_invocation: Invocation): Promise<number> {
  throw new RingwallError('internal', 'verify is being written');
}
