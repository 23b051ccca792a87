// Packages of libraries that no program of the image is linked with: a hint that a hole in them may not be reached, and no more than
// that. What a program loads by itself (dlopen, an interpreter's bindings) no header tells; a static program has its own copy.
import { flagField, listField, textField } from '../findings/fact-fields.ts';
import type { InspectedImage } from '../inspection/inspected-image.ts';
import { mergedPath } from './merged-path.ts';
import { elfLinksInspector } from './programs/elf-links.ts';

/** Where the loader looks by itself; what lies deeper somebody loads by its path. */
const LOADED_BY_NAME = /^usr\/(?:local\/)?lib(?:32|64|x32)?\/(?:[^/]+-linux-[^/]+\/)?[^/]+\.so(?:\.[^/]+)?$/;
/** The C library loads these by what /etc/nsswitch.conf says. */
const LOADED_BY_LIBC = /\/libnss_[^/]+$/;

/** `files` of a package: its libraries and its programs, from the root. */
export function unlinkedPackages(
  image: InspectedImage,
  files: ReadonlyMap<string, { readonly libraries: readonly string[]; readonly hasPrograms: boolean }>,
): ReadonlySet<string> {
  const unlinked = new Set<string>();
  const linked = linkedLibraries(image);
  if (linked === undefined) return unlinked;
  for (const [name, { libraries, hasPrograms }] of files) {
    const paths = libraries.map(mergedPath);
    if (hasPrograms || paths.length === 0) continue;
    const known = paths.filter((path) => linked.known.has(path));
    // Links to them are in the list as well; at least one is a file that was read.
    if (known.length === 0 || !paths.every((path) => LOADED_BY_NAME.test(path) && !LOADED_BY_LIBC.test(path))) continue;
    if (known.every((path) => !linked.reached.has(path))) unlinked.add(name);
  }
  return unlinked;
}

interface LinkedLibraries {
  readonly known: ReadonlySet<string>;
  readonly reached: ReadonlySet<string>;
}

/** From each program, and what is loaded by its path, along what it needs. Undefined where some program could not be read. */
function linkedLibraries(image: InspectedImage): LinkedLibraries | undefined {
  const needs = new Map<string, readonly string[]>();
  const byName = new Map<string, string[]>();
  for (const { path, hiddenBy, value } of image.facts(elfLinksInspector.id)) {
    if (hiddenBy !== undefined) continue;
    if (flagField(value, 'unread')) return undefined;
    const whole = mergedPath(path);
    needs.set(
      whole,
      listField(value, 'needed').filter((name) => typeof name === 'string'),
    );
    for (const name of new Set([textField(value, 'soname'), whole.slice(whole.lastIndexOf('/') + 1)])) {
      if (name !== '') byName.set(name, [...(byName.get(name) ?? []), whole]);
    }
  }
  const open = [...needs.keys()].filter((path) => !LOADED_BY_NAME.test(path) || LOADED_BY_LIBC.test(path));
  const reached = new Set(open);
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const library of (needs.get(path) ?? []).flatMap((name) => byName.get(name) ?? [])) {
      if (reached.has(library)) continue;
      reached.add(library);
      open.push(library);
    }
  }
  return { known: new Set(needs.keys()), reached };
}
