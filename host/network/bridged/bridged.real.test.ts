// A segment in a real kernel: what arrives under random policies, and what of an attack on it does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileBridged, RefusedLog, type Machine } from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import { cableIndexes, sniff, Walls } from '../index.ts';
import { arpFrame, ethernet, icmpv6Packet, ipv4Packet, markerOf, tcp, udp, udpOverIpv6 } from '../testing/frames.ts';
import {
  arrivals,
  couldAnswer,
  drawCases,
  EVERYBODY,
  JOURNEYS,
  listenAll,
  networkOf,
  told,
} from '../testing/journeys.ts';
import { NEEDS_PACKETS, setUpOnSegment, Testbed } from '../testing/testbed.ts';
import { brokenPorts, connectSegment, keepApart } from './index.ts';

const ROUNDS = 4;
const WAIT_SECONDS = 0.5;
const FLOOD = 20_000;
/** A second of what a machine may send is its burst as well, and what its own system sends beside. */
const SLACK_SECONDS = 3;

const ALL = 'ff:ff:ff:ff:ff:ff';
const [CARD, OTHER, THIRD] = ['52:54:00:00:00:00', '52:54:00:00:00:01', '52:54:00:00:00:02'];
const HONEST = 'a packet in order';
const packet = (to: string, from: string, target: string, name: string, card = CARD): string =>
  ethernet(to, card, 0x0800, ipv4Packet(from, target, 253, markerOf(name)));
const neighbourly = (type: number, body: string): string =>
  ethernet('33:33:00:00:00:01', CARD, 0x86dd, icmpv6Packet('fe80:0:0:0:0:0:0:bad', 'ff02:0:0:0:0:0:0:1', type, body));

/** The first machine's frames, each with its name as marker. */
const ATTACKS: Readonly<Record<string, string>> = {
  [HONEST]: packet(THIRD, '10.20.0.1', '10.20.0.3', HONEST),
  'arp answer': arpFrame(CARD, 2, '10.20.0.2', '10.20.0.3') + markerOf('arp answer'),
  'arp question': arpFrame(CARD, 1, '10.20.0.1', '10.20.0.3') + markerOf('arp question'),
  'theft of a port': packet(THIRD, '10.20.0.2', '10.20.0.3', 'theft of a port', OTHER),
  'ip spoof': packet(THIRD, '10.20.0.2', '10.20.0.3', 'ip spoof'),
  mislaid: packet(THIRD, '10.20.0.1', '10.20.0.2', 'mislaid'),
  broadcast: packet(ALL, '10.20.0.1', '10.20.0.255', 'broadcast'),
  multicast: packet('01:00:5e:00:00:fb', '10.20.0.1', '224.0.0.251', 'multicast'),
  'unknown card': packet('52:54:00:00:00:77', '10.20.0.1', '10.20.0.3', 'unknown card'),
  'dhcp offer': ethernet(
    THIRD,
    CARD,
    0x0800,
    ipv4Packet('10.20.0.1', '10.20.0.3', 17, udp(67, 68, markerOf('dhcp offer'))),
  ),
  vlan: ethernet(THIRD, CARD, 0x8100, `00010800${ipv4Packet('10.20.0.1', '10.20.0.3', 253, markerOf('vlan'))}`),
  'vlan of a provider': ethernet(
    THIRD,
    CARD,
    0x88a8,
    `00010800${ipv4Packet('10.20.0.1', '10.20.0.3', 253, markerOf('vlan of a provider'))}`,
  ),
  'another protocol': ethernet(THIRD, CARD, 0x88b5, markerOf('another protocol').repeat(2)),
  'router advertisement': neighbourly(134, `4000000000000000${'0'.repeat(16)}${markerOf('router advertisement')}`),
  'neighbour advertisement': neighbourly(
    136,
    `60000000fd002000000000000000000000000002${markerOf('neighbour advertisement')}`,
  ),
};

const GONE: Machine = { name: 'gone', labels: {}, addresses: [], mac: '52:54:00:00:00:09', interface: 't9' };

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS_PACKETS !== '') return;
  bed = await Testbed.open(EVERYBODY, {
    connect: connectSegment,
    setUp: setUpOnSegment,
  });
  await listenAll(bed.stations);
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

function theBed(): Testbed {
  if (bed === undefined) throw new Error('no testbed');
  return bed;
}

describe.skipIf(NEEDS_PACKETS !== '')(`packets on a segment${NEEDS_PACKETS}`, () => {
  test('arrive everywhere where there are no walls: the bridge answers for each where it is', async () => {
    expect(told(await arrivals(theBed().stations, JOURNEYS))).toEqual(told(JOURNEYS));
  });

  test('arrive where the model says, and else only where they could be answers of UDP', async () => {
    const here = theBed();
    const walls = new Walls(here.inside);
    let passed = 0;
    for (const { policy, network, machines, allowed } of drawCases(ROUNDS)) {
      const bridged = compileBridged(network, machines);
      await keepApart(here.inside, machines, bridged.isolated);
      await walls.change(bridged);
      const found = await arrivals(here.stations, allowed);
      const missing = allowed.filter((journey) => !found.has(journey));
      const permitted = new Set([...allowed, ...couldAnswer(network, machines)]);
      const surplus = [...found].filter((journey) => !permitted.has(journey));
      expect({ missing: told(missing), surplus: told(surplus) }, JSON.stringify(policy)).toEqual({
        missing: [],
        surplus: [],
      });
      passed += allowed.length;
    }
    expect(passed).toBeGreaterThan(JOURNEYS.length / 2);
  });

  test('of a connection that stands end with the rule that let it begin, and those of others go on', async () => {
    const here = theBed();
    const walls = new Walls(here.inside);
    const all = { action: 'allow', from: 'any', to: 'any', services: ['tcp/80'] };
    const under = async (rule: object): Promise<void> => {
      const addresses = ['10.20.0.0/24', 'fd00:20::/64'];
      const networks = [{ name: 'app', mode: 'bridged', addresses, rules: [{ ...all, ...rule }] }];
      const compiled = compileBridged(networkOf({ version: 1, tenant: 'acme', networks }), EVERYBODY);
      await walls.change(compiled);
      await keepApart(here.inside, EVERYBODY, compiled.isolated);
    };
    await under({ name: 'all' });
    const [one, two, three, four] = here.stations;
    if (one === undefined || two === undefined || three === undefined || four === undefined) throw new Error('few');
    const both = [
      { from: one, to: three, address: '10.20.0.3', word: 'ended' },
      { from: two, to: four, address: 'fd00:20::4', word: 'goes on' },
    ];
    for (const { from, to, address } of both) {
      await from.tell('stream_open', address, 80);
      await expect.poll(() => to.tell('stream_accept', 80)).toBe(true);
    }
    for (const { name, passes } of [
      { name: 'all', passes: ['ended', 'goes on'] },
      { name: 'only', passes: ['goes on'] },
    ]) {
      if (name === 'only') await under({ name, from: { machine: 'm1' } });
      for (const { from, to, word } of both) {
        await from.tell('stream_send', word);
        const wait = passes.includes(word) ? [] : [WAIT_SECONDS];
        expect(await to.tell('stream_receive', ...wait)).toBe(passes.includes(word) ? word : '');
        // Nor does the other end get anything there.
        await to.tell('stream_send', word);
        expect(await from.tell('stream_receive', ...wait)).toBe(passes.includes(word) ? word : '');
      }
    }
  });

  test('are dropped where a machine sends more than its share, or begins more, and its neighbour’s are not', async () => {
    const { inside, stations } = theBed();
    const walls = new Walls(inside);
    const [flooder, neighbour, target] = stations;
    if (flooder === undefined || neighbour === undefined || target === undefined) throw new Error('few');
    /** How many arrive of 20,000, and in how many seconds they were sent. */
    const arriving = async (share: object, frames: readonly string[]): Promise<{ count: number; seconds: number }> => {
      const rules = [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }];
      const shares = [share];
      const networks = [{ name: 'app', mode: 'bridged', addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules, shares }];
      const compiled = compileBridged(networkOf({ version: 1, tenant: 'acme', networks }), EVERYBODY);
      await walls.change(compiled);
      await keepApart(inside, EVERYBODY, compiled.isolated);
      const before = Number(await target.tell('received'));
      const seconds = Number(await flooder.tell('flood', frames, FLOOD)) + SLACK_SECONDS;
      expect(await neighbour.tell('probe', 80, [['icmp', '10.20.0.3', 8]], 0, [0])).toEqual([0]);
      return { count: Number(await target.tell('received')) - before, seconds };
    };
    const dropped = async (): Promise<number> => (await walls.counts()).refused.get('over-share')?.packets ?? 0;
    const segment = (bits: number): string[] =>
      Array.from({ length: 500 }, (_, index) =>
        ethernet(THIRD, CARD, 0x0800, ipv4Packet('10.20.0.1', '10.20.0.3', 6, tcp(1_024 + index, 80, bits))),
      );
    const honest = ATTACKS[HONEST] ?? '';

    const packets = await arriving({ machine: 'm0', packetsPerSecond: 100 }, [honest]);
    expect(packets.count).toBeLessThan(100 * packets.seconds);
    await expect.poll(dropped).toBeGreaterThan(0);
    const bytes = await arriving({ machine: 'm0', sendMbit: 1, burstKiB: 64 }, [honest.padEnd(2_000, '0')]);
    expect(bytes.count * 1_000).toBeLessThan(bytes.seconds * 125_000 + 64 * 1_024);
    const begun = await arriving({ machine: 'm0', connectionsPerSecond: 50 }, segment(2));
    expect(begun.count).toBeLessThan(50 * begun.seconds);
    // What goes on is no beginning.
    const goesOn = await arriving({ machine: 'm0', connectionsPerSecond: 50 }, segment(16));
    expect(goesOn.count).toBeGreaterThan(50 * begun.seconds);
    // The same for whoever has the share that all have, and over IPv6.
    const all = { packetsPerSecond: 100, connectionsPerSecond: 20 };
    const ipv6 = ethernet(THIRD, CARD, 0x86dd, udpOverIpv6('fd00:20:0:0:0:0:0:1', 'fd00:20:0:0:0:0:0:3', [9, 9], '00'));
    const common = await arriving(all, [ipv6]);
    expect(common.count).toBeLessThan(100 * common.seconds);
    expect(common.count).toBeGreaterThan(5);
    const opened = await arriving({ ...all, packetsPerSecond: 10_000 }, segment(2));
    expect(opened.count).toBeLessThan(50 * opened.seconds);
  });

  test('find their ports as they were connected, or it is said which are not', async () => {
    const { inside } = theBed();
    expect(await brokenPorts(inside, EVERYBODY)).toEqual([]);
    const undo = ['link set dev t1 nomaster', 'link set dev t2 down', 'neighbour del 10.20.0.4 dev segment', ''];
    await runChecked(inside, ['/usr/sbin/ip', '-batch', '-'], { input: undo.join('\n') });
    await runChecked(inside, ['/usr/sbin/bridge', 'link', 'set', 'dev', 't4', 'learning', 'on']);
    const broken = await brokenPorts(inside, [...EVERYBODY, GONE]);
    expect(broken.map(({ machine, how }) => `${machine.interface} ${how}`)).toEqual([
      ...['t1', 't2', 't3', 't4'].map((device) => `${device} changed`),
      't9 gone',
    ]);
    await connectSegment(inside, EVERYBODY);
    expect(await brokenPorts(inside, EVERYBODY)).toEqual([]);
  });

  test('that lie about who sends them, or are meant for all, are heard by nobody, and counted', async () => {
    const here = theBed();
    const open = networkOf({
      version: 1,
      tenant: 'acme',
      networks: [
        {
          name: 'app',
          addresses: ['10.20.0.0/24', 'fd00:20::/64'],
          rules: [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }],
        },
      ],
    });
    const compiled = compileBridged(open, EVERYBODY);
    await keepApart(here.inside, EVERYBODY, compiled.isolated);
    const walls = new Walls(here.inside);
    await walls.raise(compiled);
    const log = await sniff(run, here.inside, { on: 'refused', seconds: 120, bytes: 1024 * 1024 });
    const reader = new RefusedLog();
    const logged = new Set<string>();
    log.on('data', (bytes: Uint8Array) => {
      for (const { reason, interfaceIndex, from } of reader.push(bytes))
        logged.add(`${reason} ${interfaceIndex} ${from?.text ?? ''}`);
    });
    const { [HONEST]: honest, ...attacks } = ATTACKS;
    const [attacker, ...others] = here.stations;
    for (const station of others) await station.tell('sniff');
    await attacker?.tell('frames', [...Object.values(attacks), honest]);
    const markers = Object.keys(ATTACKS).map((name) => markerOf(name));
    const heard = (): Promise<unknown[]> => Promise.all(others.map((station) => station.tell('heard', markers)));
    // Of all that it sent, one machine heard the one frame that was in order, which it sent last.
    await expect.poll(heard).toEqual(others.map((_, index) => (index === 1 ? [markerOf(HONEST)] : [])));
    const counted = async (): Promise<boolean[]> => {
      const { refused } = await walls.counts();
      return (['spoofed', 'rogue'] as const).map((reason) => (refused.get(reason)?.packets ?? 0) > 0);
    };
    await expect.poll(counted).toEqual([true, true]);
    // The log says by which cable it came, ten packets of each in a second.
    const [first] = EVERYBODY.slice(0, 1);
    const index = first === undefined ? undefined : (await cableIndexes(here.inside, [first])).get(first);
    await expect.poll(() => [...logged]).toContain(`spoofed ${index ?? 0} 10.20.0.2`);
    log.destroy();
  });
});
