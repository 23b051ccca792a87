// Machines as they are seen while they run: deaths, consoles, proofs, logs.
import { once } from 'node:events';
import type { Machine } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { QUICK_TIMING } from './testing/quick-timing.ts';
import { World } from './testing/world.ts';

describe('what is observed', () => {
  test('QEMU killed: the machine is failed with a reason, and what is left of it is ended', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    world.warden.die(id, 'vmm-dead');
    const machine = await world.phase('web', 'failed');
    expect(machine.status.reasons).toEqual([expect.stringContaining('ended by itself')]);
    await world.until(() => world.warden.deeds.at(-1) === 'stop-machine' || undefined);
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
  });

  test('a guest that powers down is stopped, not failed', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    world.warden.die(id, 'vmm-dead', true);
    expect(await world.phase('web', 'stopped')).toMatchObject({ spec: { running: false } });
  });

  test('a TPM that died makes a running machine unknown, and does not end it', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    world.warden.die(id, 'tpm-dead');
    await world.until(async () => (await world.machines.find('web')).status.trust === 'unknown' || undefined);
    expect(await world.machines.find('web')).toMatchObject({
      status: { phase: 'running', reasons: [expect.stringContaining('TPM')] },
    });
  });

  test('a warden that does not answer makes its machines unknown, never healthy, until it is back', async () => {
    await using world = await World.open((made) => {
      made.timing = { ...QUICK_TIMING, staleMs: 150 };
    });
    await world.running('web');
    world.warden.away = true;
    await world.until(async () => (await world.machines.find('web')).status.trust === 'unknown' || undefined);
    expect((await world.machines.list())[0]?.status.reasons).toEqual([expect.stringContaining('has not answered')]);
    world.warden.away = false;
    await world.until(async () => (await world.machines.find('web')).status.trust === 'attested' || undefined);
  });

  test('nothing is asked of anybody while no machine runs', async () => {
    await using world = await World.open();
    await world.running('web');
    await world.ended(await world.machines.stop('web'));
    // What was on its way when it stopped may come late.
    const askedMeanwhile = async (): Promise<number> => {
      const before = world.warden.requests.length + world.broker.requests.length;
      await new Promise((resolve) => setTimeout(resolve, QUICK_TIMING.observeMs * 5));
      return world.warden.requests.length + world.broker.requests.length - before;
    };
    await expect.poll(askedMeanwhile).toBe(0);
  });
});

describe('streams and readings', () => {
  test('the console is joined to the guest, and refused of a machine that is stopped', async () => {
    await using world = await World.open();
    await world.running('web');
    const console = await world.machines.openConsole('web');
    console.write('echo');
    const [answer]: unknown[] = await once(console, 'data');
    expect(String(answer)).toBe('echo');
    console.destroy();
    await world.ended(await world.machines.stop('web'));
    expect(await errorOf(world.machines.openConsole('web'))).toMatchObject({ code: 'conflict' });
  });

  test('a machine whose guest stands still for want of room says so, until it goes on', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    const status = async (): Promise<Machine['status']> => (await world.machines.find('web')).status;
    world.warden.pause(id, 'paused');
    await expect
      .poll(async () => (await status()).reasons)
      .toEqual([expect.stringContaining('disk of this host is full')]);
    expect(await status()).toMatchObject({ phase: 'running', trust: 'attested' });
    world.warden.pause(id, 'running');
    await expect.poll(async () => (await status()).reasons).toEqual([]);
  });

  test('a machine is shown while warden and broker are away, and what nobody can say is said', async () => {
    await using world = await World.open();
    await world.running('web');
    world.warden.away = true;
    world.broker.away = true;
    const detail = await world.machines.detail('web');
    expect(detail.proven).toEqual(['its kernel is the one of hello']);
    expect(detail.notProtected).toContain('the warden does not say which walls of this machine hold');
  });

  test("the proof is the broker's; of a machine that never booted there is none", async () => {
    await using world = await World.open();
    await world.ended((await world.machines.create({ image: 'hello', name: 'web' })).operation);
    expect(await errorOf(world.machines.proof('web'))).toMatchObject({ code: 'not-found' });
    await world.ended(await world.machines.start('web'));
    expect(await world.machines.proof('web')).toEqual({ format: 'ringwall-proof/1' });
  });
});
