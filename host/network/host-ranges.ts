// Which addresses this host reaches by its own routes: a tenant network that lay in them would be taken for something else.
import { readFile } from 'node:fs/promises';
import { addressOf, type AddressRange } from '@ringwall/netpolicy';

export interface HostRange {
  readonly range: AddressRange;
  /** The interface that leads there. */
  readonly by: string;
}

const IPV4_ROUTES = '/proc/net/route';
const IPV6_ROUTES = '/proc/net/ipv6_route';
/** A host with full tables of the Internet's routes has its own ranges among the first; the rest is no range of its own. */
const MAX_ROUTES = 10_000;

/** Needs no privilege. The default routes, and those within the host, are not among them. */
export async function readHostRanges(): Promise<HostRange[]> {
  const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  return [...parseIpv4Routes(await read(IPV4_ROUTES)), ...parseIpv6Routes(await read(IPV6_ROUTES))];
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
