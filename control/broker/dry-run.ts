// A dry run over history: what the evidence that machines have sent would have been judged under another policy or other
// reference values. Nothing of it is recorded, and no nonce, key or counter is touched.
import type { MachineId } from '@ringwall/api';
import {
  judgeHostOfProof,
  judgeVtpm,
  policyFor,
  parseProof,
  type Policy,
  type Proof,
  type SignedReference,
} from '@ringwall/evidence';
import type { KeptEvidence } from './history.ts';
import type { References } from './references.ts';
import type { MachineRecord } from './machine-records.ts';
import type { BrokerStore } from './store.ts';

/** A judgement takes a millisecond, and somebody waits: with more machines than this, the newest evidence of each counts. */
export const MAX_TRIED = 1000;
/** Sizes of machine that a proposal may come in. */
const MAX_CANDIDATES = 16;
const MAX_REASONS = 8;

export interface Tried {
  readonly machine: MachineId;
  readonly name: string;
  readonly boot: string;
  readonly at: string;
  readonly was: 'accepted' | 'refused';
  readonly would: 'accepted' | 'refused';
  readonly reasons: readonly string[];
}

export interface Trial {
  /** Of this image alone; of all where none is named. */
  readonly image?: string | undefined;
  readonly references?: readonly SignedReference[] | undefined;
  readonly policy?: Policy | undefined;
}

export async function dryRun(
  parts: { readonly store: BrokerStore; readonly references: References; readonly now: () => Date },
  trial: Trial,
): Promise<{ readonly tried: readonly Tried[]; readonly left: number }> {
  const { store, references, now } = parts;
  const pending: { readonly machine: MachineRecord; readonly kept: KeptEvidence; readonly age: number }[] = [];
  for (const id of store.listMachines()) {
    const machine = store.readMachine(id);
    if (machine === undefined) continue;
    pending.push(...store.history.read(id).map((kept, age) => ({ machine, kept, age })));
  }
  // The newest of each machine first, so that a limit leaves none of them out before it must.
  pending.sort((left, right) => left.age - right.age);
  const tried: Tried[] = [];
  let left = 0;
  for (const { machine, kept } of pending) {
    const proof = parseProof(kept.proof);
    if (trial.image !== undefined && proof.reference.image.name !== trial.image) continue;
    if (tried.length === MAX_TRIED) left += 1;
    else tried.push(await tryOne(proof, machine, { ...trial, policy: trial.policy ?? references.policy, now: now() }));
  }
  return { tried, left };
}

async function tryOne(
  proof: Proof,
  machine: MachineRecord,
  trial: Trial & { readonly policy: Policy; readonly now: Date },
): Promise<Tried> {
  const candidates = trial.references ?? (proof.signedReference === undefined ? [] : [proof.signedReference]);
  let reasons: readonly string[] = ['the evidence is of a time before reference values were signed'];
  const host = await judgeHostOfProof(proof, { policy: trial.policy, trustedRoots: machine.vtpmCa });
  for (const reference of candidates.slice(0, MAX_CANDIDATES)) {
    const { verdict } = await judgeVtpm({
      evidence: proof.evidence,
      challenge: proof.challenge,
      policy: policyFor(reference, trial.policy),
      reference,
      trustedRoots: machine.vtpmCa,
      expectedEkCertificate: machine.ekCertificate,
      hardware: host?.verified === undefined ? [] : [host.verified],
      now: trial.now,
    });
    if (verdict.outcome === 'accepted') return result(proof, machine, []);
    // Of several sizes of machine, the one that fits best says what is wrong.
    if (reference === candidates[0] || verdict.reasons.length < reasons.length) ({ reasons } = verdict);
  }
  return result(proof, machine, reasons.slice(0, MAX_REASONS));
}

function result(proof: Proof, machine: MachineRecord, reasons: readonly string[]): Tried {
  return {
    machine: machine.id,
    name: machine.name,
    boot: proof.challenge.boot,
    at: proof.at.toISOString(),
    was: proof.verdict.outcome,
    would: reasons.length === 0 ? 'accepted' : 'refused',
    reasons,
  };
}
