// Errors of ICMP that machines report of connections: of their own, and not of what others say to each other.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileNetwork, parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import { listRules, Walls } from './index.ts';
import { ethernet, icmpv6Packet, ipv4Packet, udp, unreachable } from './testing/frames.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

/** Long enough for a frame to arrive that would arrive. */
const SETTLE_MS = 200;
const NO_ROUTE = 1;
const ECHO = { request: 128, reply: 129 } as const;
/** Of a packet, in hexadecimal: from whom to whom, and what it says. */
const MARKS = { 0x0800: [24, 56], 0x86dd: [16, 88] } as const;

const THREE = [1, 2, 3].map((index) => ({
  name: `m${index}`,
  labels: {},
  addresses: [`10.20.0.${index}`, `fd00:20::${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));
const POLICY = {
  version: 1,
  tenant: 'acme',
  networks: [
    {
      name: 'app',
      addresses: ['10.20.0.0/24', 'fd00:20::/64'],
      rules: [
        { name: 'two', action: 'allow', from: { machine: 'm1' }, to: { machine: 'm2' }, services: ['udp/9', 'ping'] },
      ],
      // Machines with a share of their own are in other sets than the rest.
      shares: [{ machine: 'm2', sendMbit: 7 }],
    },
  ],
};

/** What the first asks of the second, and what that answers. */
const [V6_FIRST, V6_SECOND, V6_THIRD] = ['fd00:20:0:0:0:0:0:1', 'fd00:20:0:0:0:0:0:2', 'fd00:20:0:0:0:0:0:3'];
const WORDS = [
  {
    type: 0x0800,
    addresses: ['10.20.0.1', '10.20.0.2', '10.20.0.3'],
    question: ipv4Packet('10.20.0.1', '10.20.0.2', 17, udp(40_000, 9, 'aaaaaaaa')),
    answer: ipv4Packet('10.20.0.2', '10.20.0.1', 17, udp(9, 40_000, 'bbbbbbbb')),
    report: unreachable,
  },
  {
    type: 0x86dd,
    addresses: [V6_FIRST, V6_SECOND, V6_THIRD],
    question: icmpv6Packet(V6_FIRST, V6_SECOND, ECHO.request, '00070001aaaaaaaa'),
    answer: icmpv6Packet(V6_SECOND, V6_FIRST, ECHO.reply, '00070001aaaaaaaa'),
    report: (from: string, to: string, packet: string) => icmpv6Packet(from, to, NO_ROUTE, `00000000${packet}`),
  },
] as const;

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS_PACKETS !== '') return;
  const [network] = parsePolicy(POLICY).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(THREE, network);
  bed = await Testbed.open(machines);
  await bed.stations[1]?.tell('listen', [], [9]);
  await new Walls(bed.inside).raise(compileNetwork(network, machines));
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

describe.skipIf(NEEDS_PACKETS !== '')(`errors that are reported${NEEDS_PACKETS}`, () => {
  test.each(WORDS)('pass from both ends of a connection, and from nobody else: $type', async (words) => {
    const { type, addresses, question, answer, report } = words;
    const [first, second, third] = addresses;
    const say = async (packet: string, from: number, to: number): Promise<() => Promise<unknown>> => {
      const { inside } = theBed();
      const link = await runChecked(inside, ['/usr/sbin/ip', '-o', 'link', 'show', 'dev', `t${from}`]);
      const gateway = /link\/ether ([0-9a-f:]+)/.exec(link.stdout.toString())?.[1] ?? '';
      await station(to).tell('sniff');
      await station(from).tell('frames', [ethernet(gateway, `52:54:00:00:00:0${from}`, type, packet)]);
      return () => station(to).tell('heard', [packet.slice(...MARKS[type])]);
    };
    for (const [packet, from, to] of [
      [question, 1, 2],
      [answer, 2, 1],
      [report(second, first, question), 2, 1],
      [report(first, second, answer), 1, 2],
    ] as const) {
      await expect.poll(await say(packet, from, to)).toHaveLength(1);
    }

    const before = await invalid();
    const heard = [await say(report(third, first, question), 3, 1), await say(report(third, second, answer), 3, 2)];
    await expect.poll(invalid).toBe(before + 2);
    await sleep(SETTLE_MS);
    expect(await Promise.all(heard.map((ask) => ask()))).toEqual([[], []]);
  });
});

function theBed(): Testbed {
  if (bed === undefined) throw new Error('no testbed');
  return bed;
}

function station(number: number): Testbed['stations'][number] {
  const found = theBed().stations[number - 1];
  if (found === undefined) throw new Error(`no station ${number}`);
  return found;
}

async function invalid(): Promise<number> {
  const counters = (await listRules(theBed().inside, true)).map((object) => Object(object).counter);
  return Number(counters.find((found) => found?.family === 'inet' && found.name === 'invalid')?.packets);
}
