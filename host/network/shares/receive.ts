// What a machine may receive: a token bucket (tc-tbf(8)) on the host's end of its cable, so that what comes faster waits for some
// milliseconds and is dropped then; where the kernel has fq_codel, senders take turns in it. What a machine sends is metered by the
// rules themselves (lib/netpolicy), before the host has spent anything on it.
import { RingwallError } from '@ringwall/api/errors';
import type { Machine, Share } from '@ringwall/netpolicy';
import { runChecked } from '../../exec/index.ts';
import type { NamespaceRun } from '../namespace.ts';

const TC = '/usr/sbin/tc';
/** What waits longer is of no use to whoever waits for it. */
const LATENCY_MS = 20;
/** tc says bytes a second. */
const BYTES_IN_MEGABIT = 125_000;
/** 10,000 machines take some seconds. */
const BATCH_TIMEOUT_MS = 60_000;
/** Of the statistics of as many interfaces. */
const MAX_STATISTICS_BYTES: number = 16 * 1024 * 1024;

/** The same for all namespaces of this kernel. */
let fairQueues: boolean | undefined;

export interface Sharer {
  readonly machine: Machine;
  readonly share: Share;
}

/** Holds machines whose cables are connected to what they may receive. Doing it again changes nothing. */
export async function limitReceiving(inside: NamespaceRun, sharers: readonly Sharer[]): Promise<void> {
  if (sharers.length === 0) return;
  fairQueues ??= await hasFairQueues(inside);
  const withFairQueues = fairQueues;
  const input = sharers.flatMap((sharer) => receivingCommands(sharer, withFairQueues)).join('');
  await runChecked(inside, [TC, '-batch', '-'], { input, timeoutMs: BATCH_TIMEOUT_MS });
}

/** Lines for `tc -batch`. Pure; the interface was checked by parseMachines(), the numbers by parsePolicy(). */
export function receivingCommands({ machine, share }: Sharer, fair: boolean): string[] {
  const { interface: device } = machine;
  const burst = String(share.burstKiB * 1_024);
  return [
    `qdisc replace dev ${device} root handle 1: tbf rate ${String(share.receiveMbit)}mbit burst ${burst} latency ${String(LATENCY_MS)}ms\n`,
    ...(fair ? [`qdisc replace dev ${device} parent 1: handle 10: fq_codel\n`] : []),
  ];
}

/** Those whose bucket is not as limitReceiving() left it: gone, maybe with the cable, or of another rate. */
export async function notLimited(inside: NamespaceRun, sharers: readonly Sharer[]): Promise<readonly Machine[]> {
  if (sharers.length === 0) return [];
  const rates = new Map(
    (await listBuckets(inside)).map(({ dev, options }) => [String(dev), Number(Object(options).rate)]),
  );
  return sharers.flatMap(({ machine, share }) =>
    rates.get(machine.interface) === share.receiveMbit * BYTES_IN_MEGABIT ? [] : [machine],
  );
}

/** Packets to each interface that found no room in its share. */
export async function readOverShare(inside: NamespaceRun): Promise<ReadonlyMap<string, number>> {
  return new Map((await listBuckets(inside, '-s')).map(({ dev, drops }) => [String(dev), Number(drops)]));
}

/** Of all interfaces, as tc(8) says it. */
async function listBuckets(inside: NamespaceRun, ...options: readonly string[]): Promise<Record<string, unknown>[]> {
  const { stdout } = await runChecked(inside, [TC, ...options, '-j', 'qdisc', 'show'], {
    maxOutputBytes: MAX_STATISTICS_BYTES,
  });
  const listed: unknown = JSON.parse(stdout.toString());
  if (!Array.isArray(listed)) throw new RingwallError('internal', 'tc lists no queues');
  return listed.map((queue) => ({ ...Object(queue) })).filter(({ kind }) => kind === 'tbf');
}

/** Tried on the loopback of the namespace, where nothing is sent. */
async function hasFairQueues(inside: NamespaceRun): Promise<boolean> {
  const { code } = await inside([TC, 'qdisc', 'replace', 'dev', 'lo', 'root', 'fq_codel']);
  if (code !== 0) return false;
  await inside([TC, 'qdisc', 'delete', 'dev', 'lo', 'root']);
  return true;
}
