// What an Open vSwitch knows of connections, ended one by one: version 3.1 can be told to end all of an address at once, and dies of it
// where a ping of IPv6 is among them. Requests go straight to its control socket (JSON-RPC 1.0, RFC 7047, 4), for one program each would take
// a machine with many connections off its network in seconds.
import { connect } from 'node:net';
import { RingwallError } from '@ringwall/api/errors';
import { parseAddress } from '@ringwall/netpolicy';
import type { Beginning } from '../connections.ts';

const TIMEOUT_MS = 30_000;
/** Of what it answers, the end is looked at: it answers in order. */
const TAIL_CHARACTERS = 256;
/** Of protocols that ovs-dpctl(8) calls by a name. */
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, igmp: 2, tcp: 6, udp: 17, dccp: 33, sctp: 132 };
/** It aborts where it is told to end one (3.1: it looks for the answer of its type among those of IPv4): their zone ends as a whole. */
const PING6 = 'icmpv6';
const ICMPV6 = 58;
const CONNECTION = /^(\w+),orig=\(src=([0-9a-f.:]+),dst=([0-9a-f.:]+),([^)]*)\)/;

export interface SwitchConnection {
  readonly begun: Beginning;
  /** As `dpctl/flush-conntrack` takes it; undefined of one that cannot be ended by itself. */
  readonly tuple: string | undefined;
}

/** Pure: the connections in what `dpctl/dump-conntrack` says. Lines of another kind are passed over. */
export function connectionsIn(listing: string): SwitchConnection[] {
  return listing.split('\n').flatMap((line) => {
    const [, name = '', source = '', target = '', rest = ''] = CONNECTION.exec(line) ?? [];
    const protocol = name === PING6 ? ICMPV6 : (PROTOCOLS[name] ?? Number(name));
    if (name === '' || !Number.isInteger(protocol)) return [];
    const parts = new Map(
      rest.split(',').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]),
    );
    const number = (key: string): number => Number(parts.get(key) ?? 0);
    const isPing = parts.has('id');
    const [from, to] = [parseAddress(source, 'dump-conntrack'), parseAddress(target, 'dump-conntrack')];
    const begun = { from, to, protocol, number: number(isPing ? 'type' : 'dport') };
    const field = from.family === 6 ? 'ct_ipv6' : 'ct_nw';
    const rests = isPing
      ? [`icmp_id=${number('id')}`, `icmp_type=${number('type')}`, `icmp_code=${number('code')}`]
      : [`ct_tp_src=${number('sport')}`, `ct_tp_dst=${number('dport')}`];
    const tuple = [`${field}_src=${from.text}`, `${field}_dst=${to.text}`, `ct_nw_proto=${protocol}`, ...rests].join();
    return [{ begun, tuple: name === PING6 ? undefined : tuple }];
  });
}

/** Has it do the same with each of these, and waits until it has; what it could not do, because it was done already, is no error. */
export async function flushEach(socket: string, zone: number, connections: readonly string[]): Promise<void> {
  if (connections.length === 0) return;
  const requests = connections.map((tuple, id) =>
    JSON.stringify({ id, method: 'dpctl/flush-conntrack', params: [`zone=${zone}`, tuple] }),
  );
  const last = new RegExp(`"id":${connections.length - 1}[,}]`);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const link = connect(socket);
  link.setTimeout(TIMEOUT_MS, () => link.destroy());
  let tail = '';
  link.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-TAIL_CHARACTERS - text.length);
    if (last.test(tail)) resolve();
    tail = tail.slice(-TAIL_CHARACTERS);
  });
  link.on('error', reject);
  link.on('close', () => reject(new RingwallError('network-failed', 'the switch does not end connections')));
  link.write(requests.join(''));
  try {
    await promise;
  } finally {
    link.destroy();
  }
}
