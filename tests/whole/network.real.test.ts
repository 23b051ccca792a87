// Two real guests on one network: nothing is there before they have proven themselves, the rule that was made passes and nothing else
// does, and one that is trusted no more loses it with the connection that it has. One boot of each for all tests here, in this order.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { networkDetailSchema, type Place } from '@ringwall/api/networks';
import { run } from '@ringwall/host/exec';
import { inNamespace, tapName } from '@ringwall/host/network';
import { Instance, type GuestConsole } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Arrivals } from './arrivals.ts';
import { until } from './waiting.ts';
import { REBOUND, RESOLVER, SITE, UPLINK, World } from './world.ts';

const PORT = 8080;
const STREAM_PORT = 8081;
const CLOSED_PORT = 8082;
const LENT_PORT = 8083;
/** An interval of the watch, an answer, and a busy host. */
const QUARANTINE_MS = 300_000;
/** The time of forty lines. */
const SILENCE_MS = 2_000;

describe('two machines on a network', () => {
  let directory: string;
  let world: World;
  let ringwall: Instance;
  let web: GuestConsole;
  let db: GuestConsole;
  let places: { readonly web: Place; readonly db: Place; readonly pin: string };

  beforeAll(async () => {
    directory = mkdtempSync('/var/tmp/ringwall-world-');
    // That world has no way to where images are made from.
    await using builder = await Instance.start();
    await builder.ok('images', 'build', 'hello');
    world = await World.open(directory);
    ringwall = await Instance.start({ command: world.command, images: join(builder.stateDir, 'images') });
    await ringwall.ok('network', 'create', 'app', '--addresses', '10.20.0.0/24,fd00:20::/64', '--internet', 'nat');
    await ringwall.ok('allow', 'role=web', 'role=db', `tcp/${PORT}-${STREAM_PORT}`, '--network', 'app');
    await Promise.all(
      ['web', 'db'].map((role) => {
        return ringwall.ok('run', 'hello', '--name', role, '--network', 'app', '--label', `role=${role}`);
      }),
    );
    [web, db] = await Promise.all([ringwall.openConsole('web'), ringwall.openConsole('db')]);
    const { network, machines } = networkDetailSchema.parse(await ringwall.api('GET', '/v1/networks/app'));
    const place = (name: string): Place => {
      const found = machines.find((machine) => machine.name === name);
      if (found === undefined) throw new Error(`${name} has no card`);
      return found;
    };
    places = { web: place('web'), db: place('db'), pin: join(ringwall.runDir, 'networks', network.id) };
  });
  afterAll(async () => {
    await ringwall[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  /** Its guest asks for its addresses as soon as the card is there. */
  const seeCard = async (console: GuestConsole, { addresses, mac }: Place): Promise<void> => {
    const [ipv4 = '', ipv6 = ''] = addresses;
    for (const address of [`${ipv4}/32`, `${ipv6}/128`]) {
      await console.run(`until ip addr show dev eth0 2>/dev/null | grep -q ' ${address} '; do usleep 100000; done`);
    }
    expect(await console.run('cat /sys/class/net/eth0/address')).toContain(mac);
    expect(await console.run('ip route')).toContain('default via 169.254.1.1 dev eth0');
    expect(await console.run('ip -6 route')).toContain('default via fe80::1 dev eth0');
  };
  const listen = (port: number): string =>
    `(while :; do echo it-is-${port} | nc -l -p ${port}; done >/dev/null 2>&1 &)`;
  /** What listens there begins anew behind each connection. */
  const untilListening = (port: number): string => {
    const own = port.toString(16).toUpperCase().padStart(4, '0');
    return `until grep -qE ':${own} 0+:0000 0A' /proc/net/tcp /proc/net/tcp6; do usleep 50000; done`;
  };
  /** For what shall come, however busy the host. */
  const hear = (address: string, port: number): string => `nc -w 60 ${address} ${port} </dev/null || echo refused`;
  const addressOf = ({ addresses }: Place): string => addresses[0] ?? '';
  const ipv6Of = ({ addresses }: Place): string => addresses[1] ?? '';
  /** Has the one send the other twenty lines a second, in one connection. */
  const stream = async (port: number, file: string): Promise<void> => {
    // An end whose input is closed would end the connection.
    await db.run(`(sleep 9999 | nc -l -p ${port} >${file} 2>&1 &); ${untilListening(port)}`);
    await web.run(
      `(i=0; while :; do i=$((i+1)); echo line $i; usleep 50000; done | nc ${addressOf(places.db)} ${port} >/dev/null 2>&1 &); true`,
    );
  };

  test('get their cards and addresses once they are attested, and every protection still holds', async () => {
    await Promise.all([seeCard(web, places.web), seeCard(db, places.db)]);
    for (const name of ['web', 'db']) {
      const { machine, protections } = await ringwall.show(name);
      expect(machine.status.trust).toBe('attested');
      expect(protections.filter(({ state }) => state !== 'holds')).toEqual([]);
      const descriptors = protections.find(({ id }) => id === 'vmm.descriptors');
      expect(descriptors?.seen).toContain(tapName(machine.id));
    }
  });

  test('know each other by name', async () => {
    expect(await web.run('nslookup -type=a db')).toContain(addressOf(places.db));
    expect(await db.run('nslookup -type=a web.app.internal')).toContain(addressOf(places.web));
    expect(await web.run('nslookup -type=aaaa db')).toContain(ipv6Of(places.db));
    expect(await db.run('nslookup -type=aaaa web.app.internal')).toContain(ipv6Of(places.web));
    expect(await web.run('nslookup -type=a example.org || echo unknown')).toContain('unknown');
  });

  test('reach each other by what the rule allows, and by nothing else', async () => {
    await db.run(`${listen(PORT)}; ${listen(CLOSED_PORT)}`);
    await web.run(listen(PORT));
    const ask = (address: string, port: number): string => `nc -w 3 ${address} ${port} </dev/null || echo refused`;
    for (const of of [addressOf, ipv6Of]) {
      const [from, to] = [of(places.web), of(places.db)];
      await db.run(`${untilListening(PORT)}; ${untilListening(CLOSED_PORT)}`);
      await web.run(untilListening(PORT));
      expect(await web.run(hear(to, PORT))).toContain(`it-is-${PORT}`);
      expect(await web.run(ask(to, CLOSED_PORT))).toContain('refused');
      expect(await db.run(ask(from, PORT))).toContain('refused');
      expect(await web.run(`ping -c 2 -W 1 ${to} || echo refused`)).toContain('refused');
    }
    expect(await ringwall.ok('net', 'why', 'web', 'db', `tcp/${PORT}`)).toMatch(/: yes\n/);
    expect(await ringwall.ok('net', 'why', 'db', 'web', `tcp/${PORT}`)).toMatch(/: no\n/);
  });

  test('lose a connection that stands when its rule is taken back', async () => {
    await ringwall.ok('allow', 'role=web', 'role=db', `tcp/${LENT_PORT}`, '--name', 'lent', '--network', 'app');
    await stream(LENT_PORT, '/tmp/lent');
    const heard = async (): Promise<number> => Number(await db.run('wc -l </tmp/lent'));
    await until(async () => (await heard()) > 10);
    await ringwall.ok('net', 'rules', 'rm', 'lent', '--network', 'app');
    // What is on its way comes still.
    await expect.poll(() => linesOf(heard)).toBe(0);
  });

  test('get out where root has switched that on, as far as a rule lets them, and know names of the world then', async () => {
    const visit = `nc -w 1 ${SITE.address} ${SITE.port} </dev/null || echo refused`;
    await ringwall.ok('allow', 'role=web', 'internet', `tcp/${SITE.port}`, '--network', 'app');
    const why = (): Promise<string> => ringwall.ok('net', 'why', 'web', SITE.address, `tcp/${SITE.port}`);
    expect(await why()).toMatch(/: no\n.*allows it\n.*lets no network out: root gives it a way/s);
    expect(await web.run(visit)).toContain('refused');

    const way = ['--interface', UPLINK.name, '--address', UPLINK.address, '--gateway', UPLINK.router];
    expect(await ringwall.ok('network', 'egress', 'on', ...way, '--resolvers', RESOLVER)).toContain(UPLINK.name);
    expect(await why()).toMatch(/: yes\n/);
    expect(await web.run(hear(SITE.address, SITE.port))).toContain(SITE.text);
    expect(await db.run(visit)).toContain('refused');
    expect(await web.run(`nslookup -type=a ${SITE.name}`)).toContain(SITE.address);
    expect(await web.run(`nslookup -type=a ${REBOUND.name} || echo unknown`)).not.toContain(REBOUND.address);
    expect(await ringwall.ok('net', 'counters')).toMatch(/by the way out: .* in \d+ packets sent, .* received\n/);
    expect(await ringwall.ok('metrics')).toMatch(/^ringwall_network_out_received_bytes_total\{network="app"\} [1-9]/m);

    await ringwall.ok('network', 'egress', 'off');
    expect(await web.run(visit)).toContain('refused');
    const onHost = inNamespace(run, join(directory, 'host'));
    expect((await onHost(['/usr/sbin/ip', 'link', 'show', UPLINK.name])).code).toBe(0);
  });

  test('are saved with their cards, and put back, nothing passes until the next start proves itself', async () => {
    const [from, to] = [addressOf(places.web), addressOf(places.db)];
    const ask = (): Promise<string> => web.run(`nc -w 1 ${to} ${PORT} </dev/null || echo refused`);
    await db.run(untilListening(PORT));
    expect(await web.run(hear(to, PORT))).toContain(`it-is-${PORT}`);
    expect(await ringwall.ok('snapshot', 'db')).toContain('db@1');
    await ringwall.ok('stop', 'db');
    await ringwall.ok('restore', 'db');
    db = await ringwall.openConsole('db');
    expect(await db.run('cat /sys/class/net/eth0/address /sys/class/net/eth0/carrier')).toMatch(
      new RegExp(`${places.db.mac}\\s+0\\s`),
    );
    expect(await db.run('cat /sys/bus/pci/devices/*/class')).toContain('0x020000');
    const { machine, protections } = await ringwall.show('db');
    expect(machine.status.trust).toBe('unknown');
    expect(protections.filter(({ state }) => state !== 'holds')).toEqual([]);
    const inside = inNamespace(run, places.pin);
    expect(String((await inside(['/usr/sbin/ip', 'link'])).stdout)).not.toContain(tapName(machine.id));
    expect(await ask()).toContain('refused');
    expect(await db.run(`ping -c 1 -W 1 169.254.1.1 || echo refused`)).toContain('refused');
    expect(await db.run(`nc -w 1 ${from} ${PORT} </dev/null || echo refused`)).toContain('refused');
    expect(await ringwall.ok('net', 'why', 'web', 'db', `tcp/${PORT}`)).toMatch(/: no\n/);

    await ringwall.ok('stop', 'db');
    await ringwall.ok('start', 'db');
    db = await ringwall.openConsole('db');
    await seeCard(db, places.db);
    await db.run(`${listen(PORT)}; ${untilListening(PORT)}`);
    expect(await web.run(hear(to, PORT))).toContain(`it-is-${PORT}`);
  });

  test('lose the network with the connection that they have, when they are trusted no more', async () => {
    await stream(STREAM_PORT, '/tmp/heard');
    const heard = async (): Promise<number> => Number(await db.run('wc -l </tmp/heard'));
    await until(async () => (await heard()) > 10);

    const filter = `src host ${addressOf(places.web)} and tcp dst port ${STREAM_PORT}`;
    await using arrivals = await Arrivals.on(places.pin, tapName(places.db.machine), filter);
    await until(async () => arrivals.atMs.length > 10);
    await web.run('printf "#!/bin/sh\\nexit 0\\n" >/tmp/evil && chmod 755 /tmp/evil && /tmp/evil');
    await until(async () => (await ringwall.detail('web')).machine.status.trust === 'quarantined', QUARANTINE_MS);
    const link = [...'/usr/sbin/ip link show dev'.split(' '), tapName(places.web.machine)];
    const isCut = async (): Promise<boolean> => {
      return !(await inNamespace(run, places.pin)(link)).stdout.toString().includes(',UP');
    };
    await until(isCut);
    // What is on its way comes still.
    await expect.poll(() => linesOf(heard)).toBe(0);
    // What is promised is a second. Both are of this host's clock: the broker's word in its audit log, and the last packet on the other's
    // cable.
    const verdictMs = verdictOn(places.web.machine, join(ringwall.stateDir, 'broker', 'audit.log'));
    const lastMs = Math.max(...arrivals.atMs);
    console.log(`from the verdict of the broker to the last packet: ${Math.round(lastMs - verdictMs)} ms`);
    // The card is out of the guest, too, and the other machine has lost nothing.
    await web.run('while [ -e /sys/class/net/eth0 ]; do usleep 100000; done');
    expect((await ringwall.detail('db')).machine.status.trust).toBe('attested');
  });
});

/** How many lines come in some time. */
async function linesOf(heard: () => Promise<number>): Promise<number> {
  const before = await heard();
  await sleep(SILENCE_MS);
  return (await heard()) - before;
}

/** Of a quarantine, as the broker has written it down. */
function verdictOn(machine: string, auditLog: string): number {
  const line = readFileSync(auditLog, 'utf8')
    .split('\n')
    .find((each) => each.includes('"what":"quarantine"') && each.includes(machine));
  if (line === undefined) throw new Error('the broker has quarantined nobody');
  return Date.parse(String(Object(JSON.parse(line)).at));
}
