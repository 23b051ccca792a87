// The walls of one network: its compiled rules in force in its namespace, changed in whole steps, and read back to see whether
// somebody else has changed them.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  changeMachine,
  renderTable,
  renderUpdate,
  type CompiledNetwork,
  type Machine,
  type NftCommand,
} from '@ringwall/netpolicy';
import type { NamespaceRun } from './namespace.ts';
import { applyBatch, listRules } from './nft.ts';

const LOCK = { family: 'inet', name: 'ringwall-lock' } as const;
const LOCK_CHAIN = { family: 'inet', table: LOCK.name, name: 'lock' } as const;
/** Before all that the walls have, by its priority. */
const LOCKED: readonly NftCommand[] = [
  { add: { table: LOCK } },
  { add: { chain: { ...LOCK_CHAIN, type: 'filter', hook: 'prerouting', prio: -400, policy: 'drop' } } },
];
const UNLOCKED: readonly NftCommand[] = [{ delete: { table: LOCK } }];

export type WallState =
  | 'standing' // as they were put up
  | 'changed'; // not as they were put up: by somebody else, or by nobody any more

export class Walls {
  readonly #inside: NamespaceRun;
  #compiled: CompiledNetwork | undefined;
  /** Chains, rules and sets as nft lists them, without elements and counts. */
  #shape = '';
  /** One change at a time, and none while they are looked at. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(inside: NamespaceRun) {
    this.#inside = inside;
  }

  /**
   * Puts the walls up where none are known to stand. In an empty namespace the tables load side by side, while one that drops
   * everything stands before them; what is there already is replaced in one step.
   */
  raise(compiled: CompiledNetwork): Promise<void> {
    return this.#alone(() => this.#raise(compiled));
  }

  /** Other rules: by what differs from those that stand. */
  change(compiled: CompiledNetwork): Promise<void> {
    return this.#alone(async () => {
      if (this.#compiled === undefined) return this.#raise(compiled);
      await applyBatch(this.#inside, renderUpdate(this.#compiled.ruleset, compiled.ruleset));
      await this.#remember(compiled);
    });
  }

  /** A machine more, by its elements; false where it is of a kind that the rules do not know: compile them anew. */
  admit(machine: Machine): Promise<boolean> {
    return this.#move('add', machine);
  }

  /** A machine less. Its cable is to be cut as well (cutCable): connections that stand are not asked for again. */
  dismiss(machine: Machine): Promise<boolean> {
    return this.#move('delete', machine);
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
        if (compiled === undefined || (await this.#inspect(true)) === 'standing') return;
        say('the rules of the network were changed by somebody else; they are put back');
        await this.#replace(compiled);
      }).catch((error: unknown) => say(`the rules of the network could not be looked after: ${String(error)}`));
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #raise(compiled: CompiledNetwork): Promise<void> {
    const standing = (await listRules(this.#inside, true)).some((object) => 'table' in Object(object));
    await (standing ? this.#replace(compiled) : this.#raiseFirst(compiled));
  }

  async #raiseFirst(compiled: CompiledNetwork): Promise<void> {
    const { tables } = compiled.ruleset;
    await applyBatch(this.#inside, LOCKED);
    await Promise.all(tables.map((table) => applyBatch(this.#inside, renderTable(table))));
    await applyBatch(this.#inside, UNLOCKED);
    await this.#remember(compiled);
  }

  async #replace(compiled: CompiledNetwork): Promise<void> {
    const tables = compiled.ruleset.tables.flatMap((table) => renderTable(table));
    await applyBatch(this.#inside, [{ flush: { ruleset: null } }, ...tables]);
    await this.#remember(compiled);
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

  async #remember(compiled: CompiledNetwork): Promise<void> {
    this.#compiled = compiled;
    this.#shape = shapeOf(await listRules(this.#inside, true));
  }

  #move(verb: 'add' | 'delete', machine: Machine): Promise<boolean> {
    return this.#alone(async () => {
      const changed = this.#compiled === undefined ? undefined : changeMachine(this.#compiled, verb, machine);
      if (changed === undefined) return false;
      await applyBatch(this.#inside, changed.commands);
      this.#compiled = changed.compiled;
      return true;
    });
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** What of a listing stays the same while nobody changes the rules. */
function shapeOf(listing: readonly unknown[]): string {
  const parts = listing
    .filter((object) => !('metainfo' in Object(object)))
    .map((object) => JSON.stringify(object, (key, value: unknown) => (PASSING.has(key) ? undefined : value)));
  return parts.toSorted().join('\n');
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
