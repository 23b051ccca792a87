// The broker as a process: started, asked, ended, killed.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newBootId, newMachineId } from '@ringwall/api';
import { openVtpmCa } from '@ringwall/control/ca';
import { Secret } from '@ringwall/control/keys';
import { connectBroker, type BrokerClient } from '@ringwall/control/machines';
import { referenceJson } from '@ringwall/evidence';
import { ekTemplate } from '@ringwall/tpm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { EMPTY_CONTENT, makeReferenceKey, signNow } from '../../control/broker/testing/reference.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const START_TIMEOUT_MS = 120_000;
const IS_ROOT = process.getuid?.() === 0;
/** Debian's `nobody`: any user that is not root will do. */
const NOBODY = 65_534;

let directory = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'broker-main-'));
  for (const name of ['state', 'run']) mkdirSync(join(directory, name));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(directory, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** With all that it has said. */
  readonly ended: Promise<number | null>;
}

function start(args: readonly string[] = IS_ROOT ? ['--allow-root'] : [], uid?: number): Started {
  const child = spawn(
    process.execPath,
    [
      '--conditions=ringwall-source',
      MAIN,
      '--state',
      join(directory, 'state'),
      '--run',
      join(directory, 'run'),
      ...args,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: {}, ...(uid === undefined ? {} : { uid, gid: uid }) },
  );
  children.push(child);
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { child, output: () => output, ended: new Promise((resolve) => child.once('close', resolve)) };
}

const socketPath = (): string => join(directory, 'run', 'broker', 'broker.sock');

async function ready(started: Started): Promise<BrokerClient> {
  const client = connectBroker(socketPath());
  for (const deadlineMs = performance.now() + START_TIMEOUT_MS; performance.now() < deadlineMs;) {
    if (started.child.exitCode !== null) throw new Error(started.output());
    const answer = await client.call({ op: 'status' }).catch(() => undefined);
    if (answer?.pid === started.child.pid) return client;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not ready: ${started.output()}`);
}

describe('ringwall-broker', () => {
  test('answers once its socket is there, and ends clean on SIGTERM', async () => {
    const started = start();
    const client = await ready(started);
    expect((await client.call({ op: 'status' })).key).toMatch(/^[0-9a-f]{128}$/);
    expect(statSync(socketPath()).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'state', 'broker')).mode & 0o777).toBe(0o700);
    started.child.kill('SIGTERM');
    expect(await started.ended).toBe(0);
    expect(started.output()).toContain('ended: SIGTERM');
    expect(existsSync(socketPath())).toBe(false);
  });

  test('loses nothing that it answered for when it is killed', async () => {
    const first = start();
    const client = await ready(first);
    const { key } = await client.call({ op: 'status' });
    using hostKey = Secret.random(32);
    const ca = await openVtpmCa(join(directory, 'vtpm-ca.json'), hostKey);
    const machine = newMachineId();
    const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
    const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    const ekPublic = ekTemplate();
    ekPublic.set(point.subarray(1, 33), ekPublic.length - 66);
    ekPublic.set(point.subarray(33), ekPublic.length - 32);
    await client.call({
      op: 'register-machine',
      machine,
      name: 'hello',
      ekCertificate: Buffer.from(await ca.issueEkCertificate(ekPublic, machine)).toString('base64'),
      vtpmCa: ca.certificates.map((der) => Buffer.from(der).toString('base64')),
    });
    const boot = newBootId();
    const reference = referenceJson(await signNow(EMPTY_CONTENT, await makeReferenceKey()));
    await client.call({ op: 'expect-boot', machine, boot, reference });
    first.child.kill('SIGKILL');
    await first.ended;
    expect(existsSync(socketPath())).toBe(true);

    const again = await ready(start());
    expect(await again.call({ op: 'status' })).toMatchObject({ key, machines: 1 });
    expect(await again.call({ op: 'read-verdict', machine, boot })).toMatchObject({ state: 'pending' });
  });

  test.runIf(IS_ROOT)('refuses to run as root, and says what to do', async () => {
    const started = start([]);
    expect(await started.ended).toBe(1);
    expect(started.output()).toContain('does not run as root');
    expect(started.output()).toContain('ringwall up');
  });

  test.runIf(IS_ROOT)('as its own user, lets in whoever may enter its run directory', async () => {
    chmodSync(directory, 0o755);
    mkdirSync(join(directory, 'state', 'broker'), { mode: 0o700 });
    chownSync(join(directory, 'state', 'broker'), NOBODY, NOBODY);
    const run = join(directory, 'run', 'broker');
    mkdirSync(run);
    chownSync(run, NOBODY, 0);
    chmodSync(run, 0o755);
    const open = start([], NOBODY);
    expect(await open.ended).toBe(1);
    expect(open.output()).toContain('open to everybody');
    chmodSync(run, 0o750);
    await ready(start([], NOBODY));
    expect(statSync(socketPath()).mode & 0o777).toBe(0o666);
  });

  test('refuses a state directory that is somebody else’s or open to others', async () => {
    mkdirSync(join(directory, 'state', 'broker'), { mode: 0o755 });
    chmodSync(join(directory, 'state', 'broker'), 0o755);
    const started = start();
    expect(await started.ended).toBe(1);
    expect(started.output()).toContain('is open to other users');
  });
});
