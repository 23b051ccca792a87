// What an SSH server is told by its configuration, as sshd itself would read it: sshd_config(5), OpenSSH 9. The first value of
// a keyword counts; `Include` puts other files in its place; what stands under `Match` holds for some connections alone.

export interface ServerDirective {
  /** In lower case, newest name of it. */
  readonly keyword: string;
  readonly arguments: readonly string[];
}

export interface ServerSettings {
  /** For every connection, by keyword in lower case; of keywords that are asked for, defaults are put in. */
  readonly always: ReadonlyMap<string, string>;
  /** Under a `Match`: for some connections. */
  readonly sometimes: readonly { readonly condition: string; readonly keyword: string; readonly value: string }[];
  /** Files that `Include` names and nobody has. */
  readonly absent: readonly string[];
}

/** sshd's own (SERVCONF_MAX_DEPTH). */
const MAX_DEPTH = 16;
/** sshd_config of Debian has some hundred lines. */
const MAX_LINES = 5000;
/** Of all files together, each time that it is included. */
const MAX_DIRECTIVES = 20_000;
const MAX_LINE_CHARACTERS = 4096;

/** Former names that sshd takes still. */
const NEWER_NAMES: ReadonlyMap<string, string> = new Map([
  ['challengeresponseauthentication', 'kbdinteractiveauthentication'],
  ['skeyauthentication', 'kbdinteractiveauthentication'],
  ['dsaauthentication', 'pubkeyauthentication'],
]);

/** Of OpenSSH as it is released; what Debian and others change stands in their sshd_config. */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ['permitrootlogin', 'prohibit-password'],
  ['passwordauthentication', 'yes'],
  ['permitemptypasswords', 'no'],
  ['kbdinteractiveauthentication', 'yes'],
  ['pubkeyauthentication', 'yes'],
  ['port', '22'],
];

/** Lines that say nothing are left out. */
export function parseServerConfiguration(text: string): readonly ServerDirective[] {
  return text.split('\n', MAX_LINES).flatMap((line) => {
    const words = wordsOf(line.slice(0, MAX_LINE_CHARACTERS));
    const [first, ...rest] = words;
    if (first === undefined) return [];
    const lower = first.toLowerCase();
    return [{ keyword: NEWER_NAMES.get(lower) ?? lower, arguments: rest }];
  });
}

/** `files` by path from the root, without a slash at its start. */
export function effectiveSettings(
  files: ReadonlyMap<string, readonly ServerDirective[]>,
  main: string,
): ServerSettings {
  const always = new Map<string, string>();
  const sometimes: { condition: string; keyword: string; value: string }[] = [];
  const absent: string[] = [];
  let read = 0;
  const walk = (path: string, outer: string | undefined, depth: number): void => {
    let condition = outer;
    for (const directive of files.get(path) ?? []) {
      read += 1;
      if (read > MAX_DIRECTIVES) return;
      const { keyword } = directive;
      const value = directive.arguments.join(' ');
      if (keyword === 'match') {
        // `Match all` ends a condition; inside an included file the outer one stays.
        const isAll = directive.arguments.length === 1 && directive.arguments[0]?.toLowerCase() === 'all';
        condition = isAll ? outer : value;
      } else if (keyword === 'include') {
        const included = directive.arguments.flatMap((pattern) => {
          const found = filesOf(files, pattern);
          if (found.length === 0 && !/[*?[]/.test(pattern)) absent.push(pattern);
          return found;
        });
        if (depth < MAX_DEPTH) for (const each of included) walk(each, condition, depth + 1);
      } else if (condition !== undefined) sometimes.push({ condition, keyword, value });
      else if (!always.has(keyword)) always.set(keyword, value.toLowerCase());
    }
  };
  walk(main, undefined, 0);
  for (const [keyword, value] of DEFAULTS) if (!always.has(keyword)) always.set(keyword, value);
  if (always.get('permitrootlogin') === 'without-password') always.set('permitrootlogin', 'prohibit-password');
  return { always, sometimes, absent };
}

/** Words of a line: quotes hold them together, one `=` may stand after the keyword, `#` ends it. */
function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  const pattern = /[ \t\r\f]*(?:"([^"]*)"|([^ \t\r\f"=#][^ \t\r\f"=]*)|(=)|(#))/gy;
  let isKeyword = true;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const [, quoted, bare, equals, comment] = match;
    if (comment !== undefined) break;
    if (equals !== undefined) {
      // After the keyword it parts; elsewhere it is a character like any other.
      if (!isKeyword && words.length > 1) words.push(`${words.pop() ?? ''}=`);
      continue;
    }
    words.push(quoted ?? bare ?? '');
    isKeyword = false;
  }
  return words;
}

/** glob(3) of one pattern, in the order of names; relative ones count from /etc/ssh. */
function filesOf(files: ReadonlyMap<string, unknown>, pattern: string): readonly string[] {
  const path = pattern.startsWith('/') ? pattern.slice(1) : `etc/ssh/${pattern}`;
  const pieces = path.split('/');
  return [...files.keys()]
    .filter((file) => {
      const parts = file.split('/');
      return parts.length === pieces.length && pieces.every((piece, at) => matchesName(piece, parts[at] ?? ''));
    })
    .toSorted();
}

function matchesName(piece: string, name: string): boolean {
  if (!/[*?]/.test(piece)) return piece === name;
  // A leading dot is only matched by one.
  if (name.startsWith('.') && !piece.startsWith('.')) return false;
  // Two positions and one way back: linear in their product, whatever stands in the pattern.
  let [at, from, star, retry] = [0, 0, -1, 0];
  while (from < name.length) {
    if (at < piece.length && (piece[at] === '?' || piece[at] === name[from]) && piece[at] !== '*') {
      at += 1;
      from += 1;
    } else if (piece[at] === '*') {
      star = at;
      retry = from;
      at += 1;
    } else if (star >= 0) {
      at = star + 1;
      retry += 1;
      from = retry;
    } else return false;
  }
  while (piece[at] === '*') at += 1;
  return at === piece.length;
}
