// The interface of a tunnel: where it is made and where it ends up, how large its packets may be, and the routes into it.
import { RingwallError } from '@ringwall/api/errors';
import { GATEWAY_IPV4 } from '@ringwall/netpolicy';
import { runChecked, type RunResult } from '../../exec/index.ts';
import type { NamespaceRun } from '../namespace.ts';
import type { Endpoint, Tunnel } from './tunnel.ts';

const IP = '/usr/sbin/ip';
/** What WireGuard adds to a packet: the header of IP, 8 bytes of UDP, 32 of its own (message type 4, its tag). */
const OVERHEAD_BYTES = { 4: 60, 6: 80 } as const;
/** The least that IPv6 works with (RFC 8200, 5); an underlay with less takes WireGuard's packets in pieces. */
const MIN_MTU_BYTES = 1_280;
/** Frames of 9,000 bytes, which is what underlays have at most; a loopback says 65,536. */
const MAX_MTU_BYTES = 8_920;
/** Routes to 10,000 machines take some seconds. */
const BATCH_TIMEOUT_MS = 60_000;

export interface SizedTunnel extends Tunnel {
  readonly mtuBytes: number;
}

export interface Places {
  /** The namespace with the way to the other hosts, as a file. */
  readonly underlay: string;
  readonly onUnderlay: NamespaceRun;
  /** The namespace of the network, as a file. */
  readonly network: string;
  readonly inside: NamespaceRun;
}

/** The largest packet that goes to the other host in one piece. */
export async function tunnelMtu({ onUnderlay }: Places, { address }: Endpoint): Promise<number> {
  const [route] = jsonOf(await runChecked(onUnderlay, [IP, '-j', 'route', 'get', address.text]));
  const { dev, metrics } = Object(route);
  if (typeof dev !== 'string') throw new RingwallError('internal', `there is no route to ${address.text}`);
  const [link] = jsonOf(await runChecked(onUnderlay, [IP, '-j', 'link', 'show', 'dev', dev]));
  const [metric] = Array.isArray(metrics) ? metrics : [];
  const sizes = [Object(link).mtu, Object(metric).mtu].map(Number).filter((size) => size > 0);
  const mtuBytes = Math.min(...sizes, MAX_MTU_BYTES + OVERHEAD_BYTES[address.family]) - OVERHEAD_BYTES[address.family];
  return Math.max(mtuBytes, MIN_MTU_BYTES);
}

/** Takes the interfaces up, and has the machines of each host, and nobody else, routed into the tunnel that leads there now. */
export async function routeTunnels(
  { inside }: Places,
  tunnels: readonly SizedTunnel[],
  isUsed: (tunnel: Tunnel) => boolean,
): Promise<void> {
  const used = tunnels.filter((tunnel) => isUsed(tunnel));
  const owners = new Map(
    used.flatMap(({ addresses, interface: device }) => addresses.map(({ text }) => [text, device] as const)),
  );
  const devices = new Set(tunnels.map((tunnel) => tunnel.interface));
  const held = new Map<string, string>();
  for (const family of ['-4', '-6']) {
    for (const route of jsonOf(await runChecked(inside, [IP, '-j', family, 'route', 'show']))) {
      const { dst, dev } = Object(route);
      if (devices.has(String(dev))) held.set(String(dst), String(dev));
    }
  }
  const lines = [
    // The kernel lets nothing in that answers by another way (rp_filter 2) where it comes by an interface without any address.
    ...tunnels.map((tunnel) => `address replace ${GATEWAY_IPV4}/32 dev ${tunnel.interface}`),
    ...tunnels.map((tunnel) => `link set dev ${tunnel.interface} mtu ${tunnel.mtuBytes} up`),
    ...[...held].filter(([text]) => !owners.has(text)).map(([text, device]) => `route delete ${text} dev ${device}`),
    ...[...owners]
      .filter(([text, device]) => held.get(text) !== device)
      .map(([text, device]) => `route replace ${text} dev ${device}`),
  ];
  // Before any is up: while keys change, the one host may answer by the new tunnel what the other asks by the old one. Who speaks through which is for
  // WireGuard and the walls to say.
  const loose = tunnels.map((tunnel) => `echo 2 > /proc/sys/net/ipv4/conf/${tunnel.interface}/rp_filter`);
  await runChecked(inside, ['/bin/sh', '-e', '-c', loose.join('\n')]);
  await runChecked(inside, [IP, '-batch', '-'], { input: `${lines.join('\n')}\n`, timeoutMs: BATCH_TIMEOUT_MS });
}

/** What of the tunnels' interfaces is in the network's namespace. */
export async function listInterfaces({ inside }: Places): Promise<ReadonlySet<string>> {
  const links = jsonOf(await runChecked(inside, [IP, '-j', 'link', 'show']));
  return new Set(links.map((link) => String(Object(link).ifname)));
}

/** From wherever it is. */
export async function removeInterface({ inside, onUnderlay }: Places, name: string): Promise<void> {
  for (const place of [inside, onUnderlay]) {
    if ((await place([IP, 'link', 'show', 'dev', name])).code === 0) {
      await runChecked(place, [IP, 'link', 'delete', 'dev', name]);
    }
  }
}

function jsonOf({ stdout }: RunResult): unknown[] {
  const text = stdout.toString('utf8').trim();
  const value: unknown = text === '' ? [] : JSON.parse(text);
  return Array.isArray(value) ? value : [];
}
