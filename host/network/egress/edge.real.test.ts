// The way out, with packets: two networks of one host, whose namespace it is, and a world, which is another. What the model lets out
// arrives and nothing else; nobody outside begins anything; no network finds another by the edge; and what somebody breaks is put back.
import * as fc from 'fast-check';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  compileNetwork,
  edgeAddress,
  edgeMac,
  type Egress,
  type Machine,
  type Network,
  neverReached,
  parseAddress,
  parseEgress,
  parseMachines,
  parsePolicy,
  parseRange,
  parseSingleService,
  type ProtectedRange,
  ReachModel,
} from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import {
  closeNamespace,
  inNamespace,
  isNamespace,
  listRules,
  type NamespaceRun,
  pinNamespace,
  Walls,
} from '../index.ts';
import { ethernet, ipv4Packet, markerOf, udp } from '../testing/frames.ts';
import { NEEDS_PACKETS, Station, Testbed } from '../testing/testbed.ts';
import { Edge, type EdgeCounts, type NetworkOut } from './index.ts';

const IP = '/usr/sbin/ip';
const WAIT_SECONDS = 0.6;
/** As many as a busy host takes: where nothing is missing, there is one. */
const ATTEMPTS = 20;
const ROUNDS = 5;
const DRAWN = 60;
const SEED = 20_261_121;
const MTU_BYTES = 1_400;
/** Headers of IPv4 and TCP. */
const HEADERS_BYTES = 40;
/** Several looks. */
const LOOKED_MS = 600;
/** Of a connection that nobody else is waiting before. */
const STREAM_PORT = 8_443;

/** What is in the world: a public host, one at somebody's home, the host's own address behind the uplink, metadata, the router itself. */
const WORLD = {
  public: '203.0.113.9',
  home: '10.77.1.2',
  host: '192.0.2.1',
  azure: '168.63.129.16',
  router: '198.51.100.1',
  public6: '2001:db8:9::9',
  home6: 'fd77::9',
  router6: '2001:db8:1::1',
} as const;
const HOST_RANGES = [{ ...parseRange('192.0.2.0/24', ''), what: 'the host itself' }];
const SERVICES = ['tcp/443', 'tcp/80', 'udp/443', 'ping'];
const SETTING = {
  version: 1,
  uplink: { interface: 'eth1' },
  addresses: ['198.51.100.2/24', '2001:db8:1::2/64'],
  gateways: [WORLD.router, WORLD.router6],
};

const end = fc.oneof(
  fc.constant('any'),
  fc
    .uniqueArray(fc.constantFrom('0.0.0.0/0', '::/0', '203.0.113.0/24', '10.77.0.0/16', '10.0.0.0/7', 'fd77::/64'), {
      minLength: 1,
      maxLength: 2,
    })
    .map((addresses) => ({ addresses })),
);
const arbitraryRules = fc
  .array(
    fc.record({
      action: fc.constantFrom('allow', 'allow', 'allow', 'deny'),
      from: fc.constantFrom('any', { machine: 'a1' }),
      to: end,
      services: fc.constantFrom(['any'], ['any'], ['tcp/443', 'ping'], ['udp', 'tcp/80']),
    }),
    { minLength: 2, maxLength: 4 },
  )
  .map((rules) => rules.map((rule, index) => ({ ...rule, name: `r${index}` })));

const OPEN = [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }];

function networkOf(name: string, index: number, rules: unknown): { network: Network; machines: readonly Machine[] } {
  const addresses = [`10.2${index}.0.0/24`, `fd00:2${index}::/64`];
  const policy = { version: 1, tenant: 'acme', networks: [{ name, addresses, internet: 'nat', rules }] };
  const [network] = parsePolicy(policy).networks;
  if (network === undefined) throw new Error('no network');
  const machines = [1, 2].map((number) => ({
    name: `${name}${number}`,
    labels: {},
    addresses: [`10.2${index}.0.${number}`, `fd00:2${index}::${number}`],
    mac: `52:54:00:00:0${index}:0${number}`,
    interface: `${name}${number}`,
  }));
  return { network, machines: parseMachines(machines, network) };
}

/** Of each, what it has for ranges besides its own: those of the other. */
const A = networkOf('a', 1, OPEN);
const B = networkOf('b', 2, OPEN);
const EGRESS = parseEgress(SETTING);

interface Place {
  readonly bed: Testbed;
  readonly walls: Walls;
  readonly out: NetworkOut;
}

describe.skipIf(NEEDS_PACKETS !== '')(`the way out${NEEDS_PACKETS}`, () => {
  let dir: string;
  let host: NamespaceRun;
  let world: Station;
  let edge: Edge;
  let [a, b]: Place[] = [];
  const inEdge = (): NamespaceRun => inNamespace(run, join(dir, 'edge'));
  const networks = (): NetworkOut[] => [a, b].flatMap((place) => (place === undefined ? [] : [place.out]));
  const station = (place: Place | undefined, index: number): Station => {
    const found = place?.bed.stations[index];
    if (found === undefined) throw new Error('no station');
    return found;
  };
  const set = (egress: Egress = EGRESS, out = networks()): Promise<void> =>
    edge.set({
      egress,
      networks: out,
      protectedRanges: [...HOST_RANGES, ...A.network.addresses, ...B.network.addresses],
    });
  const keptFrom = (other: typeof A): ProtectedRange[] => {
    const others = other.network.addresses.map((range) => ({ ...range, what: 'of another network' }));
    return [...neverReached(EGRESS), ...HOST_RANGES, ...others];
  };
  const counted = async (inside: NamespaceRun, name: string): Promise<number> => {
    const counters = (await listRules(inside, true)).map((object) => Object(Object(object).counter));
    return counters.filter((counter) => counter.name === name).reduce((sum, { packets }) => sum + Number(packets), 0);
  };

  async function build(found: typeof A, other: typeof A): Promise<Place> {
    const bed = await Testbed.open(found.machines);
    const walls = new Walls(bed.inside);
    await walls.raise(compileNetwork(found.network, found.machines, { protectedRanges: keptFrom(other) }));
    for (const each of bed.stations) await each.tell('listen', [80, 443], [443]);
    return { bed, walls, out: { id: `net_${found.network.name}`, pin: bed.file, ranges: found.network.addresses } };
  }

  /** The other end of the host's interface, and of whatever is made on it. */
  async function plugWorld(): Promise<void> {
    const pid = world.child.pid ?? 0;
    await runChecked(host, [IP, ...'link add eth1 type veth peer name eth0 netns'.split(' '), String(pid)]);
    await world.tell(
      'configure',
      [
        'link set lo up',
        'link set eth0 up',
        `address replace ${WORLD.router}/24 dev eth0`,
        `address replace ${WORLD.router6}/64 dev eth0 nodad`,
        ...[WORLD.public, WORLD.home, WORLD.host, WORLD.azure].map((address) => `address replace ${address}/32 dev lo`),
        ...[WORLD.public6, WORLD.home6].map((address) => `address replace ${address}/128 dev lo nodad`),
        // Worse than it need be: the world knows the way to machines, and to the cables.
        ...['10.21.0.0/24', '10.22.0.0/24', '169.254.0.0/16'].map((range) => `route replace ${range} via 198.51.100.2`),
        '',
      ].join('\n'),
    );
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ringwall-egress-'));
    host = await pinNamespace(run, join(dir, 'host'));
    const [machine] = A.machines;
    if (machine === undefined) throw new Error('no machine');
    world = new Station({ ...machine, name: 'world' });
    await world.tell('collect', 0);
    await plugWorld();
    await world.tell('listen', [80, 443, STREAM_PORT], [443]);
    edge = new Edge({ pin: join(dir, 'edge'), host: join(dir, 'host') });
    [a, b] = await Promise.all([build(A, B), build(B, A)]);
  });
  afterAll(async () => {
    await edge.close();
    for (const each of [a, b]) await each?.bed[Symbol.asyncDispose]();
    world.child.kill('SIGKILL');
    await closeNamespace(run, join(dir, 'host'));
    await rm(dir, { recursive: true });
  });

  /** Which of these arrive: what should and has not is sent again, for a busy host is late. */
  let round = 0;
  async function arrivals(
    from: Station,
    journeys: readonly Journey[],
    expected: readonly Journey[],
  ): Promise<string[]> {
    const found = new Set<Journey>();
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      round += 1;
      const answered = await from.tell('probe', round, journeys.map(wire), WAIT_SECONDS);
      const heard = await world.tell('collect', round);
      const indexes = [...numbers(answered), ...(Array.isArray(heard) ? heard.map(([index]) => Number(index)) : [])];
      for (const index of indexes) {
        const journey = journeys[index];
        if (journey !== undefined) found.add(journey);
      }
      if (expected.every((journey) => found.has(journey))) break;
    }
    return told([...found]);
  }
  /** Of all of these, what the first machine may begin. */
  const letOut = (network: Network, machines: readonly Machine[]): Journey[] => {
    const model = new ReachModel(network, machines, keptFrom(B));
    return everywhere.filter(({ to, service }) => {
      const target = parseAddress(to, '');
      const from = machines[0]?.addresses.find(({ family }) => family === target.family);
      if (from === undefined) return false;
      const question = { ...parseSingleService(service, target.family, ''), atSeconds: Date.now() / 1_000 };
      return model.decide({ from, to: target, ...question }).allowed;
    });
  };
  const everywhere: readonly Journey[] = Object.values(WORLD).flatMap((to) =>
    SERVICES.map((service) => ({ to, service })),
  );

  test('is none while the operator has said nothing', async () => {
    expect(await arrivals(station(a, 0), everywhere, [])).toEqual([]);
    expect(await isNamespace(join(dir, 'edge'))).toBe(false);
  });

  test('leads where the model says and nowhere else, under random rules', async () => {
    await set();
    const cases = fc.sample(arbitraryRules, { numRuns: DRAWN, seed: SEED }).map((rules) => {
      const { network, machines } = networkOf('a', 1, rules);
      return { rules, network, machines, allowed: letOut(network, machines) };
    });
    // Rules that allow nearly nothing prove little.
    const dense = cases.slice(1).filter(({ allowed }) => allowed.length >= everywhere.length / 8);
    const tried = [...cases.slice(0, 1), ...dense.slice(0, ROUNDS - 1)];
    for (const { rules, network, machines, allowed } of tried) {
      await a?.walls.change(compileNetwork(network, machines, { protectedRanges: keptFrom(B) }));
      expect(await arrivals(station(a, 0), everywhere, allowed), JSON.stringify(rules)).toEqual(told(allowed));
    }
    const passed = tried.reduce((sum, { allowed }) => sum + allowed.length, 0);
    expect(passed).toBeGreaterThan(everywhere.length);
  });

  test('leads from two networks, each by ports of its own, and from neither to the other or to the edge', async () => {
    await a?.walls.change(compileNetwork(A.network, A.machines, { protectedRanges: keptFrom(B) }));
    const out = everywhere.filter(({ to }) => to === WORLD.public || to === WORLD.public6);
    const others = [
      '10.22.0.1',
      'fd00:22::1',
      edgeAddress({ slot: 1 }, 4),
      '169.254.2.1',
      '198.51.100.2',
      '2001:db8:1::2',
    ];
    const inside = others.flatMap((to) => SERVICES.map((service) => ({ to, service })));
    for (const from of [station(a, 0), station(b, 0)]) {
      expect(await arrivals(from, out, out)).toEqual(told(out));
      expect(
        await arrivals(
          from,
          inside.filter(({ to }) => !to.includes('22')),
          [],
        ),
      ).toEqual([]);
    }
    expect(await arrivals(station(a, 0), inside, [])).toEqual([]);
    expect(await counted(a?.bed.inside ?? host, 'protected')).toBeGreaterThan(0);
    const known = await runChecked(inEdge(), ['/usr/sbin/conntrack', '-L', '-p', 'tcp', '-f', 'ipv4']);
    const ports = known.stdout.toString().matchAll(/src=169\.254\.3\.(\d) .* dst=198\.51\.100\.2 .*dport=(\d+)/g);
    const blocks = Array.from(ports, ([, end4, port]) => [
      Number(end4),
      Math.floor((Number(port) - 1_024) / 1_008) + 1,
    ]);
    expect(blocks.length).toBeGreaterThan(1);
    expect(blocks.every(([slot, block]) => slot === block)).toBe(true);
  });

  test('is no way in, not even for whoever knows the way, and spoofs from either side are dropped and counted', async () => {
    const targets = ['10.21.0.1', edgeAddress({ slot: 0 }, 4), '198.51.100.2'].flatMap((to) => [
      ['tcp', to, 443],
      ['tcp', to, 22],
      ['icmp', to, 8],
    ]);
    expect(await world.tell('probe', (round += 1), targets, WAIT_SECONDS)).toEqual([]);
    const before = await counted(inEdge(), 'spoofed');
    await station(a, 0).tell('sniff');
    const gateway = (await macIn(inEdge(), 'eth1')) ?? '';
    const frame = (from: string, name: string): string => {
      const packet = ipv4Packet(from, '10.21.0.1', 17, udp(443, 443, markerOf(name)));
      return ethernet(gateway, '02:00:00:00:00:01', 0x0800, packet);
    };
    await world.tell('frames', [frame(edgeAddress({ slot: 1 }, 4), 'as-b'), frame('203.0.113.9', 'as-itself')]);
    // A network that says it is the other: not even its own namespace is believed.
    const asA = ipv4Packet(edgeAddress({ slot: 0 }, 4), WORLD.public, 17, udp(443, 443, markerOf('as-a')));
    const [there, here] = [edgeMac({ slot: 1 }, 'edge'), edgeMac({ slot: 1 }, 'network')];
    await sendFrame(b?.bed.inside ?? host, 'uplink', ethernet(there, here, 0x0800, asA));
    await expect.poll(() => counted(inEdge(), 'spoofed')).toBeGreaterThanOrEqual(before + 2);
    expect(await station(a, 0).tell('heard', ['as-b', 'as-itself'].map(markerOf))).toEqual([]);
  });

  test('counts by network what goes out, what comes back, and what it refuses', async () => {
    const countedOf = async (network: string): Promise<EdgeCounts> => {
      const counts = await edge.counts(network);
      if (counts === undefined) throw new Error(`${network} does not get out`);
      return counts;
    };
    const refusedOf = ({ refused }: EdgeCounts): number => refused.get('protected')?.packets ?? 0;
    const [beforeA, beforeB] = [await countedOf('net_a'), await countedOf('net_b')];
    // What its walls would not let out either: they are not in the way of whoever broke into the router of the network.
    const there = edgeMac({ slot: 0 }, 'edge');
    const past = ipv4Packet(edgeAddress({ slot: 0 }, 4), WORLD.router, 17, udp(443, 443, markerOf('past')));
    await sendFrame(a?.bed.inside ?? host, 'uplink', ethernet(there, edgeMac({ slot: 0 }, 'network'), 0x0800, past));
    expect(await station(a, 0).tell('segment', WORLD.public, 443)).not.toBeNull();
    await expect.poll(async () => refusedOf(await countedOf('net_a'))).toBe(refusedOf(beforeA) + 1);
    const [afterA, afterB] = [await countedOf('net_a'), await countedOf('net_b')];
    // At least: SYN, ACK and what was refused; SYN-ACK.
    expect(afterA.sent.packets).toBeGreaterThanOrEqual(beforeA.sent.packets + 3);
    expect(afterA.received.packets).toBeGreaterThan(beforeA.received.packets);
    expect(refusedOf(afterB)).toBe(refusedOf(beforeB));
    expect(afterB.received.packets).toBe(beforeB.received.packets);
    expect(await edge.counts('net_c')).toBeUndefined();
  });

  test('takes segments that fit it', async () => {
    for (const [inside, name] of [[inEdge(), 'eth1']] as const)
      await runChecked(inside, [IP, 'link', 'set', name, 'mtu', String(MTU_BYTES)]);
    await set();
    expect(await station(a, 0).tell('segment', WORLD.public, 443)).toBeLessThanOrEqual(MTU_BYTES - HEADERS_BYTES);
    expect(await station(a, 0).tell('segment', WORLD.public, 443)).toBeGreaterThan(MTU_BYTES - HEADERS_BYTES - 40);
  });

  test('is put back, and it is said, whatever somebody does to it', async () => {
    const said: string[] = [];
    // Begun anew for each harm: a look that goes on meanwhile would put it back with what was done before, and say nothing of it.
    const lookAfter = (): AsyncDisposable => {
      said.length = 0;
      const stop = new AbortController();
      const looking = edge.lookAfter((what) => said.push(what), 50, stop.signal);
      return {
        [Symbol.asyncDispose]: () => {
          stop.abort();
          return looking;
        },
      };
    };
    const leadsOut = async (): Promise<boolean> => (await station(a, 0).tell('segment', WORLD.public, 443)) !== null;
    const [cable] = (await runChecked(inEdge(), [IP, '-br', 'link'])).stdout.toString().match(/rw[0-9a-f]{13}/) ?? [];
    // What is as it should be is left alone: looked at some times, it is the very same.
    const indexes = async (): Promise<string> => (await runChecked(inEdge(), [IP, '-o', 'link'])).stdout.toString();
    const before = await indexes();
    {
      await using _ = lookAfter();
      await new Promise((resolve) => setTimeout(resolve, LOOKED_MS));
    }
    expect([said, await indexes()]).toEqual([[], before]);
    const harms: [NamespaceRun, string[], RegExp][] = [
      [inEdge(), ['/usr/sbin/nft', 'flush', 'ruleset'], /its rules were changed/],
      [inEdge(), ['/usr/sbin/nft', 'flush', 'table', 'inet', 'ringwall'], /its rules were changed/],
      [inEdge(), [IP, 'link', 'set', 'eth1', 'down'], /eth1 was changed/],
      [inEdge(), [IP, 'route', 'flush', 'default'], /eth1 was changed/],
      [inEdge(), [IP, 'link', 'set', cable ?? '', 'down'], /the cable of net_\w was changed/],
      [a?.bed.inside ?? host, [IP, 'route', 'flush', 'default'], /the cable of net_a was changed/],
      [a?.bed.inside ?? host, [IP, 'link', 'delete', 'uplink'], /the cable of net_a was changed/],
    ];
    for (const [inside, harm, word] of harms) {
      await runChecked(inside, harm);
      await using _ = lookAfter();
      await expect.poll(() => said.join('\n')).toMatch(word);
      await expect.poll(leadsOut).toBe(true);
    }
    // With a veth the interface goes, too; a card of the host comes back to it by itself.
    await closeNamespace(run, join(dir, 'edge'));
    await using _ = lookAfter();
    await expect.poll(() => said.join('\n')).toMatch(/there is no interface eth1/);
    await plugWorld();
    await expect.poll(leadsOut).toBe(true);
    expect(said.join('\n')).toMatch(/its namespace was removed/);
  });

  test('is taken up as it stands by another life of ours, with the connections that it has', async () => {
    await station(a, 0).tell('stream_open', WORLD.public, STREAM_PORT);
    await expect.poll(() => world.tell('stream_accept', STREAM_PORT)).toBe(true);
    edge = new Edge({ pin: join(dir, 'edge'), host: join(dir, 'host') });
    // The other network's number is not given away while it is not there.
    await set(EGRESS, networks().slice(0, 1));
    await station(a, 0).tell('stream_send', 'still here');
    expect(await world.tell('stream_receive')).toBe('still here');
    const links = (await runChecked(inEdge(), [IP, '-br', 'link'])).stdout.toString();
    expect(links.match(/rw[0-9a-f]{13}/g)).toHaveLength(1);
    expect((await b?.bed.inside([IP, 'link', 'show', 'uplink']))?.code).not.toBe(0);
  });

  test('ends whole: the interface is the host’s again, and nothing is left', async () => {
    // Somebody is on the way in.
    const file = await open(join(dir, 'edge'));
    await edge.close();
    await file.close();
    expect(await isNamespace(join(dir, 'edge'))).toBe(false);
    expect(await edge.counts('net_a')).toBeUndefined();
    expect((await host([IP, 'link', 'show', 'eth1'])).code).toBe(0);
    expect(await arrivals(station(a, 0), everywhere, [])).toEqual([]);
  });

  test('may be made on an interface that the host goes on using, and takes none that the host is reached by', async () => {
    const onHost = (...lines: string[]) => runChecked(host, [IP, '-batch', '-'], { input: `${lines.join('\n')}\n` });
    await onHost('link add br0 type bridge', 'link set eth1 master br0');
    await expect(set()).rejects.toThrow('eth1 is not taken: it is a part of br0');
    await onHost('link delete br0', 'link add link eth1 name on1 type macvlan mode private');
    await expect(set()).rejects.toThrow('eth1 is not taken: this host has on1 on it');
    await onHost('link delete on1', 'link set eth1 up', 'address add 198.51.100.77/24 dev eth1');
    await expect(set()).rejects.toThrow('eth1 is not taken: this host itself has the address 198.51.100.77/24 on it');
    const shared = parseEgress({ ...SETTING, uplink: { on: 'eth1' } });
    await set(shared);
    const out = everywhere.filter(({ to }) => to === WORLD.public || to === WORLD.public6);
    expect(await arrivals(station(a, 0), out, out)).toEqual(told(out));
    expect(await connects(host, WORLD.router)).toBe(true);
    const standing = (await runChecked(inEdge(), [IP, '-o', 'link'])).stdout.toString();
    await set(shared);
    expect((await runChecked(inEdge(), [IP, '-o', 'link'])).stdout.toString()).toBe(standing);
    expect(await arrivals(station(a, 0), [{ to: '198.51.100.77', service: 'ping' }], [])).toEqual([]);
    await edge.close();
    expect((await runChecked(host, [IP, '-br', 'address', 'show', 'eth1'])).stdout.toString()).toContain(
      '198.51.100.77/24',
    );
    expect((await runChecked(host, [IP, '-br', 'link'])).stdout.toString()).not.toContain('world');
  });
});

interface Journey {
  readonly to: string;
  readonly service: string;
}

function wire({ to, service }: Journey): [string, string, number] {
  const { protocol, number } = parseSingleService(service, to.includes(':') ? 6 : 4, '');
  return [protocol === 6 ? 'tcp' : protocol === 17 ? 'udp' : 'icmp', to, number];
}

function told(journeys: readonly Journey[]): string[] {
  return journeys.map(({ to, service }) => `${to} ${service}`).toSorted();
}

function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

async function sendFrame(inside: NamespaceRun, device: string, hex: string): Promise<void> {
  const script = [
    'import socket, sys',
    'out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)',
    'out.bind((sys.argv[1], 0))',
    'out.send(bytes.fromhex(sys.argv[2]))',
  ];
  await runChecked(inside, ['/usr/bin/python3', '-I', '-c', script.join('\n'), device, hex]);
}

async function connects(inside: NamespaceRun, to: string): Promise<boolean> {
  const script = 'import socket, sys; socket.create_connection((sys.argv[1], 443), 60)';
  return (await inside(['/usr/bin/python3', '-I', '-c', script, to])).code === 0;
}

async function macIn(inside: NamespaceRun, device: string): Promise<string | undefined> {
  const { stdout } = await runChecked(inside, [IP, 'link', 'show', 'dev', device]);
  return /link\/ether ([0-9a-f:]+)/.exec(stdout.toString())?.[1];
}
