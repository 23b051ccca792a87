// Shares in a real kernel: one machine sends what it can, and what arrives, what is counted and what a neighbour still has are compared
// with its share. Packets are counted; no clock decides.
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { compileNetwork, type Machine, type Network, parseMachines, parsePolicy, shareOf } from '@ringwall/netpolicy';
import { runChecked } from '../../exec/index.ts';
import { limitReceiving, listRules, Walls } from '../index.ts';
import { ethernet, ipv4Packet, udp } from '../testing/frames.ts';
import { NEEDS_PACKETS, type Station, Testbed } from '../testing/testbed.ts';
import { notLimited, readOverShare } from './receive.ts';

const PORT = 5_000;
/** A second of what a machine may send is its burst as well; a token bucket has some more, of what was in the air. */
const SLACK_SECONDS = 2;
/** What the kernel of a station sends by itself meanwhile: router solicitations, reports of groups. */
const OWN_PACKETS = 10;
const THREE = [1, 2, 3].map((index) => ({
  name: `m${index}`,
  labels: {},
  addresses: [`10.20.0.${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));

interface Here {
  readonly bed: Testbed;
  readonly network: Network;
  readonly machines: readonly Machine[];
  readonly flooder: Station;
  readonly target: Station;
  readonly neighbour: Station;
  readonly gateway: string;
}

let here: Here | undefined;
afterEach(async () => {
  await here?.bed[Symbol.asyncDispose]();
  here = undefined;
});

/** Three machines that may all reach each other, with these shares. */
async function open(shares: readonly object[]): Promise<Here> {
  const rules = [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }];
  const json = {
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses: ['10.20.0.0/24'], rules, shares }],
  };
  const [network] = parsePolicy(json).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(THREE, network);
  const bed = await Testbed.open(machines);
  const [flooder, target, neighbour] = bed.stations;
  if (flooder === undefined || target === undefined || neighbour === undefined) throw new Error('no stations');
  await new Walls(bed.inside).raise(compileNetwork(network, machines));
  await limitReceiving(
    bed.inside,
    machines.map((machine) => ({ machine, share: shareOf(network.shares, machine) })),
  );
  for (const station of bed.stations) await station.tell('listen', [PORT], [PORT]);
  const link = (await runChecked(bed.inside, ['/usr/sbin/ip', '-o', 'link', 'show', 'dev', 't1'])).stdout.toString();
  const gateway = /link\/ether ([0-9a-f:]+)/.exec(link)?.[1] ?? '';
  here = { bed, network, machines, flooder, target, neighbour, gateway };
  return here;
}

/** A packet of UDP from the first machine to the second, from this port; each port is a connection of its own. */
function packet(gateway: string, port: number, bytes = 8): string {
  return ethernet(
    gateway,
    '52:54:00:00:00:01',
    0x0800,
    ipv4Packet('10.20.0.1', '10.20.0.2', 17, udp(port, PORT, '00'.repeat(bytes))),
  );
}

interface Arrived {
  readonly arrived: number;
  /** How many seconds were needed for all of it, and the rest for what a machine has beside. */
  readonly seconds: number;
}

async function arriving({ flooder, target }: Here, frames: readonly string[], count: number): Promise<Arrived> {
  const before = Number(await target.tell('received'));
  const took = Number(await flooder.tell('flood', frames, count));
  return { arrived: Number(await target.tell('received')) - before, seconds: took + SLACK_SECONDS };
}

/** Packets that the kernel has dropped before any rule saw them, whoever’s: as softnet_data counts them (net-procfs.c), for each processor. */
async function droppedByKernel(): Promise<number> {
  const lines = (await readFile('/proc/net/softnet_stat', 'utf8')).trim().split('\n');
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1] ?? '0', 16), 0);
}

async function counted({ bed }: Here, name: string): Promise<number> {
  const counters = (await listRules(bed.inside, true)).map((object) => Object(object).counter);
  return Number(counters.find((found) => found?.name === name)?.packets);
}

async function connections({ bed }: Here): Promise<number> {
  return Number((await runChecked(bed.inside, ['/usr/sbin/conntrack', '-C'])).stdout.toString());
}

function ports(gateway: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => packet(gateway, 1_024 + index));
}

describe.skipIf(NEEDS_PACKETS !== '')(`shares in the kernel${NEEDS_PACKETS}`, () => {
  test('end what a machine sends beyond its packets per second, count it, and leave its neighbour’s alone', async () => {
    const rate = 500;
    const it = await open([{ machine: 'm1', packetsPerSecond: rate }]);
    const sent = 20_000;
    const lost = await droppedByKernel();
    const { arrived, seconds } = await arriving(it, [packet(it.gateway, 1_024)], sent);
    expect(arrived).toBeGreaterThan(0);
    expect(arrived).toBeLessThan(rate * seconds);
    const known = async (): Promise<number> => (await counted(it, 'over-share')) + (await droppedByKernel()) - lost;
    await expect.poll(known).toBeGreaterThanOrEqual(sent - arrived);
    expect(await counted(it, 'over-share')).toBeLessThanOrEqual(sent - arrived + OWN_PACKETS);
    expect(await it.neighbour.tell('probe', 1, [['icmp', '10.20.0.2', 8]], 0, [0])).toEqual([0]);
  });

  test('end what it sends beyond its rate', async () => {
    const it = await open([{ machine: 'm1', sendMbit: 1, burstKiB: 64 }]);
    const bytes = 1_400;
    const { arrived, seconds } = await arriving(it, [packet(it.gateway, 1_024, bytes)], 4_000);
    expect(arrived).toBeGreaterThan(10);
    expect(arrived * bytes).toBeLessThan(seconds * 125_000 + 64 * 1_024);
  });

  test('end the connections that it opens beyond those of a second, and not those of its neighbour', async () => {
    const perSecond = 50;
    const it = await open([{ machine: 'm1', connectionsPerSecond: perSecond }]);
    const { seconds } = await arriving(it, ports(it.gateway, 4_000), 4_000);
    expect(await connections(it)).toBeLessThan(perSecond * seconds);
    expect(await connections(it)).toBeGreaterThan(perSecond);
    expect(await it.neighbour.tell('probe', 1, [['tcp', '10.20.0.2', PORT]], 0, [0])).toEqual([0]);
  });

  test.each([
    ['few, each counted', 200, 0],
    ['many, of which chance picks those that are counted', 2_048, 0.25],
  ])('end the connections that it has beyond its share: %s', async (_, share, tolerance) => {
    const it = await open([{ machine: 'm1', connections: share, connectionsPerSecond: 1_000_000 }]);
    await it.flooder.tell('flood', ports(it.gateway, 8_000), 8_000);
    const known = await connections(it);
    expect(known).toBeGreaterThanOrEqual(share * (1 - tolerance));
    expect(known).toBeLessThanOrEqual(share * (1 + tolerance) + 1);
    expect(await it.neighbour.tell('probe', 1, [['tcp', '10.20.0.2', PORT]], 0, [0])).toEqual([0]);
  });

  test('drop what comes to a machine faster than it may receive, and count it there', async () => {
    const it = await open([{ machine: 'm2', receiveMbit: 1, burstKiB: 64 }]);
    const bytes = 1_400;
    const { arrived, seconds } = await arriving(it, [packet(it.gateway, 1_024, bytes)], 4_000);
    expect(arrived).toBeGreaterThan(10);
    expect(arrived * bytes).toBeLessThan(seconds * 125_000 + 64 * 1_024);
    const over = await readOverShare(it.bed.inside);
    expect(over.get('t2')).toBeGreaterThan(100);
    expect(over.get('t3')).toBe(0);
  });

  test('are found where they are as they were made, and missed where somebody took one away or changed it', async () => {
    const { bed, network, machines } = await open([{ machine: 'm2', receiveMbit: 3, burstKiB: 64 }]);
    const sharers = machines.map((machine) => ({ machine, share: shareOf(network.shares, machine) }));
    const missed = async () => (await notLimited(bed.inside, sharers)).map(({ name }) => name);
    expect(await missed()).toEqual([]);
    const tc = (...args: readonly string[]) => runChecked(bed.inside, ['/usr/sbin/tc', 'qdisc', ...args]);
    await tc('delete', 'dev', 't1', 'root');
    await tc(
      ...['change', 'dev', 't2', 'root', 'handle', '1:', 'tbf', 'rate', '9gbit', 'burst', '1m', 'latency', '9ms'],
    );
    expect(await missed()).toEqual(['m1', 'm2']);
    await limitReceiving(bed.inside, sharers);
    expect(await missed()).toEqual([]);
  });
});
