import { RingwallError, type Machine } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { errorOf } from '../machines/testing/error-of.ts';
import { World } from '../machines/testing/index.ts';
import { macOf } from './members.ts';

const WEB_TO_DB = {
  name: 'web-to-db',
  action: 'allow',
  from: { labels: { role: 'web' } },
  to: { labels: { role: 'db' } },
  services: ['tcp/5432'],
};

async function openWorld(): Promise<World> {
  const world = await World.open();
  await world.worker.networks.create({ name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'] });
  return world;
}

async function member(world: World, name: string, role: string, network = 'app'): Promise<Machine> {
  const request = { image: 'hello', name, network, labels: { role }, start: true };
  const { operation } = await world.machines.create(request);
  const ended = await world.ended(operation);
  if (ended.state !== 'done') throw new Error(ended.error?.message);
  return world.phase(name, 'running');
}

/** As the warden was told last, and who is let in there. */
function seen(world: World): { applied: Parameters<World['warden']['call']>[0]; open: string[] } {
  const [network] = world.warden.networks.values();
  if (network === undefined) throw new Error('no network was applied');
  return { applied: network.applied, open: [...network.open.keys()] };
}

describe('a network', () => {
  test('is brought to the warden whole, with its machines: labels, addresses that stay theirs, a card', async () => {
    await using world = await openWorld();
    const { id, spec, status } = await member(world, 'web', 'web');
    await world.worker.networks.addRule('app', WEB_TO_DB);
    expect(seen(world).applied).toMatchObject({
      definition: { name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules: [WEB_TO_DB] },
      machines: [
        { machine: id, name: 'web', labels: { role: 'web' }, addresses: ['10.20.0.2', 'fd00:20::2'], mac: macOf(id) },
      ],
    });
    const start = world.warden.requests.find(({ op }) => op === 'start-machine');
    expect(start).toMatchObject({ card: { network: spec.network, mac: macOf(id) } });
    const made = world.warden.requests.find(({ op }) => op === 'create-machine');
    expect(made).toMatchObject({ spec: { network: spec.network } });
    expect(await world.machines.detail('web')).toMatchObject({
      network: { name: 'app', addresses: ['10.20.0.2', 'fd00:20::2'], admitted: true },
    });
    expect(status.bootId).toBe([...world.warden.networks.values()][0]?.open.get(id));
  });

  test('may be a segment, which has no way out', async () => {
    await using world = await openWorld();
    const { spec } = await world.worker.networks.create({ name: 'lan', mode: 'bridged' });
    expect(spec.definition).toMatchObject({ mode: 'bridged', internet: 'none' });
    const wrong = world.worker.networks.create({ name: 'wan', mode: 'bridged', internet: 'nat' });
    expect((await errorOf(wrong)).message).toContain('internet: needs a router, which no bridged network has');
  });

  test('is made with ranges that nobody has where none are named', async () => {
    await using world = await openWorld();
    const { spec } = await world.worker.networks.create({ name: 'other' });
    expect(spec.definition['addresses']).toEqual(['10.21.0.0/16', expect.stringMatching(/^fd[0-9a-f:]+\/64$/)]);
  });

  test('is refused where it overlaps with another, and both are named', async () => {
    await using world = await openWorld();
    const error = await errorOf(world.worker.networks.create({ name: 'two', addresses: ['10.20.3.0/24'] }));
    expect(error).toMatchObject({ code: 'policy-invalid' });
    expect(error.message).toBe('10.20.3.0/24 of two overlaps with 10.20.0.0/16, which is the network app’s');
  });

  test('is not removed while a machine has a card in it', async () => {
    await using world = await openWorld();
    const { id, name } = await member(world, 'web', 'web');
    await expect(world.worker.networks.remove('app')).rejects.toMatchObject({ code: 'conflict' });
    await world.ended(await world.machines.remove(name, { force: true }));
    await world.worker.networks.remove('app');
    expect(world.warden.networks.size).toBe(0);
    expect(world.warden.machines.has(id)).toBe(false);
  });

  test('whose rules the host refuses stays as it was, and says why', async () => {
    await using world = await openWorld();
    world.warden.onRequest = (request) => {
      if (request.op !== 'apply-network' || !JSON.stringify(request.definition).includes('web-to-db')) return;
      throw new RingwallError('network-failed', 'nft refuses line 7: no such set');
    };
    const error = await errorOf(world.worker.networks.addRule('app', WEB_TO_DB));
    expect(error.message).toBe('nft refuses line 7: no such set');
    expect(await world.worker.networks.exportPolicy()).toMatchObject({ networks: [{ rules: [] }] });
    await world.until(() => (JSON.stringify(seen(world).applied).includes('"rules":[]') ? true : undefined));
    expect(await world.eventKinds()).toContain('network.reverted');
    expect((await world.worker.networks.list())[0]?.status).toMatchObject({ state: 'in-force' });
  });

  test('is applied again by the next life of the daemon, and later where the warden is away', async () => {
    await using world = await openWorld();
    await world.end();
    world.warden.networks.clear();
    await world.begin();
    await world.until(() => (world.warden.networks.size === 1 ? true : undefined));
    world.warden.onRequest = ({ op }) => {
      if (op === 'apply-network') throw new RingwallError('warden-unavailable', 'the warden does not run');
    };
    const adding = world.worker.networks.addRule('app', WEB_TO_DB);
    await world.until(async () =>
      (await world.worker.networks.list())[0]?.status.state === 'pending' ? true : undefined,
    );
    world.warden.onRequest = () => {};
    expect((await adding).network.status).toEqual({ state: 'in-force', machines: 0 });
    expect(seen(world).applied).toMatchObject({ definition: { rules: [WEB_TO_DB] } });
  });

  test('whose removal nobody saw done is removed by the next life', async () => {
    await using world = await openWorld();
    const [id, network] = [...world.warden.networks][0] ?? [];
    await world.worker.networks.remove('app');
    await world.end();
    if (id !== undefined && network !== undefined) world.warden.networks.set(id, network);
    await world.begin();
    await world.until(() => (world.warden.networks.size === 0 ? true : undefined));
    expect(world.warden.requests.at(-1)).toMatchObject({ op: 'remove-network', network: id });
  });
});

describe('addresses', () => {
  test('that were freed are not given to somebody else at once', async () => {
    await using world = await openWorld();
    await member(world, 'web', 'web');
    await world.ended(await world.machines.remove('web', { force: true }));
    await member(world, 'next', 'web');
    expect(await world.machines.detail('next')).toMatchObject({ network: { addresses: ['10.20.0.3', 'fd00:20::3'] } });
  });

  test('are each one machine’s, also where two are made at once', async () => {
    await using world = await openWorld();
    const names = ['a', 'b', 'c', 'd'];
    const made = names.map((name) => world.machines.create({ image: 'hello', name, network: 'app' }));
    for (const { operation } of await Promise.all(made)) await world.ended(operation);
    const details = await Promise.all(names.map((name) => world.machines.detail(name)));
    expect(new Set(details.map(({ network }) => network?.addresses[0])).size).toBe(names.length);
  });

  test('run out with a sentence that says so', async () => {
    await using world = await World.open();
    await world.worker.networks.create({ name: 'tiny', addresses: ['10.9.0.4/32'] });
    await world.machines.create({ image: 'hello', name: 'one', network: 'tiny' });
    const error = await errorOf(world.machines.create({ image: 'hello', name: 'two', network: 'tiny' }));
    expect(error).toMatchObject({ code: 'host-full', message: 'every address of 10.9.0.4 is taken' });
    expect(await world.store.findMachine('two')).toBeUndefined();
  });
});

describe('labels', () => {
  test('of a running machine are changed, and its rules follow', async () => {
    await using world = await openWorld();
    await member(world, 'web', 'web');
    const labelled = await world.worker.networks.label('web', { set: { tier: '1' }, remove: ['role'] });
    expect(labelled.spec.labels).toEqual({ tier: '1' });
    expect(seen(world).applied).toMatchObject({ machines: [{ labels: { tier: '1' } }] });
    expect(seen(world).open).toHaveLength(1);
  });

  test('that the network does not declare are refused, with the near one', async () => {
    await using world = await World.open();
    const network = { name: 'app', addresses: ['10.20.0.0/16'], labels: { role: ['web', 'db'] }, rules: [] };
    await world.worker.networks.applyPolicy({ version: 1, tenant: 'default', networks: [network] }, false);
    const wrong = world.machines.create({ image: 'hello', name: 'x', network: 'app', labels: { role: 'wep' } });
    expect(await errorOf(wrong)).toMatchObject({
      code: 'policy-invalid',
      message: 'labels: role=wep is no label of this network',
      hint: 'did you mean role=web?',
    });
  });

  test('without a network mean nothing, and are refused', async () => {
    await using world = await World.open();
    const wrong = world.machines.create({ image: 'hello', name: 'x', labels: { role: 'web' } });
    expect(await errorOf(wrong)).toMatchObject({ code: 'spec-invalid' });
  });

  test.each(['web; drop', '{ }', '*', 'a"b', 'a\nb', ''])('that try to be syntax (%j) are refused', async (value) => {
    await using world = await openWorld();
    const wrong = world.machines.create({ image: 'hello', name: 'x', network: 'app', labels: { role: value } });
    expect(await errorOf(wrong)).toMatchObject({ code: 'policy-invalid' });
  });
});

describe('a policy', () => {
  const policy = (networks: readonly object[]): object => ({ version: 1, tenant: 'default', networks });
  const app = { name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], internet: 'none', rules: [WEB_TO_DB] };

  test('is planned, and changes nothing', async () => {
    await using world = await openWorld();
    await member(world, 'web', 'web');
    const lab = { name: 'lab', addresses: ['10.30.0.0/16'], rules: [] };
    const { networks, troubles } = await world.worker.networks.planPolicy(policy([app, lab]));
    expect(troubles).toEqual([]);
    expect(networks.map(({ name, does }) => [name, does])).toEqual([
      ['app', 'change'],
      ['lab', 'make'],
    ]);
    expect(networks[0]?.changes).toEqual([
      { kind: 'opens', from: 'role=web', to: 'role=db', services: ['tcp/5432'], rule: 'web-to-db' },
    ]);
    expect(networks[0]?.findings).toEqual([
      { rule: 'web-to-db', message: 'no machine is role=db, which web-to-db is about', idle: false },
    ]);
    expect((await world.worker.networks.list()).map(({ name }) => name)).toEqual(['app']);
  });

  test('is applied whole, and is then what is exported', async () => {
    await using world = await openWorld();
    const wanted = policy([app, { name: 'lab', addresses: ['10.30.0.0/16'], internet: 'none', rules: [] }]);
    await world.worker.networks.applyPolicy(wanted, false);
    expect(await world.worker.networks.exportPolicy()).toEqual(wanted);
    expect(world.warden.networks.size).toBe(2);
    const { networks } = await world.worker.networks.planPolicy(wanted);
    expect(networks.map(({ does }) => does)).toEqual(['keep', 'keep']);
  });

  test('of which the host refuses one network is in force in none', async () => {
    await using world = await openWorld();
    const before = await world.worker.networks.exportPolicy();
    world.warden.onRequest = (request) => {
      if (request.op !== 'apply-network' || request.definition['name'] !== 'lab') return;
      throw new RingwallError('network-failed', 'no');
    };
    const lab = { name: 'lab', addresses: ['10.30.0.0/16'], rules: [] };
    await errorOf(world.worker.networks.applyPolicy(policy([app, lab]), false));
    expect(await world.worker.networks.exportPolicy()).toEqual(before);
    await world.until(() => (world.warden.networks.size === 1 ? true : undefined));
  });

  test.each([
    [
      'a rule that can never decide',
      [{ ...app, rules: [WEB_TO_DB, { ...WEB_TO_DB, name: 'same' }] }],
      'same never decides',
    ],
    ['a network that machines are in', [], 'web'],
    ['a range that a machine is not in', [{ ...app, addresses: ['10.99.0.0/16'] }], 'web: '],
    ['a label that a machine has and nobody declares', [{ ...app, labels: { role: ['db'] }, rules: [] }], 'role=web'],
  ])('is refused for %s', async (_, networks, message) => {
    await using world = await openWorld();
    await member(world, 'web', 'web');
    const error = await errorOf(world.worker.networks.applyPolicy(policy(networks), false));
    expect(error.code).toBe('policy-invalid');
    expect(error.message).toContain(message);
  });

  test('does not make a routed network a bridged one', async () => {
    await using world = await openWorld();
    const { troubles } = await world.worker.networks.planPolicy(policy([{ ...app, mode: 'bridged', dns: false }]));
    expect(troubles).toEqual([expect.stringContaining('app is routed, and a network keeps its mode')]);
    const lab = await world.worker.networks.create({ name: 'lab', mode: 'bridged' });
    expect(lab.spec.definition).toMatchObject({ mode: 'bridged', internet: 'none' });
  });

  test('of another tenant is not ours to apply', async () => {
    await using world = await World.open();
    const error = await errorOf(world.worker.networks.planPolicy({ version: 1, tenant: 'acme', networks: [] }));
    expect(error).toMatchObject({ code: 'policy-invalid', message: expect.stringContaining('acme') });
  });

  test('of a hundred thousand rules is too large', async () => {
    await using world = await World.open();
    const rules = Array.from({ length: 100_000 }, (_, at) => ({ ...WEB_TO_DB, name: `r${at}` }));
    const error = await errorOf(world.worker.networks.planPolicy(policy([{ ...app, rules }])));
    expect(error.code).toBe('too-large');
  });
});

describe('why', () => {
  test('names the rule, and what keeps it shut beside that', async () => {
    await using world = await openWorld();
    await member(world, 'web', 'web');
    await member(world, 'db', 'db');
    const ask = { from: 'web', to: 'db', service: 'tcp/5432' };
    expect(await world.worker.networks.reach(ask)).toMatchObject({ open: false, allowed: false, reason: 'no-rule' });
    await world.worker.networks.addRule('app', WEB_TO_DB);
    expect(await world.worker.networks.reach(ask)).toMatchObject({
      network: 'app',
      from: { machine: 'web', address: '10.20.0.2' },
      open: true,
      rule: { name: 'web-to-db', action: 'allow' },
      notes: [],
    });
    await world.ended(await world.machines.stop('db'));
    expect(await world.worker.networks.reach(ask)).toMatchObject({
      allowed: true,
      open: false,
      notes: ['db is stopped: it has no network'],
    });
  });

  test('says where two have no network in common, and suggests the machine that was meant', async () => {
    await using world = await openWorld();
    await member(world, 'web', 'web');
    await world.running('alone');
    expect(await world.worker.networks.reach({ from: 'web', to: 'alone', service: 'ping' })).toMatchObject({
      open: false,
      reason: 'no-common-network',
      notes: ['alone has no network'],
    });
    const error = await errorOf(world.worker.networks.reach({ from: 'web', to: 'alome', service: 'ping' }));
    expect(error).toMatchObject({ code: 'not-found', hint: 'did you mean alone?' });
  });
});
