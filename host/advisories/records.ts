// The records of an export: what changed after a serial number, in an order in which it can be applied line by line. Whoever
// signed them is trusted, and their mistakes are not: each field is checked all the same.
import { RingwallError } from '@ringwall/api/errors';
import { ADVISORY_STATUSES, FEED_KINDS, FINDING_SEVERITIES, type AffectedPackage } from '@ringwall/oci';
import { cveNumber, cveOfNumber, type AdvisoryDatabase, type AdvisoryWriter, type FeedInfo } from './database.ts';
import { decodeRanges, isRange, statusOfNumber } from './ranges.ts';
import { openTextReader } from './texts.ts';

export function* recordsSince(database: AdvisoryDatabase, since: number): Generator<readonly unknown[]> {
  const { sqlite } = database;
  const readText = openTextReader(sqlite);
  const affected = sqlite.prepare(
    `SELECT ecosystems.name AS ecosystem, packages.name, affected.status, affected.ranges, affected.module
     FROM affected JOIN packages ON packages.id = affected.package JOIN ecosystems ON ecosystems.id = packages.ecosystem
     WHERE affected.advisory = ? ORDER BY affected.number`,
  );
  for (const { name, kind, dated, updated, ecosystems } of database.feeds()) {
    yield ['feed', name, kind, dated, updated, ecosystems];
  }
  const deleted = sqlite.prepare('SELECT feed, name FROM deleted WHERE serial > ? ORDER BY feed, name');
  if (since > 0) for (const row of deleted.iterate(since)) yield ['deleted', row['feed'], row['name']];
  const advisories = sqlite.prepare(
    `SELECT advisories.*, feeds.name AS feedName FROM advisories JOIN feeds ON feeds.id = advisories.feed
     WHERE advisories.serial > ? ORDER BY advisories.id`,
  );
  for (const row of advisories.iterate(since)) {
    const parts = affected.all(Number(row['id'])).map((each) => {
      const { ranges, versions } = decodeRanges(String(each['ranges']));
      return [
        each['ecosystem'],
        each['name'],
        statusOfNumber(Number(each['status'])),
        ranges,
        versions,
        each['module'],
      ];
    });
    const severity = row['severity'] === null ? '' : FINDING_SEVERITIES[Number(row['severity'])];
    const others = String(row['vulnerabilities']);
    yield [
      'advisory',
      row['feedName'],
      row['name'],
      others === '' ? [row['name']] : others.split(' '),
      severity,
      readText(Number(row['text'])),
      parts,
    ];
  }
  const priorities = sqlite.prepare('SELECT * FROM priorities WHERE serial > ? ORDER BY vulnerability');
  for (const row of priorities.iterate(since)) {
    yield ['priority', cveOfNumber(Number(row['vulnerability'])), row['epss'], row['exploited']];
  }
}

/** Within a transaction of its caller. Throws RingwallError `bad-request`. */
export function applyRecord(database: AdvisoryDatabase, writer: AdvisoryWriter, record: unknown, serial: number): void {
  const fields: readonly unknown[] = Array.isArray(record) ? record : [];
  const [what, one, two, three, four, five, six] = fields;
  switch (what) {
    case 'feed': {
      const kind = KINDS.find((each) => each === two);
      if (kind === undefined) throw malformed('feed', two);
      database.writeFeedHead(
        {
          name: text(one),
          kind,
          dated: text(three),
          updated: text(four),
          ecosystems: list(five).map((each) => text(each)),
        },
        serial,
      );
      break;
    }
    case 'deleted':
      writer.remove(feedNumber(database, text(one)), text(one), text(two), serial);
      break;
    case 'advisory':
      writer.write(
        feedNumber(database, text(one)),
        text(one),
        {
          id: text(two),
          vulnerabilities: list(three).map((each) => text(each)),
          severity: FINDING_SEVERITIES.find((each) => each === four),
          summary: text(five),
          affected: list(six).map((each) => affectedOf(list(each))),
        },
        serial,
      );
      break;
    case 'priority':
      database.sqlite
        .prepare('INSERT OR REPLACE INTO priorities (vulnerability, epss, exploited, serial) VALUES (?, ?, ?, ?)')
        .run(cveNumber(text(one)) ?? 0, typeof two === 'number' ? Math.round(two) : null, text(three), serial);
      break;
    default:
      throw malformed('record', what);
  }
}

const KINDS: readonly FeedInfo['kind'][] = [...FEED_KINDS, 'kev', 'epss'];

function affectedOf([ecosystem, name, status, ranges, versions, module]: readonly unknown[]): AffectedPackage {
  const known = ADVISORY_STATUSES.find((each) => each === status);
  if (known === undefined) throw malformed('status', status);
  return {
    ecosystem: text(ecosystem),
    name: text(name),
    status: known,
    ranges: list(ranges).map((each) => {
      if (!isRange(each)) throw malformed('range', each);
      return each;
    }),
    versions: list(versions).map((each) => text(each)),
    module: text(module),
  };
}

function feedNumber(database: AdvisoryDatabase, name: string): number {
  const row = database.sqlite.prepare('SELECT id FROM feeds WHERE name = ?').get(name);
  if (row === undefined) throw malformed('feed', name);
  return Number(row['id']);
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw malformed('text', value);
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed('list', value);
  return value;
}

function malformed(what: string, value: unknown): RingwallError {
  return new RingwallError(
    'bad-request',
    `the export has ${JSON.stringify(value)?.slice(0, 100)} where a ${what} should be`,
  );
}
