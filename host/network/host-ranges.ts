// Which addresses this host reaches by its own routes: a tenant network that lay in them would be taken for something else. And which
// it has itself, with the links that they are on: no machine reaches those, by whatever way.
import { readFile } from 'node:fs/promises';
import {
  addressOf,
  type AddressRange,
  findProtected,
  parseAddress,
  prefixOf,
  type ProtectedRange,
} from '@ringwall/netpolicy';
import { runChecked, type Run } from '../exec/index.ts';

export interface HostRange {
  readonly range: AddressRange;
  /** The interface that leads there. */
  readonly by: string;
}

const IP = '/usr/sbin/ip';
const IPV4_ROUTES = '/proc/net/route';
const IPV6_ROUTES = '/proc/net/ipv6_route';
/** A host with full tables of the Internet's routes has its own ranges among the first; the rest is no range of its own. */
const MAX_ROUTES = 10_000;

/** Needs no privilege. The default routes, and those within the host, are not among them. */
export async function readHostRanges(): Promise<HostRange[]> {
  const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  return [...parseIpv4Routes(await read(IPV4_ROUTES)), ...parseIpv6Routes(await read(IPV6_ROUTES))];
}

/**
 * This host's own addresses, then its links: there its management is, and there other hosts are. Tunnels and cables of ours have no
 * address on the host's side.
 */
export async function readOwnRanges(run: Run): Promise<ProtectedRange[]> {
  const { stdout } = await runChecked(run, [IP, '-j', 'address', 'show']);
  return parseOwnRanges(JSON.parse(stdout.toString('utf8')));
}

/** Pure: what `ip -j address show` says. */
export function parseOwnRanges(links: unknown): ProtectedRange[] {
  const found = (Array.isArray(links) ? links : []).flatMap((each) => {
    const { ifname, addr_info: addresses } = Object(each);
    return (Array.isArray(addresses) ? addresses : []).flatMap(
      (info): { own: ProtectedRange; link: ProtectedRange }[] => {
        const { local, address: peer = local, prefixlen } = Object(info);
        if (typeof local !== 'string' || typeof peer !== 'string') return [];
        const address = parseAddress(local, String(ifname));
        // Loopbacks, and what every link has.
        if (findProtected(address, []) !== undefined) return [];
        const { family, value } = address;
        const link = prefixOf(parseAddress(peer, String(ifname)), Number(prefixlen));
        const what = `on the link ${String(ifname)} of this host`;
        return [{ own: { family, first: value, last: value, what: 'this host itself' }, link: { ...link, what } }];
      },
    );
  });
  return [...found.map(({ own }) => own), ...found.map(({ link }) => link)];
}

/** proc(5): a line of titles, then interface, destination, gateway, flags, …, mask at place 7; numbers in the host's byte order. */
export function parseIpv4Routes(text: string): HostRange[] {
  return text
    .split('\n')
    .slice(1, MAX_ROUTES)
    .flatMap((line) => {
      const words = line.split(/\s+/);
      const [by = '', destination = ''] = words;
      const mask = words[7] ?? '';
      if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask) || mask === '00000000') return [];
      const first = BigInt(Buffer.from(destination, 'hex').readUInt32LE());
      const last = first | (BigInt(Buffer.from(mask, 'hex').readUInt32LE()) ^ 0xffff_ffffn);
      return [{ range: { family: 4, first, last }, by }];
    });
}

/** proc(5): destination and its length, source and its length, next hop, metric, counts, flags, interface; all hexadecimal. */
export function parseIpv6Routes(text: string): HostRange[] {
  return text
    .split('\n')
    .slice(0, MAX_ROUTES)
    .flatMap((line) => {
      const words = line.trim().split(/\s+/);
      const [destination = '', length = ''] = words;
      const by = words[9] ?? '';
      if (!/^[0-9a-f]{32}$/.test(destination) || !/^[0-9a-f]{2}$/.test(length) || length === '00' || by === 'lo')
        return [];
      const first = BigInt(`0x${destination}`);
      // Link-local and multicast addresses are everywhere, and no network's.
      if (addressOf(6, first).text.startsWith('fe80:') || destination.startsWith('ff')) return [];
      const last = first | ((1n << BigInt(128 - Number.parseInt(length, 16))) - 1n);
      return [{ range: { family: 6, first, last }, by }];
    });
}
