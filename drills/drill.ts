// What a drill is: one attack, run against the plain component, where it must succeed, and against Ringwall, where it
// must fail. Drills are harmless: canaries and markers, on machines and files that they make and remove themselves.
import type { Instance } from '@ringwall/testkit';

/** The adversaries of the threat model: see docs/threats.md. */
export const ADVERSARIES = {
  A1: 'a malicious guest or container beside yours',
  A2: 'a VMM or container runtime that has been escaped into',
  A3: 'someone on the network between hosts',
  A4: 'a thief of disks, images, snapshots or backups',
  A5: 'an administrator with API access who is curious',
  A6: 'root on the host',
  A7: 'the supply chain (images, registries)',
} as const;

export type Adversary = keyof typeof ADVERSARIES;

/** An adversary whom the drill's protection stops in one step, and who has another way. */
export interface StoppedInPart {
  readonly adversary: Adversary;
  /** As in `A6 only as far as …`. */
  readonly only: string;
}

/** One thing that the attacker tried, told from the attacker's side. */
export interface Attempt {
  readonly what: string;
  readonly succeeded: boolean;
  readonly seen: string;
}

export interface DrillContext {
  /** An empty directory that is removed after the drill; other users may pass through it. */
  readonly directory: string;
  /** The Ringwall under attack, shared by the drills of one run. */
  readonly ringwall: Instance;
  /** A machine of image hello, its disk authenticated, that is attested, running and unlocked; shared, so leave it so, or say otherwise. */
  readonly victim: string;
  /** Says what is being done now. */
  readonly step: (what: string) => void;
}

export interface Drill {
  readonly name: string;
  readonly title: string;
  /** Those who are stopped. */
  readonly adversaries: readonly Adversary[];
  readonly inPart?: readonly StoppedInPart[];
  /** What happens, for a reader who has never seen this attack. */
  readonly story: string;
  /**
   * What it leaves of the machine under attack, where that does not run and is not attested: it runs after the others. `unproven`: it runs
   * on from a saved state.
   */
  readonly leavesVictim?: 'unproven' | 'off' | 'removed';
  /**
   * `running`: attested or not; `there`: off or running; `no`: the attack is on something else. Running and attested, where this says
   * nothing. A boot is saved.
   */
  readonly needsVictim?: 'no' | 'there' | 'running';
  /** What must be true for the attack to be worth anything. */
  readonly mustBeTrue: string;
  /** What of Ringwall stops it. */
  readonly stoppedBy: string;
  /** The attack against the plain component: every attempt must succeed, or else the drill is void. */
  readonly without: (context: DrillContext) => Promise<readonly Attempt[]>;
  /** The same attack against Ringwall: every attempt must fail. */
  readonly with: (context: DrillContext) => Promise<readonly Attempt[]>;
}

/** What the attack needs was not so: it is no attack then, and the drill is run again. */
export class ProvesNothingError extends Error {
  override readonly name = 'ProvesNothingError';

  constructor(what: string) {
    super(`${what}: this proves nothing`);
  }
}

export type Outcome = 'stopped' | 'not stopped' | 'void' | 'error';

export interface DrillResult {
  readonly name: string;
  readonly title: string;
  readonly adversaries: readonly Adversary[];
  readonly inPart: readonly StoppedInPart[];
  readonly outcome: Outcome;
  readonly without: readonly Attempt[];
  readonly with: readonly Attempt[];
  readonly error?: string;
  /** Of all rounds. */
  readonly seconds: number;
  /** How often it was run until it proved something. */
  readonly rounds: number;
}
