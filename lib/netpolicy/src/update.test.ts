import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { arbitraryMachines, arbitraryPolicy } from '../testing/arbitrary.ts';
import { compileNetwork } from './compile.ts';
import { parseMachines } from './machine.ts';
import { parsePolicy } from './policy.ts';
import { type NftCommand, renderTable } from './render-nft.ts';
import type { Ruleset } from './ruleset.ts';
import { renderUpdate } from './update.ts';

function compile(policy: unknown, machines: unknown[]): Ruleset {
  const [network] = parsePolicy(policy).networks;
  if (network === undefined) throw new Error('no network');
  return compileNetwork(network, parseMachines(machines, network)).ruleset;
}

test('renderUpdate() leads from any rules to any others', () => {
  fc.assert(
    fc.property(arbitraryPolicy, arbitraryMachines, arbitraryPolicy, arbitraryMachines, (p1, m1, p2, m2) => {
      const [before, after] = [compile(p1, m1), compile(p2, m2)];
      const state = new Store();
      for (const table of before.tables) state.run(renderTable(table));
      state.run(renderUpdate(before, after));
      const wanted = new Store();
      for (const table of after.tables) wanted.run(renderTable(table));
      expect(state.contents()).toEqual(wanted.contents());
    }),
    { numRuns: 40 },
  );
});

test('renderUpdate() has nothing to do between rules and themselves', () => {
  fc.assert(
    fc.property(arbitraryPolicy, arbitraryMachines, (policy, machines) => {
      expect(renderUpdate(compile(policy, machines), compile(policy, machines))).toEqual([]);
    }),
    { numRuns: 20 },
  );
});

test('renderUpdate() makes the table anew where a chain of the same name says something else', () => {
  const saying = (verdict: 'accept' | 'drop'): Ruleset => {
    const chains = [{ name: 'decision-4f', rules: [[{ verdict }]] }];
    return { tables: [{ family: 'inet', name: 'x', counters: [], sets: [], chains }] };
  };
  const state = new Store();
  for (const table of saying('accept').tables) state.run(renderTable(table));
  state.run(renderUpdate(saying('accept'), saying('drop')));
  expect(state.contents().join()).toContain('drop');
});

/** What nftables would hold after these commands: it refuses what nftables refuses. */
class Store {
  readonly #held = new Map<string, unknown>();

  run(commands: readonly NftCommand[]): void {
    for (const command of commands) {
      for (const [verb, object] of Object.entries(command)) this.#one(verb, Object(object));
    }
  }

  contents(): string[] {
    return [...this.#held.keys()].toSorted();
  }

  #one(verb: string, object: Record<string, Record<string, unknown>>): void {
    for (const [kind, { family, table, name, chain, elem, expr, ...rest }] of Object.entries(object)) {
      const place = `${String(family)} ${String(kind === 'table' ? name : table)} `;
      if (kind === 'table' && verb === 'delete') {
        for (const key of this.#held.keys()) if (key.startsWith(place)) this.#held.delete(key);
      } else if (kind === 'element') {
        for (const item of Array.isArray(elem) ? elem : []) this.#element(verb, `${place}${String(name)}`, item);
      } else if (kind === 'chain' && verb === 'delete') {
        for (const key of this.#held.keys()) {
          if (key.startsWith(`${place}chain ${String(name)}`)) this.#held.delete(key);
          if (key.includes('decisions') && key.includes(`"${String(name)}"`))
            throw new Error(`chain ${String(name)} is in use`);
        }
      } else if (kind === 'rule') {
        this.#held.set(`${place}chain ${String(chain)} rule ${JSON.stringify(expr)}`, true);
      } else {
        this.#held.set(`${place}${kind} ${String(name)} ${JSON.stringify(rest)}`, true);
      }
    }
  }

  #element(verb: string, place: string, item: unknown): void {
    const key = `${place} ${JSON.stringify(item)}`;
    if (this.#held.has(key) !== (verb === 'delete')) throw new Error(`${verb} ${key}`);
    if (verb === 'delete') this.#held.delete(key);
    else this.#held.set(key, true);
  }
}
