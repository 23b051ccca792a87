// The watches of all machines, as the broker holds them: what each boot was when it was proven, how it stands, and since
// when. What changes anything is in the store before it is told; that all is well is written down now and then.
import { RingwallError, type BootId, type MachineId } from '@ringwall/api';
import type { Quarantine, StrayFile, WatchReport } from '@ringwall/api/watch';
import {
  askWatch,
  judgeWatch,
  MAX_PROOF_FILES_BYTES,
  MAX_PROOF_LOG_BYTES,
  startWatch,
  watchBaseline,
  type Challenge,
  type Freshness,
  type ImaLayer,
  type RuntimeIndex,
  type Stray,
  type Verified,
  type VtpmEvidence,
  type WatchAnswer,
  type WatchQuestion,
  type WatchResult,
} from '@ringwall/evidence';
import { utf8 } from '@ringwall/bytes';
import type { AuditLog } from './audit-log.ts';
import { ImageFiles } from './image-files.ts';
import { decideWatch } from './watch-decision.ts';
import { entryOf, NOTHING_YET, rowOf, type Moment, type WatchEntry, type WatchOrder } from './watch-entry.ts';
import type { LogPart, WatchStore } from './watch-store.ts';

/** A restarted broker takes machines for unseen since then: well within the age at which they become unknown. */
const SAVE_SEEN_MS = 5_000;
/** A commit holds up every answer that waits: of thousands of machines, some ten milliseconds' worth at a time. */
const SAVED_AT_ONCE = 128;
const SAVE_REST_MS = 20;
/** Of a sentence, as it is kept and told. */
const MAX_REASONS = 40;

export interface WatchBookOptions {
  readonly store: WatchStore;
  readonly audit: AuditLog;
  readonly now: () => Date;
  readonly monotonicMs: () => number;
  /** Of the policy that is in force; undefined where it names none. */
  readonly freshness?: () => Freshness | undefined;
}

export class WatchBook implements Disposable {
  readonly files: ImageFiles;
  readonly #use: WatchBookOptions;
  /** Of machines that were asked about since the broker started; a machine has one boot at a time. */
  readonly #entries = new Map<MachineId, WatchEntry>();
  readonly #unsaved = new Set<WatchEntry>();
  /** Parts of lists that no quote has contradicted, for the next commit. */
  #unsavedLogs: LogPart[] = [];
  #saving: NodeJS.Timeout | undefined;

  constructor(options: WatchBookOptions) {
    this.#use = options;
    this.files = new ImageFiles(options.store);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#saving);
    if (this.#unsaved.size > 0) this.#saveSeen(this.#unsaved.size);
  }

  /** What was said first of a boot holds for all of it. Answers whether the list of files is still wanted. */
  expect(order: WatchOrder): { readonly wantsFiles: boolean } {
    const known = this.#find(order.machine, order.boot);
    if (known === undefined) {
      const notedClock = this.notedClock(order.machine);
      this.forget(order.machine);
      const entry = { ...order, ...NOTHING_YET, notedClock };
      this.#entries.set(order.machine, entry);
      this.#write([entry]);
    }
    return { wantsFiles: !this.files.has((known ?? order).files) };
  }

  /** Evidence of this boot was accepted: what every later answer is held against. Before the key is sent. */
  async accepted(machine: MachineId, evidence: Verified<VtpmEvidence>, challenge: Challenge): Promise<void> {
    const entry = this.#find(machine, challenge.boot);
    if (entry === undefined || entry.mode === 'off') return;
    entry.record = startWatch(await watchBaseline(evidence, challenge));
    this.#write([entry]);
  }

  /** The disk is unlocked: from here on it is watched. */
  unlocked(machine: MachineId, boot: BootId): void {
    const entry = this.#find(machine, boot);
    if (entry === undefined || entry.proven !== undefined) return;
    entry.proven = this.#moment();
    this.#write([entry]);
  }

  /** Undefined where nobody has ordered it, or there is nothing to hold answers against. */
  intervalMs(machine: MachineId, boot: BootId): number | undefined {
    const entry = this.#find(machine, boot);
    return entry?.record === undefined || entry.mode === 'off' ? undefined : this.#intervalMs(entry);
  }

  ask(machine: MachineId, boot: BootId): WatchQuestion {
    const record = this.#find(machine, boot)?.record;
    if (record === undefined) throw new RingwallError('internal', 'a question to a boot that is not watched');
    return askWatch(record);
  }

  /** Judges, keeps what follows, and says when to ask again. */
  async judge(
    ids: { readonly machine: MachineId; readonly boot: BootId },
    answered: { readonly question: WatchQuestion; readonly answer: WatchAnswer; readonly waitedMs: number },
  ): Promise<'at-once' | 'interval'> {
    const entry = this.#find(ids.machine, ids.boot);
    if (entry?.record === undefined) return 'interval';
    const files = this.files.find(entry.files);
    if (files === undefined) {
      this.nothing(ids, 'the broker was not given the list of the image’s files');
      return 'interval';
    }
    const before = entry.record;
    const { verdict, record } = await judgeWatch({ ...answered, record: before, files });
    if (this.#entries.get(ids.machine) !== entry) return 'interval';
    const decision = decideWatch(entry.standing, entry.mode, { verdict, strays: record.proven.strayCount });
    const changed = decision.standing.state !== entry.standing.state;
    const urgent = changed || decision.quarantine || record.proven.strayCount !== before.proven.strayCount;
    this.#keepAnswer(entry, answered, { verdict, record });
    entry.record = record;
    if (answered.answer.noted && verdict.outcome !== 'refused') entry.notedClock = record.clock;
    entry.standing = decision.standing;
    if (decision.seen) entry.seen = this.#moment();
    if (decision.seen || decision.quarantine) entry.reasons = decision.reasons.slice(0, MAX_REASONS);
    this.#tellTrouble(entry, decision.trouble);
    if (decision.quarantine) this.#quarantine(entry);
    else if (urgent) this.#write([entry]);
    else if (decision.seen) this.#saveSoon(entry);
    if (changed || verdict.news.length > 0) {
      this.#audit(entry, `watch ${entry.standing.state}`, changed ? entry.reasons : newsOf(verdict.news));
    }
    return decision.next;
  }

  /** A question has come to nothing. */
  nothing({ machine, boot }: { readonly machine: MachineId; readonly boot: BootId }, reason: string): void {
    const entry = this.#find(machine, boot);
    if (entry !== undefined) this.#tellTrouble(entry, reason);
  }

  report(machine: MachineId, boot: BootId): WatchReport | undefined {
    const entry = this.#find(machine, boot);
    if (entry === undefined) return undefined;
    const { mode, standing, reasons, trouble, record, readmittedAt } = entry;
    const maxAgeSeconds = this.#use.freshness?.()?.maxAgeSeconds;
    const seenAgoMs = this.#agoMs(entry.seen);
    const provenAgoMs = this.#agoMs(entry.proven);
    return {
      mode,
      intervalMs: this.#intervalMs(entry),
      ...(maxAgeSeconds === undefined ? {} : { maxAgeMs: maxAgeSeconds * 1000 }),
      state: standing.state,
      reasons: [...reasons],
      entries: record?.proven.ima.entries ?? 0,
      strays: record?.proven.strayCount ?? 0,
      ...(seenAgoMs === undefined ? {} : { seenAgoMs }),
      ...(provenAgoMs === undefined ? {} : { provenAgoMs }),
      ...(trouble === undefined ? {} : { trouble }),
      ...(readmittedAt === undefined ? {} : { readmittedAt: readmittedAt.toISOString() }),
    };
  }

  /** What ran in the machine's last boot and is not of its image. */
  strays(machine: MachineId): StrayFile[] {
    const entry = this.#find(machine);
    const files = entry === undefined ? undefined : this.files.find(entry.files);
    return (entry?.record?.proven.strays ?? []).map((stray) => strayFile(stray, files));
  }

  /** What has run in this boot, with the quote that covers it; or a sentence that says why no proof can have it. */
  ran(machine: MachineId, boot: BootId): ImaLayer | string {
    const entry = this.#find(machine, boot);
    if (entry === undefined) return 'it is not watched';
    const { record, answered, image } = entry;
    if (record === undefined || answered === undefined || image === undefined) return NOT_SEEN;
    const { bytes } = record.proven.ima;
    if (bytes > MAX_PROOF_LOG_BYTES) return tooLong('the list of what ran', bytes, MAX_PROOF_LOG_BYTES);
    // What a proof says stays said, whatever happens next: this waits for the disk, and with it for all before it.
    this.#write([entry]);
    const log = this.#use.store.readLog(entry, bytes);
    const list = this.#use.store.findFiles(image.files);
    if (log === undefined || list === undefined) return 'the broker has not kept all of the list of what ran';
    const files = utf8(list);
    if (files.length <= MAX_PROOF_FILES_BYTES) return { ...answered, log, image, files };
    return tooLong('the list of the image’s files', files.length, MAX_PROOF_FILES_BYTES);
  }

  /** A proof was asked for, and why it has nothing of what ran. */
  leaveOut(machine: MachineId, boot: BootId, why: string | undefined): void {
    const entry = this.#find(machine, boot);
    if (entry !== undefined) entry.leftOut = why;
  }

  leftOut(machine: MachineId): string | undefined {
    return this.#find(machine)?.leftOut;
  }

  /** Of this boot or an earlier one: a TPM whose clock is behind it was put back. */
  notedClock(machine: MachineId): bigint | undefined {
    return this.#find(machine)?.notedClock;
  }

  /** Its TPM was put back by a person's word: what was noted of the time after counts no more. */
  forgetClock(machine: MachineId): void {
    const entry = this.#find(machine);
    if (entry === undefined) return;
    entry.notedClock = undefined;
    this.#write([entry]);
  }

  quarantineOf(machine: MachineId): Quarantine | undefined {
    return this.#use.store.findQuarantine(machine);
  }

  /** For what was found at a boot: the key is withheld until a person readmits the machine. Earlier reasons stay. */
  quarantine({ machine, boot }: { readonly machine: MachineId; readonly boot: BootId }, reason: string): void {
    const reasons = [reason, ...(this.quarantineOf(machine)?.reasons ?? [])].slice(0, MAX_REASONS);
    const entry = this.#find(machine);
    // Whichever TPM a person readmits, what is seen from there on is what counts.
    if (entry !== undefined) entry.notedClock = undefined;
    this.#write(entry === undefined ? [] : [entry], { machine, boot, since: this.#use.now().toISOString(), reasons });
    this.#use.audit.write({ what: 'quarantine', machine, boot, outcome: 'refused', reasons: [reason] });
  }

  /** Why the key is withheld, however good the evidence of a later boot. */
  withholds({ id, name }: { readonly id: MachineId; readonly name: string }): string | undefined {
    const quarantine = this.quarantineOf(id);
    if (quarantine === undefined) return undefined;
    const { since, reasons } = quarantine;
    return `quarantined since ${since}: ${reasons[0] ?? 'without a reason'}; to lift it: ringwall readmit ${name}`;
  }

  /** The operator's word: its next start gets its key. What has run in this boot stays what it is. */
  readmit(machine: MachineId): boolean {
    const lifted = this.#use.store.findQuarantine(machine) !== undefined;
    const entry = this.#find(machine);
    if (lifted && entry !== undefined) {
      entry.readmittedAt = this.#use.now();
      entry.standing = { ...entry.standing, readmittedStrays: entry.record?.proven.strayCount ?? 0 };
      this.#write([entry]);
    }
    this.#use.store.liftQuarantine(machine);
    return lifted;
  }

  forget(machine: MachineId): void {
    const entry = this.#entries.get(machine);
    if (entry !== undefined) this.#unsaved.delete(entry);
    this.#entries.delete(machine);
  }

  #find(machine: MachineId, boot?: BootId): WatchEntry | undefined {
    let entry = this.#entries.get(machine);
    if (entry === undefined) {
      const row = this.#use.store.find(machine);
      if (row === undefined) return undefined;
      entry = entryOf(row);
      this.#entries.set(machine, entry);
    }
    return boot === undefined || entry.boot === boot ? entry : undefined;
  }

  /** For proofs: the list as far as the guest's quotes have spoken for it, and the last of those. */
  #keepAnswer(
    entry: WatchEntry,
    { question, answer }: { readonly question: WatchQuestion; readonly answer: WatchAnswer },
    { verdict, record }: WatchResult,
  ): void {
    if (verdict.outcome === 'refused') return;
    const end = question.from + answer.log.length;
    if (answer.log.length > 0 && end <= MAX_PROOF_LOG_BYTES) {
      this.#unsavedLogs.push({ machine: entry.machine, boot: entry.boot, at: question.from, bytes: answer.log });
    }
    if (verdict.outcome === 'unfinished' || record.proven.ima.bytes > MAX_PROOF_LOG_BYTES) return;
    const { nonce, from } = question;
    const { quote, quoteSignature } = answer;
    entry.answered = { nonce, from, at: this.#use.now(), quote, quoteSignature };
  }

  /** The policy’s word counts more than that of whoever ordered the watch. */
  #intervalMs({ intervalMs }: WatchEntry): number {
    const watchSeconds = this.#use.freshness?.()?.watchSeconds;
    return watchSeconds === undefined ? intervalMs : watchSeconds * 1000;
  }

  #quarantine(entry: WatchEntry): void {
    const { machine, boot, reasons } = entry;
    entry.readmittedAt = undefined;
    this.#write([entry], { machine, boot, since: this.#use.now().toISOString(), reasons: [...reasons] });
    this.#audit(entry, 'quarantine', reasons);
  }

  /** What the lists have brought goes with it: a record never stands further than its list. */
  #write(entries: readonly WatchEntry[], quarantine?: { readonly machine: MachineId } & Quarantine): void {
    const change = { watches: entries.map(rowOf), logs: this.#unsavedLogs };
    this.#use.store.save(quarantine === undefined ? change : { ...change, quarantine });
    this.#unsavedLogs = [];
    for (const entry of entries) this.#unsaved.delete(entry);
  }

  #saveSoon(entry: WatchEntry): void {
    this.#unsaved.add(entry);
    this.#saving ??= setTimeout(() => this.#saveSeen(), SAVE_SEEN_MS).unref();
  }

  /** One commit for many machines; the rest after what has come in meanwhile. */
  #saveSeen(atOnce: number = SAVED_AT_ONCE): void {
    const entries = [...this.#unsaved].slice(0, atOnce);
    for (const entry of entries) this.#unsaved.delete(entry);
    this.#saving = this.#unsaved.size === 0 ? undefined : setTimeout(() => this.#saveSeen(), SAVE_REST_MS).unref();
    try {
      this.#use.store.saveSoon({ watches: entries.map(rowOf), logs: this.#unsavedLogs });
      this.#unsavedLogs = [];
    } catch (error) {
      // A full disk: what was seen is known as long as this broker lives, and written with the next change.
      this.#use.audit.defect(error, 'watch');
    }
  }

  #tellTrouble(entry: WatchEntry, trouble: string | undefined): void {
    const begins = trouble !== undefined && entry.trouble === undefined;
    entry.trouble = trouble;
    if (begins) this.#audit(entry, 'watch trouble', [trouble]);
  }

  #audit({ machine, boot, standing }: WatchEntry, what: string, reasons: readonly string[]): void {
    this.#use.audit.write({ what, machine, boot, outcome: standing.state, reasons });
  }

  #moment(): Moment {
    return { at: this.#use.now(), monotonicMs: this.#use.monotonicMs() };
  }

  /** A wall clock that went back says nothing about the time before. */
  #agoMs(moment: Moment | undefined): number | undefined {
    if (moment === undefined) return undefined;
    const agoMs =
      moment.monotonicMs === undefined
        ? this.#use.now().getTime() - moment.at.getTime()
        : this.#use.monotonicMs() - moment.monotonicMs;
    return agoMs >= 0 ? Math.round(agoMs) : undefined;
  }
}

const NOT_SEEN = 'no answer of its watch has come since its boot';

function tooLong(what: string, bytes: number, limit: number): string {
  return `${what} has ${String(Math.ceil(bytes / 1024))} KiB, and a proof takes ${String(limit / 1024)}`;
}

function newsOf(news: readonly Stray[]): string[] {
  return news.map(({ path, sha256 }) => `${path} ${sha256}`);
}

function strayFile({ path, sha256, kind }: Stray, files: RuntimeIndex | undefined): StrayFile {
  const known = files?.byPath.get(path);
  const from = known?.package;
  return {
    path,
    kind,
    ...(sha256 === '' ? {} : { sha256 }),
    ...(known === undefined
      ? {}
      : {
          expected: {
            sha256: known.sha256,
            ...(from === undefined ? {} : { package: `${from.name} ${from.version}` }),
          },
        }),
  };
}
