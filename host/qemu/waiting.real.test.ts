// A real VMM that is there while its memory is filled: what it uses of it, and what becomes of it where the memory is not what it should be.
import { execFileSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { existsSync, fstatSync, readFileSync, readSync, writeSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isAlive, type ProcessRef } from '../exec/index.ts';
import { endJail, processesOf, readProtections, type StartedJail } from '../jail/index.ts';
import { runTool } from '../../lib/disk/testing/tools.ts';
import { lacksForJails, type Bench } from '../jail/testing/bench.ts';
import { startTpm, type StartedTpm, type TpmOptions } from '../swtpm/index.ts';
import { QEMU } from './argv.ts';
import { directFiles, FIRMWARE } from './testing/boot-files.ts';
import { openTpmBench } from './testing/tpm-bench.ts';
import { QmpClient, startVmm, VMM_PATHS, vmmSockets, type VmmOptions } from './index.ts';

const FINCORE = '/usr/bin/fincore';
const QEMU_IMG = '/usr/bin/qemu-img';
const needed = [QEMU, QEMU_IMG, FIRMWARE.code, '/usr/bin/swtpm', FINCORE].filter((path) => !existsSync(path));
const lacks = lacksForJails() ?? (needed.length === 0 ? undefined : `skipped: needs ${needed.join(' and ')}`);
const MIB = 2 ** 20;
const MEMORY_MIB = 128;
const DISK_MIB = 16;
const DISK_KEY = 'a key of some length';
const DAMAGED = new RingwallError('proof-invalid', 'the last of it is not what was sealed');

describe.skipIf(lacks !== undefined)(
  `a VMM that waits for its memory${lacks === undefined ? '' : ` (${lacks})`}`,
  () => {
    let bench: Bench;
    let tpmOptions: TpmOptions;
    let tpm: StartedTpm;
    let vmm: StartedJail | undefined;

    beforeAll(async () => {
      ({ bench, tpmOptions } = await openTpmBench('waiting'));
    });
    beforeEach(async () => {
      tpm = await startTpm(tpmOptions);
      // Nothing of it is in the host's memory: whoever looks into it leaves a page there.
      await writeFile(dataDisk(), '', { mode: 0o600 });
      await truncate(dataDisk(), DISK_MIB * MIB);
    });
    afterEach(async () => {
      if (vmm !== undefined) await endJail(vmm, bench.leases);
      await endJail(tpm, bench.leases);
      vmm = undefined;
    });
    afterAll(async () => {
      await bench[Symbol.asyncDispose]();
    });

    type Fill = (descriptor: number, signal: AbortSignal) => Promise<void>;

    const dataDisk = (): string => join(bench.dir, 'data.img');
    const runDir = (): string => join(bench.dir, 'vmm');

    async function start(fill: Fill, changes: Partial<VmmOptions> = {}): Promise<StartedJail> {
      vmm = await startVmm({
        machine: bench.name,
        accelerator: 'tcg',
        cpus: 2,
        memoryMiB: MEMORY_MIB,
        firmwareCode: FIRMWARE.code,
        firmwareVariables: FIRMWARE.variables,
        direct: directFiles(bench.dir),
        waiting: true,
        tpm: { channel: 'control', socket: tpm.channel },
        runDir: runDir(),
        memory: { dir: join(bench.dir, 'memory'), fill },
        leases: bench.leases,
        ...changes,
      });
      return vmm;
    }

    /** As its monitor says, once that answers. */
    async function stateOfVmm(): Promise<unknown> {
      for (;;) {
        try {
          await using qmp = await QmpClient.connect(vmmSockets(runDir()).qmp);
          return await qmp.execute('query-status');
        } catch {
          await sleep(20);
        }
      }
    }

    /** That which has the memory mapped. */
    function findVmm(): ProcessRef | undefined {
      const own = bench.leases.list().find(({ purpose }) => purpose.endsWith('vmm'));
      return processesOf(own?.uid ?? -1).find(({ pid }) => mappingOf(pid) !== undefined);
    }

    test('uses nothing of memory or disk before it is told to load its devices', async () => {
      let filled = '';
      await start(async (descriptor) => {
        putRandom(descriptor, 0, MEMORY_MIB / 2);
        expect(await stateOfVmm()).toMatchObject({ status: 'inmigrate', running: false });
        const process = findVmm();
        expect(touchedKiB(process)).toBe(0);
        putRandom(descriptor, MEMORY_MIB / 2, MEMORY_MIB);
        filled = digestOf(descriptor);
      });
      expect(touchedKiB(vmm?.process)).toBe(0);
      expect(hash('sha256', await readFile(join(bench.dir, 'memory', 'ram')))).toBe(filled);
      expect(execFileSync(FINCORE, ['-n', '-b', '-o', 'PAGES', dataDisk()]).toString().trim()).toBe('0');
      expect(await stateOfVmm()).toMatchObject({ status: 'inmigrate' });
      if (vmm === undefined) throw new Error('there is no VMM');
      const seen = await readProtections({
        part: 'vmm',
        process: vmm.process,
        files: [join(bench.dir, 'system.img'), dataDisk()],
        ownDirs: [runDir()],
        memory: VMM_PATHS.memory,
      });
      expect(seen.filter(({ state }) => state !== 'holds')).toEqual([]);
      // All of it was filled by us.
      expect(seen.find(({ id }) => id === 'vmm.memory-limit')?.seen).toBe('576 MiB');
    });

    test('is ended where the very last of it is damaged, and nothing of it is left', async () => {
      let process: ProcessRef | undefined;
      const starting = start(async (descriptor) => {
        putRandom(descriptor, 0, MEMORY_MIB - 1);
        expect(await stateOfVmm()).toMatchObject({ status: 'inmigrate', running: false });
        process = findVmm();
        throw DAMAGED;
      });
      await expect(starting).rejects.toBe(DAMAGED);
      expect(process).toBeDefined();
      expect(process !== undefined && isAlive(process)).toBe(false);
      await endJail(tpm, bench.leases);
      expect(await bench.left()).toEqual([]);
    });

    test('is ended where the first of it is damaged, before it has become one', async () => {
      await expect(start(() => Promise.reject(DAMAGED))).rejects.toBe(DAMAGED);
      await endJail(tpm, bench.leases);
      expect(await bench.left()).toEqual([]);
    });

    test('that does not start ends the filling', async () => {
      const broken = start(
        (_, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('broken off')));
          }),
        { firmwareCode: join(bench.dir, 'none') },
      );
      await expect(broken).rejects.toMatchObject({
        code: 'vmm-failed',
        message: expect.stringContaining('did not start'),
      });
    });

    test('is not there before the header of a disk is that it opens itself', async () => {
      const path = join(bench.dir, 'encrypted.img');
      await writeFile(join(bench.dir, 'key'), DISK_KEY, { mode: 0o600 });
      runTool([
        'qemu-img',
        ...['create', '-q', '-f', 'luks', '--object', `secret,id=key,file=${join(bench.dir, 'key')}`],
        ...['-o', 'key-secret=key,iter-time=200', path, '16M'],
      ]);
      let lease: unknown;
      await start(
        async () => {
          await sleep(500);
          lease = bench.leases.list().find(({ purpose }) => purpose.endsWith('vmm'));
          expect(findVmm()).toBeUndefined();
        },
        { encrypted: [{ serial: 'a2b3', path, key: Buffer.from(DISK_KEY) }] },
      );
      expect(lease).not.toHaveProperty('process');
    });

    test('leaves nothing behind', async () => {
      await endJail(tpm, bench.leases);
      expect(await bench.left()).toEqual([]);
    });
  },
);

/** With what is never zero, from one mebibyte to another. */
function putRandom(descriptor: number, from: number, to: number): void {
  for (let at = from; at < to; at += 1) writeSync(descriptor, randomBytes(MIB), 0, MIB, at * MIB);
}

function digestOf(descriptor: number): string {
  const bytes = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  return hash('sha256', bytes);
}

/** What a process has of its guest's memory in its page tables: whatever it reads or writes there is. */
function touchedKiB(process: ProcessRef | undefined): number {
  const mapping = process === undefined ? undefined : mappingOf(process.pid);
  return Number(/^Rss:\s+(\d+) kB$/m.exec(mapping ?? '')?.[1]);
}

function mappingOf(pid: number): string | undefined {
  const mappings = readFileSync(`/proc/${String(pid)}/smaps`, 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  return mappings.find((each) => each.split('\n')[0]?.endsWith(` ${VMM_PATHS.memory}`));
}
