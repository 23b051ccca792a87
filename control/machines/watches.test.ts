import type { Machine } from '@ringwall/api';
import type { WatchReport } from '@ringwall/api/watch';
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';
import { changeMachine } from './work.ts';

const REASON = '/tmp/evil ran, which is not a file of the image hello (SHA-256 0123456789ab…)';

async function say(world: World, machine: Machine, report: Partial<WatchReport>): Promise<void> {
  const boot = machine.status.bootId ?? '';
  const before = world.broker.watches.get(boot);
  if (before === undefined) throw new Error('its watch was not ordered');
  world.broker.watches.set(boot, { ...before, ...report });
}

async function quarantine(world: World, machine: Machine): Promise<Machine> {
  world.broker.quarantined.add(machine.id);
  await say(world, machine, { state: 'quarantined', reasons: [REASON], strays: 1 });
  return world.until(async () => {
    const seen = await world.store.findMachine(machine.id);
    return seen?.status.trust === 'quarantined' ? seen : undefined;
  });
}

async function events(world: World): Promise<string[]> {
  return (await world.eventKinds()).filter((kind) => kind.startsWith('machine.watch'));
}

describe('a watched machine', () => {
  test('is ordered with its mode, its interval and its list of files, which goes to the broker once', async () => {
    await using world = await World.open();
    const machine = await world.running('web');
    const order = world.broker.requests.find(({ op }) => op === 'expect-watch');
    expect(order).toMatchObject({ machine: machine.id, mode: 'enforce', intervalMs: 10_000 });
    expect([...world.broker.files.values()]).toEqual([world.warden.imageFiles]);
    const sent = world.broker.count('add-image-files');
    expect(sent).toBeGreaterThan(1);
    await world.running('other');
    expect(world.broker.count('add-image-files')).toBe(sent);
  });

  test('stays joined to the broker after its attestation, and shows when it was seen', async () => {
    await using world = await World.open();
    const machine = await world.running('web');
    await say(world, machine, { state: 'expected', seenAgoMs: 3_000, entries: 40 });
    const shown = await world.until(async () => {
      const seen = await world.machines.find('web');
      return seen.status.watch?.state === 'expected' ? seen : undefined;
    });
    expect(shown.status).toMatchObject({ trust: 'attested', watch: { mode: 'enforce', seenAt: expect.any(String) } });
    expect(world.broker.sessions.at(-1)?.destroyed).toBe(false);
    expect(await world.machines.detail('web')).toMatchObject({ watch: { entries: 40, strays: 0, intervalMs: 10_000 } });
  });

  test('is unknown once it is overdue, with the age, and is told of once, and again when it is seen', async () => {
    await using world = await World.open();
    const machine = await world.running('web');
    await say(world, machine, { state: 'expected', seenAgoMs: 43_000 });
    const shown = await world.until(async () => {
      const seen = await world.machines.find('web');
      return seen.status.reasons[0]?.includes('overdue') === true ? seen : undefined;
    });
    expect(shown.status).toMatchObject({
      trust: 'unknown',
      reasons: [expect.stringMatching(/^the watch is overdue: last seen \d+ s ago$/)],
    });
    await world.until(async () => ((await events(world)).length > 0 ? true : undefined));
    await say(world, machine, { seenAgoMs: 100 });
    await world.until(async () => ((await world.machines.find('web')).status.trust === 'attested' ? true : undefined));
    await world.until(async () => ((await events(world)).length > 1 ? true : undefined));
    expect(await events(world)).toEqual(['machine.watch.overdue', 'machine.watch.seen']);
  });

  test('ages while the broker is away: what it has said last does not stay healthy', async () => {
    await using world = await World.open();
    const machine = await world.running('web');
    // The oldest that still counts: three intervals of 10 s, and 10 s.
    await say(world, machine, { state: 'expected', seenAgoMs: 39_800 });
    await world.worker.watches.look();
    world.broker.away = true;
    const shown = await world.until(async () => {
      const seen = await world.machines.find('web');
      return seen.status.reasons.length === 2 ? seen : undefined;
    });
    expect(shown.status.trust).toBe('unknown');
    expect(shown.status.reasons).toEqual([expect.stringContaining('overdue'), 'the broker does not run']);
  });

  test('is unknown after a restart of the daemon until the broker was heard, and then what it was', async () => {
    await using world = await World.open();
    const machine = await world.running('web');
    world.broker.away = true;
    await world.restart();
    await world.until(async () => ((await events(world)).length >= 0 ? true : undefined));
    const unheard = await world.machines.find('web');
    expect(unheard.status.trust).toBe('unknown');
    world.broker.away = false;
    await world.until(async () => ((await world.machines.find('web')).status.trust === 'attested' ? true : undefined));
    // Joined by the daemon that adopted it.
    await world.until(() => (world.broker.sessions.some((session) => !session.destroyed) ? true : undefined));
    expect(machine.status.trust).toBe('attested');
  });

  test('that runs something else is quarantined, with an event, and stays so when it is stopped', async () => {
    await using world = await World.open();
    const machine = await quarantine(world, await world.running('web'));
    expect(machine.status).toMatchObject({ phase: 'running', trust: 'quarantined', reasons: [REASON] });
    expect(await events(world)).toEqual(['machine.watch.quarantined']);
    expect(world.warden.count('pause-machine')).toBe(0);
    expect((await errorOf(world.machines.start('web'))).code).toBe('attestation-refused');
    await world.ended(await world.machines.stop('web'));
    expect((await world.machines.find('web')).status).toMatchObject({ phase: 'stopped', trust: 'quarantined' });
    world.broker.strays = [{ path: '/tmp/evil', kind: 'unknown' }];
    expect(await world.machines.detail('web')).toMatchObject({
      watch: { state: 'quarantined', files: [{ path: '/tmp/evil' }] },
    });
    const starts = world.warden.count('start-machine');
    expect((await errorOf(world.machines.start('web'))).code).toBe('attestation-refused');
    expect(world.warden.count('start-machine')).toBe(starts);
  });

  test('stays quarantined where it ends by itself, and says both reasons', async () => {
    await using world = await World.open();
    const { id } = await quarantine(world, await world.running('web'));
    world.warden.die(id, 'vmm-dead', true);
    const machine = await world.phase('web', 'stopped');
    expect(machine.status).toMatchObject({
      trust: 'quarantined',
      reasons: [REASON, expect.stringContaining('powered')],
    });
  });

  test('is readmitted by an operator: once stopped it starts again', async () => {
    await using world = await World.open();
    await quarantine(world, await world.running('web'));
    await world.ended(await world.machines.stop('web'));
    expect((await world.machines.readmit('web')).status).toMatchObject({ trust: 'unknown', reasons: [] });
    expect((await errorOf(world.machines.readmit('web'))).code).toBe('conflict');
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
    expect(await events(world)).toEqual(['machine.watch.quarantined', 'machine.watch.readmitted']);
  });

  test('that is readmitted while it runs stays untrusted in this boot, and starts again once stopped', async () => {
    await using world = await World.open();
    await quarantine(world, await world.running('web'));
    const machine = await world.machines.readmit('web');
    expect(machine.status).toMatchObject({ trust: 'quarantined', watch: { readmittedAt: expect.any(String) } });
    await world.ended(await world.machines.stop('web'));
    expect((await world.machines.find('web')).status.trust).toBe('unknown');
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
  });

  test('that was readmitted is quarantined again by what is new', async () => {
    await using world = await World.open();
    const machine = await quarantine(world, await world.running('web'));
    await world.machines.readmit('web');
    const at = new Date().toISOString();
    await say(world, machine, { readmittedAt: at });
    await world.worker.watches.look();
    expect((await world.machines.find('web')).status.watch).toHaveProperty('readmittedAt');
    world.broker.watches.set(machine.status.bootId ?? '', {
      ...{ mode: 'enforce', state: 'quarantined', intervalMs: 10_000, provenAgoMs: 0, entries: 41, strays: 2 },
      reasons: [REASON, '/tmp/evil-2 ran'],
    });
    await world.until(async () => {
      const { watch } = (await world.machines.find('web')).status;
      return watch?.readmittedAt === undefined ? true : undefined;
    });
    expect((await events(world)).filter((kind) => kind === 'machine.watch.quarantined')).toHaveLength(2);
  });

  test('pause stops its processors, also where the daemon was restarted in between; readmit lets them go on', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'hello', name: 'web', start: true, watch: 'pause' });
    await world.ended(operation);
    await quarantine(world, await world.phase('web', 'running'));
    await world.until(() => (world.warden.count('pause-machine') > 0 ? true : undefined));
    await world.until(async () => ((await events(world)).length > 1 ? true : undefined));
    expect(await events(world)).toEqual(['machine.watch.quarantined', 'machine.watch.paused']);
    const paused = world.warden.count('pause-machine');
    await world.restart();
    await world.until(() => (world.warden.count('pause-machine') > paused ? true : undefined));
    await world.machines.readmit('web');
    expect(world.warden.count('resume-machine')).toBe(1);
  });

  test('report says what ran, once, and the machine stays attested', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'hello', name: 'web', start: true, watch: 'report' });
    await world.ended(operation);
    const machine = await world.phase('web', 'running');
    await say(world, machine, { state: 'unexpected', reasons: [REASON], strays: 1, seenAgoMs: 10 });
    await world.until(async () => ((await events(world)).length > 0 ? true : undefined));
    expect((await world.machines.find('web')).status).toMatchObject({ trust: 'attested', reasons: [REASON] });
    await world.restart();
    await world.machines.list();
    await world.worker.watches.look();
    expect(await events(world)).toEqual(['machine.watch.unexpected']);
  });

  test('is not started where its image has no list of files', async () => {
    await using world = await World.open();
    world.warden.imageFiles = undefined;
    const { operation } = await world.machines.create({ image: 'hello', name: 'web', start: true });
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'not-found' } });
    expect(world.warden.deeds).toContain('stop-machine');
  });

  test('is not watched where nobody wants it, and that is told as a lack', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'hello', name: 'web', start: true, watch: 'off' });
    await world.ended(operation);
    const detail = await world.machines.detail('web');
    expect(detail.machine.status).toMatchObject({ trust: 'attested' });
    expect(detail.machine.status).not.toHaveProperty('watch');
    expect(detail.machine.status.reasons).toEqual([
      expect.stringMatching(/^it is not watched: attested is what it booted/),
    ]);
    await changeMachine(
      world.store,
      detail.machine.id,
      ({ status }) => ({ status: { ...status, startedAt: new Date(Date.now() - 25 * 3_600_000).toISOString() } }),
      { kind: 'test', machine: detail.machine.id, message: 'a day goes by' },
    );
    const { status } = await world.machines.find('web');
    expect(status).toMatchObject({ trust: 'unknown', reasons: [expect.stringContaining('more than a day ago')] });
    expect(detail.notProtected).toContain('what runs on it since its boot is not watched');
    expect(world.broker.count('read-watches')).toBe(0);
  });

  test('machines that do not run cost the broker no request', async () => {
    await using world = await World.open();
    await world.running('web');
    await world.ended(await world.machines.stop('web'));
    const asked = world.broker.count('read-watches');
    await new Promise((resolve) => setTimeout(resolve, 10 * world.timing.watchMs));
    expect(world.broker.count('read-watches') - asked).toBeLessThanOrEqual(1);
  });
});
