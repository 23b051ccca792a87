// Rules as people type them: `role=web`, `web1`, `10.0.0.0/8`, `internet`, `any`, to what a policy says of them, with a name.
import type { NetworkDefinition } from '@ringwall/api/networks';
import { type AddressRange, NetPolicyError, parseRange, PRIVATE, printRange } from '@ringwall/netpolicy';
import { parseLabels, printLabels } from './labels.ts';

export type RuleEnd = 'any' | { labels: Record<string, string> } | { addresses: string[] } | { machine: string };

/** As @ringwall/netpolicy has names, less what makes one of several unique. */
const NAME_CHARACTERS = 44;
/** Names one machine that is called as something else is. */
const MACHINE_PREFIX = 'machine:';
const LAST_IPV4 = 0xffff_ffffn;
const EVERY_MACHINE = 'all';
const INTERNET = 'internet';

/** `network` says what is not the internet. */
export function parseEnd(text: string, network: NetworkDefinition): RuleEnd {
  if (text === 'any') return 'any';
  if (text === EVERY_MACHINE) return { labels: {} };
  if (text === INTERNET) return { addresses: outsideOf([...rangesOf(network), ...PRIVATE]) };
  if (text.startsWith(MACHINE_PREFIX)) return { machine: text.slice(MACHINE_PREFIX.length) };
  if (text.includes('=')) return { labels: parseLabels(text) };
  if (/[.:/]/.test(text)) return { addresses: text.split(',') };
  return { machine: text };
}

/** A rule's end, as it would be typed. */
export function printEnd(end: unknown): string {
  if (end === 'any') return 'any';
  const { labels, addresses, machine } = Object(end);
  if (typeof machine === 'string') return machine;
  if (Array.isArray(addresses)) return isInternet(addresses) ? INTERNET : addresses.map(String).join(',');
  return printLabels(Object(labels)) || EVERY_MACHINE;
}

/** What people would call it: `web-to-db-tcp-5432`, `no-web-to-db`. The first that is not taken. */
export function nameRule(
  { action, from, to, services }: { action: string; from: RuleEnd; to: RuleEnd; services: readonly string[] },
  taken: ReadonlySet<string>,
): string {
  const words = [...(action === 'deny' ? ['no'] : []), wordOf(from), 'to', wordOf(to)];
  if (!services.includes('any')) words.push(...services);
  const name = words
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, NAME_CHARACTERS)
    .replace(/^-+|-+$/g, '');
  if (!taken.has(name)) return name;
  for (let number = 2; ; number += 1) if (!taken.has(`${name}-${String(number)}`)) return `${name}-${String(number)}`;
}

function wordOf(end: RuleEnd): string {
  if (end === 'any') return 'any';
  if ('machine' in end) return end.machine;
  if ('addresses' in end) return isInternet(end.addresses) ? INTERNET : 'addresses';
  const values = Object.values(end.labels);
  return values.length === 0 ? 'all' : values.join('-');
}

function rangesOf({ addresses }: NetworkDefinition): AddressRange[] {
  return (Array.isArray(addresses) ? addresses : []).map((text) => parseRange(String(text), ''));
}

/** Everything that is in none of these, which may overlap. */
function outsideOf(own: readonly AddressRange[]): string[] {
  return (['0.0.0.0/0', '::/0'] as const).flatMap((text) => {
    const whole = parseRange(text, '');
    const holes = own.filter(({ family }) => family === whole.family).toSorted((a, b) => (a.first < b.first ? -1 : 1));
    const left: AddressRange[] = [];
    let next = whole.first;
    for (const { first, last } of holes) {
      if (first > next) left.push({ family: whole.family, first: next, last: first - 1n });
      if (last >= next) next = last + 1n;
    }
    if (next <= whole.last) left.push({ family: whole.family, first: next, last: whole.last });
    return left.map((range) => printRange(range));
  });
}

/** Whether the ranges reach from the first IPv4 address there is to the last. */
function isInternet(addresses: readonly unknown[]): boolean {
  try {
    const ranges = addresses.map((text) => parseRange(String(text), '')).filter(({ family }) => family === 4);
    return ranges.some(({ first }) => first === 0n) && ranges.some(({ last }) => last === LAST_IPV4);
  } catch (error) {
    if (error instanceof NetPolicyError) return false;
    throw error;
  }
}
