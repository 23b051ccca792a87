// Patterns for paths inside a disk, and an index that finds the rules of a path without trying each rule: a tree has
// hundred thousands of files, and nearly none of them is meant.
//
//   /etc/shadow          exactly that file
//   ~/.ssh/id_*          in the home of root, of any user, of a Windows profile; `*` is any run of characters of one name
//   **/.aws/credentials  at any depth

/** Where homes lie on the systems that we know; a home elsewhere is found by the account's entry in /etc/passwd. */
const HOMES: readonly (readonly string[])[] = [['root'], ['home', '*'], ['Users', '*'], ['var', 'root']];

export interface PathIndex<Rule> {
  /** The rules that a path means; `names` are its parts from the root on. */
  find(names: readonly string[]): Rule[];
}

interface Pattern<Rule> {
  readonly rule: Rule;
  /** Of each part of a path, what stands between its `*`. */
  readonly parts: readonly (readonly string[])[];
  /** It began with `**`. */
  readonly anyDepth: boolean;
}

/** `ignoreCase` for file systems that do. */
export function indexPaths<Rule extends { readonly paths: readonly string[] }>(
  rules: readonly Rule[],
  { ignoreCase, homes = [] }: { readonly ignoreCase: boolean; readonly homes?: readonly string[] },
): PathIndex<Rule> {
  const fold = (name: string): string => (ignoreCase ? name.toLowerCase() : name);
  const byName = new Map<string, Pattern<Rule>[]>();
  const byExtension = new Map<string, Pattern<Rule>[]>();
  /** By what a name begins with; '' for those that begin with anything. */
  const byBeginning = new Map<string, Pattern<Rule>[]>();
  const allHomes = [...HOMES, ...homes.map((home) => home.split('/').filter((part) => part !== ''))];
  for (const rule of rules) {
    for (const path of rule.paths.flatMap((written) => expandHome(written, allHomes))) {
      const anyDepth = path[0] === '**';
      const named = (anyDepth ? path.slice(1) : path).map(fold);
      const pattern = { rule, anyDepth, parts: named.map((part) => part.split('*')) };
      const last = named.at(-1) ?? '';
      if (!last.includes('*')) addTo(byName, last, pattern);
      else if (/^\*\.[^*.]+$/.test(last)) addTo(byExtension, last.slice(2), pattern);
      else addTo(byBeginning, last.startsWith('*') ? '' : last.slice(0, 1), pattern);
    }
  }
  return {
    find(names) {
      const folded = ignoreCase ? names.map(fold) : names;
      const last = folded.at(-1) ?? '';
      const dot = last.lastIndexOf('.');
      const found: Rule[] = [];
      const gather = (candidates: readonly Pattern<Rule>[] | undefined): void => {
        if (candidates === undefined) return;
        for (const pattern of candidates) if (matches(pattern, folded)) found.push(pattern.rule);
      };
      gather(byName.get(last));
      if (dot >= 0) gather(byExtension.get(last.slice(dot + 1)));
      gather(byBeginning.get(last.slice(0, 1)));
      gather(byBeginning.get(''));
      return found.length > 1 ? [...new Set(found)] : found;
    },
  };
}

function expandHome(written: string, homes: readonly (readonly string[])[]): string[][] {
  const parts = written.split('/');
  if (parts[0] === '~') return homes.map((home) => [...home, ...parts.slice(1)]);
  return [parts[0] === '' ? parts.slice(1) : parts];
}

function matchesPart(pieces: readonly string[], name: string): boolean {
  const [prefix = '', ...rest] = pieces;
  const suffix = rest.pop();
  if (suffix === undefined) return name === prefix;
  if (name.length < prefix.length + suffix.length || !name.startsWith(prefix) || !name.endsWith(suffix)) return false;
  const end = name.length - suffix.length;
  let position = prefix.length;
  // The first place for each piece leaves the most room for those that follow: no way back is ever needed.
  for (const piece of rest) {
    const found = name.indexOf(piece, position);
    if (found < 0 || found + piece.length > end) return false;
    position = found + piece.length;
  }
  return true;
}

function matches<Rule>({ parts, anyDepth }: Pattern<Rule>, names: readonly string[]): boolean {
  if (anyDepth ? names.length < parts.length : names.length !== parts.length) return false;
  const first = names.length - parts.length;
  // From the end: the name decides most often.
  for (let index = parts.length - 1; index >= 0; index -= 1) {
    if (!matchesPart(parts[index] ?? [], names[first + index] ?? '')) return false;
  }
  return true;
}

function addTo<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
