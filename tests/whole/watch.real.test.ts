// A running machine is watched: what runs on it is seen within seconds, what nobody sees is unknown, and a quarantine is
// lifted by an operator alone. One machine and two boots for all tests here, in this order. A broker that stands still is
// the drill dead-verifier.
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineDetail } from '@ringwall/api';
import { Instance } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from './waiting.ts';

const NAME = 'watched';
/** Three intervals under emulation and 10 s are 40 s; the rest is for a busy host. */
const OVERDUE_MS = 300_000;
/** An interval, an answer, and a busy host. */
const SEEN_MS = 180_000;

describe('a machine that is watched', () => {
  let ringwall: Instance;

  beforeAll(async () => {
    ringwall = await Instance.start();
    // The other tests have machines of one processor: that of two is predicted, too, or it would not be attested.
    await ringwall.ok('run', 'hello', '--name', NAME, '--cpus', '2');
  });
  afterAll(() => ringwall[Symbol.asyncDispose]());

  const status = async (): Promise<MachineDetail['machine']['status']> => (await ringwall.detail(NAME)).machine.status;
  const untilTrust = (trust: string, limitMs: number): Promise<void> =>
    until(async () => (await status()).trust === trust, limitMs);
  const brokerPid = async (): Promise<number> => {
    const { processes } = await ringwall.health();
    const pid = processes.find(({ name }) => name === 'ringwall-broker')?.pid;
    if (pid === undefined) throw new Error('the broker does not run');
    return pid;
  };

  test('stays attested, answer after answer, and shows when it was seen and what ran', async () => {
    const seen = new Set<string>();
    await until(async () => {
      const { trust, reasons, watch } = await status();
      expect({ trust, reasons }).toEqual({ trust: 'attested', reasons: [] });
      // To the second: the age is computed anew at each look.
      if (watch?.seenAt !== undefined) seen.add(String(Math.round(Date.parse(watch.seenAt) / 1000)));
      return seen.size >= 3;
    }, 3 * SEEN_MS);
    const { watch } = await ringwall.detail(NAME);
    expect(watch).toMatchObject({ mode: 'enforce', state: 'expected', strays: 0, files: [] });
    expect(watch?.entries).toBeGreaterThan(5);
    expect(await ringwall.ok('show', NAME)).toMatch(/Watch\n.*enforce[\s\S]*all of its image/);
  });

  test('goes on with a broker that was killed and started again', async () => {
    process.kill(await brokerPid(), 'SIGKILL');
    // A command that needs all three starts those that do not run.
    expect((await ringwall.cli('start', 'nobody')).code).toBe(3);
    const before = (await status()).watch?.seenAt ?? '';
    await until(async () => {
      const { trust, watch } = await status();
      return trust === 'attested' && Date.parse(watch?.seenAt ?? '') > Date.parse(before) + 5_000;
    }, 2 * SEEN_MS);
  });

  test('is quarantined within seconds once something runs that is not of its image, and the reason names it', async () => {
    using console = await ringwall.openConsole(NAME);
    await console.run('printf "#!/bin/sh\\nexit 0\\n" > /data/evil && chmod 755 /data/evil && /data/evil');
    const ranMs = Date.now();
    await untilTrust('quarantined', SEEN_MS);
    const tookMs = Date.now() - ranMs;
    const { reasons } = await status();
    expect(reasons[0], `after ${String(tookMs)} ms`).toMatch(
      /^\/data\/evil ran, which is not a file of the image hello/,
    );
    expect((await ringwall.detail(NAME)).watch).toMatchObject({ strays: 1, files: [{ path: '/data/evil' }] });
  });

  test('gets no key at its next start until an operator readmits it', async () => {
    await ringwall.ok('stop', NAME, '--grace', '1');
    expect(await status()).toMatchObject({ phase: 'stopped', trust: 'quarantined' });
    const refused = await ringwall.cli('start', NAME);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/\/data\/evil ran[\s\S]*readmit/);
    expect((await ringwall.cli('readmit', NAME)).code).toBe(2);
    await ringwall.ok('readmit', NAME, '--yes');
    await ringwall.ok('start', NAME);
    expect(await status()).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
  });

  test('is unknown once its watcher is ended in the guest: silence is no health', async () => {
    await until(async () => (await status()).watch?.state === 'expected', SEEN_MS);
    using console = await ringwall.openConsole(NAME);
    await console.run(
      'for p in /proc/[0-9]*; do ! grep -q watcher.sh $p/cmdline 2>/dev/null || kill -9 "${p#/proc/}"; done',
    );
    await untilTrust('unknown', OVERDUE_MS);
    await sleep(1_000);
    expect((await status()).trust).toBe('unknown');
  });
});
