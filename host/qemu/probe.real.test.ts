// Boots real probe guests: one that comes up, under emulation, and one that cannot.
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../exec/index.ts';
import { fetchPackages, kernelPackageName, unpackPackage } from '../guestimage/packages.ts';
import { lacksForJails, openBench, type Bench } from '../jail/testing/bench.ts';
import { QEMU } from './argv.ts';
import { emptyKernel } from './testing/empty-kernel.ts';
import { probeAccelerator, runProbe } from './probe.ts';

/** Shared with the tests of guest images, so that the kernel is fetched once. */
const CACHE = join(tmpdir(), `ringwall-test-packages-${userInfo().uid}`);
/** KVM that works has its guest up in a second; it was seen before whether it does. */
const AGAIN_MS = 4_000;
const lacks = lacksForJails() ?? (existsSync(QEMU) ? undefined : `skipped: needs ${QEMU}`);

describe.skipIf(lacks !== undefined)(`a probe guest${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let bench: Bench;
  let kernel: string;

  beforeAll(async () => {
    bench = await openBench('probe');
    kernel = join(bench.dir, 'kernel');
    const options = { run, cacheDir: CACHE, progress: () => undefined };
    const [archive] = await fetchPackages([await kernelPackageName(options)], options);
    const unpacked = join(bench.dir, 'package');
    await mkdir(unpacked);
    if (archive !== undefined) await unpackPackage(run, archive, unpacked);
    const name = (await readdir(join(unpacked, 'boot'))).find((other) => other.startsWith('vmlinuz-'));
    await copyFile(join(unpacked, 'boot', name ?? ''), kernel);
    await chmod(kernel, 0o644);
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test('comes up with the kernel that machines boot', async () => {
    const result = await runProbe({
      kernel,
      runDir: bench.dir,
      leases: bench.leases,
      accelerator: 'tcg',
      timeoutMs: 60_000,
    });
    expect(result).toEqual({
      booted: true,
      reason: expect.stringMatching(/^a probe guest came up under TCG in [\d.]+ s$/),
    });
  });

  test('that does not come up is given up on in bounded time', async () => {
    const dead = join(bench.dir, 'dead');
    await writeFile(dead, emptyKernel(), { mode: 0o644 });
    const result = await runProbe({
      kernel: dead,
      runDir: bench.dir,
      leases: bench.leases,
      accelerator: 'tcg',
      timeoutMs: 2_000,
    });
    expect(result.booted).toBe(false);
    expect(result.reason).toMatch(/^a probe guest under TCG (?:ended|said|did not come up)/);
  });

  test('decides once for as long as this host runs', async () => {
    const first = await probeAccelerator({ kernel, runDir: bench.dir, leases: bench.leases });
    expect(await probeAccelerator({ kernel: '/no/such/kernel', runDir: bench.dir, leases: bench.leases })).toEqual(
      first,
    );
    const cache = join(bench.dir, 'accelerator.json');
    const kept = await readFile(cache, 'utf8');
    await writeFile(cache, kept.replace(/"bootId":"[^"]*"/, '"bootId":"another"'));
    const again = await probeAccelerator({ kernel, runDir: bench.dir, leases: bench.leases, timeoutMs: AGAIN_MS });
    expect(again.accelerator).toBe(first.accelerator);
    expect(await readFile(cache, 'utf8')).not.toContain('another');
  });

  test('leaves nothing behind', async () => {
    expect(await bench.left()).toEqual([]);
  });
});
