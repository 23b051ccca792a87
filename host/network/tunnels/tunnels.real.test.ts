// Three hosts on one wire, each a namespace, and machines of one network on all of them: packets go where the model says, by WireGuard
// alone, and whatever happens to a tunnel opens nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { compileNetwork, parsePolicy, type Machine, type Network } from '@ringwall/netpolicy';
import { killProcess, runChecked } from '../../exec/index.ts';
import { lacksForJails, openBench, type Bench } from '../../jail/testing/bench.ts';
import { listRules } from '../index.ts';
import { arrivals, drawCases, EVERYBODY, JOURNEYS, listenAll, told } from '../testing/journeys.ts';
import { TestHosts, type TestHost } from '../testing/hosts.ts';
import { NEEDS_PACKETS, type Station } from '../testing/testbed.ts';
import { parseDump, renderConf } from './kernel.ts';
import type { Tunnel } from './tunnel.ts';
import { askUapi } from './uapi.ts';

const needs =
  NEEDS_PACKETS !== ''
    ? NEEDS_PACKETS
    : lacksForJails() !== undefined || !existsSync('/usr/bin/wireguard-go') || !existsSync('/usr/bin/wg')
      ? ' (skipped: needs a jail, wireguard-go and wireguard-tools)'
      : '';
const ROUNDS = 3;
const NOTICE_MS = 300;
const CLOSED_PORT = 9;
/** Packets. */
const STREAM_STEP = 50;
/** A restart takes less than a second, and the interface is looked at once a second by wireguard-go; the rest is for a busy host. */
const AGAIN_WITHIN_MS = 60_000;

const OPEN = networkOf([{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }]);

function networkOf(rules: readonly unknown[]): Network {
  const [network] = parsePolicy({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules }],
  }).networks;
  if (network === undefined) throw new Error('no network');
  return network;
}

let bench: Bench;
let three: TestHosts;

function host(name: string): TestHost {
  const found = three.hosts.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no host ${name}`);
  return found;
}

/** By the number of the machine. */
function station(index: number): Station {
  const found = three.stations.find(({ machine }) => machine.name === `m${index}`);
  if (found === undefined) throw new Error(`no machine m${index}`);
  return found;
}

/** Whether a machine reaches another by TCP, tried until it does or the time is over. */
async function reaches(from: Station, to: string, withinMs: number): Promise<boolean> {
  for (const end = performance.now() + withinMs; performance.now() < end;) {
    const reached = await from.tell('probe', 90, [['tcp', to, 80]], 0.4);
    if (Array.isArray(reached) && reached.length > 0) return true;
  }
  return false;
}

/** A connection that stays. The listener takes what came first: attempts of earlier tests, which have ended. */
async function connect(from: Station, to: Station, address: string): Promise<void> {
  expect(await reaches(from, address, AGAIN_WITHIN_MS)).toBe(true);
  expect(await from.tell('stream_open', address, 80)).toBe(true);
  expect(await from.tell('stream_send', 'hello')).toBe(true);
  for (const end = performance.now() + AGAIN_WITHIN_MS; performance.now() < end;) {
    if ((await to.tell('stream_accept', 80)) !== true) await sleep(20);
    else if ((await to.tell('stream_receive', 0.5)) === 'hello') return;
  }
  throw new Error('no connection');
}

const SEND =
  'import signal, socket, sys, time\n' +
  'own, count, going = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0, [True]\n' +
  'signal.signal(signal.SIGINT, lambda *_: going.clear())\n' +
  'while going:\n' +
  "  own.sendto(count.to_bytes(4, 'big'), (sys.argv[1], 7777)); count += 1; time.sleep(0.005)\n" +
  '  print(count, flush=True)\n';
/** Goes on until nothing more comes, for longer than a busy host lets a packet lie. */
const RECEIVE =
  'import signal, socket\n' +
  'own, heard, going = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), set(), [True]\n' +
  'signal.signal(signal.SIGINT, lambda *_: going.clear())\n' +
  "own.bind(('', 7777)); own.settimeout(3); print('ready', flush=True)\n" +
  'while True:\n' +
  "  try: heard.add(int.from_bytes(own.recv(64), 'big')); print(max(heard), flush=True)\n" +
  '  except TimeoutError:\n' +
  '    if not going: break\n' +
  'print(sorted(heard))\n';

interface PacketStream {
  /** Until some packets that are sent from now on have come: all that was sent before is past the tunnels, or lost. */
  readonly goesOn: () => Promise<void>;
  /** Ends it: how many were sent, and which of them were lost. */
  readonly end: () => Promise<{ sent: number; lost: number[] }>;
}

/** Two hundred packets a second from one to the other. */
async function openStream(from: Station, to: Station, address: string): Promise<PacketStream> {
  const start = ({ child }: Station, script: string, ...words: readonly string[]) => {
    const program = ['/usr/bin/python3', '-I', '-c', script, ...words];
    const started = spawn('/usr/bin/nsenter', [`--net=/proc/${child.pid ?? 0}/ns/net`, ...program]);
    started.stderr.pipe(process.stderr);
    let said = '';
    started.stdout.setEncoding('utf8').on('data', (more: string) => (said += more));
    const ended = once(started, 'close');
    /** What it said last, in a line that is whole. */
    const last = (): string => said.split('\n').at(-2) ?? '';
    const stop = async (): Promise<string> => {
      started.kill('SIGINT');
      await ended;
      return last();
    };
    return { last, stop };
  };
  const receiver = start(to, RECEIVE);
  await expect.poll(receiver.last).toBe('ready');
  const sender = start(from, SEND, address);
  await expect.poll(sender.last).not.toBe('');
  return {
    goesOn: async () => {
      const sent = Number(sender.last());
      await expect.poll(() => Number(receiver.last())).toBeGreaterThan(sent + STREAM_STEP);
    },
    end: async () => {
      const sent = Number(await sender.stop());
      const heard = new Set<unknown>(JSON.parse(await receiver.stop()));
      return { sent, lost: Array.from({ length: sent }, (_, index) => index).filter((index) => !heard.has(index)) };
    },
  };
}

async function spoofed({ bed }: TestHost): Promise<number> {
  const counters = (await listRules(bed.inside, true)).map((object) => Object(Object(object).counter));
  return counters.filter(({ name }) => name === 'spoofed').reduce((sum, { packets }) => sum + Number(packets), 0);
}

describe.skipIf(needs !== '')(`machines on three hosts${needs}`, () => {
  beforeAll(async () => {
    bench = await openBench('tunnels');
    const machines = [0, 1, 2].map((index) => EVERYBODY.filter((_, at) => at % 3 === index));
    three = await TestHosts.open(bench, OPEN, machines);
    await listenAll(three.stations);
    await three.apply(OPEN, EVERYBODY);
  });
  afterAll(async () => {
    await three[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  test('hear from another host that a port of theirs is closed: who reports it is an end of the connection', async () => {
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
    await station(0).tell('sniff');
    await station(0).tell('probe', 91, [['udp', '10.20.0.2', CLOSED_PORT]], 0);
    // From whom to whom, and that it is an unreachable port (RFC 792).
    await expect.poll(() => station(0).tell('heard', ['0a1400020a1400010303'])).toHaveLength(1);
  });

  test('reach each other by everything where everything is allowed: what follows is no accident of the tunnels', async () => {
    expect(told(await arrivals(three.stations, JOURNEYS))).toEqual(told(JOURNEYS));
  });

  test('reach whom the model says and nobody else, under random policies', async () => {
    let passed = 0;
    for (const { policy, network, machines, allowed } of drawCases(ROUNDS)) {
      await three.apply(network, machines);
      expect(told(await arrivals(three.stations, allowed)), JSON.stringify(policy)).toEqual(told(allowed));
      passed += allowed.length;
    }
    expect(passed).toBeGreaterThan(0);
    await three.apply(OPEN, EVERYBODY);
  });

  test('are decided about on either host, each by its own copy of the rules', async () => {
    const [alpha, beta] = [host('alpha'), host('beta')];
    const closed = networkOf([]);
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
    for (const one of [alpha, beta]) {
      await one.walls.change(compileNetwork(closed, three.seenFrom(one, closed, EVERYBODY)));
      expect(await reaches(station(0), '10.20.0.2', 800), one.name).toBe(false);
      await one.walls.change(compileNetwork(OPEN, three.seenFrom(one, OPEN, EVERYBODY)));
    }
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
  });

  test('cannot be imitated by another host: its tunnel brings nobody else’s address, and the walls take none from it', async () => {
    const [alpha, beta] = [host('alpha'), host('beta')];
    // Beta is the attacker's: its own walls are down, and it sends as gamma's machine m2, and as alpha's own m3.
    await runChecked(beta.bed.inside, ['/usr/sbin/nft', 'flush', 'ruleset']);
    const device = three.interfaceOf(beta, alpha);
    const lie = async (): Promise<void> => {
      const script =
        'import socket,struct\n' +
        `own = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0800)\n` +
        'for last in (3, 4, 77):\n' +
        "  head = struct.pack('!BBHHHBBH4s4s', 69, 0, 44, 1, 0, 64, 253, 0, bytes([10, 20, 0, last]), bytes([10, 20, 0, 1]))\n" +
        '  total = sum(struct.unpack("!10H", head))\n' +
        '  total = (total & 0xffff) + (total >> 16)\n' +
        "  head = head[:10] + struct.pack('!H', ~total & 0xffff) + head[12:]\n" +
        `  own.sendto(head + b'from somebody else!!!!!!', ('${device}', 0x0800))\n`;
      await runChecked(beta.bed.inside, ['/usr/bin/python3', '-I', '-c', script]);
      await sleep(NOTICE_MS);
    };
    await station(0).tell('sniff');
    const marker = Buffer.from('from somebody else').toString('hex');
    const before = await spoofed(alpha);
    await lie();
    expect(await station(0).tell('heard', [marker])).toEqual([]);
    expect(await spoofed(alpha)).toBe(before);
    // As if WireGuard did not look: the walls do, by themselves.
    const careless = three
      .tunnelsOf(alpha, EVERYBODY)
      .map((tunnel) =>
        tunnel.host === 'beta'
          ? { ...tunnel, addresses: addressesOf(EVERYBODY, 'm1', 'm4', 'm7', 'm2', 'm3') }
          : { ...tunnel, addresses: [] },
      );
    await alpha.tunnels.set(careless);
    await lie();
    await vi.waitFor(async () => expect(await spoofed(alpha)).toBe(before + 2), AGAIN_WITHIN_MS);
    expect(await station(0).tell('heard', [marker])).toEqual([]);
    await beta.walls.raise(compileNetwork(OPEN, three.seenFrom(beta, OPEN, EVERYBODY)));
    await three.apply(OPEN, EVERYBODY);
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
  });

  test('lose their connections when one of them is gone from the other host', async () => {
    await connect(station(0), station(1), '10.20.0.2');
    await three.apply(
      OPEN,
      EVERYBODY.filter(({ name }) => name !== 'm1'),
    );
    await station(0).tell('stream_send', 'after');
    expect(await station(1).tell('stream_receive', 1)).toBe('');
    await three.apply(OPEN, EVERYBODY);
  });

  test('send as much as fits the way between their hosts, in one piece', async () => {
    const [alpha, beta, gamma] = [host('alpha'), host('beta'), host('gamma')];
    const mtu = async (one: TestHost, other: TestHost): Promise<unknown> => {
      const argv = ['/usr/sbin/ip', '-j', 'link', 'show', 'dev', three.interfaceOf(one, other)];
      const [link] = JSON.parse((await runChecked(one.bed.inside, argv)).stdout.toString());
      return Object(link).mtu;
    };
    expect([await mtu(alpha, beta), await mtu(alpha, gamma)]).toEqual([1440, 1420]);
    for (const one of three.hosts)
      await runChecked(one.onUnderlay, ['/usr/sbin/ip', 'link', 'set', 'eth0', 'mtu', '1400']);
    await three.apply(OPEN, EVERYBODY);
    expect([await mtu(alpha, beta), await mtu(alpha, gamma)]).toEqual([1340, 1320]);
    // A machine knows nothing of that: its card takes 1,500 bytes, and it is told what is too large.
    await connect(station(0), station(1), '10.20.0.2');
    await station(0).tell('stream_send', 'x'.repeat(50_000));
    let received = 0;
    while (received < 50_000) {
      const piece = String(await station(1).tell('stream_receive'));
      expect(piece).not.toBe('');
      received += piece.length;
    }
    expect(received).toBe(50_000);
  });

  test('lose no packet while the keys between their hosts are changed', async () => {
    const [alpha, beta] = [host('alpha'), host('beta')];
    const both = (one: TestHost, ...generations: readonly number[]): readonly Tunnel[] =>
      three
        .tunnelsOf(one, EVERYBODY)
        .flatMap((tunnel) =>
          ['alpha', 'beta'].includes(tunnel.host)
            ? generations.map((each) => three.again(one, tunnel, each))
            : [tunnel],
        );
    const walls = async (one: TestHost, older: number | undefined, now: number): Promise<void> => {
      const seen = three
        .seenFrom(one, OPEN, EVERYBODY)
        .map((machine) =>
          'host' in machine && ['alpha', 'beta'].includes(machine.host)
            ? three.byWay(one, machine, now, older)
            : machine,
        );
      await one.walls.change(compileNetwork(OPEN, seen));
    };
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
    const stop = new AbortController();
    const watches = [alpha, beta].map((one) => one.tunnels.lookAfter(() => undefined, NOTICE_MS, stop.signal));
    const used = async (one: TestHost, to: string): Promise<string> =>
      (await runChecked(one.bed.inside, ['/usr/sbin/ip', 'route', 'get', to])).stdout.toString();
    const stream = await openStream(station(0), station(1), '10.20.0.2');
    // One host first, then the other; each uses the new tunnel when it works, and later gives up the old one.
    await walls(alpha, 1, 2);
    await alpha.tunnels.set(both(alpha, 1, 2));
    await stream.goesOn();
    await walls(beta, 1, 2);
    await beta.tunnels.set(both(beta, 1, 2));
    for (const [one, other, to] of [
      [alpha, beta, '10.20.0.2'],
      [beta, alpha, '10.20.0.1'],
    ] as const) {
      await vi.waitFor(
        async () => expect(await used(one, to)).toContain(three.interfaceOf(one, other, 2)),
        AGAIN_WITHIN_MS,
      );
    }
    await stream.goesOn();
    for (const one of [beta, alpha]) {
      await one.tunnels.set(both(one, 2));
      await walls(one, undefined, 2);
      await stream.goesOn();
    }
    const { sent, lost } = await stream.end();
    stop.abort();
    await Promise.all(watches);
    await three.apply(OPEN, EVERYBODY);
    console.log(`packets lost while keys were changed: ${lost.length} of ${sent}`);
    expect(sent).toBeGreaterThan(4 * STREAM_STEP);
    expect(lost).toEqual([]);
  });

  test('have their tunnel back within seconds when wireguard-go is killed, and no way but the tunnel meanwhile', async () => {
    const alpha = host('alpha');
    const said: string[] = [];
    const stop = new AbortController();
    const device = three.interfaceOf(alpha, host('beta'));
    const lease = bench.leases.list().find(({ purpose }) => purpose.endsWith(device));
    if (lease?.process === undefined) throw new Error('no wireguard-go');
    await killProcess(lease.process);
    expect(await alpha.tunnels.status(Date.now() / 1000)).toContainEqual(
      expect.objectContaining({ host: 'beta', state: 'down' }),
    );
    // Without its interface the address is nowhere: never behind a route that leads out.
    await runChecked(alpha.bed.inside, ['/usr/sbin/ip', 'link', 'delete', 'dev', device]);
    const route = await alpha.bed.inside(['/usr/sbin/ip', 'route', 'get', '10.20.0.2']);
    expect(route.stderr.toString()).toMatch(/No route to host|unreachable/);
    expect(await alpha.walls.inspect()).toBe('standing');
    const watch = alpha.tunnels.lookAfter((what) => said.push(what), NOTICE_MS, stop.signal);
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
    expect(said).toEqual(['the tunnel to beta has ended; it is put back']);
    stop.abort();
    await watch;
  });

  test('follow no host to another address: the endpoint is put back, and so are machines that somebody adds', async () => {
    const alpha = host('alpha');
    const device = three.interfaceOf(alpha, host('beta'));
    const socket = `${bench.dir}/alpha-tunnels/${device}/${device}.sock`;
    const key = /^public_key=(.*)$/m.exec((await askUapi(socket, 'get=1\n\n')) ?? '')?.[1] ?? '';
    await askUapi(socket, `set=1\npublic_key=${key}\nendpoint=192.0.2.99:9\n\n`);
    await askUapi(socket, `set=1\npublic_key=${'77'.repeat(32)}\nallowed_ip=10.20.0.3/32\n\n`);
    const said: string[] = [];
    const stop = new AbortController();
    const watch = alpha.tunnels.lookAfter((what) => said.push(what), NOTICE_MS, stop.signal);
    await expect.poll(() => said).toEqual(['the tunnel to beta was changed by somebody else; it is put back']);
    stop.abort();
    await watch;
    const answer = (await askUapi(socket, 'get=1\n\n')) ?? '';
    expect(answer).toContain('endpoint=192.0.2.2:51820');
    expect(answer).not.toContain('allowed_ip=10.20.0.3/32');
  });

  test('are told of as silent once the other host has not answered for three minutes', async () => {
    expect(await reaches(station(0), '10.20.0.2', AGAIN_WITHIN_MS)).toBe(true);
    const now = Date.now() / 1000;
    const states = async (at: number): Promise<unknown> =>
      (await host('alpha').tunnels.status(at)).filter(({ host: other }) => other === 'beta').map(({ state }) => state);
    expect([await states(now), await states(now + 300)]).toEqual([['up'], ['silent']]);
  });

  test('have tunnels that another process of ours finds as they are, and leaves alone', async () => {
    const before = bench.leases.list().map(({ uid }) => uid);
    await three.apply(OPEN, EVERYBODY);
    expect(bench.leases.list().map(({ uid }) => uid)).toEqual(before);
  });

  test('have WireGuard without a right: no capability, and nothing of the host but its own socket', async () => {
    for (const { process: program, uid } of bench.leases.list()) {
      const status = await readFile(`/proc/${program?.pid}/status`, 'utf8');
      expect(status).toMatch(new RegExp(`^Uid:\\t${uid}\\t`, 'm'));
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
        expect(status).toMatch(new RegExp(`^Cap${set}:\\t0+$`, 'm'));
      expect(status).toMatch(/^Seccomp:\t2$/m);
      const line = await readFile(`/proc/${program?.pid}/cmdline`, 'utf8');
      expect(line).toMatch(/^\/usr\/bin\/wireguard-go\0--foreground\0wg[0-9a-f]{13}\0$/);
    }
    expect(bench.leases.list().length).toBe(6);
  });

  test('are what wg(8) takes where the kernel has WireGuard: the same configuration, asked of wireguard-go', async () => {
    const alpha = host('alpha');
    const [tunnel] = three.tunnelsOf(alpha, EVERYBODY);
    if (tunnel === undefined) throw new Error('no tunnel');
    const changed = { ...tunnel, addresses: tunnel.addresses.slice(1) };
    const script =
      'mount --bind "$0" /mnt && mount -t tmpfs none /run && mkdir /run/wireguard && mount --bind /mnt /run/wireguard && ' +
      'cat | wg syncconf "$1" /dev/stdin && wg show "$1" dump';
    const { stdout } = await runChecked(
      alpha.bed.inside,
      [
        '/usr/bin/unshare',
        '--mount',
        '--',
        '/bin/sh',
        '-c',
        script,
        `${bench.dir}/alpha-tunnels/${tunnel.interface}`,
        tunnel.interface,
      ],
      { input: renderConf(changed), env: { PATH: '/usr/bin:/bin' } },
    );
    const state = parseDump(stdout.toString());
    expect(state).toMatchObject({
      listenPort: tunnel.listenPort,
      privateKey: Buffer.from(tunnel.privateKey).toString('base64'),
    });
    expect(state.peers).toMatchObject([
      { endpoint: '192.0.2.2:51820', publicKey: Buffer.from(tunnel.publicKey).toString('base64') },
    ]);
    expect(state.peers[0]?.allowedIps).toHaveLength(changed.addresses.length);
  });

  test('leave nothing of a tunnel that is taken away', async () => {
    const alpha = host('alpha');
    await alpha.tunnels.close();
    const links = (await runChecked(alpha.bed.inside, ['/usr/sbin/ip', '-o', 'link'])).stdout.toString();
    const below = (await runChecked(alpha.onUnderlay, ['/usr/sbin/ip', '-o', 'link'])).stdout.toString();
    expect(`${links}${below}`).not.toContain(': wg');
    expect(await readdir(`${bench.dir}/alpha-tunnels`)).toEqual([]);
    expect(bench.leases.list().filter(({ purpose }) => purpose.includes('-alpha '))).toEqual([]);
    for (const { tunnels } of three.hosts) await tunnels.close();
    // The namespaces of the test itself are still there.
    const left = (await bench.left()).filter((what) => !/^mount .*\/(?:wire|\w+-underlay)$/.test(what));
    expect(left).toEqual([]);
  });
});

function addressesOf(machines: readonly Machine[], ...names: readonly string[]): Machine['addresses'] {
  return machines.filter(({ name }) => names.includes(name)).flatMap(({ addresses }) => addresses);
}
