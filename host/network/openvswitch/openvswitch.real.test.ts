// A switch in user space, jailed: what arrives under random policies, what of an attack on it does, what a machine may take, and what
// becomes of it all when somebody kills it or changes its flows.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  compileSwitched,
  DEFAULT_SHARE,
  type SwitchedNetwork,
  type DropReason,
  type Machine,
  type Network,
  ReachModel,
} from '@ringwall/netpolicy';
import { killProcess, run, runChecked, type RunResult } from '../../exec/index.ts';
import { applyBatch, type Beginning, limitReceiving, notLimited } from '../index.ts';
import { arpFrame, ethernet, icmpv6Packet, ipv4Packet, markerOf, udp } from '../testing/frames.ts';
import { arrivals, drawCases, EVERYBODY, JOURNEYS, listenAll, networkOf, told } from '../testing/journeys.ts';
import { NEEDS_SWITCH, openSwitched, type Switched } from '../testing/switched.ts';
import type { Station } from '../testing/testbed.ts';
import { SwitchWalls } from './index.ts';
import { type MeterChange, metersIn, setMeters, type SwitchMeters } from './meters.ts';

const ROUNDS = 4;
/** Long enough for a frame to arrive that would arrive. */
const SETTLE_MS = 200;
/** As many small frames as a packet socket holds, so that none is lost for that. */
const FLOOD = 200;
const LOOK_MS = 50;
/** The longest that a rule is tried with. */
const LASTS_SECONDS = 60;
const WAIT_SECONDS = 0.5;
/** Some user of the host who has nothing to do with networks. */
const NOBODY = 65_534;

const ALL = 'ff:ff:ff:ff:ff:ff';
const [CARD, OTHER, THIRD] = ['52:54:00:00:00:00', '52:54:00:00:00:01', '52:54:00:00:00:02'];
const HONEST = 'a packet in order';
const packet = (to: string, from: string, target: string, name: string, card = CARD): string =>
  ethernet(to, card, 0x0800, ipv4Packet(from, target, 253, markerOf(name)));
const neighbourly = (type: number, body: string): string =>
  ethernet('33:33:00:00:00:01', CARD, 0x86dd, icmpv6Packet('fe80:0:0:0:0:0:0:bad', 'ff02:0:0:0:0:0:0:1', type, body));
const tagged = (type: number, name: string): string =>
  ethernet(THIRD, CARD, type, `00010800${ipv4Packet('10.20.0.1', '10.20.0.3', 253, markerOf(name))}`);

/** The first machine's frames, each with its name as marker. */
const ATTACKS: Readonly<Record<string, string>> = {
  [HONEST]: packet(THIRD, '10.20.0.1', '10.20.0.3', HONEST),
  'arp answer': arpFrame(CARD, 2, '10.20.0.2', '10.20.0.3') + markerOf('arp answer'),
  'arp question': arpFrame(CARD, 1, '10.20.0.1', '10.20.0.3') + markerOf('arp question'),
  'arp for another': arpFrame(CARD, 1, '10.20.0.2', '10.20.0.3') + markerOf('arp for another'),
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
  vlan: tagged(0x8100, 'vlan'),
  'vlan of a provider': tagged(0x88a8, 'vlan of a provider'),
  'another protocol': ethernet(THIRD, CARD, 0x88b5, markerOf('another protocol').repeat(2)),
  'router advertisement': neighbourly(134, `4000000000000000${'0'.repeat(16)}${markerOf('router advertisement')}`),
  'neighbour advertisement': neighbourly(
    136,
    `60000000fd002000000000000000000000000002${markerOf('neighbour advertisement')}`,
  ),
};

const LACKS = NEEDS_SWITCH;

function open(more: object = {}): Network {
  const addresses = ['10.20.0.0/24', 'fd00:20::/64'];
  const rules = [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }];
  return networkOf({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', mode: 'openvswitch', addresses, rules, ...more }],
  });
}

const GONE: Machine = { name: 'gone', labels: {}, addresses: [], mac: '52:54:00:00:00:09', interface: 't9' };

let found: Switched | undefined;
beforeAll(async () => {
  if (LACKS !== '') return;
  found = await openSwitched('switch', EVERYBODY);
  await listenAll(found.bed.stations);
  await wallsOf(compileSwitched(open(), EVERYBODY));
});
afterAll(async () => {
  await found?.[Symbol.asyncDispose]();
});

function here(): Switched {
  if (found === undefined) throw new Error('no switch');
  return found;
}

async function wallsOf(compiled: SwitchedNetwork, machines = EVERYBODY): Promise<void> {
  await here().walls.raise(compiled);
  await here().own.connect(machines);
}

function station(index: number): Station {
  const one = here().bed.stations[index];
  if (one === undefined) throw new Error(`no station ${index}`);
  return one;
}

/** Of what the first machine sends by itself; arrivals() has its own. */
let round = 90;

const ping = (address: string): [string, string, number] => ['icmp', address, address.includes(':') ? 128 : 8];

/** Whether the third machine answers the first, which asks until it does. */
async function pings(address = '10.20.0.3'): Promise<boolean> {
  const answered = await station(0).tell('probe', (round += 1), [ping(address)], 0, [0]);
  return Array.isArray(answered) && answered.length === 1;
}

/** For where no answer shall come: asked once, and not waited for long. */
async function pingsAtOnce(address = '10.20.0.3'): Promise<boolean> {
  const answered = await station(0).tell('probe', (round += 1), [ping(address)], WAIT_SECONDS);
  return Array.isArray(answered) && answered.length === 1;
}

describe.skipIf(LACKS !== '')(`packets on an Open vSwitch${LACKS}`, () => {
  test('arrive everywhere where a rule allows everything: the switch answers for each where it is', async () => {
    expect(told(await arrivals(here().bed.stations, JOURNEYS))).toEqual(told(JOURNEYS));
  });

  test('arrive where the model says, and nowhere else', async () => {
    const { bed, walls, own } = here();
    let passed = 0;
    for (const { policy, network, machines, allowed } of drawCases(ROUNDS)) {
      await walls.change(compileSwitched(network, machines));
      await own.connect(machines);
      const arrived = await arrivals(bed.stations, allowed);
      expect(told(arrived), JSON.stringify(policy)).toEqual(told(allowed));
      passed += allowed.length;
    }
    expect(passed).toBeGreaterThan(JOURNEYS.length / 4);
  });

  test('that lie about who sends them, or are meant for all, are heard by nobody, and counted', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { [HONEST]: honest, ...attacks } = ATTACKS;
    const [attacker, ...others] = here().bed.stations;
    for (const other of others) await other.tell('sniff');
    const { refused: before } = await here().walls.counts();
    await attacker?.tell('frames', [...Object.values(attacks), honest]);
    const markers = Object.keys(ATTACKS).map((name) => markerOf(name));
    const heard = (): Promise<unknown[]> => Promise.all(others.map((other) => other.tell('heard', markers)));
    // Of all that it sent, one machine heard the one frame that was in order, which it sent last.
    await expect.poll(heard).toEqual(others.map((_, index) => (index === 1 ? [markerOf(HONEST)] : [])));
    const counted = async (): Promise<number[]> => {
      const { refused: after } = await here().walls.counts();
      const of = (counts: typeof after, reason: DropReason): number => counts.get(reason)?.packets ?? 0;
      return (['spoofed', 'rogue', 'refused'] as const).map((reason) => of(after, reason) - of(before, reason));
    };
    // Of all packets but the first of a kind, the switch knows half a second later.
    await expect.poll(counted).toEqual([6, 4, 4]);
  });

  test('of a machine that is cut off end with its connections, and it comes back without them', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { own, walls } = here();
    const [first, , third] = EVERYBODY;
    if (first === undefined || third === undefined) throw new Error('no machines');
    expect(await pings()).toBe(true);
    expect(await pings('fd00:20::3')).toBe(true);
    expect(await own.daemons.control(['dpctl/dump-conntrack'])).toContain('src=10.20.0.1,');
    await own.cut([third]);
    await walls.dismiss(third);
    expect(await pingsAtOnce()).toBe(false);
    const left = (await own.daemons.control(['dpctl/dump-conntrack'])).split('\n');
    expect(left.filter((line) => /10\.20\.0\.3,|fd00:20::3,/.test(line))).toEqual([]);
    await walls.admit(third);
    await own.connect([third]);
    expect(await pings()).toBe(true);
  });

  test('of a connection that stands end with the rule that let it begin, of pings as well, and those of others go on', async () => {
    const { own, walls } = here();
    const all = { action: 'allow', from: 'any', to: 'any', services: ['any'] };
    const only = { ...all, name: 'only', from: { machine: 'm1' } };
    const [before, after] = [open({ rules: [{ ...all, name: 'all' }] }), open({ rules: [only] })];
    await wallsOf(compileSwitched(before, EVERYBODY));
    const both = [
      { from: station(0), to: station(2), address: '10.20.0.3', word: 'ended' },
      { from: station(1), to: station(3), address: 'fd00:20::4', word: 'goes on' },
    ];
    for (const { from, to, address, word } of both) {
      await from.tell('stream_open', address, 80);
      await expect.poll(() => to.tell('stream_accept', 80)).toBe(true);
      await from.tell('stream_send', word);
      expect(await to.tell('stream_receive')).toBe(word);
    }
    expect([await pings(), await pings('fd00:20::3')]).toEqual([true, true]);
    const model = new ReachModel(after, EVERYBODY);
    const mayBegin = (begun: Beginning): boolean => model.decide({ ...begun, atSeconds: 0 }).allowed;
    expect(await own.endConnections(() => true)).toBe(0);
    await walls.change(compileSwitched(after, EVERYBODY));
    expect(await own.endConnections(mayBegin)).toBeGreaterThanOrEqual(3);
    expect(await own.endConnections(mayBegin)).toBe(0);
    for (const { from, to, word } of both) {
      await from.tell('stream_send', word);
      const wait = word === 'ended' ? [WAIT_SECONDS] : [];
      expect(await to.tell('stream_receive', ...wait)).toBe(word === 'ended' ? '' : word);
    }
    const left = (await own.daemons.control(['dpctl/dump-conntrack'])).split('\n');
    expect(left.filter((line) => line.includes('orig=(src=10.20.0.1,') || line.startsWith('icmpv6'))).toEqual([]);
    expect([await pingsAtOnce(), await pingsAtOnce('fd00:20::3')]).toEqual([false, false]);
  });

  test('are dropped where a machine sends more than its share, or begins more', async () => {
    const datagram = ATTACKS[HONEST] ?? '';
    const arriving = async (share: object): Promise<() => Promise<number>> => {
      await wallsOf(compileSwitched(open({ shares: [{ machine: 'm0', ...share }] }), EVERYBODY));
      // What the meters of before have let through is no part of it.
      await sleep(SETTLE_MS);
      const before = Number(await station(2).tell('received'));
      await station(0).tell('flood', [datagram], FLOOD);
      return async () => Number(await station(2).tell('received')) - before;
    };
    await expect.poll(await arriving({})).toBeGreaterThan(FLOOD * 0.9);
    const few = await arriving({ packetsPerSecond: 10 });
    await sleep(SETTLE_MS);
    expect(await few()).toBeLessThan(FLOOD / 2);
    await expect.poll(await arriving({ sendMbit: 1, burstKiB: 64 })).toBeGreaterThan(FLOOD * 0.9);
  });

  test('wait where their receiver’s cable makes them, whatever becomes of the switch and its other ports', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { bed, own } = here();
    const sharers = EVERYBODY.map((machine) => ({ machine, share: DEFAULT_SHARE }));
    await limitReceiving(bed.inside, sharers);
    const missed = async () => (await notLimited(bed.inside, sharers)).map(({ name }) => name);
    await own.daemons.configure(['del-port', 'switch', 't4']);
    await own.connect(EVERYBODY);
    expect(await missed()).toEqual([]);
    for (const daemon of ['process', 'dataBase'] as const) {
      const one = own.daemons[daemon];
      if (one === undefined) throw new Error('it does not run');
      await killProcess(one);
      await lookedAfter(1);
      await own.connect(EVERYBODY);
      expect(await missed()).toEqual([]);
    }
    expect((await own.daemons.configure(['--bare', '--columns=_uuid', 'list', 'QoS'])).split('\n')).toHaveLength(2);
  });

  test('find their ports as they were connected, or it is said which are not', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { own, bed } = here();
    expect(await own.broken(EVERYBODY)).toEqual([]);
    await runChecked(bed.inside, ['/usr/sbin/ip', 'link', 'set', 'dev', 't2', 'down']);
    await own.daemons.configure(['del-port', 'switch', 't4']);
    const broken = await own.broken([...EVERYBODY, GONE]);
    expect(broken.map(({ machine, how }) => `${machine.interface} ${how}`)).toEqual([
      't2 changed',
      't4 changed',
      't9 gone',
    ]);
    await own.connect(EVERYBODY);
    expect(await own.broken(EVERYBODY)).toEqual([]);
  });

  test('are judged anew by a switch that was killed, once it has its flows, and before it nothing passes', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { own, walls } = here();
    const [first, second] = [own.daemons.process, own.daemons.dataBase];
    if (first === undefined || second === undefined) throw new Error('nothing runs');
    await killProcess(first);
    expect(await pingsAtOnce()).toBe(false);
    expect(await lookedAfter(1)).toEqual(['the switch of the network was gone; it is started again']);
    expect(await own.broken(EVERYBODY)).toEqual([]);
    expect(await pings()).toBe(true);
    await killProcess(second);
    // In user space, a switch without its data base lets nothing pass.
    expect(await pingsAtOnce()).toBe(false);
    await lookedAfter(1);
    expect(await walls.inspect()).toBe('standing');
    expect(await pings()).toBe(true);
  });

  test('are measured again where somebody has changed meters, or taken them away with their flows', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { own, walls } = here();
    const before = await metersOf(own);
    const lifted = 'meter=4,pktps,burst,band=type=drop,rate=4000000,burst_size=4000000';
    for (const [command, ...args] of [['mod-meter', lifted], ['del-meters']] as const) {
      expect((await own.daemons.flows([command], args)).code).toBe(0);
      expect(await walls.inspect()).toBe('changed');
      expect(await lookedAfter(1)).toEqual([
        'the rules of the network were changed by somebody else; they are put back',
      ]);
      expect(await metersOf(own)).toEqual(before);
      expect(await pings()).toBe(true);
    }
  });

  test('are judged by the rules again where somebody has changed flows, or the silence of the kernel', async () => {
    await wallsOf(compileSwitched(open({ rules: [] }), EVERYBODY));
    const { own, walls, bed } = here();
    expect(await pingsAtOnce()).toBe(false);
    await own.daemons.flows(['add-flow'], ['priority=500,actions=normal']);
    expect(await walls.inspect()).toBe('changed');
    expect(await lookedAfter(1)).toEqual(['the rules of the network were changed by somebody else; they are put back']);
    expect(await pingsAtOnce()).toBe(false);
    await applyBatch(bed.inside, [{ flush: { ruleset: null } }]);
    expect(await walls.inspect()).toBe('changed');
    await lookedAfter(1);
    expect(await walls.inspect()).toBe('standing');
  });

  test('go on by the rules of before where the switch refuses the new ones, and it is said which flow', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { own, walls } = here();
    const bad = {
      meters: [],
      until: undefined,
      flows: new Map([['table=4', 'table=4,actions=meter:999999,goto_table:9']]),
    };
    await expect(own.apply(bad)).rejects.toThrow(/refuses its flows: .*INVALID_METER.*meter:999999/);
    expect(await walls.inspect()).toBe('standing');
    expect(await pings()).toBe(true);
  });

  test('pass by time where a rule has one', async () => {
    // On a busy host the first is over before anybody has asked.
    let [over, passes] = [0, false];
    for (let lasts = 2; !passes && lasts <= LASTS_SECONDS; lasts *= 2) {
      over = Math.ceil(Date.now() / 1_000) + lasts;
      const before = new Date(over * 1_000).toISOString().replace('.000Z', 'Z');
      const rules = [{ name: 'soon-over', action: 'allow', from: 'any', to: 'any', services: ['ping'], before }];
      await wallsOf(compileSwitched(open({ rules }), EVERYBODY));
      passes = await pingsAtOnce();
    }
    expect(passes).toBe(true);
    await sleep(Math.max(0, over * 1_000 - Date.now()));
    await lookedAfter(0);
    await here().own.daemons.control(['dpctl/flush-conntrack']);
    expect(await pingsAtOnce()).toBe(false);
  });

  test('are forwarded as nobody else says: the switch and its data base hear no other user of the host', async () => {
    const { bench, own } = here();
    const sockets = [join(bench.dir, 'switch', 'database', 'db.sock'), own.daemons.controlSocket];
    const connect = 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])';
    const asks = (path: string, uid: number): Promise<RunResult> =>
      run(['/usr/bin/python3', '-I', '-c', connect, path], { uid, gid: uid });
    for (const path of sockets) {
      expect((await asks(path, NOBODY)).stderr.toString()).toContain('Permission denied');
      expect((await asks(path, 0)).code).toBe(0);
    }
  });

  test('go on without us: another life of ours finds the switch, and begins nothing anew', async () => {
    await wallsOf(compileSwitched(open(), EVERYBODY));
    const { bed, own, later: begin } = here();
    const { process } = own.daemons;
    const later = begin();
    const walls = new SwitchWalls(bed.inside, later);
    await walls.raise(compileSwitched(open(), EVERYBODY));
    expect(later.daemons.process).toEqual(process);
    expect(await later.broken(EVERYBODY)).toEqual([]);
    expect(await walls.inspect()).toBe('standing');
    const changed = open({ shares: [{ machine: 'm0', packetsPerSecond: 77 }] });
    await walls.change(compileSwitched(changed, EVERYBODY));
    expect([...(await metersOf(own)).values()].filter((meter) => meter?.rate === 77)).toHaveLength(1);
    expect(await walls.inspect()).toBe('standing');
  });

  test('are measured by as many meters as a switch of 1,024 machines has, or it is said which is refused', async () => {
    const { own } = here();
    const before = (await metersOf(own)).size;
    const some = Array.from({ length: 4_096 }, (_, index): MeterChange => {
      return { command: 'add', meter: { id: 10_000 + index, unit: 'pktps', rate: 10 + index, burst: 5 } };
    });
    await setMeters(own.daemons.flowSocket, some);
    const meters = await metersOf(own);
    expect(meters.size).toBe(before + some.length);
    for (const { meter } of some) expect(meters.get(meter.id)).toEqual(meter);
    await expect(setMeters(own.daemons.flowSocket, some.slice(7, 9))).rejects.toThrow('the switch refuses meter 10007');
  });

  test('end with the switch, of which nothing is left', async () => {
    const { own, bench } = here();
    await own.close();
    expect(await bench.left()).toEqual([]);
    expect(await pingsAtOnce()).toBe(false);
  });
});

async function metersOf({ daemons }: Switched['own']): Promise<SwitchMeters> {
  return metersIn((await daemons.flows(['dump-meters'], [])).stdout.toString());
}

/** What is said until so many things were. */
async function lookedAfter(count: number): Promise<string[]> {
  const said: string[] = [];
  const stop = new AbortController();
  const looking = here().walls.lookAfter((what) => said.push(what), LOOK_MS, stop.signal);
  try {
    await expect.poll(() => said.length).toBeGreaterThanOrEqual(count);
    await sleep(LOOK_MS * 2);
  } finally {
    stop.abort();
    await looking;
  }
  return said;
}
