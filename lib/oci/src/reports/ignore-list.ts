// Findings that somebody answers for: each with a reason, and a day on which it is asked about again.
import { isObject, listOf, malformed, parseJsonObject, textOf, type JsonObject } from '../manifests/json.ts';
import type { Finding } from '../inspection/finding.ts';

const WHAT = 'ignore list';
const KEYS: readonly string[] = ['rule', 'path', 'subject', 'reason', 'until'];
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Empty is any: `rule` alone ignores all of its findings. */
export interface IgnoreEntry {
  readonly rule: string;
  readonly path: string;
  readonly subject: string;
  readonly reason: string;
  /** The last day, as in 2026-12-31, in UTC. */
  readonly until: string;
}

export interface IgnoredFinding<Found extends Finding> {
  readonly finding: Found;
  readonly entry: IgnoreEntry;
}

export interface IgnoreOutcome<Found extends Finding> {
  readonly left: readonly Found[];
  readonly ignored: readonly IgnoredFinding<Found>[];
  readonly expired: readonly IgnoreEntry[];
  /** In force, and of no finding. */
  readonly unused: readonly IgnoreEntry[];
}

/** `{"ignore": [{"rule", "path", "subject", "reason", "until"}]}`. Throws OciError: a slip of the pen must not hide anything. */
export function parseIgnoreList(bytes: Uint8Array): readonly IgnoreEntry[] {
  const document = parseJsonObject(bytes, WHAT);
  refuseOthers(document, ['ignore']);
  return listOf(document, 'ignore', WHAT).map((value) => {
    if (!isObject(value)) throw malformed(WHAT, 'has an entry that is no object');
    refuseOthers(value, KEYS);
    const [rule, path, subject, reason, until] = KEYS.map((key) => textOf(value, key, WHAT));
    if (rule === undefined || rule === '') throw malformed(WHAT, 'has an entry without a rule');
    if (reason === undefined || reason.trim() === '') throw malformed(WHAT, `gives no reason for ${rule}`);
    if (until === undefined || !DAY.test(until) || Number.isNaN(Date.parse(until)))
      throw malformed(WHAT, `says of ${rule} no day until when, as in 2026-12-31`);
    return { rule, path: (path ?? '').replace(/^\//, ''), subject: subject ?? '', reason, until };
  });
}

export function applyIgnoreList<Found extends Finding>(
  findings: readonly Found[],
  entries: readonly IgnoreEntry[],
  now: Date,
): IgnoreOutcome<Found> {
  const today = now.toISOString().slice(0, 10);
  const [inForce, expired] = [
    entries.filter(({ until }) => until >= today),
    entries.filter(({ until }) => until < today),
  ];
  const used = new Set<IgnoreEntry>();
  const left: Found[] = [];
  const ignored: IgnoredFinding<Found>[] = [];
  for (const finding of findings) {
    const entry = inForce.find((each) => isMeant(finding, each));
    if (entry === undefined) left.push(finding);
    else {
      used.add(entry);
      ignored.push({ finding, entry });
    }
  }
  return { left, ignored, expired, unused: inForce.filter((entry) => !used.has(entry)) };
}

function isMeant(finding: Finding, { rule, path, subject }: IgnoreEntry): boolean {
  return (
    finding.rule === rule && (path === '' || finding.path === path) && (subject === '' || finding.subject === subject)
  );
}

function refuseOthers(object: JsonObject, known: readonly string[]): void {
  const odd = Object.keys(object).find((key) => !known.includes(key));
  if (odd !== undefined) throw malformed(WHAT, `has “${odd.slice(0, 50)}”, which means nothing`);
}
