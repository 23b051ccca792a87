// Connections that the kernel follows in a namespace, by conntrack(8): what stands is not asked for again, so whoever takes a rule back
// ends what began by it. What is listed was chosen by machines; each word of it is read as a number or an address, or not at all.
import { parseAddress, type Address, type Flow } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import type { NamespaceRun } from './namespace.ts';

const CONNTRACK = '/usr/sbin/conntrack';
/** conntrack(8): nothing was there to be deleted. */
const NOTHING_DELETED = 1;
/** Some 200 bytes each: as many as a kernel follows that was not told another number (nf_conntrack_max). */
const MAX_LISTING_BYTES: number = 128 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** To be ended one by one: the kernel goes through all that it follows for each. */
const MAX_ENDED = 512;
/** It opens its standard input by name, which cannot be done to a socket. */
const BATCH: readonly string[] = ['/bin/sh', '-c', `cat | ${CONNTRACK} -R -`];
const ICMP = { 4: 1, 6: 58 } as const;
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);

/** How a connection began, without its source port. */
export type Beginning = Omit<Flow, 'atSeconds'>;

/** What is known of connections from and to these addresses, so that they do not go on. */
export async function forgetConnections(inside: NamespaceRun, addresses: readonly Address[]): Promise<void> {
  for (const address of addresses) {
    for (const end of ['--orig-src', '--orig-dst']) {
      const argv = [CONNTRACK, '-D', '-f', address.family === 4 ? 'ipv4' : 'ipv6', end, address.text];
      await runChecked(async (command, options) => {
        const result = await inside(command, options);
        return result.code === NOTHING_DELETED ? { ...result, code: 0 } : result;
      }, argv);
    }
  }
}

/**
 * Ends those that may not begin any more; answers how many ways to begin those had. Where they are too many, all are forgotten: whoever
 * sends next is asked anew.
 */
export async function endConnections(inside: NamespaceRun, mayBegin: (begun: Beginning) => boolean): Promise<number> {
  const options = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const ends: string[] = [];
  for (const family of ['ipv4', 'ipv6']) {
    const { stdout } = await runChecked(inside, [CONNTRACK, '-L', '-f', family], options);
    for (const begun of beginningsIn(stdout.toString('latin1'))) if (!mayBegin(begun)) ends.push(endOf(begun));
  }
  if (ends.length > MAX_ENDED) await runChecked(inside, [CONNTRACK, '-F'], options);
  else if (ends.length > 0) await runChecked(inside, BATCH, { ...options, input: ends.join('') });
  return ends.length;
}

/** Pure: of what `conntrack -L` lists, each beginning once. */
export function beginningsIn(listing: string): readonly Beginning[] {
  const found = new Map<string, Beginning>();
  for (const line of listing.split('\n')) {
    const [, number = '', rest = ''] = /^\S+\s+(\d{1,3}) (.*)$/.exec(line) ?? [];
    const [, from, to, more = ''] = /\bsrc=([\da-f.:]+) dst=([\da-f.:]+)(.*)$/.exec(rest) ?? [];
    if (from === undefined || to === undefined) continue;
    const protocol = Number(number);
    const [, port, type] = /^ (?:sport=\d+ dport=(\d{1,5})|type=(\d{1,3}) code=\d+ )/.exec(more) ?? [];
    const begun = { from: addressOf(from), to: addressOf(to), protocol, number: Number(port ?? type ?? 0) };
    found.set(endOf(begun), begun);
  }
  return [...found.values()];
}

/** A line for `conntrack -R`. */
function endOf({ from, to, protocol, number }: Beginning): string {
  const words = ['-D', '-f', `ipv${from.family}`, '-p', protocol, '--orig-src', from.text, '--orig-dst', to.text];
  if (WITH_PORTS.has(protocol)) words.push('--orig-port-dst', number);
  if (protocol === ICMP[from.family]) words.push(from.family === 4 ? '--icmp-type' : '--icmpv6-type', number);
  return `${words.join(' ')}\n`;
}

function addressOf(text: string): Address {
  return parseAddress(text, 'conntrack');
}
