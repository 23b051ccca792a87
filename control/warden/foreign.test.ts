// Machines that boot a system of their own, against a host of the mind: what runs of them, and what they are told of.
import { newBootId, newMachineId, RingwallError, type MachineId } from '@ringwall/api';
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failing } from './testing/fake-parts.ts';
import { create, list, needsRoot, Scene, SPEC, start, stop } from './testing/scene.ts';
import { MOVED_ON, SnapshotScene } from './testing/snapshot-scene.ts';
import type { Warden } from './warden.ts';

let scene: Scene;
let warden: Warden;
let id: MachineId;
let boot: string;
beforeEach(async () => {
  scene = new Scene();
  warden = await scene.openWarden();
  id = newMachineId();
  // No image was built.
  await create(warden, id, { ...SPEC, image: 'foreign' });
  boot = newBootId();
  await start(warden, id, boot);
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

describe.skipIf(needsRoot)('a snapshot of a machine that boots a system of its own (skipped: needs root)', () => {
  let saved: SnapshotScene;
  beforeEach(async () => {
    saved = await SnapshotScene.begin(async (_, own) => {
      const [machine, itsBoot] = [newMachineId(), newBootId()];
      await create(own, machine, { ...SPEC, image: 'foreign' });
      await start(own, machine, itsBoot);
      return { id: machine, boot: itsBoot };
    });
  });
  afterEach(() => saved.end());

  test('has what its witness has seen, of the newest, and a witness goes on from that', async () => {
    saved.host.witnessed = Buffer.from('seen until one');
    const one = await saved.take();
    saved.host.witnessed = Buffer.from('seen until the other, and that is more');
    const two = await saved.take(one.snapshot);
    expect(two.parent).toBe(one.snapshot);
    await saved.moveOn();
    saved.host.witnessed = Buffer.from('nothing');
    await saved.restore(two, [one]);
    expect(saved.host.witnessed.toString()).toBe('seen until the other, and that is more');
    expect(saved.runs()).toContain('process witness');
  });

  test('leaves the machine as it was where the witness does not go on from it', async () => {
    const taken = await saved.take();
    await saved.moveOn();
    saved.host.before = failing('witness.load', new RingwallError('proof-invalid', 'PCR 4 is another'));
    await expect(saved.restore(taken)).rejects.toMatchObject({ code: 'proof-invalid' });
    expect(saved.state()).toEqual(MOVED_ON);
    expect(saved.runs()).toEqual([]);
  });

  test('is none where the witness cannot be saved, and the machine goes on', async () => {
    saved.host.before = failing('witness.save', new RingwallError('conflict', 'it is in its firmware'));
    await expect(saved.take()).rejects.toMatchObject({ code: 'conflict' });
    expect(readdirSync(saved.machine.snapshots)).toEqual([]);
    expect(saved.runs()).toContain('process vmm');
  });
});
