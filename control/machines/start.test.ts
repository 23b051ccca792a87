// Starting machines: the way from a guest that boots to one that is attested, refused or given up.
import { type Machine, RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { IMPATIENT_TIMING, QUICK_TIMING } from './testing/quick-timing.ts';
import { World } from './testing/world.ts';

const impatient = (world: World): void => {
  world.timing = IMPATIENT_TIMING;
};

describe('start()', () => {
  async function stopped(world: World): Promise<Machine> {
    const { machine, operation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(operation);
    return machine;
  }

  test('asked twice is one operation; of a machine that runs it is done at once', async () => {
    await using world = await World.open();
    await stopped(world);
    const [one, two] = await Promise.all([world.machines.start('web'), world.machines.start('web')]);
    expect(one.id).toBe(two.id);
    await world.ended(one);
    expect(await world.machines.start('web')).toMatchObject({ state: 'done', step: 'it runs already' });
    expect(world.warden.count('start-machine')).toBe(1);
  });

  test('a refused guest stays in its initrd with the reasons, until somebody starts it anew', async () => {
    await using world = await World.open();
    const { id } = await stopped(world);
    world.broker.outcome = 'refused';
    const operation = await world.ended(await world.machines.start('web'));
    expect(operation).toMatchObject({ state: 'failed', error: { code: 'attestation-refused' } });
    expect(operation.error?.message).toContain('event 17 (kernel)');
    expect(await world.machines.find('web')).toMatchObject({
      status: { phase: 'refused', trust: 'refused', reasons: world.broker.reasons, diskUnlocked: false },
    });
    expect(world.warden.isRunning(id)).toBe(true);
    world.broker.outcome = 'unlocked';
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
    expect(world.warden.count('start-machine')).toBe(2);
    expect(world.warden.count('stop-machine')).toBe(1);
  });

  test('a refusal is told once the guest has told it on its console, or has had the time to', async () => {
    await using world = await World.open((made) => (made.timing = { ...QUICK_TIMING, lastWordsMs: 2_000 }));
    await stopped(world);
    world.broker.outcome = 'refused';
    const operation = await world.machines.start('web');
    await world.phase('web', 'refused');
    expect((await world.worker.operations.find(operation.id))?.state).toBe('running');
    world.warden.console = '\u001b[2Jringwall: refused: kernel\r\n';
    expect((await world.ended(operation)).state).toBe('failed');
  });

  test('each start has a boot id of its own', async () => {
    await using world = await World.open();
    await world.running('web');
    const first = (await world.machines.find('web')).status.bootId;
    await world.ended(await world.machines.stop('web'));
    await world.ended(await world.machines.start('web'));
    expect((await world.machines.find('web')).status.bootId).not.toBe(first);
  });

  test('a guest that never speaks is ended in bounded time, with what its console said last', async () => {
    await using world = await World.open(impatient);
    const { id } = await stopped(world);
    world.warden.guestWords = '';
    world.warden.console = 'EFI stub\r\n\u001b[31mKernel panic\u202e: no init\r\n\r\n';
    const operation = await world.ended(await world.machines.start('web'));
    expect(operation.error).toMatchObject({ code: 'guest-silent' });
    expect(operation.error?.hint).toContain('ringwall logs web');
    expect((await world.machines.find('web')).status).toEqual({
      phase: 'failed',
      trust: 'unknown',
      diskUnlocked: false,
      reasons: [operation.error?.message, 'its console said last: Kernel panic : no init'],
    });
    expect(world.warden.isRunning(id)).toBe(false);
    world.warden.guestWords = 'hello 1\n';
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
  });

  test('a guest that speaks and proves nothing runs out of time', async () => {
    await using world = await World.open(impatient);
    await stopped(world);
    world.broker.outcome = 'pending';
    expect((await world.ended(await world.machines.start('web'))).error).toMatchObject({ code: 'timeout' });
  });

  test('a guest that gets its key and never unlocks runs out of time', async () => {
    await using world = await World.open(impatient);
    await stopped(world);
    world.broker.outcome = 'accepted';
    const { error } = await world.ended(await world.machines.start('web'));
    expect(error).toMatchObject({ code: 'timeout', message: expect.stringContaining('got its key') });
  });

  test('a guest that finds no room for its disk says so, and is not called silent', async () => {
    await using world = await World.open(impatient);
    const { id } = await stopped(world);
    world.broker.outcome = 'accepted';
    const started = await world.machines.start('web');
    await expect.poll(() => world.warden.isRunning(id)).toBe(true);
    world.warden.pause(id, 'paused');
    await expect
      .poll(async () => (await world.machines.find('web')).status)
      .toMatchObject({ phase: 'attesting', reasons: [expect.stringContaining('disk of this host is full')] });
    expect((await world.ended(started)).error).toMatchObject({ code: 'host-full', hint: expect.any(String) });
  });

  test.each([
    ['vmm-dead', 'vmm-failed'],
    ['tpm-dead', 'tpm-failed'],
  ] as const)('%s in the middle of a boot is told as %s, and what is left is ended', async (state, code) => {
    await using world = await World.open();
    const { id } = await stopped(world);
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    await world.phase('web', 'attesting');
    world.warden.die(id, state);
    expect((await world.ended(operation)).error).toMatchObject({ code });
    expect(world.warden.deeds.at(-1)).toBe('stop-machine');
    expect(await world.machines.find('web')).toMatchObject({ status: { phase: 'failed' } });
  });

  test('a broker that comes back in time costs nothing; one that does not is named', async () => {
    await using world = await World.open();
    await stopped(world);
    world.broker.away = true;
    const operation = await world.machines.start('web');
    await world.until(
      async () => (await world.worker.operations.find(operation.id))?.step.startsWith('waiting') || undefined,
    );
    world.broker.away = false;
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    await world.ended(await world.machines.stop('web'));
    world.broker.away = true;
    expect((await world.ended(await world.machines.start('web'))).error).toMatchObject({ code: 'broker-unavailable' });
    expect(world.warden.count('start-machine')).toBe(1);
  });

  test('a broker that goes away in the middle of a boot is not waited for as long as a guest is', async () => {
    await using world = await World.open((made) => {
      made.timing = { ...QUICK_TIMING, attestMs: { kvm: 30_000, tcg: 30_000 } };
    });
    await stopped(world);
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    await world.phase('web', 'attesting');
    world.broker.away = true;
    expect((await world.ended(operation)).error).toMatchObject({ code: 'broker-unavailable', hint: 'start it' });
  });

  test('a broker that was restarted is told again what to expect, and the guest is joined to it anew', async () => {
    await using world = await World.open();
    await stopped(world);
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    await world.until(() => world.broker.sessions.length > 0 || undefined);
    world.warden.guestWords = 'hello 1\n';
    world.broker.restart();
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect(world.broker.count('expect-boot')).toBe(2);
  });

  test('a warden that is restarted in the middle of the start is asked again', async () => {
    await using world = await World.open();
    await stopped(world);
    let dropped = 0;
    world.warden.onRequest = ({ op }) => {
      if (op !== 'start-machine' || dropped++ > 0) return;
      throw new RingwallError('warden-unavailable', 'the warden closed the connection before it answered');
    };
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
  });

  test('whoever watches is told which process is waited for, and no more once it is back', async () => {
    await using world = await World.open();
    await stopped(world);
    world.warden.away = true;
    const operation = await world.machines.start('web');
    const now = async (): Promise<unknown> => world.worker.operations.find(operation.id);
    await expect.poll(now).toMatchObject({ waitsFor: 'ringwall-warden' });
    world.warden.away = false;
    world.broker.away = true;
    await expect.poll(now).toMatchObject({ waitsFor: 'ringwall-broker' });
    world.broker.away = false;
    expect((await world.ended(operation)).waitsFor).toBeUndefined();
  });

  test('a guest that has unlocked its disk is joined to no further session', async () => {
    await using world = await World.open((made) => (made.timing = { ...QUICK_TIMING, verdictMs: 200 }));
    await stopped(world);
    expect(await world.ended(await world.machines.start('web'))).toMatchObject({ state: 'done' });
    expect(world.broker.count('open-session')).toBe(1);
    expect(world.warden.count('open-attest-port')).toBe(1);
  });

  test('the bar is drawn by the last boot of the same image', async () => {
    await using world = await World.open();
    await world.running('web');
    await world.store.saveBootTime('hello', 'tcg', 100_000);
    await world.ended(await world.machines.stop('web'));
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    const step = await world.until(async () => {
      const now = await world.worker.operations.find(operation.id);
      return now?.step.startsWith('firmware') === true ? now : undefined;
    });
    expect(step.step).toBe('firmware and kernel boot (emulated: about 100 s)');
    expect(step.fraction).toBeLessThan(0.1);
  });

  test('refuses a version that has moved on', async () => {
    await using world = await World.open();
    await stopped(world);
    const { version } = await world.machines.find('web');
    expect(await errorOf(world.machines.start('web', { version: version - 1 }))).toMatchObject({ code: 'conflict' });
    expect(await world.ended(await world.machines.start('web', { version }))).toMatchObject({ state: 'done' });
  });
});
