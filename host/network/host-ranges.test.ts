import { printRange } from '@ringwall/netpolicy';
import { expect, test } from 'vitest';
import { parseIpv4Routes, parseIpv6Routes, parseOwnRanges, readHostRanges } from './host-ranges.ts';

const IPV4 = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vpn\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
nonsense
`;
const IPV6 = `fd000020000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000004 00000000 00000001     eth0
`;

test('parseIpv4Routes() answers what is reached by a route of its own, and not the default route', () => {
  expect(parseIpv4Routes(IPV4).map(({ range, by }) => [printRange(range), by])).toEqual([
    ['192.168.1.0/24', 'eth0'],
    ['10.20.0.0/16', 'vpn'],
  ]);
});

test('parseIpv6Routes() leaves out what every host has', () => {
  expect(parseIpv6Routes(IPV6).map(({ range, by }) => [printRange(range), by])).toEqual([['fd00:20::/64', 'eth0']]);
});

test('readHostRanges() needs no privilege', async () => {
  expect(await readHostRanges()).toBeInstanceOf(Array);
});

test('parseOwnRanges() has the addresses of this host before the links that they are on, and leaves out what every host has', () => {
  const links = [
    {
      ifname: 'lo',
      addr_info: [
        { local: '127.0.0.1', prefixlen: 8 },
        { local: '::1', prefixlen: 128 },
      ],
    },
    {
      ifname: 'eth0',
      addr_info: [
        { local: '192.0.2.7', prefixlen: 24 },
        { local: 'fe80::7', prefixlen: 64 },
      ],
    },
    { ifname: 'vpn', addr_info: [{ local: '10.9.0.1', address: '10.9.0.2', prefixlen: 32 }] },
    { ifname: 'tap0' },
  ];
  expect(parseOwnRanges(links).map((range) => `${printRange(range)} ${range.what}`)).toEqual([
    '192.0.2.7 this host itself',
    '10.9.0.1 this host itself',
    '192.0.2.0/24 on the link eth0 of this host',
    '10.9.0.2 on the link vpn of this host',
  ]);
});
