// Meters of an Open vSwitch. They are put into it over its OpenFlow socket, all on one connection: ovs-ofctl takes one
// meter a run, which for the four of each of 1,024 machines is 20 s in which nothing passes.
import { connect } from 'node:net';
import { RingwallError } from '@ringwall/api/errors';
import type { Meter } from '@ringwall/netpolicy';

/** OpenFlow Switch Specification 1.5.1, "OpenFlow Header": the version on the wire, and the types of messages. */
const VERSION = 0x06;
const TYPE = { hello: 0, error: 1, meterMod: 29, barrierRequest: 20, barrierReply: 21 } as const;
const HEADER_BYTES = 8;
/** The same, "Meter Modification Message". */
const COMMAND = { add: 0, modify: 1 } as const;
const FLAGS = { kbps: 1, pktps: 2 } as const;
const BURST = 4;
const METER_BYTES = 32;
const BAND_BYTES = 16;
const DROP_BAND = 1;
/** The same, "Error Message": why one is refused, and the reasons that a person can do something about. */
const METER_MOD_FAILED = 12;
const REASONS: Readonly<Record<number, string>> = { 10: 'it has no more meters', 11: 'it has no more bands' };
/** Its number alone, or all of one that is like ours. What follows may be the next one, or the head of the switch's next message. */
const LISTED = /^meter=(\d+) (?:(kbps|pktps) burst bands=\ntype=drop rate=(\d+) burst_size=(\d+)\n(?!type=))?/gm;
/** A switch answers within a second; one on a busy host may be at its packets. */
const TIMEOUT_MS = 30_000;

/** By their number; undefined of one that is not like ours. */
export type SwitchMeters = ReadonlyMap<number, Meter | undefined>;

export interface MeterChange {
  readonly command: keyof typeof COMMAND;
  readonly meter: Meter;
}

/**
 * Makes or changes meters, and waits until the switch has.
 * @param socket where the switch speaks OpenFlow, as its controllers do
 * @throws RingwallError `network-failed`: it refuses one, which is named, or does not answer; of the others, each may be as before or as asked
 */
export async function setMeters(socket: string, changes: readonly MeterChange[]): Promise<void> {
  if (changes.length === 0) return;
  // Each has its place among them for a number; the barrier's is the one after the last.
  const barrier = changes.length;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (what: string): void => reject(new RingwallError('network-failed', what));
  const link = connect(socket);
  const timer = setTimeout(() => fail('the switch does not answer about its meters'), TIMEOUT_MS);
  let rest = Buffer.alloc(0);
  link.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= HEADER_BYTES) {
      const [version, length] = [rest.readUInt8(0), rest.readUInt16BE(2)];
      if (version !== VERSION || length < HEADER_BYTES) return fail('the switch says what is not OpenFlow 1.5');
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      const [type, number] = [message.readUInt8(1), message.readUInt32BE(4)];
      if (type === TYPE.error) return fail(refusal(message, changes[number]));
      if (type === TYPE.barrierReply && number === barrier) return resolve();
    }
  });
  link.on('error', reject);
  link.on('close', () => fail('the switch has closed the connection on which its meters were set'));
  link.write(
    Buffer.concat([
      header(TYPE.hello, HEADER_BYTES, barrier),
      ...changes.map(encode),
      header(TYPE.barrierRequest, HEADER_BYTES, barrier),
    ]),
  );
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    link.destroy();
  }
}

/** Pure: the meters in what `ovs-ofctl dump-meters` says, each on a line and its bands on the next ones. */
export function metersIn(listing: string): SwitchMeters {
  const meters = new Map<number, Meter | undefined>();
  for (const [, number, unit, rate, burst] of listing.matchAll(LISTED)) {
    const id = Number(number);
    const isOurs = unit === 'kbps' || unit === 'pktps';
    meters.set(id, isOurs ? { id, unit, rate: Number(rate), burst: Number(burst) } : undefined);
  }
  return meters;
}

function encode({ command, meter: { id, unit, rate, burst } }: MeterChange, number: number): Buffer {
  const message = Buffer.alloc(METER_BYTES);
  message.set(header(TYPE.meterMod, METER_BYTES, number));
  message.writeUInt16BE(COMMAND[command], 8);
  message.writeUInt16BE(FLAGS[unit] | BURST, 10);
  message.writeUInt32BE(id, 12);
  message.writeUInt16BE(DROP_BAND, 16);
  message.writeUInt16BE(BAND_BYTES, 18);
  message.writeUInt32BE(rate, 20);
  message.writeUInt32BE(burst, 24);
  return message;
}

function header(type: number, bytes: number, number: number): Buffer {
  const buffer = Buffer.alloc(HEADER_BYTES);
  buffer.writeUInt8(VERSION, 0);
  buffer.writeUInt8(type, 1);
  buffer.writeUInt16BE(bytes, 2);
  buffer.writeUInt32BE(number, 4);
  return buffer;
}

/** After its header, an error has a type and a code. */
function refusal(message: Buffer, change: MeterChange | undefined): string {
  const [type, code] = message.length >= HEADER_BYTES + 4 ? [message.readUInt16BE(8), message.readUInt16BE(10)] : [];
  const reason = type === METER_MOD_FAILED && code !== undefined ? REASONS[code] : undefined;
  const what = change === undefined ? 'what it was told of meters' : `meter ${change.meter.id}`;
  return `the switch refuses ${what}: ${reason ?? `OpenFlow error ${String(type)}, code ${String(code)}`}`;
}
