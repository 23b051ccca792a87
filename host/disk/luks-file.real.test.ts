// Encrypted disks made and written by QEMU's own tools in their jails, and read back by our own reader.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { killProcess, run, waitForExit, type RunResult } from '../exec/index.ts';
import { endJail } from '../jail/index.ts';
import { lacksForJails, openBench, type Bench } from '../jail/testing/bench.ts';
import { createLuksFile, LUKS_FILE, NbdClient, readBack, serveLuksFile, type LuksFileOptions } from './index.ts';

const TOOLS = ['/usr/bin/qemu-img', '/usr/bin/qemu-nbd'];
const missing = TOOLS.filter((path) => !existsSync(path));
const lacks = lacksForJails() ?? (missing.length === 0 ? undefined : `skipped: needs ${missing.join(' and ')}`);
const CRYPTSETUP = '/usr/sbin/cryptsetup';
const MIB = 2 ** 20;
const CHUNK = 4 * MIB;
const SIZE = 3 * CHUNK + 512;
const CONNECT_ATTEMPTS = 6_000;
const CANARY = 'canary-of-the-imported-disk';

describe.skipIf(lacks !== undefined)(`an encrypted disk${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let bench: Bench;
  let options: LuksFileOptions;
  const contents = Buffer.alloc(SIZE);
  randomBytes(CHUNK).copy(contents);
  contents.write(CANARY, 1000);
  contents.write(CANARY, SIZE - 100);
  const digests = Buffer.concat(
    [0, 1, 2, 3].map((chunk) => digestOf(contents.subarray(chunk * CHUNK, (chunk + 1) * CHUNK))),
  );

  beforeAll(async () => {
    bench = await openBench('luks');
    bench.leases.release(bench.leases.acquire({ purpose: 'warm-up' }).uid);
    options = {
      label: bench.name,
      dir: join(bench.dir, 'disk'),
      sizeBytes: SIZE,
      key: Buffer.from(randomBytes(32).toString('hex')),
      runDir: join(bench.dir, 'run'),
      leases: bench.leases,
    };
    await createLuksFile(options);
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  const path = (): string => join(options.dir, LUKS_FILE);
  const compare = (changes: { readonly key?: Uint8Array } = {}): Promise<number | undefined> =>
    readBack({ path: path(), key: options.key, sizeBytes: SIZE, chunkBytes: CHUNK, digests, ...changes });

  test('has all its room from the beginning, and belongs to root alone', () => {
    const { size, blocks, uid, mode } = statSync(path());
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
    expect([uid, mode & 0o077]).toEqual([0, 0]);
  });

  test.skipIf(!existsSync(CRYPTSETUP))('is LUKS1 to cryptsetup, too, by its key and by no other', async () => {
    const tryKey = (key: Uint8Array): Promise<RunResult> =>
      run([CRYPTSETUP, 'open', '--type', 'luks1', '--test-passphrase', '--key-file', '-', path()], { input: key });
    expect(await tryKey(options.key)).toMatchObject({ code: 0 });
    expect(await tryKey(randomBytes(64))).toMatchObject({ code: 2 });
  });

  test('takes data and zeros, and is read back as it was sent; its bytes show nothing of them', async () => {
    const { jail, socket } = await serveLuksFile(options);
    const nbd = await NbdClient.open(await connected(socket));
    expect(nbd.sizeBytes).toBe(SIZE);
    await Promise.all([
      nbd.write(0, contents.subarray(0, CHUNK)),
      nbd.writeZeros(CHUNK, 2 * CHUNK),
      nbd.write(3 * CHUNK, contents.subarray(3 * CHUNK)),
    ]);
    await nbd.flush();
    await nbd.close();
    expect(await waitForExit(jail.process, 5_000)).toBe(true);
    await endJail(jail, options.leases);
    expect(await compare()).toBeUndefined();
    expect(readFileSync(path()).includes(CANARY)).toBe(false);
  });

  test('that was altered is found, with the offset', async () => {
    const { size } = statSync(path());
    const at = size - SIZE + 2 * CHUNK + 77;
    await using file = await open(path(), 'r+');
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, at);
    expect(await compare()).toBe(2 * CHUNK);
    await file.write(buffer, 0, 1, at);
    expect(await compare()).toBeUndefined();
  });

  test('opens with its own key alone', async () => {
    await expect(compare({ key: Buffer.from('0'.repeat(64)) })).rejects.toMatchObject({ code: 'wrong-key' });
    const opened = serveLuksFile({ ...options, key: Buffer.from('0'.repeat(64)) })
      .then(({ socket }) => connected(socket))
      .then((socket) => NbdClient.open(socket));
    await expect(opened).rejects.toThrow(/ENOENT|ECONNREFUSED|does not answer/);
    for (const lease of options.leases.list()) await endJail(lease, options.leases);
  });

  test('whose writer is killed says so to whoever writes', async () => {
    const { jail, socket } = await serveLuksFile(options);
    const nbd = await NbdClient.open(await connected(socket));
    await nbd.write(0, contents.subarray(0, CHUNK));
    await killProcess(jail.process);
    await expect(nbd.flush()).rejects.toMatchObject({
      code: 'image-failed',
      message: expect.stringContaining('does not answer'),
    });
    await nbd.close();
    await endJail(jail, options.leases);
  });

  test('for which there is no room is not made', async () => {
    const large = { ...options, dir: join(bench.dir, 'large'), sizeBytes: 2 ** 46 };
    await expect(createLuksFile(large)).rejects.toMatchObject({
      code: 'host-full',
    });
    await rm(large.dir, { recursive: true });
  });

  test('leaves nothing behind', async () => {
    expect(await bench.left()).toEqual([]);
    expect(await readdir(options.dir)).toEqual([LUKS_FILE]);
  });
});

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** The tool opens its socket some moments after its start. */
async function connected(path: string): Promise<Socket> {
  for (let attempt = 0; ; attempt += 1) {
    const socket = connect(path);
    try {
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      return socket;
    } catch (error) {
      if (attempt === CONNECT_ATTEMPTS) throw error;
    }
    await sleep(10);
  }
}
