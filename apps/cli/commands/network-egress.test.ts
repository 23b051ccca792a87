// `ringwall network egress` on a state directory of its own: what it writes, and what it says.
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli, type Run } from '../testing/harness.ts';

const WAY = ['--address', '192.0.2.10/24', '--gateway', '192.0.2.1', '--resolvers', '9.9.9.9'];

describe.skipIf(process.getuid?.() !== 0)('network egress', () => {
  let api: FakeApi;
  let state: string;
  beforeEach(async () => {
    api = await FakeApi.start();
    state = mkdtempSync(join(tmpdir(), 'ringwall-egress-'));
    mkdirSync(join(state, 'warden'));
  });
  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    rmSync(state, { recursive: true });
  });
  const egress = (...argv: readonly string[]): Promise<Run> =>
    runCli(api, ['network', 'egress', ...argv], { environment: { RINGWALL_STATE: state } });
  const file = (): string => join(state, 'warden/egress.json');

  it('on writes what root has said for nobody else to write, and tells what the warden made of it', async () => {
    const uplink = { kind: 'shared', interface: 'eth0' } as const;
    api.networks.wayOut = {
      ...{ state: 'on', setting: file(), uplink },
      ...{ addresses: ['192.0.2.10'], resolvers: ['9.9.9.9'] },
    };
    const { code, stdout } = await egress('on', '--on', 'eth0', ...WAY);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: '✔ by an interface on eth0 under 192.0.2.10; names of the world by 9.9.9.9\n',
    });
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({
      ...{ version: 1, uplink: { on: 'eth0' }, addresses: ['192.0.2.10/24'], gateways: ['192.0.2.1'] },
      ...{ resolvers: ['9.9.9.9'], never: [] },
    });
    expect(lstatSync(file()).mode & 0o022).toBe(0);
    expect((await egress('off')).stdout).toBe('No network gets out of this host any more.\n');
    expect(existsSync(file())).toBe(false);
  });

  it('on fails where the warden cannot do it, and says that it is tried again', async () => {
    api.networks.wayOut = { state: 'broken', setting: file(), trouble: 'there is no interface eth9 on this host' };
    const { code, stderr } = await egress('on', '--interface', 'eth9', ...WAY);
    expect(code).not.toBe(0);
    expect(stderr).toContain('there is no interface eth9 on this host');
    expect(stderr).toContain('ringwall network egress off');
  });

  it.each([
    ['no interface', WAY, 'needs an interface'],
    ['two interfaces', ['--interface', 'eth1', '--on', 'eth0', ...WAY], 'needs an interface'],
    ['an interface that is syntax', ['--on', 'eth0; reboot', ...WAY], 'is no interface that could lead out'],
    [
      'an address without a length',
      ['--on', 'eth0', '--address', '192.0.2.10', '--gateway', '192.0.2.1'],
      'is not as in',
    ],
    ['a router of no family', ['--on', 'eth0', '--address', '2001:db8::1/64', '--gateway', '192.0.2.1'], 'gateways'],
    ['a resolver of this host', ['--on', 'eth0', ...WAY.slice(0, 4), '--resolvers', '127.0.0.53'], 'a loopback'],
  ])('on refuses %s, and writes nothing', async (_, argv, word) => {
    const { code, stderr } = await egress('on', ...argv);
    expect(code).toBe(2);
    expect(stderr).toContain(word);
    expect(existsSync(file())).toBe(false);
  });

  it('show says how root gives a way, and so do networks that have none', async () => {
    expect((await egress('show')).stdout).toMatchInlineSnapshot(`
      "No network gets out of this host, also where rules lead out.
      Root gives them a way, as in:
        ringwall network egress on --on eth0 --address 192.0.2.10/24 --gateway 192.0.2.1 --resolvers 9.9.9.9
      "
    `);
    const made = await runCli(api, ['network', 'create', 'app', '--internet', 'nat']);
    expect(made.stdout.replaceAll(/\s+/g, ' ')).toContain(
      'this host lets no network out; root gives it a way: ringwall network egress on',
    );
    expect((await runCli(api, ['network', 'ls'])).stdout).toContain('nat, shut');
    expect((await runCli(api, ['network', 'show', 'app'])).stdout).toContain('nat, but this host lets no network out');
  });
});
