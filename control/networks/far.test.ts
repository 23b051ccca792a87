import type { Machine } from '@ringwall/api';
import type { NetworkPeer } from '@ringwall/api/network-peers';
import { describe, expect, test } from 'vitest';
import { errorOf } from '../machines/testing/error-of.ts';
import { World } from '../machines/testing/index.ts';

const BETA: NetworkPeer = {
  host: 'beta',
  self: 'alpha',
  listenPort: 51_820,
  keys: 'settled',
  state: 'up',
  endpoint: '192.0.2.2:51820',
  saidAt: '2026-11-21T20:00:00.000Z',
  rules: 'same',
  machines: [
    { name: 'db', labels: { role: 'db' }, addresses: ['10.20.0.2', 'fd00:20::2'] },
    { name: 'db2', labels: { role: 'db' }, addresses: ['10.20.0.3'] },
  ],
  receivedBytes: 0,
  sentBytes: 0,
};
const WEB_TO_DB = {
  name: 'web-to-db',
  action: 'allow',
  from: { labels: { role: 'web' } },
  to: { labels: { role: 'db' } },
  services: ['tcp/5432'],
};

describe('a network that spans hosts', () => {
  async function openAlpha(...peers: NetworkPeer[]): Promise<World> {
    const world = await World.open();
    await world.worker.networks.create({ name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], internet: 'nat' });
    world.warden.peers = peers;
    return world;
  }
  async function run(world: World, name: string): Promise<Machine> {
    const request = { image: 'hello', name, network: 'app', labels: { role: 'web' }, start: true };
    const { operation } = await world.machines.create(request);
    const ended = await world.ended(operation);
    if (ended.state !== 'done') throw new Error(ended.error?.message);
    return world.phase(name, 'running');
  }

  test('gives its machines addresses that no other host gives, and no name that another has', async () => {
    await using world = await openAlpha(BETA);
    const { id } = await run(world, 'web');
    const { machines } = await world.worker.networks.detail('app');
    const own = machines.find(({ machine }) => machine === id)?.addresses[0];
    expect(own).toMatch(/^10\.20\./);
    expect(BETA.machines.flatMap((machine) => machine.addresses)).not.toContain(own);
    const error = await errorOf(world.worker.networks.planCard('app', {}, 'db'));
    expect(error).toMatchObject({ code: 'conflict', message: 'the host beta has a machine db in this network' });
  });

  test('answers for machines of other hosts: the rule, the tunnel, and what is known of their host’s rules', async () => {
    await using world = await openAlpha(BETA);
    await run(world, 'web');
    const ask = { from: 'web', to: 'db', service: 'tcp/5432' };
    const { networks } = world.worker;
    expect(await networks.reach(ask)).toMatchObject({ open: false, reason: 'no-rule', to: { host: 'beta' } });
    await networks.addRule('app', WEB_TO_DB);
    const open = await networks.reach(ask);
    expect(open).toMatchObject({
      open: true,
      rule: { name: 'web-to-db' },
      to: { machine: 'db', address: '10.20.0.2' },
    });
    expect(open.notes).toEqual([
      'db is on the host beta, which decides, too, and had the same rules when it spoke last (2026-11-21T20:00:00.000Z); whether it is trusted there, beta knows',
    ]);
    expect(await networks.reach({ ...ask, to: '10.20.0.3' })).toMatchObject({ open: true, to: { machine: 'db2' } });
    world.warden.peers = [{ ...BETA, state: 'silent', rules: 'other' }];
    const shut = await networks.reach(ask);
    expect(shut).toMatchObject({ open: false, allowed: true });
    expect(shut.notes).toEqual([
      'the host beta does not answer, or not any more: nothing passes between the two',
      expect.stringContaining('had other rules when it spoke last'),
    ]);
    const slip = await errorOf(networks.reach({ ...ask, to: 'db3' }));
    expect(slip).toMatchObject({ code: 'not-found', hint: 'did you mean db?' });
  });

  test('says what it is that no machine reaches', async () => {
    await using world = await openAlpha(BETA);
    world.warden.protected = [{ range: '192.0.2.2', what: 'where the host beta is' }];
    await run(world, 'web');
    const asOf = async (to: string): Promise<unknown> =>
      (await world.worker.networks.reach({ from: 'web', to, service: 'tcp/80' })).protectedAs;
    expect(await asOf('192.0.2.2')).toBe('where the host beta is');
    expect(await asOf('169.254.169.254')).toBe('a metadata address');
    expect(await asOf('192.0.2.3')).toBeUndefined();
  });

  test('is drawn with the machines of all hosts', async () => {
    await using world = await openAlpha(BETA);
    await run(world, 'web');
    await world.worker.networks.addRule('app', WEB_TO_DB);
    const { nodes, edges } = await world.worker.networks.map('app');
    expect(nodes.map(({ machines }) => machines)).toEqual([['web'], ['db@beta', 'db2@beta']]);
    expect(edges).toMatchObject([{ from: 0, to: 1, rules: ['web-to-db'] }]);
  });

  test('is planned with the machines of all hosts, and says which hosts decide as well', async () => {
    await using world = await openAlpha(BETA);
    await run(world, 'web');
    const policy = await world.worker.networks.exportPolicy();
    const [app] = Array.isArray(policy['networks']) ? policy['networks'] : [];
    const next = { ...policy, networks: [{ ...Object(app), rules: [WEB_TO_DB] }] };
    const { networks } = await world.worker.networks.planPolicy(next);
    expect(networks).toMatchObject([{ does: 'change', hosts: ['beta'], findings: [], changes: [{ kind: 'opens' }] }]);
    world.warden.peers = [];
    const alone = await world.worker.networks.planPolicy(next);
    expect(alone.networks[0]?.findings.map(({ message }) => message)).toEqual([
      'no machine is role=db, which web-to-db is about',
    ]);
  });

  test('leaves out a host of which something does not fit, as its warden does', async () => {
    const odd = { ...BETA, host: 'gamma', machines: [{ name: 'db', labels: {}, addresses: ['10.20.0.9'] }] };
    await using world = await openAlpha(BETA, odd);
    await run(world, 'web');
    await world.worker.networks.addRule('app', WEB_TO_DB);
    const { nodes } = await world.worker.networks.map('app');
    expect(nodes.flatMap(({ machines }) => machines)).toEqual(['web', 'db@beta', 'db2@beta']);
  });
});
