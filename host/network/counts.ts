// What has been counted in a network's namespace: packets and bytes on each cable as the kernel's interfaces count them, what found no
// room in a machine's share, what the rules have counted, and how many connections are known.
import { RingwallError } from '@ringwall/api/errors';
import type { Count, NetworkCounts } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import { listIn } from './cables.ts';
import type { NamespaceRun } from './namespace.ts';
import { readOverShare } from './shares/receive.ts';
import type { Walls } from './walls.ts';

const IP = '/usr/sbin/ip';
const CAT = '/usr/bin/cat';
/** 10,000 cables take a second. */
const TIMEOUT_MS = 60_000;
/** About 700 bytes each. */
const MAX_LISTING_BYTES: number = 16 * 1024 * 1024;
/** nf_conntrack-sysctl: what this namespace knows, and what each may. */
const CONNECTIONS = ['count', 'max'].map((name) => `/proc/sys/net/netfilter/nf_conntrack_${name}`);

/** Of one cable since it was made, as its other end sees it. */
export interface Traffic {
  readonly sent: Count;
  readonly received: Count;
}

export interface CableCount extends Traffic {
  /** Packets to it that found no room in its share. */
  readonly late: number;
}

export interface SiteCounts extends NetworkCounts {
  /** By interface. */
  readonly cables: ReadonlyMap<string, CableCount>;
  /** How often the rules were found changed by somebody else, and put back. */
  readonly putBack: number;
  /** Absent where this kernel does not say. */
  readonly connections?: { readonly known: number; readonly limit: number };
}

export async function readSiteCounts(
  inside: NamespaceRun,
  walls: Pick<Walls, 'counts' | 'timesPutBack'>,
): Promise<SiteCounts> {
  const [counts, cables, late, connections] = await Promise.all([
    walls.counts(),
    readTraffic(inside),
    readOverShare(inside),
    readConnections(inside),
  ]);
  return {
    ...counts,
    putBack: walls.timesPutBack,
    cables: new Map([...cables].map(([device, cable]) => [device, { ...cable, late: late.get(device) ?? 0 }])),
    ...(connections === undefined ? {} : { connections }),
  };
}

/** By interface. */
export async function readTraffic(inside: NamespaceRun): Promise<ReadonlyMap<string, Traffic>> {
  const options = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const { stdout } = await runChecked(inside, [IP, '-s', '-json', 'link', 'show'], options);
  return new Map(
    listIn(stdout.toString()).map(({ ifname, stats64 }) => {
      const { rx, tx } = Object(stats64);
      // What this end receives, the other has sent.
      return [String(ifname), { sent: countOf(rx), received: countOf(tx) }] as const;
    }),
  );
}

async function readConnections(inside: NamespaceRun): Promise<SiteCounts['connections']> {
  const { code, stdout } = await inside([CAT, ...CONNECTIONS]);
  if (code !== 0) return undefined;
  const [known, limit] = stdout.toString().split('\n').map(Number);
  return known === undefined || limit === undefined ? undefined : { known, limit };
}

function countOf(statistics: unknown): Count {
  const { packets, bytes } = Object(statistics);
  if (!Number.isSafeInteger(packets) || !Number.isSafeInteger(bytes)) {
    throw new RingwallError('internal', 'ip lists an interface without statistics');
  }
  return { packets, bytes };
}
