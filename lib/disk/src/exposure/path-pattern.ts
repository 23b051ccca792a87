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
  /** False for the last part of a path that no rule means, which nearly all are: then nothing else of it need be looked at. */
  mayMean(name: string): boolean;
}

interface Pattern<Rule> {
  readonly rule: Rule;
  /** Of each part of a path, what stands between its `*`. */
  readonly parts: readonly (readonly string[])[];
  /** Where it begins: at the root, at any depth (`**`), or in a home (`~`). */
  readonly under: 'root' | 'anything' | 'home';
}

/** What holds for all patterns of an index. */
interface Rules {
  readonly fold: (name: string) => string;
  readonly isHome: (names: readonly string[]) => boolean;
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
  const usual = HOMES.map((home) => home.map((part) => fold(part).split('*')));
  // Whoever made the disk chooses how many accounts it has: a pattern for the home of each would be gigabytes.
  const named = new Set(homes.map((home) => fold(joined(home.split('/').filter((part) => part !== '')))));
  const isHome = (names: readonly string[]): boolean =>
    named.has(fold(joined(names))) ||
    usual.some((home) => home.length === names.length && matchesAll(home, names, 0, fold));
  for (const rule of rules) {
    for (const [first = '', ...rest] of rule.paths.map((written) => written.split('/'))) {
      const under = first === '**' ? 'anything' : first === '~' ? 'home' : 'root';
      const parts = (first === '' || under !== 'root' ? rest : [first, ...rest]).map(fold);
      const pattern: Pattern<Rule> = { rule, under, parts: parts.map((part) => part.split('*')) };
      const last = parts.at(-1) ?? '';
      if (!last.includes('*')) addTo(byName, last, pattern);
      else if (/^\*\.[^*.]+$/.test(last)) addTo(byExtension, last.slice(2), pattern);
      else addTo(byBeginning, last.startsWith('*') ? '' : last.slice(0, 1), pattern);
    }
  }
  const lasts = rules.flatMap(({ paths }) => paths.map((written) => fold(written.slice(written.lastIndexOf('/') + 1))));
  const anyLast = new RegExp(`^(?:${[...new Set(lasts.map(beginningAndEnd))].join('|')})$`, 's');
  return {
    mayMean: (name) => anyLast.test(fold(name)),
    find(names) {
      const last = fold(names.at(-1) ?? '');
      if (!anyLast.test(last)) return [];
      const dot = last.lastIndexOf('.');
      const found: Rule[] = [];
      const gather = (candidates: readonly Pattern<Rule>[] | undefined): void => {
        if (candidates === undefined) return;
        for (const pattern of candidates) if (matches(pattern, names, { fold, isHome })) found.push(pattern.rule);
      };
      gather(byName.get(last));
      if (dot >= 0) gather(byExtension.get(last.slice(dot + 1)));
      gather(byBeginning.get(last.slice(0, 1)));
      gather(byBeginning.get(''));
      return found.length > 1 ? [...new Set(found)] : found;
    },
  };
}

/** What stands between two `*` is looked at later: one way back for each pattern, however long a name is. */
function beginningAndEnd(part: string): string {
  const pieces = part.split('*').map((piece) => RegExp.escape(piece));
  return pieces.length === 1 ? (pieces[0] ?? '') : `${pieces[0] ?? ''}.*${pieces.at(-1) ?? ''}`;
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

function matches<Rule>({ parts, under }: Pattern<Rule>, names: readonly string[], { fold, isHome }: Rules): boolean {
  const first = names.length - parts.length;
  if (under === 'root' ? first !== 0 : first < 0) return false;
  return matchesAll(parts, names, first, fold) && (under !== 'home' || isHome(names.slice(0, first)));
}

/** Whether each of `parts` means the name at its place, from `first` on. No other name is looked at: paths may be long. */
function matchesAll(
  parts: readonly (readonly string[])[],
  names: readonly string[],
  first: number,
  fold: (name: string) => string,
): boolean {
  // From the end: the name decides most often.
  for (let index = parts.length - 1; index >= 0; index -= 1) {
    if (!matchesPart(parts[index] ?? [], fold(names[first + index] ?? ''))) return false;
  }
  return true;
}

/** Names hold no slash: no two paths are one text. */
function joined(names: readonly string[]): string {
  return names.join('/');
}

function addTo<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
