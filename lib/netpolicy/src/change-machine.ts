// One machine more or less in rules that stand: some elements, whatever the number of the others.
import { type CompiledNetwork, elementsOf } from './compile.ts';
import type { AnyMachine } from './machine.ts';
import { type NftCommand, renderElements } from './render-nft.ts';
import type { RuleSet } from './ruleset.ts';

export interface ChangedNetwork {
  readonly compiled: CompiledNetwork;
  /** One batch. */
  readonly commands: readonly NftCommand[];
}

/** Undefined where the machine is of a kind that the rules do not know yet: the network is to be compiled anew. */
export function changeMachine(
  compiled: CompiledNetwork,
  verb: 'add' | 'delete',
  machine: AnyMachine,
): ChangedNetwork | undefined {
  const { classifier, groups, ruleset } = compiled;
  if (!machine.addresses.every((address) => groups.has(classifier.groupOf(machine, address).id))) return undefined;
  const changes = elementsOf(compiled, machine);
  const tables = ruleset.tables.map((table) => {
    const own = changes.filter(({ family }) => family === table.family);
    const sets = table.sets.map((set): RuleSet => {
      const elements = own.filter(({ name }) => name === set.name).map(({ element }) => element);
      if (elements.length === 0) return set;
      if (verb === 'add') return { ...set, elements: [...set.elements, ...elements] };
      const gone = new Set(elements.map((element) => JSON.stringify(element.key)));
      return { ...set, elements: set.elements.filter((element) => !gone.has(JSON.stringify(element.key))) };
    });
    return { ...table, sets };
  });
  const commands = ruleset.tables.flatMap((table) =>
    changes
      .filter(({ family, name }) => family === table.family && table.sets.some((set) => set.name === name))
      .map(({ name, element }) => renderElements(verb, table, name, [element])),
  );
  return { compiled: { ...compiled, ruleset: { tables } }, commands };
}
