// Bundles import what they use from the file that has it, instead of from the list of names of its package (`index.ts`): esbuild puts
// whatever such a list leads to into the chunk of whoever imports it, so that a short command would load all of lib/disk for one
// class of errors. That no file of ours does anything when it is loaded makes it the same.
import { dirname, resolve } from 'node:path';

/** As oxfmt leaves it; a type alone is nothing at run time. */
const NAMED_IMPORT = /^import \{([^}]*)\} from '((?:@ringwall\/|\.{1,2}\/)[^']*)';$/gmu;
/** What is loaded on demand: only where one file has all of it. */
const IMPORT_ON_DEMAND = /(?<=^ *const \{ ([^}:]*) \} = await import\(')@ringwall\/[^']*(?='\);$)/gmu;
const NAMED_EXPORT = /^export (type )?\{([^}]*)\} from '([^']*)';$/gmu;
const ALL_EXPORT = /^export \* from '([^']*)';$/gmu;
const DECLARATION = /^export (?:async )?(?:abstract )?(?:function\*?|const|let|class) (\w+)/gmu;
const LIST = 'index.ts';

/** Where a value is declared, and under which name there. */
export interface Declared {
  readonly file: string;
  readonly name: string;
}

export interface Sources {
  readonly read: (file: string) => string;
  /** The file that an import leads to; undefined where it is not of this repository. */
  readonly find: (specifier: string, importer: string) => Promise<string | undefined>;
}

/** `source` of `importer`, line for line. Throws Error for a name that a list has not. */
export async function importFromFiles(source: string, importer: string, sources: Sources): Promise<string> {
  const lists = await Promise.all(
    [...source.matchAll(NAMED_IMPORT)].map(async ([statement, names = '', specifier = '']) => {
      const list = await sources.find(specifier, importer);
      if (list?.endsWith(`/${LIST}`) !== true) return undefined;
      const values = valuesOf(names);
      const declared = declaredIn(list, sources);
      const lines = values.map(({ name, as }) => {
        const found = declared.get(name);
        if (found === undefined) throw new Error(`${list} has no ${name}, which ${importer} imports`);
        const what = found.name === as ? as : `${found.name} as ${as}`;
        return `import { ${what} } from '${found.file}';`;
      });
      return { statement, instead: lines.join(' ') + '\n'.repeat(statement.split('\n').length - 1) };
    }),
  );
  let rewritten = source;
  for (const list of lists) if (list !== undefined) rewritten = rewritten.replace(list.statement, () => list.instead);
  return await importOnDemand(rewritten, importer, sources);
}

async function importOnDemand(source: string, importer: string, sources: Sources): Promise<string> {
  const found = await Promise.all(
    [...source.matchAll(IMPORT_ON_DEMAND)].map(async ([specifier, names = '']) => {
      const list = await sources.find(specifier, importer);
      if (list?.endsWith(`/${LIST}`) !== true) return specifier;
      const declared = declaredIn(list, sources);
      const [first, ...others] = valuesOf(names).map(({ name }) => ({ ...declared.get(name), as: name }));
      const isOne = first?.file !== undefined && others.every(({ file }) => file === first.file);
      return isOne && [first, ...others].every(({ name, as }) => name === as) ? first.file : specifier;
    }),
  );
  return source.replaceAll(IMPORT_ON_DEMAND, (specifier) => found.shift() ?? specifier);
}

/** All values that a file gives to others, by the names under which it does. */
function declaredIn(file: string, sources: Sources): ReadonlyMap<string, Declared> {
  const source = sources.read(file);
  const declared = new Map<string, Declared>();
  const beside = (specifier: string): string => resolve(dirname(file), specifier);
  for (const [, name = ''] of source.matchAll(DECLARATION)) declared.set(name, { file, name });
  for (const [, from = ''] of source.matchAll(ALL_EXPORT))
    for (const [name, found] of declaredIn(beside(from), sources)) declared.set(name, found);
  for (const [, isType, names = '', from = ''] of source.matchAll(NAMED_EXPORT)) {
    if (isType !== undefined) continue;
    const target = beside(from);
    const further = target.endsWith(`/${LIST}`) ? declaredIn(target, sources) : undefined;
    for (const { name, as } of valuesOf(names)) declared.set(as, further?.get(name) ?? { file: target, name });
  }
  return declared;
}

function valuesOf(list: string): readonly { readonly name: string; readonly as: string }[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '))
    .map((entry) => {
      const [name = '', as = name] = entry.split(' as ');
      return { name, as };
    });
}
