// Packages that apk has installed, of Alpine, Wolfi and Chainguard: `/lib/apk/db/installed`, in newer images below /usr.
// apk-tools, doc/apk-v2 "installed" database: lines of a letter, a colon and a value, an empty line after each package.
import type { Inspector } from '../../inspection/inspector.ts';
import { languageFilesOf } from '../language-files.ts';
import { MAX_PACKAGES_OF_A_FILE, makePackage, unread, type PackageFact } from '../package-fact.ts';

const DATABASES: readonly string[] = ['lib/apk/db/installed', 'usr/lib/apk/db/installed'];

export const apkInspector: Inspector = {
  id: 'apk/1',
  wants: ({ type, path, bytes }) => (type === 'file' && DATABASES.includes(path) ? bytes : undefined),
  inspect: (entry, bytes) => {
    const packages = [...parseApkInstalled(new TextDecoder().decode(bytes))];
    if (bytes.length === entry.bytes) return packages;
    return [...packages, unread(`${entry.path} was read to byte ${bytes.length} of ${entry.bytes}`)];
  },
};

/** Any text: what is no paragraph of a package says nothing. */
export function* parseApkInstalled(text: string): Generator<PackageFact> {
  let count = 0;
  let fields = new Map<string, string>();
  let paths: string[] = [];
  let folder = '';
  const finish = (): PackageFact | undefined => {
    const [name = '', version = ''] = [fields.get('P'), fields.get('V')];
    const found = makePackage(
      'apk',
      {
        name,
        version,
        architecture: fields.get('A') ?? '',
        source: fields.get('o') ?? '',
        licence: fields.get('L') ?? '',
      },
      languageFilesOf(paths),
    );
    fields = new Map();
    paths = [];
    folder = '';
    return found;
  };
  for (const line of linesOf(text)) {
    const [letter, value] = [line[0], line.slice(2)];
    if (line === '') {
      const found = finish();
      if (found === undefined) continue;
      count += 1;
      if (count > MAX_PACKAGES_OF_A_FILE) return;
      yield found;
    } else if (letter !== undefined && line[1] === ':') {
      if (letter === 'F') folder = value;
      else if (letter === 'R') paths.push(`${folder}/${value}`);
      else if (!fields.has(letter)) fields.set(letter, value);
    }
  }
  const last = finish();
  if (last !== undefined) yield last;
}

/** Without a copy of it all. */
function* linesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    yield text.slice(start, end < 0 ? text.length : end);
    if (end < 0) return;
    start = end + 1;
  }
}
