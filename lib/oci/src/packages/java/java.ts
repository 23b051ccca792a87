// Java archives (jar, war, ear), and those within them: `pom.properties` of Maven says group, artefact and version; where an archive
// has none, its manifest or its own name does. JAR file specification of Java SE 21, Maven Archiver reference.
import { ParseError } from '@ringwall/bytes';
import { inflateRaw } from '../../archives/inflate.ts';
import { DEFLATED, readZip, STORED, type ZipEntry } from '../../archives/zip.ts';
import type { FactValue, Inspector } from '../../inspection/inspector.ts';
import { makePackage, unread, type PackageFact, type UnreadFact } from '../package-fact.ts';

const ARCHIVE = /\.(?:jar|war|ear)$/i;
/** Spring Boot has jars in a jar, an ear has wars with jars: three. */
const MAX_NESTING = 4;
/** Of all that is unpacked from one archive, and of those within it. */
const MAX_UNPACKED_BYTES: number = 192 * 1024 * 1024;
const MAX_TEXT_BYTES: number = 256 * 1024;
const MAX_ENTRIES = 500_000;

export const javaInspector: Inspector = {
  id: 'java/1',
  wants: ({ type, path, bytes }) => (type === 'file' && ARCHIVE.test(path) && bytes > 0 ? bytes : undefined),
  inspect: (entry, bytes): readonly FactValue[] =>
    bytes.length < entry.bytes
      ? [unread(`${entry.path} has ${entry.bytes} bytes, and ${bytes.length} were read`)]
      : readJavaArchive(entry.path, bytes),
};

/** What cannot be read of it is said, and the rest is read. */
export function readJavaArchive(path: string, bytes: Uint8Array): readonly (PackageFact | UnreadFact)[] {
  const budget = { bytes: MAX_UNPACKED_BYTES, entries: MAX_ENTRIES };
  return [...archiveFacts(path, bytes, 0, budget)];
}

interface Budget {
  bytes: number;
  entries: number;
}

function* archiveFacts(
  path: string,
  bytes: Uint8Array,
  depth: number,
  budget: Budget,
): Generator<PackageFact | UnreadFact> {
  const poms: PackageFact[] = [];
  let manifest = '';
  try {
    for (const entry of readZip(bytes)) {
      budget.entries -= 1;
      if (budget.entries < 0) throw new ParseError('limit', 'archive', 0, `has more than ${MAX_ENTRIES} entries`);
      if (/^META-INF\/maven\/.*\/pom\.properties$/.test(entry.name)) {
        const pom = pomOf(textOf(entry, budget));
        if (pom !== undefined) poms.push(pom);
      } else if (/^META-INF\/MANIFEST\.MF$/i.test(entry.name)) manifest = textOf(entry, budget);
      else if (ARCHIVE.test(entry.name)) {
        if (depth >= MAX_NESTING)
          throw new ParseError('limit', entry.name, 0, `lies deeper than ${MAX_NESTING} archives`);
        yield* archiveFacts(`${path}!${entry.name}`, unpack(entry, MAX_UNPACKED_BYTES, budget), depth + 1, budget);
      }
    }
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    yield unread(`${path}: ${error.message}`);
  }
  // A shaded archive has the properties of all that was put into it.
  if (poms.length > 0) yield* poms;
  else {
    const found = ofManifest(manifest, path);
    if (found !== undefined) yield found;
  }
}

function unpack(entry: ZipEntry, maxBytes: number, budget: Budget): Uint8Array {
  if (entry.isEncrypted) throw new ParseError('unsupported', entry.name, 0, 'is encrypted');
  const most = Math.min(maxBytes, budget.bytes);
  if (entry.bytes > most) throw new ParseError('limit', entry.name, 0, `has ${entry.bytes} bytes, at most ${most}`);
  const compressed = entry.compressed();
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    throw new ParseError('unsupported', entry.name, 0, `is compressed by method ${entry.method}`);
  }
  const plain = entry.method === STORED ? compressed : inflateRaw(compressed, entry.bytes);
  budget.bytes -= plain.length;
  return plain;
}

function textOf(entry: ZipEntry, budget: Budget): string {
  return new TextDecoder().decode(unpack(entry, MAX_TEXT_BYTES, budget));
}

function pomOf(text: string): PackageFact | undefined {
  const field = (name: string): string => new RegExp(`^${name}\\s*=\\s*(\\S+)\\s*$`, 'm').exec(text)?.[1] ?? '';
  const [group, artefact] = [field('groupId'), field('artifactId')];
  return group === '' || artefact === ''
    ? undefined
    : makePackage('maven', { name: `${group}:${artefact}`, version: field('version') });
}

/** Bundles of OSGi are named by their group; else the name of the file is all there is, without a group. */
function ofManifest(manifest: string, path: string): PackageFact | undefined {
  const plain = manifest.replaceAll(/\r?\n /g, '');
  const field = (name: string): string => new RegExp(`^${name}:\\s*([^;\\r\\n]+)`, 'm').exec(plain)?.[1]?.trim() ?? '';
  const [, artefact = '', fileVersion = ''] = /([^/!]+?)-(\d[\w.+-]*?)\.(?:jar|war|ear)$/i.exec(path) ?? [];
  const version = field('Implementation-Version') || field('Bundle-Version') || fileVersion;
  const group = field('Implementation-Vendor-Id') || field('Automatic-Module-Name') || field('Bundle-SymbolicName');
  const name = artefact || field('Implementation-Title');
  return makePackage('maven', {
    name: group === '' || name === '' ? name : `${group}:${name}`,
    version: fileVersion || version,
  });
}
