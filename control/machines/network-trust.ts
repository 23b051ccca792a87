// Whether a machine's network may be open now: what its boot has proven, and what its watch says at this moment. Pure.
import type { Machine } from '@ringwall/api';
import type { NetworkTrust } from '../networks/index.ts';
import type { WatchTrust } from './watch-trust.ts';

export interface NetworkTrustFacts {
  readonly machine: Machine;
  /** The machine as it is shown now (Watches.asSeen). */
  readonly seen: Machine;
  /** Of a machine that is watched. */
  readonly watch: WatchTrust;
  /** Whether the broker has said anything of its watch in this life of the daemon. */
  readonly heard: boolean;
}

export function networkTrust({ machine: { status }, seen, watch, heard }: NetworkTrustFacts): NetworkTrust {
  const { phase, trust } = status;
  // A guest that is asked to power down may say goodbye.
  if (phase !== 'running' && phase !== 'stopping') return { against: `it is ${phase}` };
  if (trust !== 'attested') return { against: status.reasons[0] ?? `its trust is ${trust}` };
  if (status.watch === undefined) {
    return seen.status.trust === 'attested' ? 'trusted' : { against: seen.status.reasons[0] ?? 'its proof is old' };
  }
  if (watch.trust === 'attested') return 'trusted';
  if (watch.trust === 'unknown' && !heard) return 'unheard';
  return { against: watch.reasons[0] ?? `its watch says ${watch.trust}` };
}
