// kill -9 of any of the three processes at any moment: machines go on, and are adopted.
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostReport } from '@ringwall/api';
import { Instance } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

type ProcessName = HostReport['processes'][number]['name'];
const PROCESSES: readonly ProcessName[] = ['ringwalld', 'ringwall-warden', 'ringwall-broker'];
const NAME = 'goes-on';
/** Kills during a boot, at moments drawn anew in each run; the moments are printed when the test fails. */
const KILLS_DURING_BOOT = 4;
const BOOT_MS = 20_000;

describe('kill -9', () => {
  let ringwall: Instance;
  beforeAll(async () => {
    ringwall = await Instance.start();
    await ringwall.ok('run', 'hello', '--name', NAME);
  });
  afterAll(() => ringwall[Symbol.asyncDispose]());

  const kill = async (name: ProcessName): Promise<void> => {
    const { processes } = await ringwall.health();
    const pid = processes.find((process) => process.name === name)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    process.kill(pid, 'SIGKILL');
  };

  /** A command that needs all three starts those that do not run, before it finds that there is no such machine. */
  const revive = async (): Promise<void> => {
    expect((await ringwall.cli('start', 'nobody')).code).toBe(3);
  };

  test.each(PROCESSES)('of %s: the machine runs on and is adopted', async (name) => {
    const before = await ringwall.show(NAME);
    await kill(name);
    await revive();
    const after = await ringwall.show(NAME);
    expect(after.machine.status).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
    expect(after.machine.status.bootId).toBe(before.machine.status.bootId);
    using console = await ringwall.openConsole(NAME);
    expect(await console.run('echo still-here')).toContain('still-here');
  });

  test('of all three at once', async () => {
    const before = await ringwall.show(NAME);
    const { processes } = await ringwall.health();
    for (const { pid } of processes) if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await revive();
    const after = await ringwall.show(NAME);
    expect(after.machine.status).toMatchObject({ phase: 'running', trust: 'attested' });
    expect(after.machine.status.bootId).toBe(before.machine.status.bootId);
  });

  test('at random moments of a boot: it ends attested, or says why not, and the next start is good', async () => {
    await ringwall.ok('stop', NAME);
    const moments = Array.from({ length: KILLS_DURING_BOOT }, () => Math.random() * (BOOT_MS / KILLS_DURING_BOOT));
    const victims = moments.map(() => PROCESSES[Math.floor(Math.random() * PROCESSES.length)] ?? 'ringwalld');
    const told = moments.map((ms, index) => `${victims[index]} after ${Math.round(ms)} ms`).join(', then ');
    const start = ringwall.cli('start', NAME);
    for (const [index, ms] of moments.entries()) {
      await sleep(ms);
      await kill(victims[index] ?? 'ringwalld').catch(() => undefined);
      await revive();
    }
    await start;
    const deadline = Date.now() + 600_000;
    let status = (await ringwall.show(NAME)).machine.status;
    while (['starting', 'attesting'].includes(status.phase) && Date.now() < deadline) {
      await sleep(1000);
      status = (await ringwall.show(NAME)).machine.status;
    }
    expect(['running', 'failed', 'stopped'], `killed ${told}: ${JSON.stringify(status)}`).toContain(status.phase);
    // The guest's word that it unlocked may be lost with the process that was to hear it; then the status says so.
    const whole = status.phase === 'running' && status.diskUnlocked;
    expect(whole || status.reasons.length > 0, `killed ${told}, without a reason: ${JSON.stringify(status)}`).toBe(
      true,
    );
    if (!whole) {
      await ringwall.cli('stop', NAME);
      await ringwall.ok('start', NAME);
      status = (await ringwall.show(NAME)).machine.status;
    }
    expect(status, told).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
  });
});
