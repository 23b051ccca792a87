// Two Ringwalls on two hosts (namespaces with a wire between them), joined from their command lines: a guest on either reaches the other
// by what both hosts' rules allow, and by nothing else. One boot of each for all tests here, in this order.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import { closeNamespace, pinNamespace } from '@ringwall/host/network';
import { BUNDLED_COMMAND, Instance, type GuestConsole } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { networkDetailSchema } from '@ringwall/api/networks';
import { until } from './waiting.ts';

const needs = ['/usr/bin/wireguard-go', '/usr/bin/wg'].every((path) => existsSync(path))
  ? ''
  : ' (skipped: needs wireguard-go and wireguard-tools)';
const PORT = 8080;
const CLOSED_PORT = 8081;
const ADDRESSES = { alpha: '192.0.2.1', beta: '192.0.2.2' } as const;

type Host = keyof typeof ADDRESSES;

describe.skipIf(needs !== '')(`a network on two hosts${needs}`, () => {
  let dir: string;
  let alpha: Instance;
  let beta: Instance;
  let web: GuestConsole;
  let db: GuestConsole;

  const pinOf = (host: Host): string => join(dir, host);
  const hostOf = (host: Host): Instance => (host === 'alpha' ? alpha : beta);
  const otherOf = (host: Host): Host => (host === 'alpha' ? 'beta' : 'alpha');

  /** What one host says, carried to the other. */
  const tell = async (from: Host): Promise<string> => {
    const to = otherOf(from);
    const file = join(dir, `${from}-for-${to}.json`);
    const words = ['--to', to, '--as', from, '--address', ADDRESSES[from], '-o', file];
    await hostOf(from).ok('network', 'peer', 'export', 'app', ...words);
    return await hostOf(to).ok('network', 'peer', 'add', 'app', file);
  };
  /** What a command says, however wide its lines are. */
  const said = async (ringwall: Instance, ...words: readonly string[]): Promise<string> =>
    (await ringwall.ok(...words)).replaceAll(/\s+/g, ' ');
  const addressOf = async (host: Host): Promise<string> => {
    const { machines } = networkDetailSchema.parse(await hostOf(host).api('GET', '/v1/networks/app'));
    return machines[0]?.addresses[0] ?? '';
  };
  /** What the first guest hears from the port of the second. */
  const heard = async (port: number): Promise<string> =>
    await web.run(`nc -w 3 ${await addressOf('beta')} ${port} </dev/null || echo refused`);

  beforeAll(async () => {
    dir = mkdtempSync('/var/tmp/ringwall-hosts-');
    const [first, second] = [await pinNamespace(run, pinOf('alpha')), await pinNamespace(run, pinOf('beta'))];
    const ip = (inside: typeof first, ...lines: string[]): Promise<unknown> =>
      runChecked(inside, ['/usr/sbin/ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
    await ip(first, `link add eth0 type veth peer name eth0 netns ${pinOf('beta')}`);
    await ip(first, 'link set lo up', 'link set eth0 up', `address add ${ADDRESSES.alpha}/24 dev eth0`);
    await ip(second, 'link set lo up', 'link set eth0 up', `address add ${ADDRESSES.beta}/24 dev eth0`);
    // These hosts have no way to where images are made from.
    await using builder = await Instance.start();
    await builder.ok('images', 'build', 'hello');
    const images = join(builder.stateDir, 'images');
    const start = (host: Host): Promise<Instance> =>
      Instance.start({ command: ['/usr/bin/nsenter', `--net=${pinOf(host)}`, '--', ...BUNDLED_COMMAND], images });
    [alpha, beta] = await Promise.all([start('alpha'), start('beta')]);

    await alpha.ok('network', 'create', 'app', '--addresses', '10.20.0.0/16');
    await alpha.ok('allow', 'role=web', 'role=db', `tcp/${PORT}`, '--network', 'app', '--name', 'web-to-db');
    const policy = join(dir, 'policy.json');
    writeFileSync(policy, await alpha.ok('net', 'export'));
    // Nobody is there yet.
    await beta.ok('net', 'apply', policy);
    await tell('alpha');
    await tell('beta');
    const boot = (host: Host, name: string): Promise<string> =>
      hostOf(host).ok('run', 'hello', '--name', name, '--network', 'app', '--label', `role=${name}`);
    await Promise.all([boot('alpha', 'web'), boot('beta', 'db')]);
    [web, db] = await Promise.all([alpha.openConsole('web'), beta.openConsole('db')]);
    const hasCard = 'until ip addr show dev eth0 2>/dev/null | grep -q /32; do usleep 100000; done';
    await Promise.all([web.run(hasCard), db.run(hasCard)]);
    // Each has a machine more.
    await tell('alpha');
    await tell('beta');
    const serve = (port: number): string =>
      `(while :; do echo it-is-${port} | nc -l -p ${port}; done >/dev/null 2>&1 &)`;
    await db.run(`${serve(PORT)}; ${serve(CLOSED_PORT)}`);
    await web.run(serve(PORT));
  });
  afterAll(async () => {
    await alpha?.[Symbol.asyncDispose]();
    await beta?.[Symbol.asyncDispose]();
    for (const host of ['alpha', 'beta'] as const) await closeNamespace(run, pinOf(host));
    rmSync(dir, { recursive: true, force: true });
  });

  test('has a tunnel between them, and machines with addresses of their own', async () => {
    await until(async () => (await alpha.ok('network', 'peer', 'ls', 'app')).includes(' up '));
    expect(await alpha.ok('network', 'peer', 'ls', 'app')).toMatch(/beta +up +192\.0\.2\.2:51820 +1 /);
    expect(await addressOf('alpha')).not.toBe(await addressOf('beta'));
  });

  test('lets pass between guests of two hosts what a rule allows, and nothing else', async () => {
    await expect.poll(() => heard(PORT)).toContain(`it-is-${PORT}`);
    expect(await heard(CLOSED_PORT)).toContain('refused');
    const back = await db.run(`nc -w 3 ${await addressOf('alpha')} ${PORT} </dev/null || echo refused`);
    expect(back).toContain('refused');
  });

  test('explains itself across hosts', async () => {
    const why = await said(alpha, 'net', 'why', 'web', 'db', `tcp/${PORT}`);
    expect(why).toMatch(/^web \(10\.20\.\S+\) (?:→|->) db@beta \(10\.20\.\S+\) by tcp\/8080: yes /);
    expect(why).toContain('the rule web-to-db of app allows it');
    expect(why).toContain('had the same rules when it spoke last');
    expect(await alpha.ok('net', 'why', 'web', 'db', `tcp/${CLOSED_PORT}`)).toContain(': no\n');
    expect(await said(beta, 'net', 'map', '--network', 'app')).toMatch(/role=web web@alpha (?:→|->) role=db tcp\/8080/);
  });

  test('never leads to the underlay', async () => {
    const why = await said(alpha, 'net', 'why', 'web', ADDRESSES.beta, 'ping');
    expect(why).toContain('it is where the host beta is');
    for (const address of Object.values(ADDRESSES)) {
      expect(await web.run(`ping -c 1 -W 1 ${address} || echo refused`)).toContain('refused');
    }
  });

  test('is decided about by the other host as well, and this one says that it knows', async () => {
    await beta.ok('net', 'rules', 'rm', 'web-to-db', '--network', 'app');
    expect(await heard(PORT)).toContain('refused');
    await tell('beta');
    const why = await said(alpha, 'net', 'why', 'web', 'db', `tcp/${PORT}`);
    expect(why).toContain('had other rules when it spoke last');
    await beta.ok('net', 'apply', join(dir, 'policy.json'));
    await until(async () => (await heard(PORT)).includes(`it-is-${PORT}`));
  });

  test('changes the keys between its hosts while they are in use', async () => {
    const file = join(dir, 'rotated.json');
    await alpha.ok('network', 'peer', 'rotate', 'app', 'beta', '-o', file);
    await beta.ok('network', 'peer', 'add', 'app', file);
    await tell('beta');
    await until(async () => (await alpha.ok('network', 'peer', 'ls', 'app')).includes('up, new keys'));
    await expect.poll(() => heard(PORT)).toContain(`it-is-${PORT}`);
  });
});
