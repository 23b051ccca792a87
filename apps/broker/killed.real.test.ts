// kill -9 of the broker at random moments of attestations: nothing that it said is lost, no machine loses its key.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newBootId, newMachineId } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { openVtpmCa } from '@ringwall/control/ca';
import { Secret } from '@ringwall/control/keys';
import { connectBroker } from '@ringwall/control/machines';
import { parseProof, referenceJson } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootEvents, contentFor } from '../../control/broker/testing/boot-log.ts';
import { makeReferenceKey, signNow } from '../../control/broker/testing/reference.ts';
import { Guest } from '../../control/broker/testing/guest.ts';
import { SoftwareTpm } from '../../control/broker/testing/guest-tpm.ts';

const KILLS = 12;
const START_TIMEOUT_MS = 120_000;
/** An attestation takes some 60 ms from its first request to `done`. */
const ATTESTATION_MS = 60;

describe('ringwall-broker, killed at random moments', () => {
  let directory = '';
  let child: ChildProcess | undefined;
  const client = (): ReturnType<typeof connectBroker> => connectBroker(join(directory, 'run/broker/broker.sock'));

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'broker-killed-'));
    for (const name of ['state', 'run']) mkdirSync(join(directory, name));
  });
  afterAll(async () => {
    await kill();
    rmSync(directory, { recursive: true, force: true });
  });

  async function start(): Promise<void> {
    const main = join(import.meta.dirname, 'main.ts');
    const place = ['--state', join(directory, 'state'), '--run', join(directory, 'run')];
    const root = process.getuid?.() === 0 ? ['--allow-root'] : [];
    const argv = ['--conditions=ringwall-source', main, ...place, ...root];
    const started = spawn(process.execPath, argv, { stdio: 'ignore', env: {} });
    child = started;
    for (const deadlineMs = performance.now() + START_TIMEOUT_MS; performance.now() < deadlineMs;) {
      const status = await client()
        .call({ op: 'status' })
        .catch(() => undefined);
      if (status?.pid === started.pid) return;
      if (started.exitCode !== null) break;
      await sleep(25);
    }
    throw new Error('the broker did not come up again');
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  test(`${String(KILLS)} times: the key stays, and what was said stays said`, async () => {
    await start();
    const { key: brokerKey } = await client().call({ op: 'status' });
    using hostKey = Secret.random(32);
    const ca = await openVtpmCa(join(directory, 'vtpm-ca.json'), hostKey);
    const machine = newMachineId();
    const tpm = await SoftwareTpm.make();
    const ekCertificate = await ca.issueEkCertificate(tpm.ekPublic, machine);
    const registration = {
      op: 'register-machine',
      machine,
      name: 'hello',
      ekCertificate: Buffer.from(ekCertificate).toString('base64'),
      vtpmCa: ca.certificates.map((der) => Buffer.from(der).toString('base64')),
    } as const;
    await client().call(registration);

    const referenceKey = await makeReferenceKey();

    /** One boot, up to where the broker is killed; says what the broker has answered for until then. */
    async function attest(): Promise<{ boot: string; key?: string; done: boolean }> {
      const boot = newBootId();
      try {
        const reference = referenceJson(await signNow(contentFor(bootEvents()), referenceKey));
        await client().call({ op: 'expect-boot', machine, boot, reference });
        const { stream } = await client().openStream({ op: 'open-session', machine, boot });
        const guest = new Guest(stream, tpm, ekCertificate);
        await guest.boot(bootEvents());
        const challenged = await guest.hello();
        const { mode, key } = await guest.open(await guest.send(await guest.evidence(challenged)), brokerKey);
        const how = mode === 'format' ? 'formatted' : 'opened';
        const { lines } = await guest.reportUnlocked(how, boot);
        return { boot, key: toHex(key), done: lines[0] === 'done' };
      } catch {
        return { boot, done: false };
      }
    }

    async function readOutcome(): Promise<string> {
      const { proof } = await client().call({ op: 'read-proof', machine });
      return parseProof(JSON.stringify(proof)).verdict.outcome;
    }

    const keys = new Set<string>();
    const lost: string[] = [];
    for (let turn = 0; turn < KILLS; turn += 1) {
      const attestation = attest();
      await sleep(Math.random() * ATTESTATION_MS);
      await kill();
      const { boot, key, done } = await attestation;
      await start();
      const verdict = await client()
        .call({ op: 'read-verdict', machine, boot })
        .catch(() => undefined);
      // A key that has left was written down before, with its proof; and `done` is a promise.
      if (key !== undefined) keys.add(key);
      if (key !== undefined && !['accepted', 'unlocked'].includes(verdict?.state ?? ''))
        lost.push(`verdict of ${boot}`);
      if (key !== undefined && (await readOutcome()) !== 'accepted') lost.push(`proof of ${boot}`);
      if (done && verdict?.state !== 'unlocked') lost.push(`unlocking of ${boot}`);
    }
    expect(lost).toEqual([]);
    const last = await attest();
    expect(last.done).toBe(true);
    keys.add(last.key ?? '');
    expect(keys.size).toBe(1);
    expect(await client().call({ op: 'status' })).toMatchObject({ key: brokerKey, machines: 1 });
    // Registering again after a crash is how the daemon makes sure: nothing changes by it.
    await expect(client().call(registration)).resolves.toEqual({});
  });
});
