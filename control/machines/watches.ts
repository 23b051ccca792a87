// Keeps the watched machines joined to the broker for as long as they run, asks the broker how they stand, with one
// request for many of them and none while there are none, and acts on what has changed: an event, a pause.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Machine, type MachineId, type MachineStatus, RingwallError } from '@ringwall/api';
import { READ_WATCHES_LIMIT } from '@ringwall/api/broker';
import type { WatchDetail } from '@ringwall/api/watch';
import type { Store } from '../store/index.ts';
import type { BrokerClient, WardenClient } from './clients.ts';
import { Relay } from './relay.ts';
import type { Timing } from './timing.ts';
import { type KnownWatch, seenAt, watchTrust, type WatchTrust } from './watch-trust.ts';
import { changeMachine, cleanSentence } from './work.ts';

/** Of a boot that nobody watches: somebody who wants to know more than that it once booted well has it watched. */
const UNWATCHED_AGE_MS = 24 * 3600 * 1000;

export interface WatchesOptions {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly broker: BrokerClient;
  readonly timing: Timing;
  readonly note: (line: string) => void;
  /** What is to be thought of this machine is another than it was: told before anything of it is written down. */
  readonly onTrust: (machine: MachineId) => void;
}

interface Kept {
  readonly machine: MachineId;
  readonly boot: string;
  readonly relay: Relay;
  known: KnownWatch | undefined;
  /** What was told of it last: told again only when it is another. */
  told: string | undefined;
  /** As others were told. */
  trust: WatchTrust['trust'] | undefined;
}

export class Watches {
  readonly #use: WatchesOptions;
  readonly #kept: Map<MachineId, Kept> = new Map();
  readonly #stop = new AbortController();
  #wake: () => void = () => {};
  #looping: Promise<void> | undefined;
  #brokerTrouble: string | undefined;

  constructor(options: WatchesOptions) {
    this.#use = options;
  }

  /** Goes on with the relay through which the boot was attested. Once this resolves, the broker was asked. */
  async keep(machine: MachineId, boot: string, relay: Relay): Promise<void> {
    await this.#ask([this.#keep(machine, boot, relay)]);
  }

  /** Joins a machine that runs already. */
  adopt(machine: MachineId, boot: string): void {
    const { warden, broker, timing } = this.#use;
    const { signal } = this.#stop;
    const ends = {
      openPort: async () => (await warden.openStream({ op: 'open-attest-port', machine }, { signal })).stream,
      openBroker: async () => (await broker.openStream({ op: 'open-session', machine, boot }, { signal })).stream,
    };
    this.#keep(machine, boot, new Relay(ends, UNWATCHED, timing.rejoinMs));
  }

  drop(machine: MachineId): void {
    void this.#kept.get(machine)?.relay.break();
    this.#kept.delete(machine);
  }

  /** Asks the broker now. Never rejects. */
  async look(): Promise<void> {
    const kept = [...this.#kept.values()];
    let answers = true;
    for (let at = 0; answers && at < kept.length; at += READ_WATCHES_LIMIT) {
      answers = await this.#ask(kept.slice(at, at + READ_WATCHES_LIMIT));
    }
    for (const each of kept) this.#notice(each);
    // What grows old while nobody answers is told, too.
    for (const each of kept) {
      await this.#tell(each).catch((error: unknown) => {
        this.#use.note(`${each.machine}: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
  }

  /** Whether the broker has said anything of it in this life of the daemon. */
  hasHeardOf(machine: MachineId): boolean {
    return this.#kept.get(machine)?.known !== undefined;
  }

  trustOf(machine: MachineId): WatchTrust {
    const known = this.#kept.get(machine)?.known;
    return watchTrust({ known, nowMs: performance.now(), brokerTrouble: this.#brokerTrouble });
  }

  /** The machine's status with what its watch says now. */
  asSeen(machine: Machine): Machine {
    const { status } = machine;
    if (status.phase !== 'running') return machine;
    if (status.watch === undefined) return asUnwatched(machine, Date.now());
    const known = this.#kept.get(machine.id)?.known;
    const watch = { ...status.watch, ...stateOf(known) };
    // What is in the store against it stays: a quarantine, a TPM that is dead.
    if (status.trust !== 'attested') return { ...machine, status: { ...status, watch } };
    const { trust, reasons } = this.trustOf(machine.id);
    if (trust === 'attested' && reasons.length === 0) return { ...machine, status: { ...status, watch } };
    return { ...machine, status: { ...status, trust, reasons: reasons.map(cleanSentence), watch } };
  }

  /** For whoever looks at one machine; undefined where it is not watched. */
  async detail({ id, spec, status }: Machine, firstWordMs: number): Promise<WatchDetail | undefined> {
    const { watch, trust } = status;
    if (watch === undefined && trust !== 'quarantined') return undefined;
    const report = this.#kept.get(id)?.known?.report;
    const { files, leftOut } = await this.#use.broker
      .call({ op: 'read-watch', machine: id }, { firstWordMs })
      .catch(() => ({ files: [], leftOut: undefined }));
    return {
      mode: watch?.mode ?? spec.watch,
      state: trust === 'quarantined' ? 'quarantined' : (watch?.state ?? 'awaited'),
      ...(report === undefined ? {} : { intervalMs: report.intervalMs }),
      ...(watch?.seenAt === undefined ? {} : { seenAt: watch.seenAt }),
      entries: report?.entries ?? 0,
      files: files.map((file) => ({ ...file, path: cleanSentence(file.path) })),
      strays: report?.strays ?? files.length,
      ...(report?.trouble === undefined ? {} : { trouble: cleanSentence(report.trouble) }),
      ...(leftOut === undefined ? {} : { leftOut: cleanSentence(leftOut) }),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await Promise.all([...this.#kept.values()].map(({ relay }) => relay.break()));
    await this.#looping;
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#kept.size === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      else await this.look();
      await sleep(this.#use.timing.watchMs, undefined, { signal }).catch(() => {});
    }
  }

  #keep(machine: MachineId, boot: string, relay: Relay): Kept {
    relay.keepJoined();
    this.drop(machine);
    const kept: Kept = { machine, boot, relay, known: undefined, told: undefined, trust: undefined };
    this.#kept.set(machine, kept);
    this.#looping ??= this.#loop();
    this.#wake();
    return kept;
  }

  /** Whether there was an answer. */
  async #ask(kept: readonly Kept[]): Promise<boolean> {
    const askedMs = performance.now();
    const { broker, timing } = this.#use;
    const boots = kept.map(({ machine, boot }) => ({ machine, boot }));
    try {
      const options = { timeoutMs: timing.staleMs, signal: this.#stop.signal };
      const { watches } = await broker.call({ op: 'read-watches', boots }, options);
      this.#brokerTrouble = undefined;
      for (const each of kept) {
        const report = watches.find(({ machine, boot }) => machine === each.machine && boot === each.boot)?.report;
        if (report !== undefined) each.known = { report, askedMs };
      }
      return true;
    } catch (error) {
      this.#brokerTrouble = error instanceof RingwallError ? error.message : 'the broker cannot be asked';
      return false;
    }
  }

  #notice(kept: Kept): void {
    const { trust } = this.trustOf(kept.machine);
    if (trust === kept.trust) return;
    kept.trust = trust;
    this.#use.onTrust(kept.machine);
  }

  /** Events and orders for what is another than it was. */
  async #tell(kept: Kept): Promise<void> {
    const { trust, reasons } = this.trustOf(kept.machine);
    const readmitted = kept.known?.report.readmittedAt !== undefined;
    const said = JSON.stringify([trust, readmitted, trust === 'unknown' ? '' : reasons]);
    if (kept.known === undefined || said === kept.told) return;
    const machine = await this.#use.store.findMachine(kept.machine);
    if (machine?.status.phase !== 'running' || machine.status.bootId !== kept.boot) return;
    const before = kept.told === undefined ? undefined : trustIn(kept.told);
    kept.told = said;
    const told = reasons.map(cleanSentence);
    if (trust === 'quarantined') await this.#quarantine(machine, kept, told, readmitted);
    else if (trust === 'unknown') await this.#event(machine, 'overdue', told[0] ?? 'the watch is overdue');
    else if (told.length > 0) await this.#unexpected(machine, told);
    else if (before === 'unknown') await this.#event(machine, 'seen', 'it was seen again, and all is as expected');
  }

  /** Its network was closed before, by whoever `onTrust` told. */
  async #quarantine(machine: Machine, { boot }: Kept, reasons: string[], readmitted: boolean): Promise<void> {
    const { status, id, name } = machine;
    if (readmitted) return;
    const known = status.trust === 'quarantined' && status.watch?.readmittedAt === undefined;
    if (!known) {
      const message = `${name} is quarantined: ${reasons[0] ?? 'without a reason'}`;
      this.#use.note(`${id}: ${message}`);
      await this.#change(id, boot, { trust: 'quarantined', reasons }, 'quarantined', message);
    }
    if (status.watch?.mode !== 'pause') return;
    try {
      // Also where another life of the daemon was ended between the two.
      await this.#use.warden.call({ op: 'pause-machine', machine: id, boot }, { signal: this.#stop.signal });
      if (!known) await this.#event(machine, 'paused', 'its processors are stopped');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      await this.#event(machine, 'not-paused', `its processors could not be stopped: ${why}`);
    }
  }

  async #unexpected(machine: Machine, reasons: string[]): Promise<void> {
    const { status, id, name } = machine;
    if (JSON.stringify(status.reasons) === JSON.stringify(reasons)) return;
    const news = reasons.find((reason) => !status.reasons.includes(reason)) ?? reasons[0] ?? '';
    await this.#change(id, status.bootId ?? '', { reasons }, 'unexpected', `${name}: ${news}`);
  }

  async #event({ id, name }: Machine, what: string, message: string): Promise<void> {
    await this.#use.store.appendEvent({ kind: `machine.watch.${what}`, machine: id, message: `${name}: ${message}` });
  }

  /** Of this boot alone: a machine that was stopped or started anew meanwhile is left as it is. */
  async #change(
    id: MachineId,
    boot: string,
    change: Partial<Pick<MachineStatus, 'trust' | 'reasons'>>,
    what: string,
    message: string,
  ): Promise<void> {
    await changeMachine(
      this.#use.store,
      id,
      ({ status }) => {
        if (status.bootId !== boot || status.phase !== 'running' || status.watch === undefined) return {};
        const { readmittedAt: _, ...watch } = status.watch;
        return { status: { ...status, ...change, watch } };
      },
      { kind: `machine.watch.${what}`, machine: id, message },
    );
  }
}

/** What a machine that nobody watches has proven is what it booted, and that grows old. */
function asUnwatched(machine: Machine, nowMs: number): Machine {
  const { status } = machine;
  if (status.trust !== 'attested' || status.reasons.length > 0) return machine;
  const ageMs = nowMs - Date.parse(status.startedAt ?? '');
  if (ageMs <= UNWATCHED_AGE_MS) return { ...machine, status: { ...status, reasons: [UNWATCHED_REASON] } };
  return { ...machine, status: { ...status, trust: 'unknown', reasons: [OLD_REASON] } };
}

const UNWATCHED_REASON = 'it is not watched: attested is what it booted, and nothing that ran since';
const OLD_REASON = 'it is not watched, and has proven itself more than a day ago: its next start is a new proof';

/** Nobody looks between two sessions of a watch. */
const UNWATCHED = { onSpoken: () => {}, onSessionOver: () => Promise.resolve(), onTrouble: () => {} };

function stateOf(known: KnownWatch | undefined): Partial<NonNullable<MachineStatus['watch']>> {
  if (known === undefined) return {};
  const at = seenAt(known, performance.now(), new Date());
  return { state: known.report.state, ...(at === undefined ? {} : { seenAt: at }) };
}

function trustIn(told: string): unknown {
  const value: unknown = JSON.parse(told);
  return Array.isArray(value) ? value[0] : undefined;
}
