import { addressOf, type ElementChange, type KeyPart, type KeyType } from '@ringwall/netpolicy';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBatch, fitsNetlink } from './encode.ts';

const TABLE = { family: 'inet', name: 'ringwall' } as const;

function change(key: readonly KeyType[], elements: ElementChange['elements'], more: object = {}): ElementChange {
  return { verb: 'add', table: TABLE, set: { name: 'some', key, interval: false, elements: [], ...more }, elements };
}

/** The batch of one element, from its key on. */
function keyOf(types: readonly KeyType[], ...key: readonly KeyPart[]): string {
  const hex = Buffer.from(encodeBatch([change(types, [{ key }])]).bytes).toString('hex');
  // NFTA_LIST_ELEM, NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE; behind it 20 bytes that end the batch.
  return /0180....0180....0100(.*)$/.exec(hex)?.[1]?.slice(0, -40) ?? '';
}

describe('encodeBatch()', () => {
  test.each<[KeyType, KeyPart, string]>([
    ['ipv4_addr', '10.20.0.255', '0a1400ff'],
    ['ether_addr', '52:54:00:0a:ff:09', '5254000aff090000'],
    ['ifname', 't12', '74313200000000000000000000000000'],
    ['mark', 0x1234_5678, '78563412'],
    ['inet_proto', 6, '06000000'],
    ['inet_service', 5432, '15380000'],
    ['icmp_type', 8, '08000000'],
    ['ipv6_addr', '::', '00000000000000000000000000000000'],
    ['ipv6_addr', '1::', '00010000000000000000000000000000'],
    ['ipv6_addr', '::ffff:a', '000000000000000000000000ffff000a'],
    ['ipv6_addr', 'fd00:20::abc:1', 'fd00002000000000000000000abc0001'],
  ])('writes a key of %s: %s', (type, part, bytes) => {
    expect(keyOf([type], part)).toBe(bytes);
  });

  test('writes every IPv6 address as its number', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.nat(127), fc.nat(127), (value, from, bits) => {
        // With a row of zeros in most.
        const holed = value & ~(((1n << BigInt(bits)) - 1n) << BigInt(from));
        const address = addressOf(6, BigInt.asUintN(128, holed));
        expect(keyOf(['ipv6_addr'], address.text)).toBe(address.value.toString(16).padStart(32, '0'));
      }),
    );
  });

  test('begins each part of a key at a multiple of four bytes', () => {
    const [name, mac, address] = ['74310000000000000000000000000000', '5254000000010000', '0a140001'];
    expect(keyOf(['ifname', 'ether_addr', 'ipv4_addr'], 't1', '52:54:00:00:00:01', '10.20.0.1')).toBe(
      name + mac + address,
    );
    expect(keyOf(['inet_proto', 'inet_service'], 6, 80)).toBe('0600000000500000');
  });

  test('refuses a range, which takes more than an element, and a text for a number', () => {
    expect(() => keyOf(['ipv4_addr'], { first: '10.0.0.0', last: '10.0.0.9' })).toThrow(TypeError);
    expect(() => keyOf(['mark'], '7')).toThrow(TypeError);
  });

  test('says of each message what it is about, and has the last one answered', () => {
    const elements = Array.from({ length: 301 }, (_, mark) => ({ key: [mark] }));
    const { bytes, subjects } = encodeBatch([
      change(['mark'], elements),
      { verb: 'delete', table: { family: 'arp', name: 'x' } },
    ]);
    expect(subjects).toEqual([
      'take the batch',
      'add 300 of inet ringwall some, from [0] on',
      'add 1 of inet ringwall some, from [300] on',
      'delete table arp x',
    ]);
    const view = new DataView(bytes.buffer);
    const headers: { type: number; flags: number; sequence: number }[] = [];
    for (let at = 0; at < bytes.length; at += view.getUint32(at, true)) {
      const [type, flags] = [view.getUint16(at + 4, true), view.getUint16(at + 6, true)];
      headers.push({ type, flags, sequence: view.getUint32(at + 8, true) });
    }
    expect(headers).toEqual([
      { type: 0x10, flags: 1, sequence: 0 },
      { type: 0xa0c, flags: 0x401, sequence: 1 },
      { type: 0xa0c, flags: 0x401, sequence: 2 },
      { type: 0xa02, flags: 5, sequence: 3 },
      { type: 0x11, flags: 1, sequence: 4 },
    ]);
  });
});

test('fitsNetlink() is for keys and values alone', () => {
  const plain = { name: 'x', key: ['mark'], interval: false, elements: [] } as const;
  expect(fitsNetlink(plain)).toBe(true);
  expect(
    [{ interval: true }, { metered: {} }, { counted: true as const }].map((more) => fitsNetlink({ ...plain, ...more })),
  ).toEqual([false, false, false]);
});
