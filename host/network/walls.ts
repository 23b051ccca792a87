// Compiled rules in force in a namespace, changed in whole steps, and read back to see whether somebody else has changed them. The walls
// of a network are such rules; machines come and go in them by some elements.
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
import { NetlinkSender } from './netlink/sender.ts';
import { applyBatch, listRules } from './nft.ts';

const LOCK = { family: 'inet', name: 'ringwall-lock' } as const;
const LOCK_CHAIN = { family: 'inet', table: LOCK.name, name: 'lock' } as const;
/** Before all that the walls have, by its priority. */
const LOCKED: readonly NftCommand[] = [
  { add: { table: LOCK } },
  { add: { chain: { ...LOCK_CHAIN, type: 'filter', hook: 'prerouting', prio: -400, policy: 'drop' } } },
];
const UNLOCK = { verb: 'delete', table: LOCK } as const;

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
  /** Chains, rules and sets as nft lists them, without elements and counts. */
  #shape = '';
  /** That they were not what they should have been when they were changed last; it is not said yet. */
  #mended = false;
  /** One change at a time, and none while they are looked at. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(inside: NamespaceRun, whose: string) {
    this.#inside = inside;
    this.#sender = new NetlinkSender(inside);
    this.#whose = whose;
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
      try {
        await applyBatch(this.#inside, renderUpdate(before.ruleset, compiled.ruleset));
      } catch (error) {
        return this.#mend(compiled, error);
      }
      return this.#remember(compiled);
    });
  }

  /** Reads back what is in force. `thorough` counts the elements of all sets, too: milliseconds for each thousand. */
  inspect(thorough: boolean): Promise<WallState> {
    return this.#alone(() => this.#inspect(thorough));
  }

  /** Looks after the walls until it is told to stop: what somebody has changed is put back, and said. */
  async lookAfter(say: (what: string) => void, everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#alone(async () => {
        const compiled = this.#compiled;
        const stand = compiled === undefined || (await this.#inspect(true)) === 'standing';
        if (!stand || this.#mended) say(`the rules of ${this.#whose} were changed by somebody else; they are put back`);
        this.#mended = false;
        if (!stand) await this.#replace(compiled);
      }).catch((error: unknown) => say(`the rules of ${this.#whose} could not be looked after: ${String(error)}`));
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #raise(compiled: Compiled): Promise<void> {
    const standing = (await listRules(this.#inside, true)).some((object) => 'table' in Object(object));
    await (standing ? this.#replace(compiled) : this.#raiseFirst(compiled));
  }

  async #raiseFirst(compiled: Compiled): Promise<void> {
    const { tables } = compiled.ruleset;
    this.#sender.prepare();
    const framed = applyBatch(this.#inside, [...LOCKED, ...tables.flatMap((table) => renderTable(withoutMany(table)))]);
    // Meanwhile: of 10,000 machines it takes as long as nft does.
    const batch = encodeBatch([...tables.flatMap((table) => manyOf(table)), UNLOCK]);
    await framed;
    // Without elements they are listed as they will be with them.
    const [filled, listing] = await Promise.all([this.#sender.send(batch), listRules(this.#inside, true)]);
    if (filled === 'unknown') return this.#replace(compiled);
    this.#keep(
      compiled,
      listing.filter((object) => !isOfLock(object)),
    );
  }

  async #replace(compiled: Compiled): Promise<void> {
    const tables = compiled.ruleset.tables.flatMap((table) => renderTable(table));
    await applyBatch(this.#inside, [{ flush: { ruleset: null } }, ...tables]);
    await this.#remember(compiled);
  }

  /** As a whole, where the way from what was remembered led nowhere; refused as well, `error` says why. */
  async #mend(compiled: Compiled, error: unknown): Promise<void> {
    await this.#replace(compiled).catch(() => {
      throw error;
    });
    this.#mended = true;
  }

  async #inspect(thorough: boolean): Promise<WallState> {
    const listing = await listRules(this.#inside, !thorough);
    if (shapeOf(listing) !== this.#shape) return 'changed';
    if (!thorough) return 'standing';
    const counts = countElements(listing);
    const tables = this.#compiled?.ruleset.tables ?? [];
    const same = tables.every(({ family, sets }) =>
      sets.every(
        ({ name, metered, elements }) =>
          metered !== undefined || (counts.get(`${family} ${name}`) ?? 0) === elements.length,
      ),
    );
    return same ? 'standing' : 'changed';
  }

  async #remember(compiled: Compiled): Promise<void> {
    this.#keep(compiled, await listRules(this.#inside, true));
  }

  /** What is listed right after a change is what stands, unless somebody came between: then the next look finds it changed. */
  #keep(compiled: Compiled, listing: readonly unknown[]): void {
    this.#compiled = compiled;
    this.#shape = hasAllRules(listing, compiled) ? shapeOf(listing) : '';
  }

  /** From rules that stand to others, by elements that come and go; false where that does not lead there. */
  protected revise(
    step: (
      standing: Compiled,
    ) => { readonly compiled: Compiled; readonly changes: readonly ElementChange[] } | undefined,
  ): Promise<boolean> {
    return this.#alone(async () => {
      const changed = this.#compiled === undefined ? undefined : step(this.#compiled);
      if (changed === undefined) return false;
      try {
        if ((await this.#sender.send(encodeBatch(changed.changes))) === 'done') this.#compiled = changed.compiled;
        else await this.#replace(changed.compiled);
      } catch (error) {
        await this.#mend(changed.compiled, error);
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

function hasAllRules(listing: readonly unknown[], { ruleset }: CompiledRules): boolean {
  const listed = listing.filter((object) => 'rule' in Object(object)).length;
  const chains = ruleset.tables.flatMap((table) => table.chains);
  return listed === chains.reduce((sum, { rules }) => sum + rules.length, 0);
}

/** What of a listing stays the same while nobody changes the rules. */
function shapeOf(listing: readonly unknown[]): string {
  const parts = listing
    .filter((object) => !('metainfo' in Object(object)))
    .map((object) => JSON.stringify(object, (key, value: unknown) => (PASSING.has(key) ? undefined : value)));
  return parts.toSorted().join('\n');
}

/** While the walls are read for the first time, it may stand or be gone already. */
function isOfLock(object: unknown): boolean {
  return Object.values(Object(object)).some((of) => {
    const { family, table, name } = Object(of);
    return family === LOCK.family && (table ?? name) === LOCK.name;
  });
}

/** Numbers that the kernel gives, counts, and elements. */
const PASSING: ReadonlySet<string> = new Set(['handle', 'packets', 'bytes', 'elem']);

function countElements(listing: readonly unknown[]): ReadonlyMap<string, number> {
  return new Map(
    listing.flatMap((object) => {
      const { set, map } = Object(object);
      const { family, name, elem } = Object(set ?? map);
      return Array.isArray(elem) ? [[`${String(family)} ${String(name)}`, elem.length] as const] : [];
    }),
  );
}
