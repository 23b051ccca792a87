// One attestation over one stream: bytes to the session's state machine, evidence to the judge, and what came of it to
// the store before it goes to the guest. Whatever the guest does, this ends, and leaves a verdict or an audit entry.
import type { Duplex } from 'node:stream';
import type { BootId, MachineId } from '@ringwall/api';
import { RingwallError } from '@ringwall/api';
import { concatBytes, utf8 } from '@ringwall/bytes';
import {
  judgeVtpm,
  parseProof,
  policyFor,
  referenceValues,
  type Challenge,
  type ProofVerdict,
  type UnsignedProof,
  type Verified,
  type VtpmEvidence,
} from '@ringwall/evidence';
import { nameOf } from '@ringwall/tpm';
import type { SigningKey } from '../keys/index.ts';
import { refuseOtherKey } from './attestation-key.ts';
import type { AuditLog } from './audit-log.ts';
import type { DiskKeys } from './disk-keys.ts';
import { GuestSession, refusalText, sentenceLines, SessionError, type SessionStep } from './guest-session.ts';
import type { HostBook } from './host-book.ts';
import { basisOf, learnedOutcome, onlyLacks } from './learned.ts';
import type { References } from './references.ts';
import { releaseKey, unlockedLie, type UnlockedHow } from './release.ts';
import { SEND_TIMEOUT_MS, sendToGuest } from './send-to-guest.ts';
import { sealProof, trySealProof } from './seal-proof.ts';
import type { BootRecord, MachineRecord, SentRelease } from './machine-records.ts';
import type { BrokerStore, ProofKind } from './store.ts';
import { refuseAgain, refuseRollback, signedStart, type TpmStart } from './tpm-start.ts';
import type { WatchBook } from './watch-book.ts';
import { runWatch } from './watch.ts';

export interface AttestDependencies {
  readonly store: BrokerStore;
  readonly references: References;
  readonly keys: DiskKeys;
  readonly signer: SigningKey;
  readonly audit: AuditLog;
  readonly watches: WatchBook;
  readonly hosts: HostBook;
  /** The time of day, for certificates and proofs. */
  readonly now: () => Date;
  /** Milliseconds that never go back, for time-outs. */
  readonly monotonicMs: () => number;
}

/** What has told the session that the guest is there tells the watch, too. */
const WATCH_LINE = utf8('watch 1\n');

/** Resolves when the session is over; never rejects. */
export async function runAttestation(
  stream: Duplex,
  ids: { readonly machine: MachineId; readonly boot: BootId },
  dependencies: AttestDependencies,
  signal: AbortSignal,
): Promise<void> {
  const attestation = new Attestation(stream, ids, dependencies);
  const cut = (): void => void stream.destroy();
  signal.addEventListener('abort', cut, { once: true });
  if (signal.aborted) cut();
  try {
    await attestation.run();
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

class Attestation {
  readonly #stream: Duplex;
  readonly #machine: MachineId;
  readonly #boot: BootId;
  readonly #use: AttestDependencies;
  readonly #session: GuestSession;
  #timer: NodeJS.Timeout | undefined;
  /** From which byte on the stream is the watch's. */
  #watchFrom: Uint8Array | undefined;

  constructor(stream: Duplex, ids: { readonly machine: MachineId; readonly boot: BootId }, use: AttestDependencies) {
    this.#stream = stream;
    this.#machine = ids.machine;
    this.#boot = ids.boot;
    this.#use = use;
    const state = use.store.readBoot(ids.machine, ids.boot)?.state;
    // Also where the word that the key was used is lost: the watch shows whether it was.
    const released = state === 'unlocked' || state === 'accepted';
    const watched = released && use.watches.intervalMs(ids.machine, ids.boot) !== undefined;
    this.#session = new GuestSession({ ...ids, now: use.monotonicMs, watched });
  }

  async run(): Promise<void> {
    this.#stream.on('error', () => this.#stream.destroy());
    try {
      this.#arm();
      // Leaving the loop must not destroy the stream: our last lines are still to be read.
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) {
        if (!(chunk instanceof Uint8Array)) throw new TypeError('a stream of bytes was expected');
        await this.#take(chunk);
        if (this.#session.state === 'over') break;
      }
      await this.#goOnWatching();
      this.#audit('session', 'closed');
    } catch (error) {
      // A stream that breaks is the relay's or the guest's end, and was counted on.
      if (!this.#stream.destroyed || error instanceof RingwallError) this.#use.audit.defect(error, 'session');
      else this.#audit('session', 'broken');
    } finally {
      clearTimeout(this.#timer);
      this.#session.end();
      this.#stream.end();
      this.#stream.resume();
      // The relay passes our last lines on and closes; one that does not is not waited for.
      setTimeout(() => this.#stream.destroy(), SEND_TIMEOUT_MS).unref();
    }
  }

  async #take(chunk: Uint8Array): Promise<void> {
    clearTimeout(this.#timer);
    try {
      this.#session.push(chunk);
      for (let step = this.#session.next(); step !== undefined; step = this.#session.next()) await this.#do(step);
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      await this.#violated(error);
    }
    this.#arm();
  }

  async #do(step: SessionStep): Promise<void> {
    switch (step.kind) {
      case 'send':
        return sendToGuest(this.#stream, step.text);
      case 'judge':
        return this.#judge(step.challenge, step.evidence);
      case 'unlocked':
        return this.#unlocked(step.how, step.activation);
      case 'failed':
        return this.#failed(step.sentence);
      case 'watch':
        this.#use.watches.unlocked(this.#machine, this.#boot);
        this.#watchFrom = concatBytes(WATCH_LINE, this.#session.takeRest());
        return undefined;
    }
  }

  async #goOnWatching(): Promise<void> {
    const rest = this.#watchFrom;
    if (rest === undefined) return;
    await runWatch({ stream: this.#stream, rest, machine: this.#machine, boot: this.#boot }, this.#use);
  }

  async #judge(challenge: Challenge, evidence: VtpmEvidence): Promise<void> {
    const machine = this.#use.store.readMachine(this.#machine);
    const record = this.#use.store.readBoot(this.#machine, this.#boot);
    if (machine === undefined || record === undefined || machine.currentBoot !== this.#boot) {
      await this.#refuse(['the broker expects no such boot of this machine']);
      return;
    }
    const at = this.#use.now();
    const { references } = this.#use;
    const { reference, refusal, learned } = await basisOf({ machine, record, evidence }, this.#use);
    const policy = policyFor(reference, references.policy);
    const host = await this.#use.hosts.of(machine, policy);
    const { verdict, verified } = await judgeVtpm({
      evidence,
      challenge,
      policy,
      reference,
      trustedRoots: machine.vtpmCa,
      expectedEkCertificate: machine.ekCertificate,
      hardware: host.verified === undefined ? [] : [host.verified],
      now: at,
    });
    const tpmStart = signedStart(evidence, verdict, this.#boot);
    const stranger = tpmStart === undefined ? undefined : await refuseOtherKey(machine.akName, evidence);
    // Counters signed by a key that nobody has shown to be in this TPM would be a stranger's word.
    const isShown = verified !== undefined || machine.akName !== undefined;
    const own = stranger === undefined && isShown ? tpmStart : undefined;
    const again = own === undefined ? undefined : refuseAgain(machine.unlockedAt, own);
    const rolledBack =
      own === undefined
        ? undefined
        : refuseRollback({ ...machine, notedClock: this.#use.watches.notedClock(machine.id) }, own);
    if (own !== undefined && rolledBack !== undefined && machine.akName !== undefined)
      this.#quarantine(own, rolledBack);
    // What only the broker knows counts as much as what the evidence shows.
    const withheld = this.#use.watches.withholds(machine) ?? this.#use.store.transfers.whyGone(machine);
    const ours = [
      ...[refusal, stranger, again, rolledBack, withheld].filter((reason) => reason !== undefined),
      ...host.reasons.map((reason) => `its host: ${reason}`),
    ];
    const decided: ProofVerdict =
      ours.length === 0 ? verdict : { outcome: 'refused', proven: [], reasons: [...ours, ...verdict.reasons] };
    const unsigned: UnsignedProof = {
      machine: { id: machine.id, name: machine.name },
      challenge,
      evidence,
      reference: referenceValues(reference),
      signedReference: reference,
      policy,
      ...(host.layer === undefined ? {} : { host: host.layer }),
      verdict: { outcome: decided.outcome, proven: decided.proven, reasons: decided.reasons },
      activation: 'unconfirmed',
      vtpmCa: machine.vtpmCa,
      at,
    };
    if (learned?.isFirst === true && decided.outcome === 'accepted') {
      this.#record(record, await learnedOutcome(learned, unsigned, this.#use));
      this.#audit('learn', 'ok');
      this.#session.end();
      await sendToGuest(this.#stream, 'done\n');
      return;
    }
    const text = await trySealProof(unsigned, this.#use.signer);
    if (learned !== undefined && onlyLacks(verdict, 'events')) references.keepLearned(learned.reference);
    if (
      decided.outcome === 'accepted' &&
      verified !== undefined &&
      tpmStart !== undefined &&
      typeof text === 'string'
    ) {
      await this.#release(verified, machine, { proof: unsigned, text }, tpmStart);
      return;
    }
    // Whatever is wrong with this boot, its TPM has started since: no copy from before it may pose as it.
    if (own !== undefined && rolledBack === undefined && machine.akName !== undefined)
      this.#use.store.seeTpmStart(this.#machine, own);
    const proof = typeof text === 'string' ? { proof: { kind: 'refused', text } as const } : {};
    // Nothing is granted of which no proof can be shown.
    const reasons = typeof text === 'string' ? decided.reasons : [text.message, ...decided.reasons];
    this.#record(record, { state: 'refused', reasons, at, ...proof });
    await this.#refuse(reasons);
  }

  /** No later start of a copy makes it the original: a person says which of the two counts, and from where on. */
  #quarantine(start: TpmStart, reason: string): void {
    this.#use.watches.quarantine({ machine: this.#machine, boot: this.#boot }, reason);
    this.#use.store.setTpmStart(this.#machine, start);
  }

  async #release(
    verified: Verified<VtpmEvidence>,
    machine: MachineRecord,
    { proof, text }: { readonly proof: UnsignedProof; readonly text: string },
    tpmStart: TpmStart,
  ): Promise<void> {
    using keys = this.#use.keys.open(machine);
    const release = await releaseKey(verified, { challenge: proof.challenge, keys, signer: this.#use.signer });
    await this.#use.watches.accepted(machine.id, verified, proof.challenge);
    // Written down before the key leaves: whatever happens to this process next, there is a proof for every release.
    const { proven } = proof.verdict;
    const recorded = this.#use.store.recordOutcome(this.#machine, this.#boot, {
      state: 'accepted',
      reasons: [],
      proven,
      at: proof.at,
      proof: { kind: 'unconfirmed', text },
      release: { activation: release.activation, mode: keys.mode, tpmStart },
    });
    if (!recorded) {
      await this.#refuse(['the machine was removed']);
      return;
    }
    this.#audit('release', 'ok');
    this.#session.released();
    await sendToGuest(this.#stream, `${release.line}name ${machine.name}\n${sentenceLines('proven', proven)}end\n`);
  }

  /** What it is judged by lies in the store: the broker that released the key may have been another run of this one. */
  async #unlocked(how: UnlockedHow, activation: Uint8Array): Promise<void> {
    const record = this.#use.store.readBoot(this.#machine, this.#boot);
    if (record?.release === undefined) {
      await this.#refuse(['no key was released to this boot']);
      return;
    }
    const { release } = record;
    const at = this.#use.now();
    const lie = unlockedLie(how, activation, release);
    if (lie !== undefined) {
      this.#record(record, { state: 'failed', reasons: [lie], at });
      await this.#refuse([lie]);
      return;
    }
    // Said twice where the first `done` was lost.
    if (record.state !== 'unlocked') await this.#recordUnlocked(record, release, at);
    this.#use.watches.unlocked(this.#machine, this.#boot);
    this.#watchFrom = this.#session.takeRest();
    this.#audit('unlocked', 'ok', [how]);
    await sendToGuest(this.#stream, 'done\n');
  }

  async #recordUnlocked(record: BootRecord, { mode, tpmStart }: SentRelease, at: Date): Promise<void> {
    const sent = this.#use.store.readProof(this.#machine, 'unconfirmed');
    const proofSent = sent === undefined ? undefined : parseProof(sent);
    if (proofSent?.challenge.boot !== this.#boot) throw new RingwallError('internal', 'a release without a proof');
    const text = await sealProof({ ...proofSent, activation: 'confirmed' }, this.#use.signer);
    const { proven } = record;
    const proof = { kind: 'confirmed', text } as const;
    const machine = mode.startsWith('rotate') ? this.#use.store.readMachine(this.#machine) : undefined;
    this.#use.store.recordOutcome(this.#machine, this.#boot, {
      state: 'unlocked',
      reasons: [],
      proven,
      at,
      proof,
      unlockedAt: tpmStart,
      akName: await nameOf(proofSent.evidence.akPublic),
      ...(machine === undefined ? {} : { endedKey: await this.#use.keys.idOfCurrent(machine) }),
    });
    if (machine !== undefined) this.#use.store.keys.scrubLog();
  }

  async #failed(sentence: string): Promise<void> {
    const record = this.#use.store.readBoot(this.#machine, this.#boot);
    const reasons = [`the guest says: ${sentence}`];
    if (record !== undefined) this.#record(record, { state: 'failed', reasons, at: this.#use.now() });
    this.#audit('failed', 'failed', reasons);
    await sendToGuest(this.#stream, 'done\n');
  }

  async #violated(error: SessionError): Promise<void> {
    const record = this.#use.store.readBoot(this.#machine, this.#boot);
    // Rubbish does not take back a release; silence after one is a failure.
    if (record !== undefined && (record.state !== 'accepted' || error.code === 'too-late')) {
      this.#record(record, { state: 'failed', reasons: [error.message], at: this.#use.now() });
    }
    await this.#refuse([error.message], error.code);
  }

  async #refuse(reasons: readonly string[], code = 'refused'): Promise<void> {
    this.#session.end();
    this.#audit('refuse', code, reasons);
    await sendToGuest(this.#stream, refusalText(reasons));
  }

  /**
   * A boot whose disk is unlocked stays so: what comes later is kept as a proof and in the audit log. And a failure,
   * which is only the guest's word, does not hide why its evidence was refused.
   */
  #record(
    record: BootRecord,
    outcome: {
      state: 'refused' | 'failed';
      reasons: readonly string[];
      proven?: readonly string[];
      at: Date;
      proof?: { readonly kind: ProofKind; readonly text: string };
    },
  ): void {
    const stays = record.state === 'unlocked' || (record.state === 'refused' && outcome.state === 'failed');
    if (!stays) {
      this.#use.store.recordOutcome(this.#machine, this.#boot, { proven: [], ...outcome });
      return;
    }
    const { proof } = outcome;
    if (proof !== undefined) this.#use.store.recordProof(this.#machine, this.#boot, proof.kind, proof.text);
  }

  /** Time runs while the guest is awaited, not while it waits for us. */
  #arm(): void {
    clearTimeout(this.#timer);
    const { remainingMs } = this.#session;
    if (remainingMs === undefined) return;
    this.#timer = setTimeout(() => void this.#giveUp(), remainingMs);
  }

  async #giveUp(): Promise<void> {
    try {
      await this.#violated(this.#session.tooLate());
    } catch (error) {
      this.#use.audit.defect(error, 'session');
    }
    this.#stream.end();
    this.#stream.destroy();
  }

  #audit(what: string, outcome: string, reasons?: readonly string[]): void {
    const ids = { machine: this.#machine, boot: this.#boot };
    this.#use.audit.write({ what, ...ids, outcome, ...(reasons === undefined ? {} : { reasons }) });
  }
}
