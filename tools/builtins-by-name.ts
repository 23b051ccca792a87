// Bundles take Node's own modules by name instead of importing them. An import makes a module namespace, for which Node looks at
// every export and so loads each lazy part behind one: `node:fs` brings promises, streams, readline and worker threads along,
// `node:util` diffs and colours. A third of what a short command takes beyond Node was that.

/** As oxfmt leaves it; a name of a type alone is nothing at run time. */
const NAMED_IMPORT = /^import \{([^}]*)\} from '(node:[a-z_/0-9]+)';$/gmu;

/** `source`, line for line. */
export function takeByName(source: string): string {
  return source.replaceAll(NAMED_IMPORT, (statement, list: string, module: string) => {
    const names = list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => name.replace(' as ', ': '));
    const lines = statement.split('\n').length;
    const taken = names.length === 0 ? '' : `const { ${names.join(', ')} } = process.getBuiltinModule('${module}');`;
    return taken + '\n'.repeat(lines - 1);
  });
}
