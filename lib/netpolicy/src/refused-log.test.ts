import { describe, expect, test } from 'vitest';
import { RefusedLog, type RefusedPacket, RefusedSummary, switchIndex } from './index.ts';

/** As Linux 6.18 and tcpdump 4.99 wrote it: three packets to port 7 of the loopback. */
const FILE_HEADER = 'd4c3b2a1020004000000000000000000000004 00ef000000'.replaceAll(' ', '');
const PACKET =
  '4df2016bf3a20700540000005400000002000006080001000800030 00c000a00726566757365640008000500000000010800 0b0000000000' +
  '08000e00000000002300090045 00001f7b5e40004011c16d7f0000017f000001dd5f0007000bfe1e68690a00';
const IPV6_SOLICITATION =
  'd1f3016b78160d00a4000000a40000000a0000060800010086dd00000c000a0073706f6f6665640008000400000000021000080000060000' +
  '525400000001000006000f000001000006001100000e00001200100033330000000252540000000186dd000014000300000000006b01f3d0' +
  '00000000000caec43c0009006000000000103afffe80000000000000505400fffe000001ff0200000000000000000000000000028500da83' +
  '000000000101525400000001';

function bytesOf(...texts: readonly string[]): Uint8Array {
  return Uint8Array.from(texts.join('').replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const WHOLE = bytesOf(FILE_HEADER, PACKET, IPV6_SOLICITATION);

function read(bytes: Uint8Array, step: number = bytes.length): RefusedPacket[] {
  const log = new RefusedLog();
  const packets: RefusedPacket[] = [];
  for (let at = 0; at < bytes.length; at += step) packets.push(...log.push(bytes.subarray(at, at + step)));
  return packets;
}

describe('RefusedLog', () => {
  test('reads who sent what to whom, by which interface, and why it was dropped', () => {
    expect(read(WHOLE).map(({ from, to, ...rest }) => ({ from: from?.text, to: to?.text, ...rest }))).toEqual([
      { reason: 'refused', interfaceIndex: 0, from: '127.0.0.1', to: '127.0.0.1', protocol: 17, number: 7 },
      {
        reason: 'spoofed',
        interfaceIndex: 2,
        from: 'fe80::5054:ff:fe00:1',
        to: 'ff02::2',
        protocol: 58,
        number: 133,
      },
    ]);
  });

  test.each([
    ['64656e6965642062610000', [{ reason: 'denied', rule: 'ba', number: 7 }]], // "denied ba"
    ['64656e6965640000000000', [{ reason: 'denied', number: 7 }]],
    ['64656e6965642042410000', []], // "denied BA": no rule is called so
    ['64656e69656e2062610000', []],
  ])('names the rule that denies it, where the prefix %s does', (prefix, expected) => {
    const [before = '', after = ''] = PACKET.replaceAll(' ', '').split('0c000a007265667573656400');
    const grown = before.replace('5400000054000000', '5800000058000000');
    const packets = read(bytesOf(FILE_HEADER, grown, `0f000a00${prefix}00`, after));
    expect(
      packets.map(({ reason, rule, number }) => ({ reason, ...(rule === undefined ? {} : { rule }), number })),
    ).toEqual(expected);
  });

  test('names the port of a bridge by which it came, and not the bridge', () => {
    // As Linux has it: NFULA_IFINDEX_PHYSINDEV (6) before NFULA_IFINDEX_INDEV (4).
    const [before = '', after = ''] = IPV6_SOLICITATION.split('0800040000000002');
    const grown = before.replace('a4000000a4000000', 'ac000000ac000000');
    const packets = read(bytesOf(FILE_HEADER, grown, '0800060000000007', '0800040000000002', after));
    expect(packets.map(({ reason, interfaceIndex }) => [reason, interfaceIndex])).toEqual([['spoofed', 7]]);
  });

  test('names the port of an Open vSwitch, where it is that which speaks, and believes no card that says so', () => {
    // NFULA_HWADDR (8) before NFULA_PREFIX (10), as a card's number ends with that of a port.
    const card = '1000080000060000020080000005 0000'.replaceAll(' ', '');
    const said = (prefix: string): RefusedPacket[] => {
      const [before = '', after = ''] = PACKET.replaceAll(' ', '').split('0c000a007265667573656400');
      const name = Buffer.from(`${prefix}\0`);
      const length = name.length + 4;
      const padded = Buffer.concat([name, Buffer.alloc(-name.length & 3)]).toString('hex');
      const attribute = `${length.toString(16).padStart(2, '0')}000a00${padded}`;
      const bytes = (84 - 12 + card.length / 2 + attribute.length / 2).toString(16).padStart(2, '0');
      const grown = before.replace('5400000054000000', `${bytes}000000${bytes}000000`);
      return read(bytesOf(FILE_HEADER, grown, card, attribute, after));
    };
    const of = (prefix: string): unknown[] =>
      said(prefix).map(({ reason, rule, interfaceIndex }) => [reason, rule, interfaceIndex]);
    expect(of('switch refused')).toEqual([['refused', undefined, switchIndex(5)]]);
    expect(of('switch denied no-smtp')).toEqual([['denied', 'no-smtp', switchIndex(5)]]);
    expect(of('switch switch refused')).toEqual([]);
    expect(of('refused')).toEqual([['refused', undefined, 0]]);
  });

  test('reads the same in pieces of any size', () => {
    for (const step of [1, 7, 24, 40, 100]) expect(read(WHOLE, step)).toEqual(read(WHOLE));
  });

  test('waits for the rest of what is cut off anywhere, and throws nothing', () => {
    for (let end = 0; end < WHOLE.length; end += 1) expect(read(WHOLE.subarray(0, end)).length).toBeLessThan(2);
  });

  test('throws its own error alone, or gives packets, whatever byte is another', () => {
    const errors = new Set<string>();
    for (let at = 0; at < WHOLE.length; at += 1) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const altered = WHOLE.slice();
        altered[at] = value;
        try {
          read(altered);
        } catch (error) {
          errors.add(`${String(Object(error).name)} ${String(Object(error).code)}`);
        }
      }
    }
    expect([...errors]).toEqual(['NetPolicyError malformed']);
  });

  test('refuses another kind of stream, and a packet larger than the kernel logs', () => {
    expect(() => read(bytesOf(FILE_HEADER.replace(/ef000000$/, '01000000')))).toThrow('no log of dropped packets');
    expect(() => read(bytesOf(FILE_HEADER, '00000000', '00000000', 'ffffffff', 'ffffffff'))).toThrow('at most 2048');
  });
});

describe('RefusedSummary', () => {
  const [packet] = read(WHOLE);
  if (packet === undefined) throw new Error('no packet');

  test('sums up what is the same, the most frequent first', () => {
    const summary = new RefusedSummary();
    for (const number of [7, 9, 9]) summary.add({ ...packet, number });
    expect(summary.take().rows.map(({ service, packets }) => [service, packets])).toEqual([
      ['udp/9', 2],
      ['udp/7', 1],
    ]);
    expect(summary.take()).toEqual({ rows: [], others: 0 });
  });

  test('grows no further for whoever tries every port; what finds no row is counted', () => {
    const summary = new RefusedSummary();
    for (let number = 0; number < 65_536; number += 1) summary.add({ ...packet, number });
    const { rows, others } = summary.take();
    expect(rows).toHaveLength(200);
    expect(rows.length + others).toBe(65_536);
  });
});
