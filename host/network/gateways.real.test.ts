// Addresses and names on a bridge and on an Open vSwitch, asked for by real clients: each gets its own, by its own cable alone, and
// nobody but the gateway gives any.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  compileBridged,
  compileSwitched,
  parseMachines,
  parsePolicy,
  type Machine,
  type Network,
  type NetworkCounts,
} from '@ringwall/netpolicy';
import { run, runChecked } from '../exec/index.ts';
import { lacksForJails, openBench, type Bench } from '../jail/testing/bench.ts';
import { connectSegment, keepApart } from './bridged/index.ts';
import { brokenGateways, connectGateways, inNamespace, Walls, type NamespaceRun } from './index.ts';
import { setMirror } from './mirror/index.ts';
import { NamesServer } from './names/index.ts';
import { OPENVSWITCH_PROGRAMS, Switch, SwitchWalls } from './openvswitch/index.ts';
import { dhcpcd, discover, helloGuest, NEEDS_CLIENTS, udhcpc } from './testing/dhcp-clients.ts';
import { arpFrame, ethernet, icmpv6Packet, ipv4Packet, markerOf, udp, unreachable } from './testing/frames.ts';
import { NEEDS_PACKETS, type Station, Testbed } from './testing/testbed.ts';

const GATEWAY = '169.254.1.1';
const GATEWAY_CARD = 'fe:ff:ff:ff:ff:fe';
const ALL = 'ff:ff:ff:ff:ff:ff';
const [CARD, OTHER] = ['02:54:00:00:00:01', '02:54:00:00:00:02'];
const [A, AAAA] = [1, 28];
/** RFC 1035, 4.1.1. */
const FOUND = 0;
const WAIT_SECONDS = 0.5;

const NEEDS =
  NEEDS_PACKETS +
  NEEDS_CLIENTS +
  (existsSync('/usr/sbin/dnsmasq') ? '' : ' (skipped: needs dnsmasq-base)') +
  (lacksForJails() === undefined ? '' : ` (${lacksForJails() ?? ''})`);
const NEEDS_SWITCH = Object.values(OPENVSWITCH_PROGRAMS).every((file) => existsSync(file))
  ? ''
  : ' (skipped: needs Open vSwitch)';

interface Site extends AsyncDisposable {
  readonly connect: (inside: NamespaceRun, machines: readonly Machine[]) => Promise<void>;
  readonly raise: () => Promise<void>;
  readonly counts: () => Promise<NetworkCounts>;
}

function bridged(bed: Testbed, network: Network, machines: readonly Machine[]): Site {
  const walls = new Walls(bed.inside);
  const compiled = compileBridged(network, machines);
  return {
    connect: async (inside, members) => {
      await connectSegment(inside, members);
      await keepApart(inside, members, compiled.isolated);
    },
    raise: () => walls.raise(compiled),
    counts: () => walls.counts(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function switched(bed: Testbed, network: Network, machines: readonly Machine[], bench: Bench): Site {
  const place = { id: bench.name, dir: join(bench.dir, 'switch'), namespace: bed.file, leases: bench.leases };
  const own = new Switch(bed.inside, place);
  const walls = new SwitchWalls(bed.inside, own);
  return {
    connect: (_, members) => own.connect(members),
    raise: () => walls.raise(compileSwitched(network, machines)),
    counts: () => walls.counts(),
    [Symbol.asyncDispose]: () => own.close(),
  };
}

describe.each([
  { mode: 'bridged', open: bridged, lacks: NEEDS },
  { mode: 'openvswitch', open: switched, lacks: NEEDS + NEEDS_SWITCH },
])('gateways of a network that is $mode $lacks', ({ mode, open, lacks }) => {
  let bench: Bench;
  let bed: Testbed;
  let site: Site;
  let names: NamesServer;
  const rules = [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['tcp/80', 'ping'] }];
  const networks = [{ name: 'app', mode, addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules }];
  const [network] = parsePolicy({ version: 1, tenant: 'acme', networks }).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(
    ['web', 'db', 'mail'].map((name, index) => ({
      name,
      labels: {},
      addresses: [`10.20.0.${index + 1}`, `fd00:20::${index + 1}`],
      mac: `02:54:00:00:00:0${index + 1}`,
      interface: `t${index + 1}`,
    })),
    network,
  );
  const station = (index: number): Station => {
    const found = bed.stations[index];
    if (found === undefined) throw new Error('no station');
    return found;
  };

  beforeAll(async () => {
    if (lacks !== '') return;
    bench = await openBench(mode === 'bridged' ? 'gb' : 'gs');
    const card = ({ mac }: Machine): string =>
      `link set dev lo up\nlink set dev eth0 address ${mac}\nlink set dev eth0 up\n`;
    bed = await Testbed.open(machines, { connect: () => Promise.resolve(), setUp: card });
    site = open(bed, network, machines, bench);
    await site.raise();
    await site.connect(bed.inside, machines);
    await connectGateways(bed.inside, machines);
    const id = `${bench.name}-names`;
    names = new NamesServer({ id, dir: join(bench.dir, 'names'), namespace: bed.file, leases: bench.leases });
    await names.apply({ network, machines, resolvers: [] });
    for (const one of bed.stations) await one.tell('listen', [80], []);
  });
  afterAll(async () => {
    if (lacks !== '') return;
    await names.stop();
    await site[Symbol.asyncDispose]();
    await bed[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  test.skipIf(lacks !== '')(
    'a machine learns its addresses, that its network is on the link, and no way out but the last',
    async () => {
      const learned = await dhcpcd(station(0));
      expect(learned).toMatch(/ inet 10\.20\.0\.1\/24 /);
      expect(learned).toMatch(/ inet6 fd00:20::1\/128 /);
      expect(learned).toMatch(/^169\.254\.1\.1 dev eth0/m);
      expect(learned).toMatch(/^fd00:20::\/64 dev eth0/m);
      expect(learned).toMatch(/^default via fe80::1 .*pref low/m);
      expect(learned).not.toMatch(/^default via 169/m);
      expect(learned).toMatch(/^new_domain_name_servers='?169\.254\.1\.1/m);
      expect(learned).toMatch(/^new_host_name='?web/m);
      expect(await udhcpc(station(1))).toMatch(/^10\.20\.0\.2\/24 169\.254\.1\.1\/32 0\.0\.0\.0 169\.254\.1\.1 db$/);
    },
  );

  test.skipIf(lacks !== '')('what the gateway itself says to all is counted against nobody', async () => {
    const { refusedFrom } = await site.counts();
    expect(refusedFrom.get('g1')?.get('rogue')).toBeUndefined();
    expect(refusedFrom.get('g2')?.get('spoofed')).toBeUndefined();
  });

  test.skipIf(lacks !== '')('it resolves its neighbours, and reaches them by what it was told', async () => {
    await udhcpc(station(0));
    await udhcpc(station(1));
    const web = station(0);
    expect(await web.tell('resolve', GATEWAY, 'db.app.internal', A)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await web.tell('resolve', GATEWAY, 'db', AAAA)).toEqual([FOUND, ['fd00:20::2']]);
    expect(await web.tell('resolve', 'fe80::1', 'db.app.internal', A)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await web.tell('resolve', GATEWAY, 'db.app.internal', A, 60, true)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await web.tell('probe', 1, [['tcp', '10.20.0.2', 80]], 0, [0])).toEqual([0]);
  });

  test.skipIf(lacks !== '')('no machine gets another’s lease, or hears what another gets', async () => {
    const send = (from: string, card: string, xid: string): string =>
      ethernet(ALL, from, 0x0800, ipv4Packet('0.0.0.0', '255.255.255.255', 17, udp(68, 67, discover(card, xid))));
    for (const one of bed.stations) await one.tell('sniff');
    const markers = ['a1a1a1a1', 'b2b2b2b2', 'c3c3c3c3', 'd4d4d4d4'];
    // Its own question comes last: what the others bring would be there before its answer.
    const frames = [send(CARD, OTHER, 'b2b2b2b2'), send(OTHER, OTHER, 'c3c3c3c3')];
    const stranger = send(CARD, '02:54:00:00:00:77', 'd4d4d4d4');
    await station(0).tell('frames', [...frames, stranger, send(CARD, CARD, 'a1a1a1a1')]);
    await expect.poll(() => station(0).tell('heard', markers)).toEqual(['a1a1a1a1']);
    expect(await station(1).tell('heard', markers)).toEqual([]);
  });

  test.skipIf(lacks !== '')('what others say in the gateway’s place arrives nowhere, and is counted', async () => {
    const { refused: before } = await site.counts();
    await station(1).tell('sniff');
    const marker = markerOf('gateway-forged');
    const forged = (from: string, to: string, source: number, card = CARD, at = ALL): string =>
      ethernet(at, card, 0x0800, ipv4Packet(from, to, 17, udp(source, 68, marker)));
    const advertisement = `4000070800000000${'0'.repeat(16)}${marker}`;
    await station(0).tell('frames', [
      forged('10.20.0.1', '10.20.0.2', 67, CARD, OTHER),
      forged(GATEWAY, '255.255.255.255', 67),
      forged(GATEWAY, '10.20.0.2', 67, GATEWAY_CARD, OTHER),
      forged(GATEWAY, '10.20.0.2', 53, CARD, OTHER),
      arpFrame(CARD, 2, GATEWAY, '10.20.0.2') + marker,
      ethernet(
        '33:33:00:00:00:01',
        CARD,
        0x86dd,
        icmpv6Packet('fe80:0:0:0:0:0:0:1', 'ff02:0:0:0:0:0:0:1', 134, advertisement),
      ),
      ethernet(OTHER, CARD, 0x86dd, icmpv6Packet('fe80:0:0:0:0:0:0:1', 'fd00:20:0:0:0:0:0:2', 136, advertisement)),
    ]);
    const counted = async (): Promise<boolean[]> => {
      const { refused: after } = await site.counts();
      return (['rogue', 'spoofed'] as const).map(
        (reason) => (after.get(reason)?.packets ?? 0) > (before.get(reason)?.packets ?? 0),
      );
    };
    await expect.poll(counted).toEqual([true, true]);
    expect(await station(1).tell('heard', [marker])).toEqual([]);
  });

  test.skipIf(lacks !== '')(
    'nothing else of a gateway answers, nobody is reached through it, and that is counted by machine',
    async () => {
      await udhcpc(station(0));
      const web = station(0);
      const others = [
        ['tcp', GATEWAY, 22],
        ['tcp', GATEWAY, 80],
        ['icmp', GATEWAY, 8],
      ];
      expect(await web.tell('probe', 2, others, WAIT_SECONDS)).toEqual([]);
      await station(1).tell('sniff');
      const marker = markerOf('through the gateway');
      await web.tell('frames', [
        ethernet(GATEWAY_CARD, CARD, 0x0800, ipv4Packet('10.20.0.1', '10.20.0.2', 253, marker)),
      ]);
      const counted = async (): Promise<unknown[]> => {
        const own = (await site.counts()).refusedFrom.get('g1');
        return [(own?.get('to-host')?.packets ?? 0) > 0, own?.get('refused')?.packets];
      };
      await expect.poll(counted).toEqual([true, 1]);
      expect(await station(1).tell('heard', [marker])).toEqual([]);
    },
  );

  test.skipIf(lacks !== '')('no machine reports errors of what another asked of its gateway', async () => {
    for (const one of [0, 1]) await udhcpc(station(one));
    await station(0).tell('sniff');
    const question = ipv4Packet('10.20.0.1', GATEWAY, 17, udp(40_000, 53, '5157010000010000000000000264620000010001'));
    await station(0).tell('frames', [ethernet(GATEWAY_CARD, CARD, 0x0800, question)]);
    const lie = unreachable('10.20.0.2', '10.20.0.1', question);
    const refused = async (): Promise<number> =>
      (await site.counts()).refusedFrom.get('g2')?.get('refused')?.packets ?? 0;
    const before = await refused();
    await station(1).tell('frames', [ethernet(GATEWAY_CARD, OTHER, 0x0800, lie)]);
    await expect.poll(refused).toBe(before + 1);
    // The end of the lie's own head, from whom to whom.
    expect(await station(0).tell('heard', [lie.slice(24, 56)])).toEqual([]);
  });

  test.skipIf(lacks !== '')('a mirror comes and goes beside it, and shows what is said there as well', async () => {
    const mirror = { inside: bed.inside, file: `${bed.file}.mirror` };
    const [web] = machines;
    if (web === undefined) throw new Error('no machine');
    expect(await setMirror(run, mirror, [web])).toEqual([web]);
    const shown = async (): Promise<number> => {
      const { stdout } = await runChecked(inNamespace(run, mirror.file), [
        '/usr/sbin/ip',
        '-s',
        '-j',
        'link',
        'show',
        'ids0',
      ]);
      return Number(JSON.parse(stdout.toString())[0].stats64.rx.packets);
    };
    const before = await shown();
    expect(await udhcpc(station(0))).toMatch(/^10\.20\.0\.1\/24 /);
    // A question and its answer, twice.
    expect((await shown()) - before).toBeGreaterThanOrEqual(4);
    await connectGateways(bed.inside, machines);
    expect(await setMirror(run, mirror, [web])).toEqual([]);
    expect(await brokenGateways(bed.inside, machines)).toEqual([]);
    await setMirror(run, mirror, []);
    expect(await brokenGateways(bed.inside, machines)).toEqual([]);
    expect(
      (await bed.inside(['/usr/sbin/tc', 'filter', 'show', 'dev', 't1', 'ingress'])).stdout.toString(),
    ).not.toContain('mirror');
    expect(await udhcpc(station(0))).toMatch(/^10\.20\.0\.1\/24 /);
  });

  test.skipIf(lacks !== '')('the hello image makes of it what it should', async () => {
    const learned = await helloGuest(station(1));
    expect(learned).toMatch(/ inet 10\.20\.0\.2\/24 /);
    expect(learned).toMatch(/^169\.254\.1\.1 dev eth0/m);
    expect(learned).not.toMatch(/^default via 169/m);
    expect(learned).toMatch(/ inet6 fd00:20::2\/128 scope global\b/);
    expect(learned).toMatch(/^default via fe80::1 dev eth0/m);
    expect(learned).toMatch(/^search app\.internal\nnameserver 169\.254\.1\.1$/m);
  });

  test.skipIf(lacks !== '')(
    'a gateway that somebody has taken apart is told, and is whole again when it is connected',
    async () => {
      const gone: Machine = { ...machines[0], name: 'gone', labels: {}, addresses: [], mac: CARD, interface: 't9' };
      const broken = async (): Promise<string[]> =>
        (await brokenGateways(bed.inside, machines)).map(({ machine, how }) => `${machine.interface} ${how}`);
      const sh = (script: string) => runChecked(bed.inside, ['/bin/sh', '-ec', script]);
      expect(await broken()).toEqual([]);
      await sh(
        'tc filter delete dev t1 ingress protocol arp pref 11; ip link set dev g2 down; tc qdisc delete dev p3 clsact',
      );
      expect(await broken()).toEqual(['t1 changed', 't2 changed', 't3 changed']);
      await connectGateways(bed.inside, machines);
      expect(await broken()).toEqual([]);
      expect(await udhcpc(station(2))).toMatch(/^10\.20\.0\.3\/24 /);
      // Of one whose cable is gone nothing stays.
      await sh('ip link add t9 type veth peer name t8');
      await connectGateways(bed.inside, [gone]);
      await sh('ip link show dev g9; ip link delete dev t9');
      await connectGateways(bed.inside, []);
      expect((await sh('ip -br link')).stdout.toString()).not.toMatch(/^[gp]9/m);
    },
  );

  test.skipIf(lacks !== '')('ended, nothing of it is left', async () => {
    await names.stop();
    await site[Symbol.asyncDispose]();
    expect(await bench.left()).toEqual([]);
  });
});
