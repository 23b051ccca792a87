// Java archives (jar, war, ear), and those within them: `pom.properties` of Maven says group, artefact and version; where an archive
// has none, its manifest or its own name does. JAR file specification of Java SE 21, Maven Archiver reference.
import { ParseError } from '@ringwall/bytes';
import { inflateRaw } from '../../archives/inflate.ts';
import { DEFLATED, readZip, STORED, type ZipEntry } from '../../archives/zip.ts';
import { MAX_INSPECTED_BYTES } from '../../inspection/inspect-layer.ts';
import { LARGE_FILE_BYTES } from '../../inspection/inspection-budget.ts';
import type { FactValue, Inspector, InspectorRoom } from '../../inspection/inspector.ts';
import { MAX_PACKAGES_OF_A_FILE, makePackage, unread, type PackageFact, type UnreadFact } from '../package-fact.ts';

const ARCHIVE = /\.(?:jar|war|ear)$/i;
/** Spring Boot has jars in a jar, an ear has wars with jars: three. */
const MAX_NESTING = 4;
/** Of archives that are unpacked out of each other, at once: as much as is read of a file of the layer. */
const MAX_HELD_BYTES: number = MAX_INSPECTED_BYTES;
const MAX_TEXT_BYTES: number = 256 * 1024;
const MAX_ENTRIES = 500_000;

export const javaInspector: Inspector = {
  id: 'java/1',
  wants: ({ type, path, bytes }) => (type === 'file' && ARCHIVE.test(path) && bytes > 0 ? bytes : undefined),
  inspect: (entry, bytes, room): readonly FactValue[] =>
    bytes.length < entry.bytes
      ? [unread(`${entry.path} has ${entry.bytes} bytes, and ${bytes.length} were read`)]
      : readJavaArchive(entry.path, bytes, room),
};

/** What cannot be read of it is said, and the rest is read. Throws OciError `limit` where the image has no more room. */
export function readJavaArchive(
  path: string,
  bytes: Uint8Array,
  room: InspectorRoom,
): readonly (PackageFact | UnreadFact)[] {
  const facts = [
    ...archiveFacts(path, bytes, 0, { held: 0, entries: MAX_ENTRIES, room }).take(MAX_PACKAGES_OF_A_FILE + 1),
  ];
  if (facts.length > MAX_PACKAGES_OF_A_FILE)
    facts.splice(-1, 1, unread(`${path} has more than ${MAX_PACKAGES_OF_A_FILE} archives`));
  return facts;
}

interface Budget {
  /** Bytes of the archives around the one that is read. */
  held: number;
  entries: number;
  readonly room: InspectorRoom;
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
        yield* nestedFacts(`${path}!${entry.name}`, entry, depth + 1, budget);
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

function* nestedFacts(
  path: string,
  entry: ZipEntry,
  depth: number,
  budget: Budget,
): Generator<PackageFact | UnreadFact> {
  // What is only stored lies in the archive around it.
  if (entry.method === STORED && !entry.isEncrypted) {
    yield* archiveFacts(path, entry.compressed(), depth, budget);
    return;
  }
  let plain: Uint8Array<ArrayBuffer>;
  try {
    plain = unpack(entry, MAX_HELD_BYTES - budget.held, budget);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    yield unread(`${path}: ${error.message}`);
    return;
  }
  budget.held += plain.length;
  yield* archiveFacts(path, plain, depth, budget);
  budget.held -= plain.length;
  // Given back at once, not when garbage is next collected.
  plain.buffer.transfer(0);
}

function unpack(entry: ZipEntry, most: number, { held, room }: Budget): Uint8Array<ArrayBuffer> {
  if (entry.isEncrypted) throw new ParseError('unsupported', entry.name, 0, 'is encrypted');
  if (entry.bytes > most) throw new ParseError('limit', entry.name, 0, `has ${entry.bytes} bytes, at most ${most}`);
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    throw new ParseError('unsupported', entry.name, 0, `is compressed by method ${entry.method}`);
  }
  if (held + entry.bytes > LARGE_FILE_BYTES) room.holdLarge();
  room.unpack(entry.bytes);
  return entry.method === STORED ? new Uint8Array(entry.compressed()) : inflateRaw(entry.compressed(), entry.bytes);
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
