// Frames that no honest machine sends, byte by byte, for the tests: whoever is attacked must never hear them.
import { createHash } from 'node:crypto';

const BROADCAST = 'ffffffffffff';
const hex = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, '0');
const mac = (text: string): string => text.replaceAll(':', '');
const ipv4 = (text: string): string =>
  text
    .split('.')
    .map((byte) => hex(Number(byte), 1))
    .join('');

/** A full IPv6 address, eight groups, no elision. */
const ipv6 = (text: string): string =>
  text
    .split(':')
    .map((group) => group.padStart(4, '0'))
    .join('');

/** What makes a frame of the attack known again, wherever it turns up. */
export function markerOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

export function ethernet(to: string, from: string, type: number, payload: string): string {
  return `${mac(to)}${mac(from)}${hex(type, 2)}${payload}`;
}

/** ARP (RFC 826): `says` is 1 for a question, 2 for an answer. */
export function arpFrame(from: string, says: 1 | 2, sender: string, target: string): string {
  const body = `00010800060400${hex(says, 1)}${mac(from)}${ipv4(sender)}${'0'.repeat(12)}${ipv4(target)}`;
  return ethernet(BROADCAST, from, 0x0806, body);
}

export function ipv4Packet(from: string, to: string, protocol: number, payload: string): string {
  const head = (sum: string): string =>
    `4500${hex(20 + payload.length / 2, 2)}0001000040${hex(protocol, 1)}${sum}${ipv4(from)}${ipv4(to)}`;
  return head(hex(internetChecksum(head('0000')), 2)) + payload;
}

export function ipv6Packet(from: string, to: string, next: number, payload: string, hopLimit = 64): string {
  return `60000000${hex(payload.length / 2, 2)}${hex(next, 1)}${hex(hopLimit, 1)}${ipv6(from)}${ipv6(to)}${payload}`;
}

export function udp(from: number, to: number, payload: string): string {
  return `${hex(from, 2)}${hex(to, 2)}${hex(8 + payload.length / 2, 2)}0000${payload}`;
}

/** With its checksum, which IPv6 asks for (RFC 8200, 8.1). */
/** A segment of TCP without content, by its control bits (RFC 9293, 3.1): 2 begins a connection, 16 goes on with one. */
export function tcp(from: number, to: number, bits: number): string {
  return `${hex(from, 2)}${hex(to, 2)}${hex(1, 4)}${hex(0, 4)}50${hex(bits, 1)}ffff${hex(0, 4)}`;
}

export function udpOverIpv6(from: string, to: string, ports: readonly [number, number], payload: string): string {
  const datagram = udp(...ports, payload);
  const sum = hex(pseudoChecksum(from, to, 17, datagram), 2);
  return ipv6Packet(from, to, 17, datagram.slice(0, 12) + sum + datagram.slice(16));
}

/** ICMP that says that a port is unreachable (RFC 792), and with which packet: its head and eight bytes. */
export function unreachable(from: string, to: string, packet: string): string {
  const message = (sum: string): string => `0303${sum}00000000${packet.slice(0, 2 * (20 + 8))}`;
  return ipv4Packet(from, to, 1, message(hex(internetChecksum(message('0000')), 2)));
}

/** ICMPv6 with its checksum over the pseudo-header (RFC 4443, 2.3); the body begins behind it. */
export function icmpv6Packet(from: string, to: string, type: number, body: string): string {
  const message = (sum: string): string => `${hex(type, 1)}00${sum}${body}`;
  const sum = pseudoChecksum(from, to, 58, message('0000'));
  return ipv6Packet(from, to, 58, message(hex(sum, 2)), 255);
}

function pseudoChecksum(from: string, to: string, protocol: number, payload: string): number {
  const head = `${ipv6(from)}${ipv6(to)}${hex(payload.length / 2, 4)}${hex(protocol, 4)}`;
  return internetChecksum(head + payload);
}

/** RFC 1071. */
function internetChecksum(text: string): number {
  let sum = 0;
  for (let at = 0; at < text.length; at += 4) sum += Number.parseInt(text.slice(at, at + 4).padEnd(4, '0'), 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
