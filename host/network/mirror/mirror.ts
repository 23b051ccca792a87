// Copies of what is on machines' cables, for a system that looks for intrusions (Suricata, Zeek): the kernel hands each frame to a port
// besides (tc-mirred(8)), which is one end of a pair; the other, `ids0`, lies in a namespace of its own, where whoever looks listens. A
// frame that finds no room there is lost there: nobody waits for it, and the frame itself goes its way. Nothing comes back: the port is
// no machine's, and the walls drop what it says.
import { runChecked, type Run } from '../../exec/index.ts';
import type { Machine } from '@ringwall/netpolicy';
import { listIn } from '../cables.ts';
import { closeNamespace, inNamespace, isNamespace, pinNamespace, type NamespaceRun } from '../namespace.ts';

const IP = '/usr/sbin/ip';
const TC = '/usr/sbin/tc';
const SHELL = '/bin/sh';
/** Our end of the pair; no cable is called so, and no machine is behind it. */
const PORT = 'mirror';
/** What an IDS listens on. */
export const IDS_INTERFACE = 'ids0';
/** All frames, before other filters look at them; by u32, which kernels have that lack matchall. */
const PREFERENCE = 'protocol all pref 1';
const FILTER = `${PREFERENCE} u32 match u32 0 0 action mirred egress mirror dev ${PORT} continue`;
const WAYS = ['ingress', 'egress'] as const;
/** As those of cables. */
const TIMEOUT_MS = 60_000;
const MAX_LISTING_BYTES: number = 64 * 1024 * 1024;

export interface Mirror {
  /** Of the network. */
  readonly inside: NamespaceRun;
  /** The file that pins the port's namespace. */
  readonly file: string;
}

/**
 * Has the cables of these machines mirrored, and no others; with none, nothing of it is left. Answers those that were not as they should
 * be. A cable that is gone is none.
 */
export async function setMirror(run: Run, mirror: Mirror, machines: readonly Machine[]): Promise<readonly Machine[]> {
  const { inside } = mirror;
  const standing = await filtersOf(inside);
  const wanted = machines.filter(({ interface: device }) => standing.has(device));
  const kept = new Set(wanted.map(({ interface: device }) => device));
  const others = [...standing].filter(([device]) => !kept.has(device));
  if (machines.length === 0) {
    await batch(
      inside,
      others.flatMap(([device, filters]) => withoutMirror(device, filters)),
    );
    await closePort(run, mirror);
    return [];
  }
  const fresh = await openPort(run, mirror);
  const missing = wanted.filter(({ interface: device }) => fresh || standing.get(device)?.isWhole !== true);
  await batch(inside, [
    ...others.flatMap(([device, filters]) => withoutMirror(device, filters)),
    ...missing.flatMap(({ interface: device }) => [
      ...withoutMirror(device, standing.get(device) ?? NO_FILTERS),
      ...mirrorCommands(device),
    ]),
  ]);
  return missing;
}

/** What an interface has of filters. */
interface Filters {
  readonly begun: boolean;
  /** Where a mirror's is, wherever that leads. */
  readonly ways: readonly (typeof WAYS)[number][];
  readonly isWhole: boolean;
  /** Those of its gateway (host/network). */
  readonly hasOthers: boolean;
}

const NO_FILTERS: Filters = { begun: false, ways: [], isWhole: false, hasOthers: false };

/** Lines for `tc -batch`; the interface was checked by parseMachines(). */
function mirrorCommands(device: string): string[] {
  return [`qdisc replace dev ${device} clsact\n`, ...WAYS.map((way) => `filter add dev ${device} ${way} ${FILTER}\n`)];
}

function withoutMirror(device: string, { begun, ways, hasOthers }: Filters): string[] {
  if (!begun) return [];
  if (!hasOthers) return [`qdisc delete dev ${device} clsact\n`];
  return ways.map((way) => `filter delete dev ${device} ${way} ${PREFERENCE}\n`);
}

/** By interface. */
async function filtersOf(inside: NamespaceRun): Promise<ReadonlyMap<string, Filters>> {
  const options = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const script = `${IP} -json link show; ${TC} -json qdisc show`;
  const { stdout } = await runChecked(inside, [SHELL, '-c', script], options);
  const [links = '', ...queues] = stdout.toString().split('\n');
  const devices = listIn(links).map(({ ifname }) => String(ifname));
  const begun = new Set(listIn(queues.join('')).flatMap(({ kind, dev }) => (kind === 'clsact' ? [String(dev)] : [])));
  const asked = devices.filter((device) => begun.has(device));
  const lines = asked.flatMap((device) => WAYS.map((way) => `filter show dev ${device} ${way}\n`));
  // One list a line, in the order of the questions.
  const shown = (lines.length === 0 ? '' : await batch(inside, lines, ['-json'])).split('\n');
  return new Map(
    devices.map((device) => {
      const at = asked.indexOf(device) * WAYS.length;
      if (at < 0) return [device, NO_FILTERS];
      const lists = WAYS.map((_, index) => shown[at + index] ?? '');
      return [
        device,
        {
          begun: true,
          ways: WAYS.filter((_, index) => /"pref":1,/.test(lists[index] ?? '')),
          isWhole: lists.every((list) => list.includes(`"to_dev":"${PORT}"`)),
          hasOthers: lists.some((list) => /"pref":(?!1,)/.test(list)),
        },
      ];
    }),
  );
}

/** Whether it had to be made: then what pointed to the one before points nowhere. */
async function openPort(run: Run, { inside, file }: Mirror): Promise<boolean> {
  const outside = await pinNamespace(run, file);
  const has = async (where: NamespaceRun, device: string): Promise<boolean> =>
    (await where([IP, 'link', 'show', 'dev', device, 'up'])).stdout.length > 0;
  if ((await has(inside, PORT)) && (await has(outside, IDS_INTERFACE))) return false;
  await inside([IP, 'link', 'delete', 'dev', PORT]);
  await outside([IP, 'link', 'delete', 'dev', IDS_INTERFACE]);
  // Whoever listens there has no address, and says nothing by itself.
  const quiet = 'for scope in all default; do echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done';
  await runChecked(outside, [SHELL, '-e', '-c', quiet]);
  const pair = ['link', 'add', PORT, 'type', 'veth', 'peer', 'name', IDS_INTERFACE, 'netns', file];
  await runChecked(inside, [IP, ...pair]);
  await runChecked(outside, [IP, 'link', 'set', 'dev', IDS_INTERFACE, 'arp', 'off', 'up']);
  await runChecked(inside, [IP, 'link', 'set', 'dev', PORT, 'arp', 'off', 'up']);
  return true;
}

async function closePort(run: Run, { inside, file }: Mirror): Promise<void> {
  if (!(await isNamespace(file))) return;
  // With one end the other goes, too.
  await inNamespace(run, file)([IP, 'link', 'delete', 'dev', IDS_INTERFACE]);
  await inside([IP, 'link', 'delete', 'dev', PORT]);
  await closeNamespace(run, file);
}

async function batch(inside: NamespaceRun, lines: readonly string[], flags: readonly string[] = []): Promise<string> {
  if (lines.length === 0) return '';
  const options = { input: lines.join(''), timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const { stdout } = await runChecked(inside, [TC, ...flags, '-batch', '-'], options);
  return stdout.toString();
}
