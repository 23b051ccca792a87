// What a connection asks for: a transport protocol with destination ports, or ICMP with types. `tcp/5432`, `udp/53`,
// `tcp/8000-8010`, `tcp`, `ping`, `icmp/echo-request`, `icmpv6/128`, `gre`, `any`. Numbers as IANA assigns them.
import { type Family, quoted } from './address.ts';
import { NetPolicyError } from './netpolicy-error.ts';

/** Protocols whose first two 16-bit fields are ports (RFC 9293, 768, 9260). */
export const PORT_PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
export const ICMP_PROTOCOLS = { icmp: 1, icmpv6: 58 } as const;
const OTHER_PROTOCOLS = { gre: 47, esp: 50, ah: 51 } as const;
const PROTOCOLS: Readonly<Record<string, number>> = { ...PORT_PROTOCOLS, ...ICMP_PROTOCOLS, ...OTHER_PROTOCOLS };

export const MAX_PORT = 65_535;
export const MAX_ICMP_TYPE = 255;
export const MAX_PROTOCOL = 255;

const ICMP_TYPES: Readonly<Record<string, number>> = {
  'echo-reply': 0,
  'destination-unreachable': 3,
  'echo-request': 8,
  'time-exceeded': 11,
  'timestamp-request': 13,
};
const ICMPV6_TYPES: Readonly<Record<string, number>> = {
  'destination-unreachable': 1,
  'packet-too-big': 2,
  'time-exceeded': 3,
  'echo-request': 128,
  'echo-reply': 129,
};

/** A protocol and an interval of its ports or ICMP types; [0, 0] where a protocol has neither. */
export interface ServiceRange {
  readonly protocol: number;
  readonly first: number;
  readonly last: number;
}

/** Every protocol there is. */
const ANY: readonly ServiceRange[] = Array.from({ length: MAX_PROTOCOL + 1 }, (_, protocol) => ({
  protocol,
  first: 0,
  last: lastOf(protocol),
}));
const PING: readonly ServiceRange[] = [
  { protocol: ICMP_PROTOCOLS.icmp, first: 8, last: 8 },
  { protocol: ICMP_PROTOCOLS.icmpv6, first: 128, last: 128 },
];

export function parseService(text: string, at: string): readonly ServiceRange[] {
  if (text === 'any') return ANY;
  if (text === 'ping') return PING;
  const [name = '', numbers, ...rest] = text.split('/');
  const protocol = Object.hasOwn(PROTOCOLS, name) ? PROTOCOLS[name] : undefined;
  if (protocol === undefined || rest.length > 0) {
    throw new NetPolicyError('service-invalid', at, `${quoted(text)} is no service: tcp/80, udp/5000-5010, ping, any`);
  }
  if (numbers === undefined) return [{ protocol, first: 0, last: lastOf(protocol) }];
  // The names of ICMP types have dashes of their own.
  const [from = '', to = from, ...more] = /^\d/.test(numbers) ? numbers.split('-') : [numbers];
  const first = numberOf(protocol, from);
  const last = numberOf(protocol, to);
  if (first === undefined || last === undefined || Math.max(first, last) > lastOf(protocol) || more.length > 0) {
    throw new NetPolicyError('service-invalid', at, `${quoted(text)} has no number that ${name} knows`);
  }
  if (first > last) throw new NetPolicyError('service-invalid', at, `${quoted(text)} ends before it begins`);
  return [{ protocol, first, last }];
}

/** The one service that a single connection asks for, as a question about reachability names it; `ping` is each family's own. */
export function parseSingleService(text: string, family: Family, at: string): { protocol: number; number: number } {
  const ranges = parseService(text, at);
  const [range] = text === 'ping' && family === 6 ? ranges.slice(1) : ranges;
  if (range === undefined || text === 'any' || range.first !== range.last) {
    throw new NetPolicyError('service-invalid', at, `${quoted(text)} is more than one service`);
  }
  return { protocol: range.protocol, number: range.first };
}

export function printService({ protocol, first, last }: ServiceRange): string {
  const name = Object.keys(PROTOCOLS).find((known) => PROTOCOLS[known] === protocol) ?? `protocol ${protocol}`;
  if (first === 0 && last === lastOf(protocol)) return name;
  return first === last ? `${name}/${first}` : `${name}/${first}-${last}`;
}

/** The highest port or ICMP type of a protocol; 0 where it has neither. */
export function lastOf(protocol: number): number {
  if (Object.values<number>(PORT_PROTOCOLS).includes(protocol)) return MAX_PORT;
  return Object.values<number>(ICMP_PROTOCOLS).includes(protocol) ? MAX_ICMP_TYPE : 0;
}

function numberOf(protocol: number, text: string): number | undefined {
  const names: Readonly<Record<string, number>> =
    protocol === ICMP_PROTOCOLS.icmp ? ICMP_TYPES : protocol === ICMP_PROTOCOLS.icmpv6 ? ICMPV6_TYPES : {};
  if (Object.hasOwn(names, text)) return names[text];
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && lastOf(protocol) > 0 ? Number(text) : undefined;
}
