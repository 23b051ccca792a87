// kill -9 of the warden at any moment: what runs goes on and is adopted, what was half is undone, and nothing is lost.
import { statSync, writeFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { newMachineId, type MachineId } from '@ringwall/api';
import { refOf } from '@ringwall/host/exec';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lacksForWarden, SPEC, TestWarden } from './testing/warden-process.ts';

const lacks = lacksForWarden();
/** Drawn anew in each run, and named when a test fails. */
const RANDOM_MOMENTS = 6;
/** A create takes some 300 ms, a start 800, a stop without grace 50. */
const LIFE_MS = 1_400;

describe.skipIf(lacks !== undefined)(`a warden that is killed${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let warden: TestWarden;
  beforeAll(async () => {
    warden = await TestWarden.start();
    // The probe guest's seconds belong to no test.
    await warden.client.call({ op: 'host-report' });
  });
  afterAll(async () => {
    await warden[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    const { machines: existing } = await warden.client.call({ op: 'list-existing' });
    for (const machine of existing) {
      await warden.stopMachine(machine);
      await warden.client.call({ op: 'remove-machine', machine });
    }
    const left = warden.leftovers();
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  });

  const kill = async (): Promise<void> => {
    await warden.end('SIGKILL');
    await warden.revive();
  };

  it('leaves its machines running, and adopts them when it is back', async () => {
    const machine = await warden.create();
    const running = await warden.startMachine(machine);
    const vmm = refOf(running.vmmPid);
    await warden.end('SIGKILL');
    await sleep(500);
    expect(refOf(running.vmmPid)).toEqual(vmm);
    await warden.revive();
    expect(await warden.machines()).toEqual([running]);
    (await warden.openConsole(machine)).destroy();
    const { protections } = await warden.client.call({ op: 'read-protections', machine });
    expect(protections.filter(({ state }) => state === 'unknown')).toEqual([]);
    await warden.stopMachine(machine);
    expect(warden.leftovers()).toEqual([]);
  });

  it('leaves its machines running when it is told to end', async () => {
    const running = await warden.startMachine(await warden.create());
    expect(await warden.end('SIGTERM')).toBe(0);
    await sleep(500);
    await warden.revive();
    expect(await warden.machines()).toEqual([running]);
  });

  it('clears away what died while it was dead', async () => {
    const running = await warden.startMachine(await warden.create());
    await warden.end('SIGKILL');
    process.kill(running.vmmPid, 'SIGKILL');
    await warden.revive();
    expect(warden.leftovers()).toEqual([]);
    expect(await warden.machines()).toEqual([{ ...running, state: 'vmm-dead', poweredOff: false }]);
  });

  it.each(Array.from({ length: RANDOM_MOMENTS }, () => Math.round(Math.random() * LIFE_MS)))(
    'after %d ms of a life leaves it undone or adopted, and the next one is whole',
    async (moment) => {
      const machine = newMachineId();
      const life = live(machine);
      await sleep(moment);
      await kill();
      await life;
      const machines = await warden.machines();
      expect(machines.filter(({ state }) => state !== 'running')).toEqual([]);
      expect(machines.length === 0 ? warden.leftovers() : []).toEqual([]);

      await warden.client.call({ op: 'create-machine', machine, spec: SPEC });
      await warden.stopMachine(machine);
      await warden.startMachine(machine);
      expect(await warden.machines()).toMatchObject([{ machine, state: 'running' }]);
    },
  );

  it('loses no byte of a disk', async () => {
    const machine = await warden.create();
    const { disk } = warden.paths(machine);
    writeFileSync(disk, 'somebody’s work', { flag: 'r+' });
    const before = statSync(disk).ino;
    for (const moment of [50, 200, 400, 600]) {
      const start = warden.startMachine(machine).catch(() => undefined);
      await sleep(moment);
      await kill();
      await start;
      await warden.stopMachine(machine);
    }
    expect(statSync(disk).ino).toBe(before);
    expect(readFileSync(disk).subarray(0, 18).toString()).toContain('somebody’s work');
  });

  /** Whatever the warden's death does to it. */
  async function live(machine: MachineId): Promise<void> {
    try {
      await warden.client.call({ op: 'create-machine', machine, spec: SPEC });
      await warden.startMachine(machine);
      await warden.stopMachine(machine);
    } catch {
      // The connection broke.
    }
  }
});
