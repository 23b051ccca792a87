// Snapshots that somebody with their key made to harm this host: a broker elsewhere whose exports are taken, or a VMM that was broken into.
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { newMachineId } from '@ringwall/api';
import { MAX_SAVED_WITNESS_BYTES } from '@ringwall/host/witness';
import { rewrap, type Opener, type Part, type Recipient } from '@ringwall/seal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forge } from '../../lib/seal/testing/forging.ts';
import { OPENER } from '../../lib/seal/testing/sealing.ts';
import { snapshotFile } from './layout.ts';
import { MAX_DEVICES_BYTES, readAbout, renderAbout } from './snapshot-contents.ts';
import { needsRoot, SPEC } from './testing/scene.ts';
import { MOVED_ON, SnapshotScene, type Taken } from './testing/snapshot-scene.ts';

const CHUNK_BYTES = 2 ** 20;
const MIB = 2 ** 20;
/** As one is that was taken here. */
const SIZES = { memory: SPEC.memoryMiB * MIB, disk: SPEC.diskMiB * MIB, devices: 1000, witness: 0 };

let scene: SnapshotScene;
let taken: Taken;
/** The first of its parts. */
let about: Buffer;
beforeAll(async () => {
  if (needsRoot) return;
  scene = await SnapshotScene.begin();
  taken = await scene.take();
  await using object = await open(snapshotFile(scene.host.layout, scene.id, taken.snapshot));
  about = Buffer.from(renderAbout((await readAbout(object, [keyOf(taken)])).about));
  await scene.moveOn();
});
afterAll(async () => {
  if (!needsRoot) await scene.end();
});

function keyOf({ snapshot }: Taken): Opener & Recipient {
  return { kind: 'key', key: Buffer.alloc(32, snapshot) };
}

/** In the place of one that was taken here, all zeros but what it is about. */
async function putForged(
  sizes: Readonly<Record<keyof typeof SIZES, number>>,
  aboutAt = 0,
  { of = scene.id, text = about }: { readonly of?: string; readonly text?: Buffer } = {},
): Promise<Taken> {
  const file = snapshotFile(scene.host.layout, scene.id, taken.snapshot);
  const parts: Part[] = [];
  let end = aboutAt;
  for (const [name, bytes] of [['about', text.length] as const, ...Object.entries(sizes)]) {
    parts.push({ name, offset: end, bytes });
    end += Math.ceil(bytes / CHUNK_BYTES) * CHUNK_BYTES;
  }
  const last = parts.at(-1);
  const total = (last?.offset ?? 0) + (last?.bytes ?? 0);
  const { bytes, root } = await forge(
    [
      { type: 'data', plaintext: Buffer.concat([text, Buffer.alloc(CHUNK_BYTES - text.length)]) },
      { type: 'zeros', chunks: Math.ceil(total / CHUNK_BYTES) - 1 },
    ],
    total,
    {
      chunkBytes: CHUNK_BYTES,
      bytes: total,
      parts,
      about: { kind: 'machine', machine: of, snapshot: taken.snapshot, sequence: 1 },
    },
  );
  const { head, before } = await rewrap([bytes], { openers: [OPENER], recipients: [keyOf(taken)] });
  writeFileSync(file, Buffer.concat([head, bytes.subarray(before)]));
  return { ...taken, root: Buffer.from(root).toString('hex') };
}

describe.skipIf(needsRoot)('a snapshot that was made to harm (skipped: needs root)', () => {
  test.each<[string, Partial<typeof SIZES>, aboutAt?: number]>([
    ['a disk larger than the machine has', { disk: SIZES.disk + MIB }],
    ['a disk smaller than the machine has', { disk: SIZES.disk - MIB }],
    ['more memory than the machine has', { memory: SIZES.memory + MIB }],
    ['less memory than the machine has', { memory: SIZES.memory - 4096 }],
    ['no memory', { memory: 0 }],
    ['devices that nobody could hold', { devices: MAX_DEVICES_BYTES + 1 }],
    ['no devices', { devices: 0 }],
    ['a witness of an image of ours', { witness: 1000 }],
    ['what it is about elsewhere than where that is read', {}, CHUNK_BYTES],
  ])('with %s is refused before anything is touched', async (_, sizes, aboutAt) => {
    const harmful = await putForged({ ...SIZES, ...sizes }, aboutAt);
    scene.host.calls.length = 0;
    await expect(scene.restore(harmful)).rejects.toMatchObject({
      code: 'proof-invalid',
    });
    expect(scene.host.calls).toEqual([]);
    expect(scene.state()).toEqual(MOVED_ON);
  });

  test('of another machine, or of a format that is none, is refused by what it says itself', async () => {
    const refused = [
      { of: newMachineId() },
      ...[
        about.toString().replace('"version":1', '"version":2'),
        about.toString().replace('"version":1', '"version":1,"more":1'),
        about.toString().replace('"qemu":', '"quemu":'),
        '{',
      ].map((text) => ({ text: Buffer.from(text) })),
    ];
    for (const says of refused) {
      const harmful = await putForged(SIZES, 0, says);
      await expect(scene.restore(harmful)).rejects.toMatchObject({ code: 'proof-invalid' });
      expect(scene.state()).toEqual(MOVED_ON);
    }
  });

  test.each([
    ['no witness', 0],
    ['a witness that nobody could hold', MAX_SAVED_WITNESS_BYTES + 1],
  ])('of a system of its own with %s is refused before anything is touched', async (_, witness) => {
    const text = Buffer.from(about.toString().replace('"image":"hello"', '"image":"foreign"'));
    const harmful = await putForged({ ...SIZES, witness }, 0, { text });
    await expect(scene.restore(harmful)).rejects.toMatchObject({ code: 'proof-invalid' });
    expect(scene.state()).toEqual(MOVED_ON);
  });

  test('is put back where its parts are as large as it says itself', async () => {
    scene.boot = (await scene.restore(await putForged(SIZES))).running.boot;
    expect(statSync(scene.machine.disk).size).toBe(SIZES.disk);
  });

  test('is not taken of a machine whose VMM has made its disk longer', async () => {
    truncateSync(scene.machine.disk, SIZES.disk + 4096);
    await expect(scene.take()).rejects.toMatchObject({
      code: 'vmm-failed',
      hint: expect.stringContaining('broken into'),
    });
  });
});
