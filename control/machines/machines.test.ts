import { once } from 'node:events';
import { type Machine, RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { QUICK_TIMING } from './testing/fakes.ts';
import { World } from './testing/world.ts';

async function errorOf(promise: Promise<unknown>): Promise<RingwallError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof RingwallError) return error;
  throw new Error(`expected a RingwallError, got ${String(error)}`);
}

async function kinds(world: World): Promise<string[]> {
  return (await world.store.listEvents(0)).map((event) => event.kind);
}

describe('create()', () => {
  test('makes disk, TPM and key, then boots, and is done once attested and unlocked', async () => {
    await using world = await World.open();
    const { machine, operation } = await world.machines.create({ image: 'hello', name: 'web', start: true });
    expect(machine).toMatchObject({ name: 'web', status: { phase: 'creating' } });
    expect(await world.ended(operation)).toMatchObject({ state: 'done', machine: machine.id });
    expect(world.warden.deeds).toEqual(['create-machine', 'start-machine']);
    expect(world.broker.registered).toContain(machine.id);
    expect(await world.machines.detail('web')).toMatchObject({
      machine: {
        spec: { running: true },
        status: {
          phase: 'running',
          trust: 'attested',
          diskUnlocked: true,
          accelerator: 'tcg',
          label: 'emulated: no isolation boundary',
        },
      },
      proven: ['its kernel is the one of hello'],
      protections: [{ id: 'vmm.no-new-privs' }],
      notProtected: ['emulated: no isolation boundary'],
    });
    expect(await kinds(world)).toEqual(['machine.created', 'machine.made', 'machine.attested']);
  });

  test('without start leaves it stopped', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'hello' });
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect(await world.machines.find('hello')).toMatchObject({
      spec: { running: false, cpus: 1, memoryMiB: 512, diskMiB: 1024 },
      status: { phase: 'stopped', trust: 'unknown' },
    });
    expect(world.warden.deeds).toEqual(['create-machine']);
  });

  test('builds a missing image first, and says how far that is', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'debian' });
    const steps: string[] = [];
    using _ = world.worker.operations.watch(operation.id, ({ step }) => steps.push(step));
    await world.ended(operation);
    expect(world.warden.deeds).toEqual(['build-image', 'create-machine']);
    expect(steps).toContain('building image debian: unpacking the kernel');
  });

  test('without a name takes the first that is free, also when two ask at the same time', async () => {
    await using world = await World.open();
    const made = await Promise.all([1, 2, 3].map(() => world.machines.create({ image: 'hello' })));
    expect(made.map(({ machine }) => machine.name).toSorted()).toEqual(['hello', 'hello-2', 'hello-3']);
  });

  test.each([
    [{ image: 'hello', name: '../x' }, 'name-invalid'],
    [{ image: 'windows' }, 'image-unknown'],
    [{ image: 'hello', memoryMiB: 9000 }, 'host-full'],
    [{ image: 'hello', cpus: 0 }, 'spec-invalid'],
  ])('refuses %o as %s before anything is made', async (request, code) => {
    await using world = await World.open();
    expect(await errorOf(world.machines.create(request))).toMatchObject({ code });
    expect(await world.machines.list()).toEqual([]);
    expect(world.warden.deeds).toEqual([]);
  });

  test('refuses a name that is taken', async () => {
    await using world = await World.open();
    await world.machines.create({ image: 'hello', name: 'web' });
    expect(await errorOf(world.machines.create({ image: 'hello', name: 'web' }))).toMatchObject({ code: 'name-taken' });
  });

  test('leaves nothing behind where the warden cannot make it, and the name is free again', async () => {
    await using world = await World.open();
    world.warden.onRequest = ({ op }) => {
      if (op === 'create-machine') throw new RingwallError('host-full', 'the disk is full', { hint: 'free some' });
    };
    const { operation } = await world.machines.create({ image: 'hello', name: 'web' });
    expect(await world.ended(operation)).toMatchObject({
      state: 'failed',
      error: { code: 'host-full', hint: 'free some' },
    });
    expect(await world.machines.list()).toEqual([]);
    expect(world.warden.deeds).toEqual(['create-machine', 'remove-machine']);
    expect(world.broker.count('forget-machine')).toBe(1);
    world.warden.onRequest = () => {};
    await world.running('web');
  });

  test('keeps the record of a machine that it could not undo, so that it can be removed', async () => {
    await using world = await World.open();
    world.warden.onRequest = ({ op }) => {
      if (op === 'create-machine') world.broker.away = true;
    };
    const { operation } = await world.machines.create({ image: 'hello', name: 'web' });
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'broker-unavailable' } });
    expect(await world.machines.find('web')).toMatchObject({
      status: { phase: 'failed', reasons: [expect.stringContaining('the broker does not run')] },
    });
    world.broker.away = false;
    await world.ended(await world.machines.remove('web'));
    expect(await world.machines.list()).toEqual([]);
    expect(world.warden.machines.size).toBe(0);
  });
});

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
    await using world = await World.open();
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
    await using world = await World.open();
    await stopped(world);
    world.broker.outcome = 'pending';
    expect((await world.ended(await world.machines.start('web'))).error).toMatchObject({ code: 'timeout' });
  });

  test('a guest that gets its key and never unlocks runs out of time', async () => {
    await using world = await World.open();
    await stopped(world);
    world.broker.outcome = 'accepted';
    const { error } = await world.ended(await world.machines.start('web'));
    expect(error).toMatchObject({ code: 'timeout', message: expect.stringContaining('got its key') });
  });

  test('a guest that finds no room for its disk says so, and is not called silent', async () => {
    await using world = await World.open();
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

describe('stop()', () => {
  test('ends a machine; of a stopped one it is done at once', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    expect(await world.ended(await world.machines.stop('web'))).toMatchObject({ state: 'done' });
    expect(world.warden.isRunning(id)).toBe(false);
    expect(await world.machines.find('web')).toMatchObject({
      spec: { running: false },
      status: { phase: 'stopped', trust: 'unknown', diskUnlocked: false },
    });
    expect(await world.machines.stop('web')).toMatchObject({ state: 'done', step: 'it is stopped already' });
  });

  test('cancels a start that is under way', async () => {
    await using world = await World.open();
    const { operation: creation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(creation);
    world.warden.guestWords = '';
    const start = await world.machines.start('web');
    await world.phase('web', 'attesting');
    const stop = await world.machines.stop('web');
    expect(await world.ended(stop)).toMatchObject({ state: 'done' });
    expect(await world.ended(start)).toMatchObject({ state: 'failed', error: { code: 'conflict' } });
    const machine = await world.machines.find('web');
    expect(machine.status.phase).toBe('stopped');
    expect(world.warden.isRunning(machine.id)).toBe(false);
  });

  test('where the warden is away: the machine is ended once it is back', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    world.warden.away = true;
    expect((await world.ended(await world.machines.stop('web'))).error).toMatchObject({ code: 'warden-unavailable' });
    expect(await world.machines.find('web')).toMatchObject({ status: { phase: 'failed' } });
    world.warden.away = false;
    await world.until(() => !world.warden.isRunning(id) || undefined);
  });
});

describe('remove()', () => {
  test('destroys the key before the disk, and forgets the machine', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    expect(await errorOf(world.machines.remove('web'))).toMatchObject({ code: 'conflict' });
    await world.ended(await world.machines.stop('web'));
    const keyWhenDiskGoes: boolean[] = [];
    world.warden.onRequest = ({ op }) => {
      if (op === 'remove-machine') keyWhenDiskGoes.push(world.broker.registered.has(id));
    };
    expect(await world.ended(await world.machines.remove('web'))).toMatchObject({ state: 'done' });
    expect(keyWhenDiskGoes).toEqual([false]);
    expect(world.warden.machines.size).toBe(0);
    expect(await errorOf(world.machines.find('web'))).toMatchObject({ code: 'not-found' });
    expect((await kinds(world)).at(-1)).toBe('machine.removed');
  });

  test('with force ends a running one first', async () => {
    await using world = await World.open();
    await world.running('web');
    expect(await world.ended(await world.machines.remove('web', { force: true }))).toMatchObject({ state: 'done' });
    expect(world.warden.deeds.slice(-2)).toEqual(['stop-machine', 'remove-machine']);
  });

  test('where the broker is away: nothing is removed, and it can be tried again', async () => {
    await using world = await World.open();
    await world.ended((await world.machines.create({ image: 'hello', name: 'web' })).operation);
    world.broker.away = true;
    expect((await world.ended(await world.machines.remove('web'))).error).toMatchObject({ code: 'broker-unavailable' });
    expect(world.warden.machines.size).toBe(1);
    world.broker.away = false;
    expect(await world.ended(await world.machines.remove('web'))).toMatchObject({ state: 'done' });
  });
});

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
    await using world = await World.open();
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
    await new Promise((resolve) => setTimeout(resolve, QUICK_TIMING.observeMs * 2));
    const before = world.warden.requests.length + world.broker.requests.length;
    await new Promise((resolve) => setTimeout(resolve, QUICK_TIMING.observeMs * 5));
    expect(world.warden.requests.length + world.broker.requests.length).toBe(before);
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
