// Machines that boot a system of their own: learned at first, then attested or kept from running.
import type { Machine } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { World } from './testing/world.ts';

async function made(world: World): Promise<Machine> {
  const { name } = await world.importDisk('web');
  const { machine, operation } = await world.machines.create({ ...WEB, attach: [name] });
  await world.ended(operation);
  return machine;
}

const WEB = { image: 'foreign', name: 'web' } as const;

describe('a machine that boots a system of its own', () => {
  test('is made without an image', async () => {
    await using world = await World.open();
    await made(world);
    expect(world.warden.count('build-image')).toBe(0);
  });

  test('is not made without a disk to boot', async () => {
    await using world = await World.open();
    await expect(world.machines.create(WEB)).rejects.toMatchObject({ code: 'bad-request' });
  });

  test.each([
    ['watched', { watch: 'enforce' }],
    ['encrypted in its guest', { encryption: 'guest' }],
  ] as const)('cannot be %s', async (_, wish) => {
    await using world = await World.open();
    const asked = world.machines.create({ ...WEB, ...wish, attach: ['web'] });
    await expect(asked).rejects.toMatchObject({ code: 'spec-invalid' });
  });

  test('runs and is not attested while nobody has accepted what it measured', async () => {
    await using world = await World.open();
    await made(world);
    world.broker.outcome = 'refused';
    world.broker.learns = true;
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
    expect((await world.machines.find('web')).status).toMatchObject({
      phase: 'running',
      trust: 'learning',
      reasons: world.broker.reasons,
      diskUnlocked: false,
    });
    expect(world.warden.count('pause-machine')).toBe(0);
  });

  test('is attested without a word of a disk that Ringwall has unlocked', async () => {
    await using world = await World.open();
    await made(world);
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done', step: 'attested' });
    expect((await world.machines.find('web')).status).toMatchObject({ trust: 'attested', diskUnlocked: false });
    const { notProtected } = await world.machines.detail('web');
    expect(notProtected.join()).toContain('its key is given to the VMM at each start');
    expect(notProtected.join()).toContain('is not watched');
  });

  test('has its processors stopped where it is refused', async () => {
    await using world = await World.open();
    await made(world);
    world.broker.outcome = 'refused';
    const operation = await world.ended(await world.machines.start('web'));
    expect(operation).toMatchObject({ state: 'failed', error: { code: 'attestation-refused' } });
    expect(operation.error?.hint).toContain('ringwall reference diff learned:web');
    expect((await world.machines.find('web')).status).toMatchObject({ phase: 'refused', trust: 'refused' });
    expect(world.warden.count('pause-machine')).toBe(1);
  });
});
