// `ringwall advisories`: what is known of vulnerabilities, on this host, in one file. It is filled from feeds that the user names,
// and shipped as a signed file to machines that have no network. Nothing is fetched by itself.
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import {
  AdvisoryDatabase,
  applyFeed,
  exportBundle,
  importBundle,
  readFeed,
  type FeedChange,
  type FeedInfo,
} from '@ringwall/host/advisories';
import { advisoriesPath } from '../image/advisories-file.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatBytes } from '../quantities.ts';
import { renderTable, type Cell, type Column } from '../table.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** Feeds come out daily; what is older than this misses what is exploited now. */
const STALE_AFTER_DAYS = 7;
const DAY_MS = 86_400_000;
const MAX_KEY_BYTES = 16 * 1024;

type Action = (invocation: Invocation, subjects: readonly string[]) => void | Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = { update, info, export: exportTo, import: importFrom };

export async function run(invocation: Invocation): Promise<void> {
  const [name = 'info', ...subjects] = invocation.arguments;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) {
    throw usage(`advisories has no ${JSON.stringify(name)}`, `it has ${Object.keys(ACTIONS).join(', ')}`);
  }
  await action(invocation, subjects);
}

async function update(invocation: Invocation, subjects: readonly string[]): Promise<void> {
  if (subjects.length === 0) {
    throw usage(
      'advisories update needs a feed',
      `as in: ${invocation.self} advisories update debian.json osv-npm.zip`,
    );
  }
  const { out, json, flags } = invocation;
  const path = advisoriesPath(invocation);
  const changes: FeedChange[] = [];
  let serial = 0;
  for (const from of subjects) {
    // Read first: what is no feed makes no file.
    const read = await readFeed(from, invocation.now());
    using database = AdvisoryDatabase.openToWrite(path);
    const change = applyFeed(database, read, flags.has('shrink'));
    ({ serial } = database);
    changes.push(change);
    if (!json) out.line(`${out.tick} ${describeChange(change)}`);
  }
  if (json) printJson(invocation, { serial, feeds: changes });
  else out.line(`number ${serial}, ${formatBytes(statSync(path).size)}`);
}

function describeChange({ name, entries, added, changed, removed, ecosystems }: FeedChange): string {
  const covers = ecosystems.length === 0 ? '' : `, for ${shortList(ecosystems)}`;
  return plainText(`${name}: ${entries} entries (${added} new, ${changed} changed, ${removed} gone)${covers}`);
}

/** Releases of one system: the newest are the last. */
function shortList(names: readonly string[]): string {
  const shown = names.toSorted((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  return shown.length <= 6 ? shown.join(', ') : `${shown.length} ecosystems, ${shown.slice(-5).join(', ')} among them`;
}

function info(invocation: Invocation): void {
  const { out, json } = invocation;
  using database = AdvisoryDatabase.openToRead(advisoriesPath(invocation));
  const feeds = database.feeds();
  const [publisher, published] = [database.meta('publisher'), database.meta('published')];
  const bytes = statSync(database.path).size;
  if (json) {
    const { lineage, serial, path } = database;
    printJson(invocation, { path, bytes, lineage, serial, publisher, published, feeds });
    return;
  }
  const rows = feeds.map((feed) => rowOf(feed, invocation));
  for (const line of renderTable(out, COLUMNS, rows)) out.line(line);
  out.line('');
  out.line(`number ${database.serial}, ${formatBytes(bytes)}, ${plainText(database.path)}`);
  out.line(
    publisher === ''
      ? 'made on this host, by its own feeds'
      : `imported; signed by ${plainText(publisher)} on ${plainText(published.slice(0, 10))}`,
  );
}

const COLUMNS: readonly Column[] = [
  { title: 'FEED' },
  { title: 'DATED' },
  { title: 'ENTRIES', align: 'right' },
  { title: 'FOR', elastic: true },
];

function rowOf({ name, dated, entries, ecosystems }: FeedInfo, { now }: Invocation): readonly Cell[] {
  const days = Math.floor((now() - Date.parse(dated)) / DAY_MS);
  const day = plainText(dated.slice(0, 10));
  const age: Cell = days > STALE_AFTER_DAYS ? { text: `${day}, ${days} days old`, style: 'yellow' } : { text: day };
  return [{ text: plainText(name) }, age, { text: String(entries) }, { text: plainText(shortList(ecosystems)) }];
}

function exportTo(invocation: Invocation): void {
  const { values, out, json } = invocation;
  const [output, key] = [values.get('output'), values.get('key')];
  if (output === undefined || key === undefined) {
    throw usage(
      'advisories export needs a file and a key',
      `as in: ${invocation.self} advisories export -o advisories.rwa --key our.key`,
    );
  }
  using database = AdvisoryDatabase.openToRead(advisoriesPath(invocation));
  const bundle = exportBundle(database, readKey(key), sinceOf(values), invocation.now());
  writeWhole(output, bundle, invocation.environment);
  if (json)
    printJson(invocation, { file: output, bytes: bundle.length, serial: database.serial, since: sinceOf(values) });
  else out.line(`${out.tick} ${plainText(output)}: number ${database.serial}, ${formatBytes(bundle.length)}`);
}

async function importFrom(invocation: Invocation, [file]: readonly string[]): Promise<void> {
  if (file === undefined)
    throw usage(
      'advisories import needs a file',
      `as in: ${invocation.self} advisories import advisories.rwa --key our.pub`,
    );
  if (statSync(file, { throwIfNoEntry: false }) === undefined)
    throw new RingwallError('not-found', `${file} is not there`);
  const key = invocation.values.get('key');
  const header = await importBundle(advisoriesPath(invocation), file, key === undefined ? undefined : readKey(key));
  const { serial, since, date, publisher } = header;
  if (invocation.json) printJson(invocation, { serial, since, date, publisher });
  else
    invocation.out.line(
      `${invocation.out.tick} number ${serial}, of ${plainText(date.slice(0, 10))}, signed by ${plainText(publisher)}`,
    );
}

function sinceOf(values: ReadonlyMap<string, string>): number {
  const text = values.get('since') ?? '0';
  const since = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(since))
    throw usage(`--since ${JSON.stringify(text)}`, 'a number, as `advisories info` shows it');
  return since;
}

function readKey(file: string): string {
  const status = statSync(file, { throwIfNoEntry: false });
  if (status === undefined) throw new RingwallError('not-found', `${file} is not there`);
  if (status.size > MAX_KEY_BYTES) throw new RingwallError('too-large', `${file} is no key`);
  return readFileSync(file, 'utf8');
}

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, { hint });
}
