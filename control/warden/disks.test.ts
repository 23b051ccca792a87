// Disks that are imported: what comes is checked before it is written, what was broken off goes on, and what is read back
// differently is destroyed.
import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type Duplex, duplexPair } from 'node:stream';
import { newBootId, newDiskId, type DiskId } from '@ringwall/api';
import { FRAME } from '@ringwall/api/disk-stream';
import type { ImportBegin } from '@ringwall/api/disks';
import type { SealedKey, WardenResponse } from '@ringwall/api/warden';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { diskLayout } from './layout.ts';
import { ask, buildHello, CALL, create, needsRoot, Scene, SPEC } from './testing/scene.ts';
import type { Warden } from './warden.ts';

const CHUNK = 4 * 2 ** 20;
const SIZE = 2 * CHUNK + 1024;
const contents = Buffer.alloc(SIZE, 'what the image holds, ');
contents.fill(0, CHUNK, 2 * CHUNK);

let scene: Scene;
let warden: Warden;
beforeEach(async () => {
  scene = new Scene();
  if (!needsRoot) warden = await scene.openWarden();
});
afterEach(() => scene.end());

async function keyFor(disk: DiskId): Promise<SealedKey> {
  const { request } = await ask<'ask-disk-key'>(warden, { op: 'ask-disk-key', disk, use: 'import' });
  using key = Secret.take(Buffer.from('a passphrase'));
  return { publicKey: request.publicKey, sealed: Buffer.from(sealKey(key, request)).toString('base64') };
}

interface Import {
  readonly begin: ImportBegin;
  readonly stream: Duplex;
  /** What the warden said last. */
  readonly end: Promise<{ done?: { digest: string }; error?: { code: string; message: string }; destroyed?: boolean }>;
}

async function begin(disk: DiskId, sizeBytes = SIZE): Promise<Import> {
  const [ours, theirs] = duplexPair();
  let taken: Promise<void> | void = undefined;
  const call = { ...CALL, upgrade: (take: (stream: Duplex) => Promise<void> | void) => (taken = take(theirs)) };
  const request = { op: 'import-disk', disk, sizeBytes, key: await keyFor(disk) } as const;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the op of the request decides the type of its answer
  const answer = (await warden.handle(request, call)) as WardenResponse<'import-disk'>;
  let said = '';
  ours.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const end = new Promise<void>((resolve) => ours.once('end', resolve))
    .then(() => taken)
    .then((): Awaited<Import['end']> => JSON.parse(said.trim().split('\n').at(-1) ?? '{}'));
  return { begin: answer, stream: ours, end };
}

function frame(kind: number, value: number, ...parts: Uint8Array[]): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(kind);
  header.writeUInt32BE(value, 1);
  return Buffer.concat([header, ...parts]);
}

function data(chunk: number, bytes: Buffer = contents.subarray(chunk * CHUNK, (chunk + 1) * CHUNK)): Buffer {
  return frame(FRAME.data, bytes.length, hash('sha256', bytes, 'buffer'), bytes);
}

const START = frame(FRAME.start, 0);
const WHOLE = [START, data(0), frame(FRAME.zeros, 1), data(2), frame(FRAME.end, 0)];

async function importWhole(disk: DiskId): Promise<Awaited<Import['end']>> {
  const { stream, end } = await begin(disk);
  for (const each of WHOLE) stream.write(each);
  return end;
}

describe.skipIf(needsRoot)('import-disk', () => {
  it('writes what comes, reads it back, and names it by its digests', async () => {
    const disk = newDiskId();
    const { done } = await importWhole(disk);
    expect(done?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(readFileSync(diskLayout(scene.host.layout, disk).file).equals(contents)).toBe(true);
    expect(scene.host.disks.keys.get(disk)).toBe('a passphrase');
    expect(scene.host.disks.writers).toBe(0);
  });

  it('goes on after what was flushed when the connection is lost, also in another life', async () => {
    const disk = newDiskId();
    const first = await begin(disk);
    for (const each of WHOLE.slice(0, 3)) first.stream.write(each);
    first.stream.end(data(2).subarray(0, 100));
    expect((await first.end).error).toMatchObject({ code: 'conflict', message: 'the import was broken off' });
    expect(scene.host.disks.writers).toBe(0);
    warden = await scene.openWarden();
    const writes = scene.host.disks.writes;
    const second = await begin(disk);
    const digests = [0, 1].map((chunk) =>
      hash('sha256', contents.subarray(chunk * CHUNK, (chunk + 1) * CHUNK), 'buffer'),
    );
    expect(second.begin).toEqual({ chunkBytes: CHUNK, have: 2, digest: hash('sha256', Buffer.concat(digests)) });
    for (const each of [frame(FRAME.start, 2), data(2), frame(FRAME.end, 0)]) second.stream.write(each);
    expect((await second.end).done).toBeDefined();
    expect(scene.host.disks.writes).toBe(writes + 1);
    expect(readFileSync(diskLayout(scene.host.layout, disk).file).equals(contents)).toBe(true);
  });

  it('begins anew where the sender says that the image is another one', async () => {
    const disk = newDiskId();
    const first = await begin(disk);
    first.stream.end(Buffer.concat([START, data(0, Buffer.alloc(CHUNK, 'another image '))]));
    await first.end;
    expect(await begin(disk).then(async ({ begin: { have }, stream, end }) => (stream.end(), await end, have))).toBe(1);
    expect((await importWhole(disk)).done).toBeDefined();
  });

  it('destroys what is read back differently, and says from which byte on', async () => {
    const disk = newDiskId();
    const { stream, end } = await begin(disk);
    const lie = frame(FRAME.data, 1024, hash('sha256', 'something else', 'buffer'), contents.subarray(2 * CHUNK));
    for (const each of [...WHOLE.slice(0, 3), lie, frame(FRAME.end, 0)]) stream.write(each);
    const { error, destroyed } = await end;
    expect(error?.message).toContain(`from byte ${2 * CHUNK} on`);
    expect(destroyed).toBe(true);
    expect(existsSync(diskLayout(scene.host.layout, disk).data)).toBe(false);
    expect(readdirSync(scene.host.layout.diskRecords)).toEqual([]);
  });

  it('keeps what it has when the host’s disk is full, and goes on later', async () => {
    const disk = newDiskId();
    scene.host.disks.before = (what, offset) => {
      if (what === 'write' && offset > 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    expect((await importWhole(disk)).error?.code).toBe('host-full');
    scene.host.disks.before = () => undefined;
    expect((await importWhole(disk)).done).toBeDefined();
  });

  it.each<[string, Buffer[]]>([
    ['no start', [data(0)]],
    ['a start after what is there', [frame(FRAME.start, 1)]],
    ['an end before the last chunk', [START, data(0), frame(FRAME.end, 0)]],
    ['more than the last chunk', [...WHOLE.slice(0, 4), data(0)]],
    ['a chunk of another length', [START, frame(FRAME.data, 4, Buffer.alloc(36))]],
    ['a chunk of 4 GiB', [START, frame(FRAME.data, 2 ** 32 - 1)]],
    ['more zeros than the disk has', [START, frame(FRAME.zeros, 4)]],
    ['zeros without a chunk', [START, frame(FRAME.zeros, 0)]],
    ['a frame of no kind', [START, frame(9, 0)]],
  ])('refuses %s', async (_, frames) => {
    const { stream, end } = await begin(newDiskId());
    for (const each of frames) stream.write(each);
    expect((await end).error).toMatchObject({ code: 'bad-request' });
    expect(scene.host.disks.writers).toBe(0);
  });

  it('refuses a disk that this host has no room for, before anything is made', async () => {
    scene.host.freeDiskMiB = 260;
    await expect(begin(newDiskId())).rejects.toMatchObject({ code: 'host-full' });
    expect(readdirSync(scene.host.layout.disks)).toEqual([]);
  });

  it('takes a key once, for the disk and the use that it was asked for', async () => {
    const disk = newDiskId();
    const key = await keyFor(disk);
    const call = (id: DiskId): Promise<unknown> =>
      warden.handle({ op: 'import-disk', disk: id, sizeBytes: SIZE, key }, CALL);
    await expect(call(newDiskId())).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('not asked for'),
    });
    await expect(call(disk)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('has one writer at a time, and is not removed under it', async () => {
    const disk = newDiskId();
    const { stream, end } = await begin(disk);
    await expect(begin(disk)).rejects.toMatchObject({ code: 'conflict' });
    await expect(ask<'remove-disk'>(warden, { op: 'remove-disk', disk })).rejects.toMatchObject({ code: 'conflict' });
    stream.end();
    await end;
    await ask<'remove-disk'>(warden, { op: 'remove-disk', disk });
    await ask<'remove-disk'>(warden, { op: 'remove-disk', disk });
    expect(readdirSync(scene.host.layout.disks)).toEqual([]);
  });
});

describe.skipIf(needsRoot)('a machine with an imported disk', () => {
  it('is made only with a whole one, starts only with its key, and keeps it from being removed', async () => {
    const [whole, half] = [newDiskId(), newDiskId()];
    await importWhole(whole);
    const broken = await begin(half);
    broken.stream.end();
    await broken.end;
    await buildHello(warden);
    const machine = `mch_${'a'.repeat(20)}` as const;
    await expect(create(warden, machine, { ...SPEC, disks: [half] })).rejects.toMatchObject({ code: 'not-found' });
    await create(warden, machine, { ...SPEC, disks: [whole] });
    await expect(ask<'remove-disk'>(warden, { op: 'remove-disk', disk: whole })).rejects.toMatchObject({
      code: 'conflict',
    });

    const boot = newBootId();
    const start = { op: 'start-machine', machine, boot, brokerKey: 'ab'.repeat(64) } as const;
    await expect(ask<'start-machine'>(warden, start)).rejects.toMatchObject({
      message: expect.stringContaining('no key'),
    });
    const other = { ...(await keyFor(whole)), disk: whole };
    await expect(ask<'start-machine'>(warden, { ...start, diskKeys: [other] })).rejects.toMatchObject({
      code: 'conflict',
    });
    const { request } = await ask<'ask-disk-key'>(warden, {
      op: 'ask-disk-key',
      disk: whole,
      use: 'start',
      machine,
      boot,
    });
    using key = Secret.take(Buffer.from('a passphrase'));
    const sealed = Buffer.from(sealKey(key, request)).toString('base64');
    const { running } = await ask<'start-machine'>(warden, {
      ...start,
      diskKeys: [{ disk: whole, publicKey: request.publicKey, sealed }],
    });
    expect(running.state).toBe('running');
  });
});
