// The file of advisories of this host: SQLite, of which lib/oci sees only an `AdvisorySource`. Feeds are replaced one at a time
// and as a whole; what did not change keeps its serial number, so that a delta holds only what did.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { RingwallError } from '@ringwall/api/errors';
import { FEED_KINDS, FINDING_SEVERITIES, type Advisory, type FeedKind, type ParsedFeed } from '@ringwall/oci';
import { encodeRanges, statusNumber } from './ranges.ts';
import { APPLICATION_ID, createTables, SCHEMA_VERSION } from './schema.ts';
import { compactTexts, openTextWriter, type TextWriter } from './texts.ts';

/** Of the digest by which an advisory is known to be the same. */
const HASH_BYTES = 12;
/** A feed that has lost more than this is broken, not mended. */
const LEAST_LEFT = 0.5;

export interface FeedInfo {
  readonly name: string;
  readonly kind: FeedKind | 'kev' | 'epss';
  /** Of the file that it came in. */
  readonly dated: string;
  /** When it was read. */
  readonly updated: string;
  readonly ecosystems: readonly string[];
  readonly entries: number;
}

export interface FeedChange {
  readonly name: string;
  readonly ecosystems: readonly string[];
  readonly entries: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

export interface FeedStamp {
  readonly dated: string;
  readonly updated: string;
}

/** What is to be written, of a feed or of a delta. */
export interface FeedHead extends FeedStamp {
  readonly name: string;
  readonly kind: FeedInfo['kind'];
  readonly ecosystems: readonly string[];
}

const KINDS: readonly FeedInfo['kind'][] = [...FEED_KINDS, 'kev', 'epss'];

export class AdvisoryDatabase implements Disposable {
  readonly path: string;
  readonly sqlite: DatabaseSync;

  private constructor(path: string, sqlite: DatabaseSync) {
    this.path = path;
    this.sqlite = sqlite;
  }

  /** Throws RingwallError `not-found` where there is none, `bad-request` where it is another kind of file. */
  static openToRead(path: string): AdvisoryDatabase {
    if (!existsSync(path)) {
      throw new RingwallError('not-found', `there are no advisories at ${path}`, {
        hint: 'ringwall advisories update FILE, or ringwall advisories import FILE',
      });
    }
    return AdvisoryDatabase.#checked(path, new DatabaseSync(path, { readOnly: true }));
  }

  static openToWrite(path: string): AdvisoryDatabase {
    mkdirSync(dirname(path), { recursive: true });
    const isNew = !existsSync(path);
    const sqlite = new DatabaseSync(path);
    if (isNew) {
      createTables(sqlite);
      sqlite.prepare(`INSERT INTO meta VALUES ('lineage', ?), ('serial', '0')`).run(randomUUID());
    }
    // Not WAL: the file is copied and read as one.
    sqlite.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536');
    return AdvisoryDatabase.#checked(path, sqlite);
  }

  static #checked(path: string, sqlite: DatabaseSync): AdvisoryDatabase {
    const read = (pragma: string): unknown => Object.values(sqlite.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
    try {
      if (read('application_id') === APPLICATION_ID && read('user_version') === SCHEMA_VERSION) {
        return new AdvisoryDatabase(path, sqlite);
      }
    } catch (cause) {
      sqlite.close();
      throw new RingwallError('bad-request', `${path} is no file of advisories`, { cause });
    }
    sqlite.close();
    throw new RingwallError('bad-request', `${path} is no file of advisories that this version reads`, {
      hint: 'remove it, and bring the feeds again',
    });
  }

  [Symbol.dispose](): void {
    this.sqlite.close();
  }

  get lineage(): string {
    return this.meta('lineage');
  }

  get serial(): number {
    return Number(this.meta('serial'));
  }

  /** '' where it has none. */
  meta(name: string): string {
    return String(this.sqlite.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.['value'] ?? '');
  }

  setMeta(name: string, value: string): void {
    this.sqlite
      .prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value')
      .run(name, value);
  }

  feeds(): readonly FeedInfo[] {
    const count = this.sqlite.prepare('SELECT count(*) AS count FROM advisories WHERE feed = ?');
    return this.sqlite
      .prepare('SELECT * FROM feeds ORDER BY name')
      .all()
      .map((row) => ({
        name: String(row['name']),
        kind: KINDS[Number(row['kind'])] ?? 'osv',
        dated: String(row['dated']),
        updated: String(row['updated']),
        ecosystems: linesOf(row['ecosystems']),
        entries: Number(count.get(Number(row['id']))?.['count']) || this.#prioritiesOf(String(row['name'])),
      }));
  }

  /** All or nothing. `mayShrink`: also where most of what was known of the feed is not in it any more. */
  replaceFeed(feed: ParsedFeed, stamp: FeedStamp, mayShrink = false): FeedChange {
    return this.transaction(() => {
      const serial = this.#nextSerial();
      const id = this.writeFeedHead({ ...feed, ...stamp }, serial);
      const known = this.#knownAdvisories(id);
      if (!mayShrink && feed.advisories.length < known.size * LEAST_LEFT)
        throw shrunk(feed.name, feed.advisories.length, known.size);
      const writer = this.openWriter();
      let [added, changed] = [0, 0];
      for (const advisory of feed.advisories) {
        const before = known.get(advisory.id);
        known.delete(advisory.id);
        const hash = hashOf(advisory);
        if (before?.hash.equals(hash) === true) continue;
        writer.write(id, feed.name, advisory, serial);
        if (before === undefined) added += 1;
        else changed += 1;
      }
      for (const name of known.keys()) writer.remove(id, feed.name, name, serial);
      writer.finish();
      compactTexts(this.sqlite);
      const { name, ecosystems, advisories } = feed;
      return { name, ecosystems, entries: advisories.length, added, changed, removed: known.size };
    });
  }

  /** The probability of exploitation, or the day from which on it was seen, of each CVE. */
  replacePriorities(kind: 'kev' | 'epss', values: ReadonlyMap<string, string | number>, stamp: FeedStamp): FeedChange {
    const column = kind === 'kev' ? 'exploited' : 'epss';
    const none = kind === 'kev' ? '' : null;
    return this.transaction(() => {
      const serial = this.#nextSerial();
      this.writeFeedHead({ name: kind, kind, ecosystems: [], ...stamp }, serial);
      const rows = this.sqlite
        .prepare(`SELECT vulnerability, ${column} AS value FROM priorities WHERE ${column} IS NOT ?`)
        .all(none);
      const known = new Map(rows.map((row) => [Number(row['vulnerability']), row['value'] ?? null]));
      const write = this.sqlite.prepare(
        `INSERT INTO priorities (vulnerability, ${column}, serial) VALUES (?, ?, ?)
         ON CONFLICT (vulnerability) DO UPDATE SET ${column} = excluded.${column}, serial = excluded.serial`,
      );
      let [added, changed] = [0, 0];
      for (const [cve, value] of values) {
        const vulnerability = cveNumber(cve);
        if (vulnerability === undefined) continue;
        const before = known.get(vulnerability);
        known.delete(vulnerability);
        const stored = typeof value === 'number' ? Math.round(value * EPSS_SCALE) : value;
        if (before === stored) continue;
        write.run(vulnerability, stored, serial);
        if (before === undefined) added += 1;
        else changed += 1;
      }
      for (const vulnerability of known.keys()) write.run(vulnerability, none, serial);
      return { name: kind, ecosystems: [], entries: values.size, added, changed, removed: known.size };
    });
  }

  transaction<Result>(work: () => Result): Result {
    this.sqlite.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.sqlite.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.sqlite.isTransaction) this.sqlite.exec('ROLLBACK');
      throw error;
    }
  }

  /** Its number. */
  writeFeedHead({ name, kind, dated, updated, ecosystems }: FeedHead, serial: number): number {
    const row = this.sqlite
      .prepare(
        `INSERT INTO feeds (name, kind, dated, updated, ecosystems, serial) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET
           kind = excluded.kind, dated = excluded.dated, updated = excluded.updated, ecosystems = excluded.ecosystems, serial = excluded.serial
         RETURNING id`,
      )
      .get(name, KINDS.indexOf(kind), dated, updated, ecosystems.join('\n'), serial);
    return Number(row?.['id']);
  }

  openWriter(): AdvisoryWriter {
    return new AdvisoryWriter(this.sqlite);
  }

  /** Whoever changes an imported file by their own feeds is not on its publisher's line any more. */
  #nextSerial(): number {
    if (this.meta('publisher') !== '') {
      this.setMeta('lineage', randomUUID());
      this.setMeta('publisher', '');
      this.setMeta('published', '');
    }
    const serial = this.serial + 1;
    this.setMeta('serial', String(serial));
    return serial;
  }

  #knownAdvisories(feed: number): Map<string, { readonly hash: Buffer }> {
    const rows = this.sqlite.prepare('SELECT name, hash FROM advisories WHERE feed = ?').all(feed);
    return new Map(rows.map((row) => [String(row['name']), { hash: bufferOf(row['hash']) }]));
  }

  #prioritiesOf(feed: string): number {
    if (feed !== 'kev' && feed !== 'epss') return 0;
    const where = feed === 'kev' ? `exploited <> ''` : 'epss IS NOT NULL';
    return Number(this.sqlite.prepare(`SELECT count(*) AS count FROM priorities WHERE ${where}`).get()?.['count']);
  }
}

/** Kept as whole numbers: EPSS has five digits. */
export const EPSS_SCALE = 100_000;

/** Undefined for what is no CVE. */
export function cveNumber(name: string): number | undefined {
  const [, year, number] = /^CVE-(\d{4})-(\d{4,9})$/.exec(name) ?? [];
  return year === undefined ? undefined : Number(year) * 1e9 + Number(number);
}

export function cveOfNumber(vulnerability: number): string {
  return `CVE-${Math.floor(vulnerability / 1e9)}-${String(vulnerability % 1e9).padStart(4, '0')}`;
}

function linesOf(value: SQLOutputValue | undefined): readonly string[] {
  return typeof value === 'string' && value !== '' ? value.split('\n') : [];
}

/** Writes advisories within a transaction of its caller. */
export class AdvisoryWriter {
  readonly #texts: TextWriter;
  readonly #ecosystems: Map<string, number>;
  readonly #packages = new Map<string, number>();
  readonly #insertEcosystem: StatementSync;
  readonly #insertPackage: StatementSync;
  readonly #selectPackage: StatementSync;
  readonly #insertAdvisory: StatementSync;
  readonly #clearAffected: StatementSync;
  readonly #insertAffected: StatementSync;
  readonly #deleteAdvisory: StatementSync;
  readonly #markDeleted: StatementSync;
  readonly #unmarkDeleted: StatementSync;

  constructor(sqlite: DatabaseSync) {
    this.#texts = openTextWriter(sqlite);
    const rows = sqlite.prepare('SELECT id, name FROM ecosystems').all();
    this.#ecosystems = new Map(rows.map((row) => [String(row['name']), Number(row['id'])]));
    this.#insertEcosystem = sqlite.prepare('INSERT INTO ecosystems (name) VALUES (?)');
    this.#insertPackage = sqlite.prepare('INSERT INTO packages (ecosystem, name) VALUES (?, ?)');
    this.#selectPackage = sqlite.prepare('SELECT id FROM packages WHERE ecosystem = ? AND name = ?');
    this.#insertAdvisory = sqlite.prepare(
      `INSERT INTO advisories (feed, name, vulnerabilities, severity, text, hash, serial) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (feed, name) DO UPDATE SET vulnerabilities = excluded.vulnerabilities, severity = excluded.severity,
         text = excluded.text, hash = excluded.hash, serial = excluded.serial
       RETURNING id`,
    );
    this.#clearAffected = sqlite.prepare('DELETE FROM affected WHERE advisory = ?');
    this.#insertAffected = sqlite.prepare('INSERT INTO affected VALUES (?, ?, ?, ?, ?, ?)');
    this.#deleteAdvisory = sqlite.prepare('DELETE FROM advisories WHERE feed = ? AND name = ? RETURNING id');
    this.#markDeleted = sqlite.prepare('INSERT OR REPLACE INTO deleted VALUES (?, ?, ?)');
    this.#unmarkDeleted = sqlite.prepare('DELETE FROM deleted WHERE feed = ? AND name = ?');
  }

  write(feed: number, feedName: string, advisory: Advisory, serial: number): void {
    const { id: name, vulnerabilities, severity, summary, affected } = advisory;
    const same = vulnerabilities.length === 1 && vulnerabilities[0] === name;
    const row = this.#insertAdvisory.get(
      feed,
      name,
      same ? '' : vulnerabilities.join(' '),
      severity === undefined ? null : FINDING_SEVERITIES.indexOf(severity),
      this.#texts.add(summary),
      hashOf(advisory),
      serial,
    );
    const id = Number(row?.['id']);
    this.#clearAffected.run(id);
    for (const [number, each] of affected.entries()) {
      const { ecosystem, name: packageName, status, module } = each;
      const found = this.#packageNumber(ecosystem, packageName);
      this.#insertAffected.run(found, id, number, statusNumber(status), encodeRanges(each), module);
    }
    this.#unmarkDeleted.run(feedName, name);
  }

  remove(feed: number, feedName: string, name: string, serial: number): void {
    const row = this.#deleteAdvisory.get(feed, name);
    if (row !== undefined) this.#clearAffected.run(Number(row['id']));
    this.#markDeleted.run(feedName, name, serial);
  }

  finish(): void {
    this.#texts.finish();
  }

  #packageNumber(ecosystem: string, name: string): number {
    const key = `${ecosystem}\n${name}`;
    const known = this.#packages.get(key);
    if (known !== undefined) return known;
    const within = this.#ecosystems.get(ecosystem) ?? Number(this.#insertEcosystem.run(ecosystem).lastInsertRowid);
    this.#ecosystems.set(ecosystem, within);
    const row = this.#selectPackage.get(within, name);
    const number =
      row === undefined ? Number(this.#insertPackage.run(within, name).lastInsertRowid) : Number(row['id']);
    this.#packages.set(key, number);
    return number;
  }
}

function hashOf({ vulnerabilities, summary, severity, affected }: Advisory): Buffer {
  const text = JSON.stringify([vulnerabilities, summary, severity ?? '', affected]);
  return createHash('sha256').update(text).digest().subarray(0, HASH_BYTES);
}

function bufferOf(value: SQLOutputValue | undefined): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0);
}

function shrunk(feed: string, now: number, before: number): RingwallError {
  return new RingwallError(
    'conflict',
    `feed ${feed} has ${now} advisories, where ${before} were known: it looks broken off`,
    {
      hint: 'fetch it again; --shrink takes it as it is',
    },
  );
}
