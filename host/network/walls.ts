// Compiled rules in force in a namespace, changed in whole steps, and looked after: each change in a namespace has a number, so that whoever
// knows those of its own changes knows that somebody else has made one. The walls of a network are such rules; machines come and go in them
// by some elements.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  changeMachine,
  readCounts,
  renderTable,
  renderUpdate,
  type CompiledNetwork,
  type CompiledRules,
  type ElementChange,
  type Machine,
  type NetworkCounts,
  type NftCommand,
  type Table,
} from '@ringwall/netpolicy';
import type { NamespaceRun } from './namespace.ts';
import { encodeBatch, fitsNetlink } from './netlink/encode.ts';
import { NetlinkSender, type Commit, type Standing } from './netlink/sender.ts';
import { applyBatch, listRules } from './nft.ts';

const LOCK = { family: 'inet', name: 'ringwall-lock' } as const;
const LOCK_CHAIN = { family: 'inet', table: LOCK.name, name: 'lock' } as const;
/** Before all that the walls have, by its priority. */
const LOCKED: readonly NftCommand[] = [
  { add: { table: LOCK } },
  { add: { chain: { ...LOCK_CHAIN, type: 'filter', hook: 'prerouting', prio: -400, policy: 'drop' } } },
];
const UNLOCK = { verb: 'delete', table: LOCK } as const;

/** Of whoever has changed rules since it was said last. */
const MAX_NAMED = 8;

const NOTHING_COMPILED: Pick<CompiledNetwork, 'decisions'> = { decisions: new Map() };

export type WallState =
  | 'standing' // as they were put up
  | 'changed'; // not as they were put up: by somebody else, or by nobody any more

export class StandingRules<Compiled extends CompiledRules = CompiledRules> {
  readonly #inside: NamespaceRun;
  readonly #sender: NetlinkSender;
  /** Whose they are, as it is said. */
  readonly #whose: string;
  #compiled: Compiled | undefined;
  /**
   * The kernel's number of the commit that made them what they are: while it is the last one, nobody else has changed anything in this
   * namespace. Undefined where somebody may have come between.
   */
  #generation: number | undefined;
  /** That they were not what they should have been when they were changed last; it is not said yet. */
  #mended = false;
  /** Commits of others that were heard of, and are not said yet. */
  #others: Commit[] = [];
  #timesPutBack = 0;
  /** One change at a time, and none while they are looked at. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(inside: NamespaceRun, whose: string) {
    this.#inside = inside;
    this.#sender = new NetlinkSender(inside);
    this.#whose = whose;
  }

  /** How often they were found changed by somebody else, and put back. */
  get timesPutBack(): number {
    return this.#timesPutBack;
  }

  /**
   * Puts the walls up where none are known to stand. In an empty namespace they stand first without elements, and with a table before
   * them that drops everything; it goes in the step in which the elements come. What is there already is replaced in one step.
   */
  raise(compiled: Compiled): Promise<void> {
    return this.#alone(() => this.#raise(compiled));
  }

  /**
   * Other rules: by what differs from those that stand; where that does not lead there, as a whole. What stands may be another than what is
   * remembered: somebody has changed it just now, or nft was killed before it could say that it was done.
   */
  change(compiled: Compiled): Promise<void> {
    return this.#alone(async () => {
      const before = this.#compiled;
      if (before === undefined) return this.#raise(compiled);
      const { generation } = await this.#look();
      if (generation !== this.#generation) return this.#mend(compiled);
      try {
        await this.#commit(generation, renderUpdate(before.ruleset, compiled.ruleset), compiled);
      } catch (error) {
        return this.#mend(compiled, error);
      }
      if (this.#generation === undefined) await this.#mend(compiled);
    });
  }

  /** Whether what stands is what was put up, to the last element: it is, while nobody else has changed anything. */
  inspect(): Promise<WallState> {
    return this.#alone(() => this.#inspect());
  }

  /** Looks after the walls until it is told to stop: what somebody has changed is put back, and said. */
  async lookAfter(say: (what: string) => void, everyMs: number, signal: AbortSignal): Promise<void> {
    using _ = this.hold();
    while (!signal.aborted) {
      await this.#alone(async () => {
        const compiled = this.#compiled;
        const stand = compiled === undefined || (await this.#inspect()) === 'standing';
        if (!stand || this.#mended) {
          say(`the rules of ${this.#whose} were changed by somebody else${this.blame()}; they are put back`);
        }
        this.#mended = false;
        if (!stand) await this.#replace(compiled);
      }).catch((error: unknown) => say(`the rules of ${this.#whose} could not be looked after: ${String(error)}`));
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Hears who changes them, until it is disposed of. */
  hold(): Disposable {
    return this.#sender.hold();
  }

  /** Of a namespace that is gone: nothing of ours stays in it. */
  async leave(): Promise<void> {
    await this.#sender.end();
  }

  /** Counts that somebody else has changed them, and answers who, as far as that was heard: to be said behind "somebody else". */
  blame(): string {
    this.#timesPutBack += 1;
    const names = [...new Set(this.#others.map(({ pid, program }) => `${plain(program)}, process ${pid}`))];
    this.#others = [];
    return names.length === 0 ? '' : ` (${names.join('; ')})`;
  }

  async #raise(compiled: Compiled): Promise<void> {
    const { tables, generation } = await this.#look();
    // Until now nobody knew what was right.
    this.#others = [];
    await (tables > 0 ? this.#replace(compiled) : this.#raiseFirst(compiled, generation));
  }

  async #raiseFirst(compiled: Compiled, empty: number): Promise<void> {
    const { tables } = compiled.ruleset;
    const framed = applyBatch(this.#inside, [...LOCKED, ...tables.flatMap((table) => renderTable(withoutMany(table)))]);
    // Meanwhile: of 10,000 machines it takes as long as nft does.
    const frame = generationAfter(empty);
    const batch = encodeBatch([...tables.flatMap((table) => manyOf(table)), UNLOCK], frame);
    await framed;
    const filled = await this.#sender.send(batch).catch(() => 'unknown');
    if (filled === generationAfter(frame)) this.#keep(compiled, filled);
    else await this.#replace(compiled);
  }

  async #replace(compiled: Compiled): Promise<void> {
    const { generation } = await this.#look();
    const tables = compiled.ruleset.tables.flatMap((table) => renderTable(table));
    await this.#commit(generation, [{ flush: { ruleset: null } }, ...tables], compiled);
  }

  /** As a whole, where the way from what was remembered led nowhere; refused as well, `error` says why. */
  async #mend(compiled: Compiled, error?: unknown): Promise<void> {
    await this.#replace(compiled).catch((refused: unknown) => {
      throw error ?? refused;
    });
    this.#mended = true;
  }

  async #inspect(): Promise<WallState> {
    const { generation } = await this.#look();
    return generation === this.#generation ? 'standing' : 'changed';
  }

  /** By nft, from what stood at `before`. Where another commit than this one came between, what stands now is not known. */
  async #commit(before: number, commands: readonly NftCommand[], compiled: Compiled): Promise<void> {
    await applyBatch(this.#inside, commands);
    const own = commands.length === 0 ? before : generationAfter(before);
    const { generation, tables } = await this.#look(own);
    // A table that its owner keeps from all others outlives a flush of everything.
    const isWhole = generation === own && tables === compiled.ruleset.tables.length;
    this.#keep(compiled, isWhole ? own : undefined);
  }

  /** `own` is the generation of a commit that nft has made for us since the last look. */
  async #look(own?: number): Promise<Standing> {
    const standing = await this.#sender.look();
    const others = standing.commits.filter(({ generation }) => generation !== own);
    this.#others = [...this.#others, ...others].slice(-MAX_NAMED);
    return standing;
  }

  #keep(compiled: Compiled, generation: number | undefined): void {
    this.#compiled = compiled;
    this.#generation = generation;
  }

  /** From rules that stand to others, by elements that come and go; false where that does not lead there. */
  protected revise(
    step: (
      standing: Compiled,
    ) => { readonly compiled: Compiled; readonly changes: readonly ElementChange[] } | undefined,
  ): Promise<boolean> {
    return this.#alone(async () => {
      const [standing, generation] = [this.#compiled, this.#generation];
      const changed = standing === undefined ? undefined : step(standing);
      if (changed === undefined) return false;
      const { compiled, changes } = changed;
      if (generation === undefined) {
        await this.#mend(compiled);
        return true;
      }
      try {
        const came = await this.#sender.send(encodeBatch(changes, generation));
        if (came === generationAfter(generation)) this.#keep(compiled, came);
        else if (came === 'unknown') await this.#replace(compiled);
        else await this.#mend(compiled);
      } catch (error) {
        await this.#mend(compiled, error);
      }
      return true;
    });
  }

  /** Reads them as they stand, and no change comes between. */
  protected read<T>(work: (inside: NamespaceRun, compiled: Compiled | undefined) => Promise<T>): Promise<T> {
    return this.#alone(() => work(this.#inside, this.#compiled));
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

export class Walls extends StandingRules<CompiledNetwork> {
  constructor(inside: NamespaceRun) {
    super(inside, 'the network');
  }

  /** A machine more, by its elements; false where it is of a kind that the rules do not know: compile them anew. */
  admit(machine: Machine): Promise<boolean> {
    return this.revise((standing) => changeMachine(standing, 'add', machine));
  }

  /** A machine less. Its cable is to be cut as well (cutCable): connections that stand are not asked for again. */
  dismiss(machine: Machine): Promise<boolean> {
    return this.revise((standing) => changeMachine(standing, 'delete', machine));
  }

  /** What they have counted since they were raised. */
  counts(): Promise<NetworkCounts> {
    return this.read(async (inside, compiled) =>
      readCounts(await listRules(inside, false), compiled ?? NOTHING_COMPILED),
    );
  }
}

/** The sets that are filled by netlink, which is most of what nft would have to read. */
function manyOf(table: Table): ElementChange[] {
  return table.sets
    .filter((set) => fitsNetlink(set) && set.elements.length > 0)
    .map((set) => ({ verb: 'add', table, set, elements: set.elements }));
}

function withoutMany(table: Table): Table {
  return { ...table, sets: table.sets.map((set) => (fitsNetlink(set) ? { ...set, elements: [] } : set)) };
}

/** net/netfilter/nf_tables_api.c, nf_tables_commit(): 32 bits, and never 0. */
function generationAfter(generation: number): number {
  return generation >= 0xffff_ffff ? 1 : generation + 1;
}

/** What somebody has called their process goes into a log. */
function plain(program: string): string {
  return program.replaceAll(/[^\w.:/+-]/g, '?');
}
