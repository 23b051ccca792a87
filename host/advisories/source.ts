// The file of advisories as what lib/oci asks of: each question is one prepared statement.
import { FEED_KINDS, FINDING_SEVERITIES, isCovered, type AdvisorySource, type PackageAdvisory } from '@ringwall/oci';
import { type AdvisoryDatabase, cveNumber, EPSS_SCALE } from './database.ts';
import { decodeRanges, statusOfNumber } from './ranges.ts';
import { openTextReader } from './texts.ts';

/** Valid until the database is closed. */
export function sourceOf(database: AdvisoryDatabase): AdvisorySource {
  const { sqlite } = database;
  const covered = new Set(database.feeds().flatMap(({ ecosystems }) => ecosystems));
  const readText = openTextReader(sqlite);
  const select = sqlite.prepare(
    `SELECT feeds.kind, advisories.name, advisories.vulnerabilities, advisories.severity, advisories.text,
       affected.status, affected.ranges, affected.module
     FROM ecosystems
       JOIN packages ON packages.ecosystem = ecosystems.id
       JOIN affected ON affected.package = packages.id
       JOIN advisories ON advisories.id = affected.advisory
       JOIN feeds ON feeds.id = advisories.feed
     WHERE ecosystems.name = ? AND packages.name = ?`,
  );
  const selectPriority = sqlite.prepare('SELECT epss, exploited FROM priorities WHERE vulnerability = ?');
  return {
    covers: (ecosystem) => isCovered(ecosystem, covered),
    lookup: (ecosystem, name) =>
      select.all(ecosystem, name).map((row): PackageAdvisory => {
        const id = String(row['name']);
        const others = String(row['vulnerabilities']);
        const severity = row['severity'];
        return {
          feed: FEED_KINDS[Number(row['kind'])] ?? 'osv',
          id,
          vulnerabilities: others === '' ? [id] : others.split(' '),
          severity: severity === null ? undefined : FINDING_SEVERITIES[Number(severity)],
          status: statusOfNumber(Number(row['status'])),
          ...decodeRanges(String(row['ranges'])),
          module: String(row['module']),
          summary: () => readText(Number(row['text'])),
        };
      }),
    priority: (vulnerability) => {
      const row = selectPriority.get(cveNumber(vulnerability) ?? 0);
      const epss = row?.['epss'];
      return {
        epss: typeof epss === 'number' ? epss / EPSS_SCALE : undefined,
        exploitedSince: String(row?.['exploited'] ?? ''),
      };
    },
  };
}
