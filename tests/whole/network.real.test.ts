// Two real guests on one network: nothing is there before they have proven themselves, the rule that was made passes and nothing else
// does, and one that is trusted no more loses it with the connection that it has. One boot of each for all tests here, in this order.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { networkDetailSchema, type Place } from '@ringwall/api/networks';
import { run } from '@ringwall/host/exec';
import { inNamespace, tapName } from '@ringwall/host/network';
import { Instance, type GuestConsole } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from './waiting.ts';

const PORT = 8080;
const STREAM_PORT = 8081;
const CLOSED_PORT = 8082;
/** An interval of the watch, an answer, and a busy host. */
const QUARANTINE_MS = 60_000;
/** What is promised is a second; the rest is for a busy host, and what was measured is printed. */
const CUT_MS = 5_000;

describe('two machines on a network', () => {
  let ringwall: Instance;
  let web: GuestConsole;
  let db: GuestConsole;
  let places: { readonly web: Place; readonly db: Place; readonly pin: string };

  beforeAll(async () => {
    ringwall = await Instance.start();
    await ringwall.ok('network', 'create', 'app', '--addresses', '10.20.0.0/24,fd00:20::/64');
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
  });

  /** Its guest asks for an address as soon as the card is there. */
  const seeCard = async (console: GuestConsole, { addresses, mac }: Place): Promise<void> => {
    const [address = ''] = addresses;
    await console.run(`until ip addr show dev eth0 2>/dev/null | grep -q ${address}/32; do usleep 100000; done`);
    expect(await console.run('cat /sys/class/net/eth0/address')).toContain(mac);
    expect(await console.run('ip route')).toContain('default via 169.254.1.1 dev eth0');
  };
  const addressOf = ({ addresses }: Place): string => addresses[0] ?? '';

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
    expect(await web.run('nslookup -type=a example.org || echo unknown')).toContain('unknown');
  });

  test('reach each other by what the rule allows, and by nothing else', async () => {
    const [from, to] = [addressOf(places.web), addressOf(places.db)];
    const listen = (port: number): string =>
      `(while :; do echo it-is-${port} | nc -l -p ${port}; done >/dev/null 2>&1 &)`;
    await db.run(`${listen(PORT)}; ${listen(CLOSED_PORT)}; sleep 1`);
    await web.run(`${listen(PORT)}; sleep 1`);
    const ask = (address: string, port: number): string => `nc -w 3 ${address} ${port} </dev/null || echo refused`;
    expect(await web.run(ask(to, PORT))).toContain(`it-is-${PORT}`);
    expect(await web.run(ask(to, CLOSED_PORT))).toContain('refused');
    expect(await db.run(ask(from, PORT))).toContain('refused');
    expect(await web.run(`ping -c 2 -W 1 ${to} || echo refused`)).toContain('refused');
    expect(await ringwall.ok('net', 'why', 'web', 'db', `tcp/${PORT}`)).toMatch(/: yes\n/);
    expect(await ringwall.ok('net', 'why', 'db', 'web', `tcp/${PORT}`)).toMatch(/: no\n/);
  });

  test('lose the network with the connection that they have, when they are trusted no more', async () => {
    // An end whose input is closed would end the connection.
    await db.run(`(sleep 9999 | nc -l -p ${STREAM_PORT} >/tmp/heard 2>&1 &); sleep 1`);
    await web.run(
      `(i=0; while :; do i=$((i+1)); echo line $i; usleep 50000; done | nc ${addressOf(places.db)} ${STREAM_PORT} >/dev/null 2>&1 &); true`,
    );
    const heard = async (): Promise<number> => Number(await db.run('wc -l </tmp/heard'));
    await until(async () => (await heard()) > 10);

    await web.run('printf "#!/bin/sh\\nexit 0\\n" >/tmp/evil && chmod 755 /tmp/evil && /tmp/evil');
    const inside = inNamespace(run, places.pin);
    const when = async (look: () => Promise<boolean>): Promise<number> => {
      const deadline = performance.now() + QUARANTINE_MS;
      while (!(await look())) {
        if (performance.now() > deadline) throw new Error('nothing happened');
        await sleep(20);
      }
      return performance.now();
    };
    const [quarantinedAt, cutAt] = await Promise.all([
      when(async () => (await ringwall.detail('web')).machine.status.trust === 'quarantined'),
      when(async () => {
        const link = await inside(['/usr/sbin/ip', 'link', 'show', 'dev', tapName(places.web.machine)]);
        return !link.stdout.toString().includes(',UP');
      }),
    ]);
    console.log(`from the verdict until the cable is cut: ${Math.round(cutAt - quarantinedAt)} ms`);
    expect(cutAt - quarantinedAt).toBeLessThan(CUT_MS);

    const before = await heard();
    await sleep(2_000);
    expect(await heard()).toBe(before);
    // The card is out of the guest, too, and the other machine has lost nothing.
    await web.run('while [ -e /sys/class/net/eth0 ]; do usleep 100000; done');
    expect((await ringwall.detail('db')).machine.status.trust).toBe('attested');
  });
});
