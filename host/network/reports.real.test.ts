// Errors of ICMP that machines report of connections: of their own, and not of what others say to each other.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileNetwork, compileSwitched, parseMachines, type Machine, type NetworkCounts } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import { Walls } from './index.ts';
import { ethernet, icmpv6Packet, ipv4Packet, udp, udpOverIpv6, unreachable } from './testing/frames.ts';
import { networkOf } from './testing/journeys.ts';
import { NEEDS_SWITCH, openSwitched } from './testing/switched.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

/** What a switch counts is known half a second later. */
const COUNTED = { timeout: 120_000 } as const;
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
const networkIn = (mode: string): ReturnType<typeof networkOf> =>
  networkOf({
    version: 1,
    tenant: 'acme',
    networks: [
      {
        name: 'app',
        mode,
        addresses: ['10.20.0.0/24', 'fd00:20::/64'],
        rules: [
          { name: 'two', action: 'allow', from: { machine: 'm1' }, to: { machine: 'm2' }, services: ['udp/9', 'ping'] },
        ],
        // Machines with a share of their own are in other sets than the rest.
        shares: [{ machine: 'm2', sendMbit: 7 }],
      },
    ],
  });

/** What the first asks of the second, and what that answers. */
const [V6_FIRST, V6_SECOND, V6_THIRD] = ['fd00:20:0:0:0:0:0:1', 'fd00:20:0:0:0:0:0:2', 'fd00:20:0:0:0:0:0:3'];
const NOWHERE = (from: string, to: string, packet: string): string =>
  icmpv6Packet(from, to, NO_ROUTE, `00000000${packet}`);
const WORDS = [
  {
    what: 'UDP',
    type: 0x0800,
    addresses: ['10.20.0.1', '10.20.0.2', '10.20.0.3'],
    question: ipv4Packet('10.20.0.1', '10.20.0.2', 17, udp(40_000, 9, 'aaaaaaaa')),
    answer: ipv4Packet('10.20.0.2', '10.20.0.1', 17, udp(9, 40_000, 'bbbbbbbb')),
    report: unreachable,
  },
  {
    what: 'UDP over IPv6',
    type: 0x86dd,
    addresses: [V6_FIRST, V6_SECOND, V6_THIRD],
    question: udpOverIpv6(V6_FIRST, V6_SECOND, [40_000, 9], 'aaaaaaaa'),
    answer: udpOverIpv6(V6_SECOND, V6_FIRST, [9, 40_000], 'bbbbbbbb'),
    report: NOWHERE,
  },
  {
    what: 'ping of IPv6',
    type: 0x86dd,
    addresses: [V6_FIRST, V6_SECOND, V6_THIRD],
    question: icmpv6Packet(V6_FIRST, V6_SECOND, ECHO.request, '00070001aaaaaaaa'),
    answer: icmpv6Packet(V6_SECOND, V6_FIRST, ECHO.reply, '00070001aaaaaaaa'),
    report: NOWHERE,
  },
] as const;

interface Site extends AsyncDisposable {
  readonly bed: Testbed;
  readonly counts: () => Promise<NetworkCounts>;
  /** The card to which a machine sends what is for another. */
  readonly cardOf: (from: number, to: number) => Promise<string>;
}

async function routed(): Promise<Site> {
  const network = networkIn('routed');
  const machines = parseMachines(THREE, network);
  const bed = await Testbed.open(machines);
  const walls = new Walls(bed.inside);
  await walls.raise(compileNetwork(network, machines));
  return {
    bed,
    counts: () => walls.counts(),
    cardOf: async (from) => {
      const { stdout } = await runChecked(bed.inside, ['/usr/sbin/ip', '-o', 'link', 'show', 'dev', `t${from}`]);
      return /link\/ether ([0-9a-f:]+)/.exec(stdout.toString())?.[1] ?? '';
    },
    [Symbol.asyncDispose]: () => bed[Symbol.asyncDispose](),
  };
}

async function switched(): Promise<Site> {
  const network = networkIn('openvswitch');
  const machines: readonly Machine[] = parseMachines(THREE, network);
  const opened = await openSwitched('reports', machines);
  await opened.walls.raise(compileSwitched(network, machines));
  await opened.own.connect(machines);
  return {
    bed: opened.bed,
    counts: () => opened.walls.counts(),
    cardOf: (_, to) => Promise.resolve(cardOf(to)),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

function cardOf(number: number): string {
  return `52:54:00:00:00:0${number}`;
}

describe.each([
  { mode: 'routed', open: routed, lacks: NEEDS_PACKETS },
  { mode: 'openvswitch', open: switched, lacks: NEEDS_SWITCH },
])('errors that are reported in a network that is $mode $lacks', ({ open, lacks }) => {
  let site: Site | undefined;
  beforeAll(async () => {
    if (lacks !== '') return;
    site = await open();
    await station(2).tell('listen', [], [9]);
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
  });

  function here(): Site {
    if (site === undefined) throw new Error('no network');
    return site;
  }

  function station(number: number): Testbed['stations'][number] {
    const found = here().bed.stations[number - 1];
    if (found === undefined) throw new Error(`no station ${number}`);
    return found;
  }

  async function invalid(): Promise<number> {
    return (await here().counts()).refused.get('invalid')?.packets ?? 0;
  }

  test.skipIf(lacks !== '').each(WORDS)(
    'pass from both ends of a connection, and from nobody else: $what',
    async (words) => {
      const { type, addresses, question, answer, report } = words;
      const [first, second, third] = addresses;
      const say = async (packet: string, from: number, to: number): Promise<() => Promise<unknown>> => {
        const card = await here().cardOf(from, to);
        await station(to).tell('sniff');
        await station(from).tell('frames', [ethernet(card, cardOf(from), type, packet)]);
        return () => station(to).tell('heard', [packet.slice(...MARKS[type])]);
      };
      for (const [packet, from, to] of [
        [question, 1, 2],
        [answer, 2, 1],
        [report(second, first, question), 2, 1],
        [report(first, second, answer), 1, 2],
      ] as const) {
        await expect.poll(await say(packet, from, to), COUNTED).toHaveLength(1);
      }

      const before = await invalid();
      const heard = [await say(report(third, first, question), 3, 1), await say(report(third, second, answer), 3, 2)];
      // Counted, they have arrived nowhere.
      await expect.poll(invalid, COUNTED).toBe(before + 2);
      expect(await Promise.all(heard.map((ask) => ask()))).toEqual([[], []]);
    },
  );
});
