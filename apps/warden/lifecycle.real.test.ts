// A real warden with real VMMs and TPMs in their jails. The guests' firmware runs and finds nothing to boot: all that
// the warden does, it does before a guest could come up.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { newBootId, newMachineId, type MachineId } from '@ringwall/api';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BROKER_KEY, lacksForWarden, SPEC, TestWarden } from './testing/warden-process.ts';

const lacks = lacksForWarden();

describe.skipIf(lacks !== undefined)(`a warden${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let warden: TestWarden;
  beforeAll(async () => {
    warden = await TestWarden.start();
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
    const left = [...warden.leftovers(), ...readdirSync(warden.layout.machines), ...readdirSync(warden.layout.records)];
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  });

  it('makes, starts, shows, stops and removes a machine', async () => {
    const machine = await warden.create();
    expect(warden.leftovers()).toEqual([]);
    const running = await warden.startMachine(machine);
    expect(running).toMatchObject({ machine, state: 'running' });
    expect(await warden.machines()).toEqual([running]);

    const { protections } = await warden.client.call({ op: 'read-protections', machine });
    expect(protections.length).toBeGreaterThan(20);
    expect(protections.filter(({ state }) => state === 'unknown')).toEqual([]);

    await expect.poll(() => readConsole(machine)).not.toBe('');
    await warden.stopMachine(machine);
    expect(warden.leftovers()).toEqual([]);
    expect(await readConsole(machine)).not.toBe('');
  });

  it('gives a TPM the same identity at each start, and its state to no other user at rest', async () => {
    const machine = await warden.create();
    const spec = { ...SPEC };
    const first = await warden.client.call({ op: 'create-machine', machine, spec });
    await warden.startMachine(machine);
    const { uid } = statSync(warden.paths(machine).tpmState);
    expect(uid).toBeGreaterThanOrEqual(2_000_000_000);
    await warden.stopMachine(machine);
    expect(statSync(warden.paths(machine).tpmState).uid).toBe(0);
    expect(await warden.client.call({ op: 'create-machine', machine, spec })).toEqual(first);
  });

  it('gives the console to one holder at a time', async () => {
    const machine = await warden.create();
    await warden.startMachine(machine);
    const first = await warden.openConsole(machine);
    await expect(warden.openConsole(machine)).rejects.toMatchObject({ code: 'conflict' });
    first.destroy();
    await expect.poll(async () => (await warden.openConsole(machine)).destroy().destroyed).toBe(true);
  });

  it('refuses the console of a machine that does not run', async () => {
    const machine = await warden.create();
    await expect(warden.openConsole(machine)).rejects.toMatchObject({ code: 'conflict' });
    await expect(warden.openConsole(newMachineId())).rejects.toMatchObject({ code: 'not-found' });
  });

  it('starts a machine once when two ask at once, and queues a start behind a stop', async () => {
    const machine = await warden.create();
    const boot = newBootId();
    const answers = await Promise.allSettled([
      warden.startMachine(machine, boot),
      warden.startMachine(machine, boot),
      warden.startMachine(machine),
    ]);
    const [first, second, other] = answers;
    expect(first.status).toBe('fulfilled');
    expect(second).toEqual(first);
    expect(other).toMatchObject({ status: 'rejected', reason: { code: 'conflict' } });
    const [, again] = await Promise.all([warden.stopMachine(machine), warden.startMachine(machine)]);
    expect(await warden.machines()).toEqual([again]);
  });

  it.each([
    { state: 'vmm-dead', pid: 'vmmPid', end: { poweredOff: false } },
    { state: 'tpm-dead', pid: 'tpmPid', end: {} },
  ] as const)('says $state once, and clears all of it away', async ({ state, pid, end }) => {
    const machine = await warden.create();
    const running = await warden.startMachine(machine);
    process.kill(running[pid], 'SIGKILL');
    await expect.poll(() => warden.leftovers()).toEqual([]);
    expect(await warden.machines()).toEqual([{ ...running, state, ...end }]);
    expect(await warden.machines()).toEqual([]);
    await warden.startMachine(machine);
  });

  it('refuses what is absurd or more than the host has', async () => {
    for (const [spec, code] of [
      [{ ...SPEC, memoryMiB: 0 }, 'bad-request'],
      [{ ...SPEC, cpus: 1.5 }, 'bad-request'],
      [{ ...SPEC, image: '../etc' }, 'bad-request'],
      [{ ...SPEC, image: 'windows' }, 'image-unknown'],
      [{ ...SPEC, memoryMiB: 1024 * 1024 }, 'host-full'],
      [{ ...SPEC, diskMiB: 64 * 1024 * 1024 }, 'host-full'],
    ] as const) {
      await expect(warden.create(spec)).rejects.toMatchObject({ code });
    }
    const machine = JSON.parse('"../../etc"');
    await expect(warden.client.call({ op: 'stop-machine', machine, graceMs: 0 })).rejects.toMatchObject({
      code: 'bad-request',
    });
  });

  it('says what is wrong with a TPM whose state was tampered with', async () => {
    const machine = await warden.create();
    const { tpmState } = warden.paths(machine);
    for (const name of readdirSync(tpmState)) {
      const path = `${tpmState}/${name}`;
      const bytes = readFileSync(path);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    await expect(warden.startMachine(machine)).rejects.toMatchObject({
      code: expect.stringMatching(/tpm-failed|vmm-failed/),
    });
    expect(warden.leftovers()).toEqual([]);
  });

  it('writes each request to its log, and no key', async () => {
    const machine = await warden.create();
    await warden.startMachine(machine);
    await sleep(100);
    const log = readFileSync(warden.layout.log, 'utf8');
    expect(log).toMatch(new RegExp(`start-machine ${machine} \\d+ ms ok`));
    expect(log).not.toContain(BROKER_KEY);
    expect(statSync(warden.layout.log).mode & 0o777).toBe(0o600);
  });

  async function readConsole(machine: MachineId): Promise<string> {
    const { text } = await warden.client.call({ op: 'read-console', machine, bytes: 4096 });
    return Buffer.from(text, 'base64').toString('latin1');
  }
});
