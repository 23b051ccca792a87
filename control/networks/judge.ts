// What somebody wants of a network, judged by @ringwall/netpolicy, with what they can do about it where it cannot stand.
import { RingwallError } from '@ringwall/api';
import type { NetworkDefinition } from '@ringwall/api/networks';
import {
  type Labels,
  type Machine,
  type Network,
  NetPolicyError,
  parseMachineLabels,
  parseMachines,
  parsePolicy,
  type Policy,
} from '@ringwall/netpolicy';

/** All networks belong to one tenant until tenants come. */
export const TENANT = 'default';

/** More than this apart, and a name is another name and not a slip; of short ones less. */
const NEAR_EDITS = 2;
const CHARACTERS_FOR_AN_EDIT = 3;
/** Of labels in one hint. */
const LABELS_SHOWN = 12;

export function judgePolicy(policy: unknown): Policy {
  return judged(policy, () => {
    const parsed = parsePolicy(policy);
    if (parsed.tenant === TENANT) return parsed;
    throw new RingwallError(
      'policy-invalid',
      `tenant: the networks here are of the tenant ${TENANT}, not ${parsed.tenant}`,
      {
        hint: `write "tenant": "${TENANT}"`,
      },
    );
  });
}

export function judgeDefinition(definition: NetworkDefinition): Network {
  const policy = { version: 1, tenant: TENANT, networks: [definition] };
  return judged(policy, () => {
    const [network] = parsePolicy(policy).networks;
    if (network === undefined) throw new RangeError('a policy of one network has one');
    return network;
  });
}

export function judgeMachines(machines: readonly object[], network: Network): readonly Machine[] {
  return judged({ networks: [{ labels: declaredOf(network) }] }, () => parseMachines(machines, network));
}

/** The labels of one machine that is or will be in the network. */
export function judgeLabels(labels: unknown, network: Network): Labels {
  return judged({ networks: [{ labels: declaredOf(network) }] }, () => parseMachineLabels(labels, network));
}

/** The one of these that somebody may have meant. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: { word: string; edits: number } | undefined;
  for (const candidate of known) {
    const [one, other] = withoutSameKey(word, candidate);
    const allowed = Math.min(NEAR_EDITS, Math.max(1, Math.floor(one.length / CHARACTERS_FOR_AN_EDIT)));
    const edits = editsBetween(one, other);
    if (edits > 0 && edits <= allowed && edits < (best?.edits ?? Infinity)) best = { word: candidate, edits };
  }
  return best?.word;
}

/** Of two labels with the same key only the values are compared. */
function withoutSameKey(one: string, other: string): [string, string] {
  const key = one.slice(0, one.indexOf('=') + 1);
  return key !== '' && other.startsWith(key) ? [one.slice(key.length), other.slice(key.length)] : [one, other];
}

function judged<T>(policy: unknown, judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    if (!(error instanceof NetPolicyError)) throw error;
    const message = error.message
      .replace(/^networks\[0\]\.(?=\w+\[\d+\]|addresses|name|labels)/, '')
      .replace(/^machines\[0\]\./, '');
    const hint = hintFor(error, policy);
    throw new RingwallError(error.code === 'too-many' ? 'too-large' : 'policy-invalid', message, {
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}

const HINTS: Partial<Record<NetPolicyError['code'], string>> = {
  'name-invalid': 'names are lower-case letters, digits and dashes, so that nothing can read them as syntax',
  'address-invalid': 'a range is 10.20.0.0/16, 10.20.0.4, 10.20.0.4-10.20.0.9 or fd00:20::/64',
  'service-invalid': 'a service is tcp/5432, udp/5000-5010, tcp, ping, icmp/echo-request, gre or any',
  'time-invalid': 'a time is written in UTC, as in 2027-01-31T18:00:00Z',
  'too-many': 'a policy of this size is several networks',
  'too-complex': 'say it with fewer labels, ranges or services',
};

function hintFor(error: NetPolicyError, policy: unknown): string | undefined {
  if (error.code !== 'unknown-label') return HINTS[error.code];
  const [, pair = ''] = /(\S+=\S+) is no label/.exec(error.message) ?? [];
  const known = [...knownPairs(policy)];
  const near = nearest(pair, known);
  if (near !== undefined) return `did you mean ${near}?`;
  const shown = known.slice(0, LABELS_SHOWN).join(', ');
  return known.length === 0
    ? 'this network declares no labels'
    : `its labels are: ${shown}${known.length > LABELS_SHOWN ? ', …' : ''}`;
}

/** `key=value` for each label that a network of the policy declares. */
function* knownPairs(policy: unknown): Iterable<string> {
  const networks: unknown = Object(policy).networks;
  for (const network of Array.isArray(networks) ? networks : []) {
    for (const [key, values] of Object.entries<unknown>(Object(Object(network).labels))) {
      if (Array.isArray(values)) for (const value of values) yield `${key}=${String(value)}`;
    }
  }
}

function declaredOf({ labels }: Network): Record<string, string[]> {
  return Object.fromEntries([...(labels ?? [])].map(([key, values]) => [key, [...values]]));
}

/** Characters more, less, other, or two in the wrong order (optimal string alignment); both are short. */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const other = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(other, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row.at(-1) ?? 0;
}
