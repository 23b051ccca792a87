// A warden that is killed between any two steps leaves what the next one undoes or adopts.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newMachineId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Killed, type FakeHost } from './testing/fake-parts.ts';
import { buildHello, create, existing, list, needsRoot, remove, Scene, start, stop } from './testing/scene.ts';

let scene: Scene;
let host: FakeHost;
beforeEach(() => {
  scene = new Scene();
  ({ host } = scene);
});
afterEach(() => scene.end());

describe.skipIf(needsRoot)('a warden that is killed', () => {
  /** Every effect of a create, a start and a stop, in their order, as they come without a kill. */
  const EFFECTS = ['tpm.manufacture', 'jail.endJails', 'tpm.start', 'vmm.start', 'vmm.powerDown', 'host.kill'];

  it('leaves running machines that the next one adopts', async () => {
    const first = await scene.openWarden();
    const { id } = await scene.made(first);
    const { running } = await start(first, id);
    const next = await scene.openWarden();
    expect((await list(next)).machines).toEqual([running]);
    expect(host.processes.size).toBe(2);
    expect(await stop(next, id)).toEqual({ graceful: true });
    expect(scene.runs()).toEqual([]);
  });

  it.each(EFFECTS.flatMap((effect) => [0, 1, 2].map((skip) => ({ effect, skip }))))(
    'in $effect after $skip of them leaves what the next one undoes or adopts',
    async ({ effect, skip }) => {
      const first = await scene.openWarden();
      await buildHello(first);
      const id = newMachineId();
      let left = skip;
      let dead = false;
      host.before = (name) => {
        if (dead || (name === effect && left-- === 0)) {
          dead = true;
          throw new Killed();
        }
      };
      const life = async (): Promise<void> => {
        await create(first, id);
        await start(first, id);
        await stop(first, id);
      };
      await life().catch(() => undefined);

      host.before = () => undefined;
      const next = await scene.openWarden();
      const { machines } = await list(next);
      const there = await existing(next);
      expect(machines.every(({ state }) => state === 'running')).toBe(true);
      expect(readdirSync(host.layout.runMachines)).toHaveLength(machines.length);
      expect(host.processes.size).toBe(2 * machines.length);
      expect(readdirSync(host.layout.machines)).toEqual(there);
      expect(readdirSync(host.layout.records)).toEqual(there);
      // Whatever was half is whole again or gone: the same life succeeds now.
      await create(next, id);
      await stop(next, id);
      await start(next, id);
      await stop(next, id);
      await remove(next, id);
      expect(scene.runs()).toEqual([]);
    },
  );

  it('leaves no second half of an image: the old one comes back', async () => {
    const first = await scene.openWarden();
    await buildHello(first);
    const { images } = host.layout;
    mkdirSync(join(images, '.build-hello-0123abcd'));
    mkdirSync(join(images, '.old-debian'));
    writeFileSync(join(images, '.old-debian', 'manifest.json'), 'b'.repeat(64));
    await scene.openWarden();
    expect(readdirSync(images).toSorted()).toEqual(['debian', 'hello']);
  });
});
