// Drill: the verifier is brought to a standstill, so that what it has said last stays on the wall.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '@ringwall/bytes';
import type { Instance } from '@ringwall/testkit';
import { parseAttest } from '@ringwall/tpm';
import type { Attempt, Drill } from '../drill.ts';
import { plainVerify } from '../plain/verifier.ts';
import { oldEvidence, untilTrust } from '../victim.ts';

/** A plain verifier looks so often. */
const LOOK_MS = 200;
/** Five times what the plain verifier would need to see it. */
const STALLED_MS = 1_000;
/** Three intervals under emulation and 10 s, and a busy host. */
const OVERDUE_MS = 90_000;
const OVERDUE = /^the watch is overdue: last seen \d+ s ago$/;

export const deadVerifier: Drill = {
  name: 'dead-verifier',
  title: 'A verifier that stands still keeps a machine looking healthy',
  adversaries: ['A2', 'A5'],
  inPart: [
    { adversary: 'A6', only: 'as far as they stop processes: root may change what any process on the host says' },
  ],
  story:
    'Before the attacker touches the machine they bring its verifier to a standstill: load, a full disk, a stopped process. What it has said last stays where people look.',
  mustBeTrue: 'Whoever looks still reads that all is well, while nobody looks at the machine any more.',
  stoppedBy:
    'A verdict ages: whoever shows it computes its age at that moment, and after three intervals and ten seconds trust is unknown.',

  async without({ directory, ringwall, victim, step }) {
    step('a plain verifier writes its verdicts to a dashboard');
    const evidence = await oldEvidence(ringwall, victim);
    await plainVerify(directory, evidence, toHex(parseAttest(evidence.quote).extraData));
    const dashboard = join(directory, 'dashboard');
    const loop = `while :; do /usr/bin/tpm2_checkquote -u ak.pem -m quote -s signature -q "$1" >/dev/null 2>&1 && said=healthy || said=altered; echo $said >dashboard; sleep ${String(LOOK_MS / 1000)}; done`;
    const nonce = toHex(parseAttest(evidence.quote).extraData);
    const verifier = spawn('/bin/sh', ['-c', loop, 'verifier', nonce], { cwd: directory, env: {}, stdio: 'ignore' });
    const ended = new Promise((done) => verifier.once('exit', done));
    try {
      const before = await untilSaid(dashboard, 'healthy');
      step('it is stopped, and the machine is another');
      verifier.kill('SIGSTOP');
      const altered = new Uint8Array(evidence.quote);
      altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
      writeFileSync(join(directory, 'quote'), altered);
      await sleep(STALLED_MS);
      const shown = readFileSync(dashboard, 'utf8').trim();
      const succeeded = before && shown === 'healthy';
      return [{ what: 'be shown as healthy by a verifier that was stopped', succeeded, seen: `dashboard: ${shown}` }];
    } finally {
      verifier.kill('SIGCONT');
      verifier.kill('SIGKILL');
      await ended;
    }
  },

  async with({ ringwall, victim, step }) {
    step('the broker is stopped');
    const attempts: Attempt[] = [];
    const pid = await brokerOf(ringwall);
    const startedMs = performance.now();
    process.kill(pid, 'SIGSTOP');
    try {
      const reason = await untilTrust(ringwall, victim, ['unknown'], OVERDUE_MS);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
      if (reason !== undefined && !OVERDUE.test(reason))
        throw new Error(`unknown, but no reason says since when: ${reason}`);
      attempts.push({
        what: 'be shown as attested while the broker stands still',
        succeeded: reason === undefined,
        seen: reason === undefined ? 'attested all the time' : `unknown after ${seconds} s: ${reason}`,
      });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    step('the broker goes on, and sees the machine again');
    if ((await untilTrust(ringwall, victim, ['attested'], OVERDUE_MS)) === undefined) {
      throw new Error('the machine was not seen again once the broker went on');
    }
    return attempts;
  },
};

async function untilSaid(dashboard: string, word: string): Promise<boolean> {
  for (let tries = 0; tries < 50; tries += 1) {
    await sleep(LOOK_MS);
    try {
      if (readFileSync(dashboard, 'utf8').trim() === word) return true;
    } catch {
      // It has not been written yet.
    }
  }
  return false;
}

async function brokerOf(ringwall: Instance): Promise<number> {
  const { processes } = await ringwall.health();
  const pid = processes.find(({ name }) => name === 'ringwall-broker')?.pid;
  if (pid === undefined) throw new Error('the broker does not run');
  return pid;
}
