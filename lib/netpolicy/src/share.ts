// What one machine may take of a network that it shares with others: how fast it may send and receive, how many packets and
// connections it may begin in a second, and how many it may have. A policy names shares; whoever has none has the defaults.
import { asText, ClosedObject } from './closed-object.ts';
import { type Labels, MAX_LABELS, parseLabels, parseName } from './names.ts';
import { NetPolicyError } from './netpolicy-error.ts';

export interface Share {
  /** What it sends, dropped beyond that. The kernel counts by the second: an idle machine may send a second's worth at once. */
  readonly sendMbit: number;
  /** What it receives, queued for some milliseconds beyond that, then dropped. */
  readonly receiveMbit: number;
  /** What may come or go at once beyond the rate. */
  readonly burstKiB: number;
  /** Packets that it sends: small ones cost the host as much as large ones. */
  readonly packetsPerSecond: number;
  /** Connections that rules let it open. */
  readonly connectionsPerSecond: number;
  /** Connections that it has opened and that are still known: entries of the kernel's table, which all machines share. */
  readonly connections: number;
}

/**
 * A gigabit each way; small packets for a third of a core of the host; of the kernel's 262,144 connections (nf_conntrack_max of a
 * host with more than 4 GiB) a sixteenth.
 */
export const DEFAULT_SHARE: Share = {
  sendMbit: 1_000,
  receiveMbit: 1_000,
  burstKiB: 1_024,
  packetsPerSecond: 100_000,
  connectionsPerSecond: 500,
  connections: 16_384,
};

/** Smallest: what a system needs to start with. Largest: what the kernel can count (nft_limit works in 64 bits of nanoseconds). */
const RANGES: Readonly<Record<keyof Share, readonly [first: number, last: number]>> = {
  sendMbit: [1, 40_000],
  receiveMbit: [1, 40_000],
  /** The largest frame that a card hands over in one piece has 64 KiB. */
  burstKiB: [64, 65_536],
  packetsPerSecond: [10, 10_000_000],
  connectionsPerSecond: [1, 1_000_000],
  connections: [1, 1_000_000],
};
const KEYS = Object.keys(RANGES).filter((key): key is keyof Share => key in RANGES);

/** Each is sets and a chain of its own in the kernel. */
const MAX_SHARES = 64;

/** A share of a policy, for the machines that it means. */
export interface ShareRule {
  /** Labels that a machine must have; none is every machine. */
  readonly labels: Labels;
  /** The one machine that is meant. */
  readonly machine: string | undefined;
  readonly share: Share;
}

interface Sharer {
  readonly name: string;
  readonly labels: Labels;
}

/** `checkLabels` refuses labels that the network does not declare. */
export function parseShares(
  network: ClosedObject,
  checkLabels: (labels: Labels, at: string) => void,
): readonly ShareRule[] {
  return network.list('shares', MAX_SHARES, (item, at) => parseShareRule(new ClosedObject(item, at), checkLabels));
}

function parseShareRule(object: ClosedObject, checkLabels: (labels: Labels, at: string) => void): ShareRule {
  const labels = object.has('labels') ? parseLabels(object.entries('labels', MAX_LABELS)) : {};
  checkLabels(labels, object.where('labels'));
  const machine = object.has('machine') ? parseName(asText(object.value('machine'), object.at), object.at) : undefined;
  const own = KEYS.filter((key) => object.has(key)).map((key) => [key, parseAmount(object, key)] as const);
  object.end();
  return { labels, machine, share: { ...DEFAULT_SHARE, ...Object.fromEntries(own) } };
}

function parseAmount(object: ClosedObject, key: keyof Share): number {
  const [first, last] = RANGES[key];
  const value = object.value(key);
  if (typeof value !== 'number' || !Number.isInteger(value) || value < first || value > last) {
    throw new NetPolicyError('malformed', object.where(key), `is no whole number from ${first} to ${last}`);
  }
  return value;
}

/** The first share of the policy that means this machine; the default one where none does. */
export function shareOf(shares: readonly ShareRule[], machine: Sharer): Share {
  const found = shares.find(
    (rule) =>
      (rule.machine === undefined || rule.machine === machine.name) &&
      Object.entries(rule.labels).every(([key, value]) => machine.labels[key] === value),
  );
  return found?.share ?? DEFAULT_SHARE;
}

/** Where what machines with that share send is metered. */
export const COMMON_SHARE = 'share';
/** Where connections are metered that a rule allows: what it leads to instead of `accept`. */
export const OPENING = 'opening';

/** The share of machines that no narrower one means. */
export function commonShare(shares: readonly ShareRule[]): Share {
  const all = shares.find(({ labels, machine }) => machine === undefined && Object.keys(labels).length === 0);
  return all?.share ?? DEFAULT_SHARE;
}
