// Packages that rpm has installed, from any of the three databases that it has had: SQLite (4.16 and later), ndb (SUSE),
// Berkeley DB (Enterprise Linux 8 and older).
import { ParseError } from '@ringwall/bytes';
import type { TarEntry } from '../../layers/tar-entry.ts';
import type { FactValue, Inspector } from '../../inspection/inspector.ts';
import { MAX_PACKAGES_OF_A_FILE, unread, type PackageFact, type UnreadFact } from '../package-fact.ts';
import { readBerkeleyBlobs } from './berkeley.ts';
import { parseRpmHeader } from './header.ts';
import { readNdbBlobs } from './ndb.ts';
import { readSqliteTable } from './sqlite.ts';

const FOLDER = '(?:var/lib/rpm|usr/lib/sysimage/rpm|usr/share/rpm)';
const DATABASE = new RegExp(`^${FOLDER}/(?:rpmdb\\.sqlite|Packages\\.db|Packages)$`);
/** What SQLite has not yet written back: packages may be in it that the database does not show. */
const WRITE_AHEAD_LOG = new RegExp(`^${FOLDER}/rpmdb\\.sqlite-wal$`);

export const rpmInspector: Inspector = {
  id: 'rpm/1',
  wants: (entry) => {
    if (entry.type !== 'file' || entry.bytes === 0) return undefined;
    if (WRITE_AHEAD_LOG.test(entry.path)) return 0;
    return DATABASE.test(entry.path) ? entry.bytes : undefined;
  },
  inspect,
};

function inspect(entry: TarEntry, bytes: Uint8Array): readonly FactValue[] {
  if (WRITE_AHEAD_LOG.test(entry.path)) {
    return [unread(`${entry.path} holds changes that were not written into the database`)];
  }
  // Nothing in it stands in the order of its bytes: a part of it says little.
  if (bytes.length < entry.bytes)
    return [unread(`${entry.path} has ${entry.bytes} bytes, and ${bytes.length} were read`)];
  return parseRpmDatabase(entry.path, bytes);
}

/** One package that cannot be read does not hide the others; where the database breaks off, what came before counts. */
export function parseRpmDatabase(path: string, bytes: Uint8Array): readonly (PackageFact | UnreadFact)[] {
  const facts: (PackageFact | UnreadFact)[] = [];
  const reading = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      facts.push(unread(`${path}: ${error.message}`));
    }
  };
  reading(() => {
    for (const blob of blobsOf(path, bytes)) {
      if (facts.length >= MAX_PACKAGES_OF_A_FILE) {
        throw new ParseError('limit', 'packages', 0, `are more than ${MAX_PACKAGES_OF_A_FILE}`);
      }
      reading(() => {
        const found = parseRpmHeader(blob);
        if (found !== undefined) facts.push(found);
      });
    }
  });
  return facts;
}

function* blobsOf(path: string, bytes: Uint8Array): Generator<Uint8Array> {
  if (path.endsWith('/Packages')) yield* readBerkeleyBlobs(bytes);
  else if (path.endsWith('/Packages.db')) yield* readNdbBlobs(bytes);
  else {
    for (const [, blob] of readSqliteTable(bytes, 'Packages')) if (blob instanceof Uint8Array) yield blob;
  }
}
