// Machines that boot a system of their own, against a host of the mind: what runs of them, and what they are told of.
import { newBootId, newMachineId, newSnapshotId, type MachineId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { ask, create, list, needsRoot, Scene, SPEC, start, stop } from './testing/scene.ts';
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

    test('is not saved while it runs, and is told what to do instead', async () => {
      const saved = { ...{ machine: id, snapshot: newSnapshotId() }, use: 'take' } as const;
      const { request } = await ask<'ask-snapshot-key'>(warden, { op: 'ask-snapshot-key', ...saved });
      using secret = Secret.take(Buffer.alloc(32, 1));
      const key = { publicKey: request.publicKey, sealed: Buffer.from(sealKey(secret, request)).toString('base64') };
      const { snapshot } = saved;
      const taking = ask<'take-snapshot'>(warden, {
        ...{ op: 'take-snapshot', machine: id, boot, snapshot, sequence: 1, key },
      });
      await expect(taking).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('copy its disk') });
      expect(scene.host.calls).not.toContain('vmm.save');
    });

    test('ends with all that runs of it', async () => {
      await stop(warden, id);
      expect(scene.runs()).toEqual([]);
    });
  },
);
