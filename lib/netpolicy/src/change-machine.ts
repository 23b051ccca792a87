// One machine more or less in rules that stand: some elements, whatever the number of the others.
import { type CompiledNetwork, elementsOf } from './compile.ts';
import type { AnyMachine } from './machine.ts';
import type { RuleSet, SetElement, Table } from './ruleset.ts';

/** Elements that come to a set or leave it. */
export interface ElementChange {
  readonly verb: 'add' | 'delete';
  readonly table: Pick<Table, 'family' | 'name'>;
  readonly set: RuleSet;
  readonly elements: readonly SetElement[];
}

export interface ChangedNetwork {
  readonly compiled: CompiledNetwork;
  /** One batch. */
  readonly changes: readonly ElementChange[];
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
      return { ...set, elements: elements.reduce(without, set.elements) };
    });
    return { ...table, sets };
  });
  const moved = ruleset.tables.flatMap((table) =>
    table.sets.flatMap((set): ElementChange[] => {
      const own = changes.filter(({ family, name }) => family === table.family && name === set.name);
      return own.length === 0 ? [] : [{ verb, table, set, elements: own.map(({ element }) => element) }];
    }),
  );
  return { compiled: { ...compiled, ruleset: { tables } }, changes: moved };
}

/** Keys of machines have no ranges in them. */
function without(list: readonly SetElement[], { key }: SetElement): readonly SetElement[] {
  // From its end on, where what differs stands: among ten thousand this is most of what a machine less costs.
  const at = list.findIndex((element) => {
    for (let part = key.length - 1; part >= 0; part -= 1) if (element.key[part] !== key[part]) return false;
    return true;
  });
  return at < 0 ? list : list.toSpliced(at, 1);
}
