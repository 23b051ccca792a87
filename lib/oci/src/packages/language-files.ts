// Which files of a distribution's package say more of it: libraries, and packages of a language as well: Debian's python3-requests carries the
// metadata of PyPI's requests, and what Debian has fixed in it no range of versions at PyPI knows.
import { MAX_PATH_BYTES } from '../layers/tar-entry.ts';

/** Some thousand are in a package of a whole language; each is a string in a fact. */
const MAX_OWNED_PATHS = 5000;
const LANGUAGE_FILE =
  /\.(?:dist-info\/METADATA|egg-info(?:\/PKG-INFO)?|gemspec|jar|war|ear|deps\.json)$|(?:^|\/)(?:node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json|installed\.json)$/;
/** Where a package may have a program that was linked from modules of Go or crates of Rust. */
const PROGRAM = /(?:^|\/)(?:bin|sbin|libexec|cli-plugins)\/[^/]+$/;

/** With versions in their names; what a compiler links with (`libx.so`) is a link to one of these. */
const LIBRARY_FILE = /(?:^|\/)lib(?:32|64|x32)?\/(?:[^/]+\/)*[^/]+\.so(?:\.[\w.+-]+)?$/;

/** Paths from the root, without the leading slash. */
export function languageFilesOf(paths: Iterable<string>): readonly string[] {
  return chosen(paths, (path) => LANGUAGE_FILE.test(path) || isProgram(path));
}

export function librariesOf(paths: Iterable<string>): readonly string[] {
  return chosen(paths, (path) => LIBRARY_FILE.test(path));
}

export function isProgram(path: string): boolean {
  return PROGRAM.test(path);
}

function chosen(paths: Iterable<string>, is: (path: string) => boolean): readonly string[] {
  const found: string[] = [];
  for (const path of paths) {
    if (found.length >= MAX_OWNED_PATHS) break;
    const relative = path.replace(/^\.?\/+/, '');
    if (relative.length <= MAX_PATH_BYTES && is(relative)) found.push(relative);
  }
  return found;
}
