// Machines that boot a system of their own, against a host of the mind: what runs of them, and what they are told of.
import { newMachineId, type MachineId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { create, list, needsRoot, Scene, SPEC, start, stop } from './testing/scene.ts';
import type { Warden } from './warden.ts';

let scene: Scene;
let warden: Warden;
let id: MachineId;
beforeEach(async () => {
  scene = new Scene();
  warden = await scene.openWarden();
  id = newMachineId();
  // No image was built.
  await create(warden, id, { ...SPEC, image: 'foreign' });
  await start(warden, id);
});
afterEach(() => scene.end());

describe.skipIf(needsRoot)(
  `a machine that boots a system of its own${needsRoot ? ' (skipped: needs root)' : ''}`,
  () => {
    test('runs with a witness, without an image', async () => {
      expect(scene.runs()).toContain('process witness');
      expect((await list(warden)).machines).toMatchObject([{ machine: id, state: 'running' }]);
    });

    test('has no TPM any more where its witness died', async () => {
      const witness = [...scene.host.processes].find(([, { name }]) => name === 'witness');
      scene.host.kill(witness?.[0] ?? 0);
      expect((await list(warden)).machines).toMatchObject([{ state: 'tpm-dead' }]);
    });

    test('ends with all that runs of it', async () => {
      await stop(warden, id);
      expect(scene.runs()).toEqual([]);
    });
  },
);
