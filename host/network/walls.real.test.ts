// Walls in a real kernel: attacks of a machine upon its neighbours, a machine that loses the network, rules that nft refuses, somebody
// who flushes them, and the way out.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  compileNetwork,
  parseMachines,
  parsePolicy,
  parseRange,
  type CompiledNetwork,
  type Machine,
} from '@ringwall/netpolicy';
import { run, runChecked, type Run } from '../exec/index.ts';
import { applyBatch, connectCables, cutCable, inNamespace, listRules, Walls } from './index.ts';
import { arpFrame, ethernet, icmpv6Packet, ipv4Packet, ipv6Packet, markerOf, udp } from './testing/frames.ts';
import { NEEDS_PACKETS, type Station, Testbed } from './testing/testbed.ts';

const ALL_HOSTS = 'ff:ff:ff:ff:ff:ff';
const V6 = (index: number): string => `fd00:20:0:0:0:0:0:${index}`;
const WAIT_SECONDS = 0.5;
/** As run() says that a program was killed: 128 and the signal. */
const KILLED = 137;

const RULES = [
  { name: 'all', action: 'allow', from: { labels: {} }, to: { labels: {} }, services: ['tcp/80', 'ping'] },
  { name: 'out', action: 'allow', from: { labels: {} }, to: 'any', services: ['tcp/443', 'ping'] },
];

function compile(
  rules: readonly unknown[],
  machines: readonly unknown[],
): { compiled: CompiledNetwork; machines: readonly Machine[] } {
  const addresses = ['10.20.0.0/24', 'fd00:20::/64'];
  const [network] = parsePolicy({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses, internet: 'nat', rules }],
  }).networks;
  if (network === undefined) throw new Error('no network');
  const parsed = parseMachines(machines, network);
  return {
    compiled: compileNetwork(network, parsed, { protectedRanges: [parseRange('203.0.113.0/24', '')] }),
    machines: parsed,
  };
}

const THREE = [1, 2, 3].map((index) => ({
  name: `m${index}`,
  labels: { role: `r${index}` },
  addresses: [`10.20.0.${index}`, `fd00:20::${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));
const { compiled, machines } = compile(RULES, THREE);
const CARD = '52:54:00:00:00:01';

/** The first machine's frames: everything that a switch would fall for, and the host, too. */
const ATTACKS: Readonly<Record<string, string>> = {
  'an ARP answer for a neighbour': arpFrame(CARD, 2, '10.20.0.2', '10.20.0.3'),
  'an ARP answer for the gateway': arpFrame(CARD, 2, '169.254.1.1', '10.20.0.3'),
  'an ARP question as a neighbour': arpFrame(CARD, 1, '10.20.0.2', '169.254.1.1'),
  'IPv4 as a neighbour': packet4('10.20.0.2', '10.20.0.3', 'ip-spoof'),
  'IPv4 as somebody outside': packet4('198.51.100.9', '10.20.0.3', 'outside-spoof'),
  'IPv4 of another card': packet4('10.20.0.1', '10.20.0.3', 'card-spoof', '52:54:00:00:00:02'),
  'IPv6 as a neighbour': packet6(V6(2), V6(3), 'ip6-spoof'),
  'IPv4 in a VLAN': ethernet(
    ALL_HOSTS,
    CARD,
    0x8100,
    `00010800${ipv4Packet('10.20.0.1', '10.20.0.3', 253, markerOf('vlan'))}`,
  ),
  'a DHCP offer to all': offer('10.20.0.1', '255.255.255.255'),
  'a DHCP offer to a neighbour': offer('10.20.0.1', '10.20.0.3'),
  'a router advertisement': neighbourly(134, `4000000000000000${'0'.repeat(16)}${markerOf('ra')}`),
  'a redirect': neighbourly(137, `00000000${'0'.repeat(64)}${markerOf('redirect')}`),
  'a neighbour advertisement for a neighbour': neighbourly(
    136,
    `60000000fd002000000000000000000000000002${markerOf('na')}`,
  ),
};
const MARKERS = ['ip-spoof', 'outside-spoof', 'card-spoof', 'ip6-spoof', 'vlan', 'dhcp', 'ra', 'redirect', 'na'];

function packet4(from: string, to: string, name: string, card = CARD): string {
  return ethernet('GATEWAY', card, 0x0800, ipv4Packet(from, to, 253, markerOf(name)));
}

function packet6(from: string, to: string, name: string): string {
  return ethernet('GATEWAY', CARD, 0x86dd, ipv6Packet(from, to, 253, markerOf(name)));
}

function offer(from: string, to: string): string {
  const frame = ipv4Packet(from, to, 17, udp(67, 68, markerOf('dhcp')));
  return ethernet(to === '255.255.255.255' ? ALL_HOSTS : 'GATEWAY', CARD, 0x0800, frame);
}

function neighbourly(type: number, body: string): string {
  return ethernet(
    '33:33:00:00:00:01',
    CARD,
    0x86dd,
    icmpv6Packet('fe80:0:0:0:0:0:0:bad', 'ff02:0:0:0:0:0:0:1', type, body),
  );
}

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS_PACKETS !== '') return;
  bed = await Testbed.open(machines);
  for (const station of bed.stations) await station.tell('listen', [80, 443], [68]);
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

function theBed(): Testbed & { first: Station; second: Station; third: Station } {
  const [first, second, third] = bed?.stations ?? [];
  if (bed === undefined || first === undefined || second === undefined || third === undefined)
    throw new Error('no testbed');
  return Object.assign(bed, { first, second, third });
}

async function attack({ inside, first, second, third }: ReturnType<typeof theBed>): Promise<void> {
  const link = (await runChecked(inside, ['/usr/sbin/ip', '-o', 'link', 'show', 'dev', 't1'])).stdout.toString();
  const gateway = /link\/ether ([0-9a-f:]+)/.exec(link)?.[1] ?? '';
  for (const station of [second, third]) await station.tell('sniff');
  await first.tell(
    'frames',
    Object.values(ATTACKS).map((frame) => frame.replace('GATEWAY', gateway.replaceAll(':', ''))),
  );
}

/** Markers of the attacks that the other machines have heard. */
async function heardOf({ second, third }: ReturnType<typeof theBed>): Promise<string[]> {
  const heard = await Promise.all(
    [second, third].map((station) =>
      station.tell(
        'heard',
        MARKERS.map((name) => markerOf(name)),
      ),
    ),
  );
  return MARKERS.filter((name) => heard.flat().includes(markerOf(name)));
}

/** The kernel tells an interface that its cable is in again up to a second later. */
async function untilCarried(station: Station, to: string): Promise<void> {
  let round = 80;
  const ping = (): Promise<unknown> => station.tell('probe', (round += 1), [['icmp', to, 8]], 0, [0]);
  await expect.poll(ping).toEqual([0]);
}

/** But for what a card's own system says of its own link-local address, whenever it likes: DHCPv6 answers go there. */
async function neighbours({ inside }: Testbed): Promise<string[]> {
  const listed = (await runChecked(inside, ['/usr/sbin/ip', 'neighbour', 'show'])).stdout.toString().split('\n');
  const itself = /^fe80::5054:ff:fe00:(\d) dev t\1 lladdr 52:54:00:00:00:0\1 /;
  return listed.filter((line) => !itself.test(line)).toSorted();
}

async function counter({ inside }: Testbed, family: string, name: string): Promise<number> {
  const counters = (await listRules(inside, true)).map((object) => Object(object).counter);
  return Number(counters.find((found) => found?.family === family && found.name === name)?.packets);
}

describe.skipIf(NEEDS_PACKETS !== '')(`walls in the kernel${NEEDS_PACKETS}`, () => {
  test('stop and count what a machine sends as somebody else; without them, it arrives', async () => {
    const here = theBed();
    // The kernel's own check of sources is switched off, to see the attack succeed, and on again.
    const sources = (on: 0 | 1): Promise<unknown> =>
      runChecked(here.inside, [
        '/bin/sh',
        '-c',
        `for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo ${on} > $f; done`,
      ]);
    await sources(0);
    await attack(here);
    const succeeds = expect.arrayContaining(['ip-spoof', 'ip6-spoof', 'card-spoof', 'dhcp']);
    await expect.poll(() => heardOf(here)).toEqual(succeeds);
    await sources(1);

    await new Walls(here.inside).raise(compiled);
    const before = await neighbours(here);
    await attack(here);
    await expect.poll(() => counter(here, 'arp', 'spoofed')).toBe(3);
    await expect.poll(() => counter(here, 'inet', 'rogue')).toBe(3);
    await expect.poll(() => counter(here, 'inet', 'spoofed')).toBeGreaterThanOrEqual(2);
    expect(await heardOf(here)).toEqual([]);
    expect(await neighbours(here)).toEqual(before);
  });

  test('let nobody reach the host behind the gateway', async () => {
    const here = theBed();
    const targets = [
      ['icmp', '169.254.1.1', 8],
      ['icmp', '10.20.0.2', 8],
      ['icmp', 'fd00:20::2', 128],
    ];
    const before = await counter(here, 'inet', 'to-host');
    expect(await here.first.tell('probe', 50, targets, WAIT_SECONDS, [1, 2])).toEqual([1, 2]);
    expect(await counter(here, 'inet', 'to-host')).toBeGreaterThan(before);
  });

  test('end the connections of a machine that loses the network, at once and for good', async () => {
    const here = theBed();
    const [lost] = machines;
    if (lost === undefined) throw new Error('no machine');
    const walls = new Walls(here.inside);
    await walls.raise(compiled);
    expect(await here.first.tell('stream_open', '10.20.0.2', 80)).toBe(true);
    await expect.poll(() => here.second.tell('stream_accept', 80)).toBe(true);
    await here.first.tell('stream_send', 'before');
    expect(await here.second.tell('stream_receive')).toBe('before');

    expect(await walls.dismiss(lost)).toBe(true);
    await cutCable(here.inside, lost);
    await here.first.tell('stream_send', 'after');
    expect(await here.second.tell('stream_receive', WAIT_SECONDS)).toBe('');
    expect(
      await here.second.tell(
        'probe',
        60,
        [
          ['icmp', '10.20.0.1', 8],
          ['icmp', '10.20.0.3', 8],
        ],
        WAIT_SECONDS,
        [1],
      ),
    ).toEqual([1]);

    // Back again, what it had is not: its old connection is picked up by nobody.
    expect(await walls.admit(lost)).toBe(true);
    await connectCables(here.inside, [lost]);
    await untilCarried(here.second, '10.20.0.1');
    expect(await walls.inspect()).toBe('standing');
  });

  test('take other rules about every service there is, in one step', async () => {
    const walls = new Walls(theBed().inside);
    const about = (...services: readonly string[]): CompiledNetwork =>
      compile([{ name: 'all', action: 'allow', from: { labels: {} }, to: { labels: {} }, services }], THREE).compiled;
    await walls.raise(about('any'));
    await walls.change(about('any', 'tcp/80'));
    expect(await walls.inspect()).toBe('standing');
  });

  test('stay as they are where nft refuses others, and the error names the command', async () => {
    const here = theBed();
    const walls = new Walls(here.inside);
    await walls.raise(compiled);
    const bad = { add: { rule: { family: 'inet', table: 'ringwall', chain: 'nowhere', expr: [{ drop: null }] } } };
    const good = { add: { chain: { family: 'inet', table: 'ringwall', name: 'one' } } };
    await expect(applyBatch(here.inside, [good, good, good, bad, good])).rejects.toThrow(
      /nft refuses command 4 of 5: .*No such file or directory.*"nowhere"/,
    );
    expect(await walls.inspect()).toBe('standing');
  });

  test('are as they shall be after a change, though nft was killed before it said so, or somebody flushed a set just before', async () => {
    const here = theBed();
    let kills = 0;
    const killed: Run = async (argv, options) => {
      const result = await run(argv, options);
      if (kills === 0 || !argv.includes('/usr/sbin/nft') || argv.includes('list')) return result;
      kills -= 1;
      return { ...result, code: KILLED };
    };
    const walls = new Walls(inNamespace(killed, here.file));
    const [first, ...others] = THREE;
    // One group for another, so that as many elements stand as before.
    const labelled = (role: string): CompiledNetwork =>
      compile(
        [{ name: 'r1', action: 'allow', from: { labels: { role: 'r1' } }, to: 'any', services: ['ping'] }],
        [{ ...first, labels: { role } }, ...others],
      ).compiled;
    await walls.raise(labelled('r1'));
    kills = 1;
    await walls.change(labelled('r2'));
    await walls.change(labelled('r1'));
    await walls.change(compiled);
    await applyBatch(here.inside, [{ flush: { set: { family: 'inet', table: 'ringwall', name: 'senders4' } } }]);
    const [lost] = machines;
    expect(lost !== undefined && (await walls.dismiss(lost))).toBe(true);
    expect(await walls.inspect()).toBe('standing');
    expect(
      (await listRules(here.inside, false)).filter((object) => JSON.stringify(object).includes('10.20.0.1"')),
    ).toEqual([]);
    const said: string[] = [];
    const stop = new AbortController();
    const looking = walls.lookAfter((what) => said.push(what), 50, stop.signal);
    await expect.poll(() => said).toHaveLength(1);
    stop.abort();
    await looking;
  });

  test('lead out where a rule says so, under the gateway’s address, and never to what is protected', async () => {
    const here = theBed();
    const outside = { ...THREE[2], interface: 't3' };
    expect(outside.name).toBe('m3');
    // The third machine’s cable becomes the way out, and its end the world.
    const lines = ['link set t3 down', 'link set t3 name uplink', 'link set uplink up'];
    const routes = ['198.51.100.1', '203.0.113.1'].map((address) => `route add ${address} dev uplink src 198.51.100.2`);
    const input = [...lines, 'address add 198.51.100.2/32 dev uplink', ...routes, ''].join('\n');
    await runChecked(here.inside, ['/usr/sbin/ip', '-batch', '-'], { input });
    const world = ['198.51.100.1', '203.0.113.1'].map((address) => `address add ${address}/32 dev eth0`);
    await here.third.tell('configure', [...world, 'route add 198.51.100.2 dev eth0', ''].join('\n'));
    const walls = new Walls(here.inside);
    // Also where a rule names it: the underlay, say, on which other hosts are.
    const underlay = { name: 'underlay', action: 'allow', from: 'any', services: ['any'] };
    const rules = [...RULES, { ...underlay, to: { addresses: ['203.0.113.0/24'] } }];
    const two = compile(rules, THREE.slice(0, 2));
    await walls.raise(two.compiled);
    await untilCarried(here.first, '198.51.100.1');
    const targets = [
      ['tcp', '198.51.100.1', 443],
      ['tcp', '198.51.100.1', 80],
      ['icmp', '198.51.100.1', 8],
      ['tcp', '203.0.113.1', 443],
      ['icmp', '203.0.113.1', 8],
    ];
    expect(await here.first.tell('probe', 70, targets, WAIT_SECONDS, [0, 2])).toEqual([0, 2]);
    expect(await here.third.tell('probe', 71, [['icmp', '10.20.0.1', 8]], WAIT_SECONDS)).toEqual([]);
  });
});
