// Reads what the kernel says of packets that were dropped: a pcap stream (draft-ietf-opsawg-pcap) of LINKTYPE_NFLOG, little endian, as a
// reader of nflog groups writes it on this host. The packets in it are what machines have sent: every length is theirs.
import { type Address, addressOf } from './address.ts';
import { DROP_REASONS, type DropReason } from './drop-reasons.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { ICMP_PROTOCOLS, PORT_PROTOCOLS } from './service.ts';
import { AT_SWITCH } from './switch-log.ts';

/** pcap, 4: the header of the file, and that of each packet. */
const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LINKTYPE_NFLOG = 239;
/** The kernel logs the head of a packet, and some attributes of it. */
const MAX_PACKET_BYTES = 2_048;

/** linux/netfilter/nfnetlink_log.h: attributes of a packet; each begins with its length and type. */
const NFLOG_HEADER_BYTES = 4;
const ATTRIBUTE_HEADER_BYTES = 4;
const ATTRIBUTE = { incoming: 4, port: 6, card: 8, payload: 9, prefix: 10 } as const;
const MAX_PREFIX_BYTES = 128;
/** struct nfulnl_msg_packet_hw: a length, and eight bytes of room. Of a card's six, a switch has written the last four. */
const CARD_BYTES = 12;
const CARD_END = 6;

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;

/** One packet that was dropped. What is not in it, or cannot be read, is undefined. */
export interface RefusedPacket {
  readonly reason: DropReason;
  /** Which one denies it, where that has `log`. */
  readonly rule?: string;
  /** Of the interface that it came from: that of a machine's cable, or what switchIndex() says of its port. */
  readonly interfaceIndex: number;
  readonly from: Address | undefined;
  readonly to: Address | undefined;
  readonly protocol: number | undefined;
  /** Destination port or ICMP type. */
  readonly number: number | undefined;
}

/** Takes the stream in pieces as they come. Throws NetPolicyError where it is no such stream. */
export class RefusedLog {
  #pending = new Uint8Array();
  #begun = false;

  push(bytes: Uint8Array): RefusedPacket[] {
    const data = new Uint8Array(this.#pending.length + bytes.length);
    data.set(this.#pending);
    data.set(bytes, this.#pending.length);
    const view = new DataView(data.buffer);
    let at = 0;
    if (!this.#begun) {
      if (data.length < FILE_HEADER_BYTES) return this.#keep(data, 0, []);
      requireHeader(view);
      this.#begun = true;
      at = FILE_HEADER_BYTES;
    }
    const packets: RefusedPacket[] = [];
    while (data.length - at >= PACKET_HEADER_BYTES) {
      const length = view.getUint32(at + 8, true);
      if (length > MAX_PACKET_BYTES) {
        throw new NetPolicyError('malformed', 'log', `has a packet of ${length} bytes, at most ${MAX_PACKET_BYTES}`);
      }
      if (data.length - at - PACKET_HEADER_BYTES < length) break;
      const begin = at + PACKET_HEADER_BYTES;
      const packet = readPacket(data.subarray(begin, begin + length));
      if (packet !== undefined) packets.push(packet);
      at = begin + length;
    }
    return this.#keep(data, at, packets);
  }

  /** At most a packet and its header are kept. */
  #keep(data: Uint8Array, from: number, packets: RefusedPacket[]): RefusedPacket[] {
    this.#pending = data.slice(from);
    return packets;
  }
}

function requireHeader(view: DataView): void {
  if (view.getUint32(0, true) !== MAGIC_MICROSECONDS || view.getUint32(20, true) !== LINKTYPE_NFLOG) {
    throw new NetPolicyError('malformed', 'log', 'is no log of dropped packets');
  }
}

/** Undefined where it has no reason that is one of ours: somebody else's rule has logged it. */
function readPacket(data: Uint8Array): RefusedPacket | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let [incoming, port, prefix]: [number, number | undefined, string] = [0, undefined, ''];
  let switched = 0;
  let payload = new Uint8Array();
  for (let at = NFLOG_HEADER_BYTES; at + ATTRIBUTE_HEADER_BYTES <= data.length;) {
    const length = view.getUint16(at, true);
    const type = view.getUint16(at + 2, true);
    if (length < ATTRIBUTE_HEADER_BYTES) break;
    // The last one may have been cut off.
    const value = data.slice(at + ATTRIBUTE_HEADER_BYTES, at + length);
    if (type === ATTRIBUTE.card && value.length === CARD_BYTES)
      switched = view.getUint32(at + ATTRIBUTE_HEADER_BYTES + CARD_END);
    if (type === ATTRIBUTE.incoming && value.length === 4) incoming = view.getUint32(at + ATTRIBUTE_HEADER_BYTES);
    if (type === ATTRIBUTE.port && value.length === 4) port = view.getUint32(at + ATTRIBUTE_HEADER_BYTES);
    if (type === ATTRIBUTE.prefix && value.length <= MAX_PREFIX_BYTES) prefix = textOf(value);
    if (type === ATTRIBUTE.payload) {
      payload = value;
      break;
    }
    // Attributes begin at multiples of four.
    at += (length + 3) & ~3;
  }
  const words = prefix.split(' ');
  const atSwitch = words[0] === AT_SWITCH;
  const [, why, rule] = /^([a-z-]+)(?: ([a-z0-9-]+))?$/.exec(words.slice(atSwitch ? 1 : 0).join(' ')) ?? [];
  const reason = DROP_REASONS.find((known) => known === why);
  if (reason === undefined) return undefined;
  // On a bridge what comes in by a port comes in by the bridge, too.
  const interfaceIndex = atSwitch ? switched : (port ?? incoming);
  return { reason, ...(rule === undefined ? {} : { rule }), interfaceIndex, ...readFlow(payload) };
}

type Flow = Pick<RefusedPacket, 'from' | 'to' | 'protocol' | 'number'>;

/** The head of an IP packet, as far as it is there; of ARP there is nothing. */
function readFlow(packet: Uint8Array): Flow {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= IPV4_HEADER_BYTES) {
    const headerBytes = ((packet[0] ?? 0) & 15) * 4;
    const protocol = packet[9] ?? 0;
    // A fragment that is not the first has no ports.
    const fragment = (((packet[6] ?? 0) & 0x1f) << 8) | (packet[7] ?? 0);
    return {
      from: addressOf(4, numberOf(packet.subarray(12, 16))),
      to: addressOf(4, numberOf(packet.subarray(16, 20))),
      protocol,
      number:
        fragment === 0 && headerBytes >= IPV4_HEADER_BYTES ? serviceNumber(packet, headerBytes, protocol) : undefined,
    };
  }
  if (version === 6 && packet.length >= IPV6_HEADER_BYTES) {
    const protocol = packet[6] ?? 0;
    return {
      from: addressOf(6, numberOf(packet.subarray(8, 24))),
      to: addressOf(6, numberOf(packet.subarray(24, 40))),
      protocol,
      number: serviceNumber(packet, IPV6_HEADER_BYTES, protocol),
    };
  }
  return { from: undefined, to: undefined, protocol: undefined, number: undefined };
}

function serviceNumber(packet: Uint8Array, at: number, protocol: number): number | undefined {
  if (Object.values<number>(ICMP_PROTOCOLS).includes(protocol)) return packet[at];
  if (!Object.values<number>(PORT_PROTOCOLS).includes(protocol)) return undefined;
  const [high, low] = [packet[at + 2], packet[at + 3]];
  return high === undefined || low === undefined ? undefined : (high << 8) | low;
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** Up to its final zero. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end));
}
