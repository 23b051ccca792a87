// Packages that dpkg has installed: `/var/lib/dpkg/status`, and the single files of `status.d` that distroless images have
// in its place. deb822(5), dpkg-query(1) for the meaning of Status, Debian Policy, section 5.6.1 for Source.
import type { TarEntry } from '../../layers/tar-entry.ts';
import type { FactValue, Inspector } from '../../inspection/inspector.ts';
import { languageFilesOf, librariesOf } from '../language-files.ts';
import {
  MAX_FIELD_CHARACTERS,
  MAX_PACKAGES_OF_A_FILE,
  makePackage,
  unread,
  type PackageFact,
} from '../package-fact.ts';

/** The list of a package's files; the largest in Debian have 5 MiB. */
const MAX_LIST_BYTES: number = 16 * 1024 * 1024;

const STATUS = 'var/lib/dpkg/status';
const STATUS_FOLDER = 'var/lib/dpkg/status.d/';
const LIST = /^var\/lib\/dpkg\/(?:info\/([^/]+)\.list|status\.d\/([^/]+)\.md5sums)$/;
/** States in which the files are there, dpkg(1). `config-files` is a package that was removed. */
const PRESENT: readonly string[] = [
  'installed',
  'unpacked',
  'half-configured',
  'half-installed',
  'triggers-awaited',
  'triggers-pending',
];

export const dpkgInspector: Inspector = {
  id: 'dpkg/1',
  wants: (entry) => (isStatus(entry) ? entry.bytes : undefined),
  inspect: (entry, bytes) => {
    const facts: FactValue[] = [...parseDpkgStatus(new TextDecoder().decode(bytes))];
    if (bytes.length < entry.bytes)
      facts.push(unread(`${entry.path} was read to byte ${bytes.length} of ${entry.bytes}`));
    return facts;
  },
};

/** Which files of a package are packages of a language, programs or libraries: dpkg has them in a list for each package. */
export const dpkgListInspector: Inspector = {
  id: 'dpkg-list/2',
  wants: (entry) =>
    entry.type === 'file' && LIST.test(entry.path) ? Math.min(entry.bytes, MAX_LIST_BYTES) : undefined,
  inspect: (entry, bytes) => {
    const [, listed = '', summed = ''] = LIST.exec(entry.path) ?? [];
    const lines = new TextDecoder().decode(bytes).split('\n');
    // A line of md5sums is a digest, two spaces, a path.
    const paths = summed === '' ? lines : lines.map((line) => line.slice(34));
    const owns = languageFilesOf(paths);
    const libraries = librariesOf(paths);
    // `info/libc6:amd64.list` is of a package that may be installed for several architectures.
    const name = (listed || summed).replace(/:.*$/, '');
    return owns.length === 0 && libraries.length === 0 ? [] : [{ kind: 'files', name, owns, libraries }];
  },
};

/** Any text: what is no paragraph of a package says nothing. */
export function* parseDpkgStatus(text: string): Generator<PackageFact> {
  let count = 0;
  for (const fields of paragraphs(text)) {
    const found = packageOf(fields);
    if (found === undefined) continue;
    count += 1;
    if (count > MAX_PACKAGES_OF_A_FILE) return;
    yield found;
  }
}

function isStatus({ type, path }: TarEntry): boolean {
  if (type !== 'file') return false;
  return path === STATUS || (path.startsWith(STATUS_FOLDER) && !path.endsWith('.md5sums'));
}

function packageOf(fields: ReadonlyMap<string, string>): PackageFact | undefined {
  const state = fields.get('status')?.split(' ').at(-1);
  // The files of status.d have no such field.
  if (state !== undefined && !PRESENT.includes(state)) return undefined;
  // `Source: openssl (3.0.11-1)`, with the version only where it is another than that of the package.
  const [, source = '', sourceVersion = ''] = /^(\S+)(?:\s+\((\S+)\))?/.exec(fields.get('source') ?? '') ?? [];
  const [name, version, architecture] = [fields.get('package'), fields.get('version'), fields.get('architecture')];
  if (name === undefined || version === undefined) return undefined;
  return makePackage('deb', { name, version, architecture: architecture ?? '', source, sourceVersion });
}

const WANTED: ReadonlySet<string> = new Set(['package', 'status', 'version', 'architecture', 'source']);
/** Beyond those that are wanted: lines may be as long as the file, and have no colon. */
const MAX_NAME_CHARACTERS = 32;

function* paragraphs(text: string): Generator<ReadonlyMap<string, string>> {
  let fields = new Map<string, string>();
  let start = 0;
  while (start <= text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    if (end === start || text.slice(start, end).trim() === '') {
      if (fields.size > 0) yield fields;
      fields = new Map();
    } else {
      const [name = '', rest] = text.slice(start, Math.min(end, start + MAX_NAME_CHARACTERS)).split(':', 2);
      const field = name.toLowerCase();
      // Lines that go on begin with a blank: no such field is wanted.
      if (rest !== undefined && WANTED.has(field) && !fields.has(field)) {
        const value = start + name.length + 1;
        fields.set(field, text.slice(value, Math.min(end, value + MAX_FIELD_CHARACTERS)).trim());
      }
    }
    start = end + 1;
  }
  if (fields.size > 0) yield fields;
}
