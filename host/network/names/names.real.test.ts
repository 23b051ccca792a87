// Addresses and names of two networks that have the same ones, asked for by real clients in namespaces that stand for machines, through
// the walls: what each gets, what nobody gets of another, and what becomes of it when dnsmasq or we are killed.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileNetwork, parseMachines, parsePolicy, type Machine, type Network } from '@ringwall/netpolicy';
import { isAlive, killProcess, signalProcess } from '../../exec/index.ts';
import { parseStatus } from '../../jail/proc.ts';
import { lacksForJails, openBench, type Bench } from '../../jail/testing/bench.ts';
import { Walls } from '../index.ts';
import { dhcpcd, discover, helloGuest, NEEDS_CLIENTS, udhcpc } from '../testing/dhcp-clients.ts';
import { ethernet, ipv4Packet, markerOf, udp } from '../testing/frames.ts';
import { NEEDS_PACKETS, type Station, Testbed } from '../testing/testbed.ts';
import { NamesServer, type NamesWanted } from './index.ts';

const lacks = NEEDS_PACKETS + NEEDS_CLIENTS + (existsSync('/usr/sbin/dnsmasq') ? '' : ' (skipped: needs dnsmasq-base)');
const GATEWAY = '169.254.1.1';
const [A, AAAA, PTR] = [1, 28, 12];
/** RFC 1035, 4.1.1. */
const [FOUND, NO_SUCH_NAME, REFUSED] = [0, 3, 5];

function networkOf(
  name: string,
  names: readonly string[],
  addresses: readonly string[] = ['10.20.0.0/16', 'fd00:20::/64'],
): { network: Network; machines: readonly Machine[] } {
  const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [{ name, addresses, rules: [] }] }).networks;
  if (network === undefined) throw new Error('no network');
  const machines = names.map((machine, index) => ({
    name: machine,
    labels: {},
    addresses: addresses.map((range) => range.replace(/0?\/\d+$/, String(index + 1))),
    mac: `02:54:00:00:00:0${index + 1}`,
    interface: `${name}${index + 1}`,
  }));
  return { network, machines: parseMachines(machines, network) };
}

const APP = networkOf('app', ['web', 'db']);
const LAB = networkOf('lab', ['probe']);
const SIX = networkOf('six', ['lone'], ['fd00:20::/64']);
const wanted = (found: typeof APP): NamesWanted => ({ ...found, resolvers: [] });

interface Place extends AsyncDisposable {
  readonly bed: Testbed;
  readonly walls: Walls;
  readonly server: NamesServer;
  readonly again: () => NamesServer;
}

async function open(bench: Bench, found: typeof APP): Promise<Place> {
  const bed = await Testbed.open(found.machines);
  const walls = new Walls(bed.inside);
  await walls.raise(compileNetwork(found.network, found.machines));
  const { name } = found.network;
  const again = (): NamesServer =>
    new NamesServer({
      id: `${bench.name}-${name}`,
      dir: join(bench.dir, name),
      namespace: bed.file,
      leases: bench.leases,
    });
  const server = again();
  await server.apply(wanted(found));
  return {
    bed,
    walls,
    server,
    again,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await bed[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(lacks !== '' || lacksForJails() !== undefined)(`addresses and names${lacks}`, () => {
  let bench: Bench;
  let app: Place;
  let lab: Place;
  const station = (place: Place, index: number): Station => {
    const found = place.bed.stations[index];
    if (found === undefined) throw new Error('no station');
    return found;
  };

  beforeAll(async () => {
    bench = await openBench('names');
    [app, lab] = await Promise.all([open(bench, APP), open(bench, LAB)]);
    await station(app, 0).tell('listen', [], []);
  });

  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  test('a machine that knows nothing learns its addresses, the way to its gateway, and who answers for names', async () => {
    const learned = await dhcpcd(station(app, 0));
    expect(learned).toMatch(/ inet 10\.20\.0\.1\/32 /);
    expect(learned).toMatch(/ inet6 fd00:20::1\/128 /);
    expect(learned).toMatch(/^default via 169\.254\.1\.1 dev eth0/m);
    expect(learned).toMatch(/^169\.254\.1\.1 dev eth0/m);
    expect(learned).toMatch(/^default via fe80::1 dev eth0/m);
    expect(learned).toMatch(/^new_domain_name_servers='?169\.254\.1\.1/m);
    expect(learned).toMatch(/^new_host_name='?web/m);
    expect(await udhcpc(station(app, 1))).toBe(
      '10.20.0.2/32 169.254.1.1/32 0.0.0.0 0.0.0.0/0 169.254.1.1 169.254.1.1 db',
    );
  });

  test('the hello image makes of it what it should', async () => {
    const learned = await helloGuest(station(lab, 0));
    expect(learned).toMatch(/ inet 10\.20\.0\.1\/32 /);
    expect(learned).toMatch(/ inet6 fd00:20::1\/128 scope global\b/);
    expect(learned).toMatch(/^default via 169\.254\.1\.1 dev eth0/m);
    expect(learned).toMatch(/^default via fe80::1 dev eth0/m);
    expect(learned).toMatch(/^169\.254\.1\.1 dev eth0/m);
    expect(learned).toMatch(/^search lab\.internal\nnameserver 169\.254\.1\.1$/m);
  });

  test('nor does it need IPv4 for that', async () => {
    await using six = await open(bench, SIX);
    const learned = await helloGuest(station(six, 0));
    expect(learned).toMatch(/ inet6 fd00:20::1\/128 scope global\b/);
    expect(learned).toMatch(/^default via fe80::1 dev eth0/m);
    expect(learned).toMatch(/^nameserver fe80::1%eth0$/m);
    expect(learned).not.toMatch(/ inet 1/);
  });

  test('its neighbours have names, forwards and backwards; the world and other networks have none', async () => {
    const web = station(app, 0);
    const ask = (name: string, kind: number): Promise<unknown> => web.tell('resolve', GATEWAY, name, kind);
    expect(await ask('db.app.internal', A)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await ask('db', A)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await ask('db.app.internal', AAAA)).toEqual([FOUND, ['fd00:20::2']]);
    expect(await ask('2.0.20.10.in-addr.arpa', PTR)).toEqual([FOUND, ['db.app.internal']]);
    expect(await web.tell('resolve', 'fe80::1', 'db.app.internal', A)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await web.tell('resolve', GATEWAY, 'db.app.internal', A, 60, true)).toEqual([FOUND, ['10.20.0.2']]);
    expect(await ask('probe.lab.internal', A)).toEqual([NO_SUCH_NAME, []]);
    expect(await ask('example.org', A)).toEqual([REFUSED, []]);
    // The same question in the other network, where that machine is.
    const probe = station(lab, 0);
    expect(await probe.tell('resolve', GATEWAY, 'probe.lab.internal', A)).toEqual([FOUND, ['10.20.0.1']]);
    expect(await probe.tell('resolve', GATEWAY, 'db.app.internal', A)).toEqual([NO_SUCH_NAME, []]);
  });

  test('no machine gets another’s lease, whatever card it says it has', async () => {
    const [web, db] = [station(app, 0), station(app, 1)];
    const [mine, theirs] = ['02:54:00:00:00:01', '02:54:00:00:00:02'];
    const send = (from: string, card: string, xid: string): string =>
      ethernet(
        'ff:ff:ff:ff:ff:ff',
        from,
        0x0800,
        ipv4Packet('0.0.0.0', '255.255.255.255', 17, udp(68, 67, discover(card, xid))),
      );
    await web.tell('sniff');
    await db.tell('sniff');
    const markers = ['a1a1a1a1', 'b2b2b2b2', 'c3c3c3c3', 'd4d4d4d4'];
    // Its own question comes last: what the others bring would be there before its answer.
    const frames = [send(mine, theirs, 'b2b2b2b2'), send(theirs, theirs, 'c3c3c3c3')];
    const stranger = send(mine, '02:54:00:00:00:77', 'd4d4d4d4');
    await web.tell('frames', [...frames, stranger, send(mine, mine, 'a1a1a1a1')]);
    // It is answered, to it alone.
    await expect.poll(() => web.tell('heard', markers)).toEqual(['a1a1a1a1']);
    expect(await db.tell('heard', markers)).toEqual([]);
  });

  test('answers that a guest forges reach nobody, and nothing else of the gateway answers', async () => {
    const [web, db] = [station(app, 0), station(app, 1)];
    await db.tell('sniff');
    const marker = markerOf('names-forged');
    const forged = (from: string, to: string, source: number): string =>
      ethernet('ff:ff:ff:ff:ff:ff', '02:54:00:00:00:01', 0x0800, ipv4Packet(from, to, 17, udp(source, 68, marker)));
    const offers = [forged(GATEWAY, '255.255.255.255', 67), forged('10.20.0.1', '10.20.0.2', 67)];
    await web.tell('frames', [...offers, forged('10.20.0.1', '10.20.0.2', 53)]);
    const others = [
      ['tcp', GATEWAY, 22],
      ['tcp', GATEWAY, 80],
      ['icmp', GATEWAY, 8],
      ['tcp', '10.20.0.2', 53],
    ];
    expect(await web.tell('probe', 1, others, 0.3)).toEqual([]);
    expect(await db.tell('heard', [marker])).toEqual([]);
  });

  test('a flood of questions from one machine leaves its neighbour answered', async () => {
    const [web, db] = [station(app, 0), station(app, 1)];
    const question = '5157010000010000000000000264620361707008696e7465726e616c0000010001';
    const datagram = ipv4Packet('10.20.0.1', GATEWAY, 17, udp(40_000, 53, question));
    const gateway = await app.bed.inside(['/usr/sbin/ip', '-br', 'link', 'show', 'dev', 'app1']);
    const card = / ([0-9a-f:]{17}) /.exec(gateway.stdout.toString())?.[1] ?? '';
    const answered = new AbortController();
    const flood = async (): Promise<void> => {
      while (!answered.signal.aborted)
        await web.tell('flood', [ethernet(card, '02:54:00:00:00:01', 0x0800, datagram)], 20_000);
    };
    const flooding = flood();
    for (let asked = 0; asked < 20; asked += 1) {
      expect(await db.tell('resolve', GATEWAY, 'web.app.internal', A)).toEqual([FOUND, ['10.20.0.1']]);
    }
    answered.abort();
    await flooding;
    const strangers = Array.from({ length: 500 }, (_, index) => {
      const stranger = `02:99:00:00:0${index >> 8}:${(index & 255).toString(16).padStart(2, '0')}`;
      const payload = udp(68, 67, discover(stranger, 'eeeeeeee'));
      return ethernet(
        'ff:ff:ff:ff:ff:ff',
        '02:54:00:00:00:01',
        0x0800,
        ipv4Packet('0.0.0.0', '255.255.255.255', 17, payload),
      );
    });
    await web.tell('frames', strangers);
    expect(await udhcpc(db)).toMatch(/^10\.20\.0\.2\/32 /);
  });

  test('a machine more is known at once, by the same process; a machine less is not known any more', async () => {
    const { process } = app.server;
    const more = networkOf('app', ['web', 'db', 'mail']);
    const ask = (): Promise<unknown> => station(app, 0).tell('resolve', GATEWAY, 'mail.app.internal', A);
    expect(await app.server.apply(wanted(more))).toBe('told');
    await expect.poll(ask).toEqual([FOUND, ['10.20.0.3']]);
    expect(await app.server.apply(wanted(more))).toBe('kept');
    expect(await app.server.apply(wanted(APP))).toBe('told');
    await expect.poll(ask).toEqual([NO_SUCH_NAME, []]);
    expect(app.server.process).toEqual(process);
  });

  test('killed, it is there again within seconds, and says so; another life of ours takes it over as it is', async () => {
    const before = app.server.process;
    const stop = new AbortController();
    const said: string[] = [];
    const looking = app.server.lookAfter((what) => said.push(what), 200, stop.signal);
    if (before !== undefined) await killProcess(before);
    const ask = (): Promise<unknown> => station(app, 0).tell('resolve', GATEWAY, 'db.app.internal', A, 0.5);
    await expect.poll(ask).toEqual([FOUND, ['10.20.0.2']]);
    stop.abort();
    await looking;
    expect(said).toEqual(['the server of addresses and names was gone; it is started again']);
    const { process } = app.server;
    expect(process).not.toEqual(before);
    expect(await app.again().apply(wanted(APP))).toBe('kept');
    expect(app.server.process).toEqual(process);
  });

  test('stopped for some seconds it is let be; where it stays so, it is started again, and that is said', async () => {
    const before = app.server.process;
    if (before === undefined) throw new Error('no server');
    const stop = new AbortController();
    const said: string[] = [];
    const looking = app.server.lookAfter((what) => said.push(what), 200, stop.signal);
    const ask = (): Promise<unknown> => station(app, 0).tell('resolve', GATEWAY, 'db.app.internal', A, 0.5);
    signalProcess(before, 'SIGSTOP');
    for (let asked = 0; asked < 4; asked += 1) expect(await ask()).not.toEqual([FOUND, ['10.20.0.2']]);
    signalProcess(before, 'SIGCONT');
    await expect.poll(ask).toEqual([FOUND, ['10.20.0.2']]);
    expect([app.server.process, said]).toEqual([before, []]);
    signalProcess(before, 'SIGSTOP');
    await expect
      .poll(() => said)
      .toEqual(['the server of addresses and names did nothing for 10 s; it is started again']);
    stop.abort();
    await looking;
    expect(await ask()).toEqual([FOUND, ['10.20.0.2']]);
    expect(isAlive(before)).toBe(false);
  });

  test('its process has a uid of its own, three capabilities, a filter, and of the host no file but its program', async () => {
    const pid = app.server.process?.pid ?? 0;
    const status = parseStatus(await readFile(`/proc/${pid}/status`, 'utf8'));
    const [uid] = status.uids;
    expect(new Set([...status.uids, ...status.gids])).toEqual(new Set([uid]));
    expect(uid).toBeGreaterThanOrEqual(2_000_000_000);
    // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW: bits 10, 12 and 13 (linux/capability.h).
    expect(new Set(Object.values(status.capabilities).map((mask) => Number.parseInt(mask, 16)))).toEqual(
      new Set([0x3400]),
    );
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    expect(existsSync(`/proc/${pid}/root/etc`)).toBe(false);
    expect(existsSync(`/proc/${pid}/root/names/names`)).toBe(true);
  });

  test('stopped, it leaves nothing behind', async () => {
    await app.server.stop();
    await lab.server.stop();
    expect(await bench.left()).toEqual([]);
  });
});
