// The transports against a real swtpm: behind a Unix socket, behind TCP, and behind a character device (a terminal in raw
// mode, which carries bytes both ways as /dev/tpmrm0 does).
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { akTemplate, parseAttest, TPM_RH, tpmOver, verifySignature, type Transport } from '@ringwall/tpm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTpmDevice, openTpmSocket } from './index.ts';
import { freePort } from '../testing/free-port.ts';

const SWTPM = '/usr/bin/swtpm';
const START_TIMEOUT_MS = 120_000;
const PYTHON = '/usr/bin/python3';
const lacks = existsSync(SWTPM) ? '' : ` (skipped: needs ${SWTPM})`;
const lacksPython = existsSync(PYTHON) ? '' : ` (skipped: needs ${PYTHON})`;

/** Makes a terminal, says its name, and passes bytes between it and the socket that its argument names. */
const BRIDGE = `
import os, pty, select, socket, sys, tty
ours, theirs = pty.openpty()
tty.setraw(theirs)
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
print(os.ttyname(theirs), flush=True)
while True:
    ready = select.select([ours, s], [], [])[0]
    if ours in ready: s.sendall(os.read(ours, 65536))
    if s in ready:
        data = s.recv(65536)
        if not data: break
        os.write(ours, data)
`;

let dir: string;
let children: ChildProcess[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ringwall-tpm-'));
  children = [];
});
afterEach(async () => {
  for (const child of children.toReversed()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  await rm(dir, { recursive: true, force: true });
});

describe.skipIf(lacks !== '')(`transports to a real swtpm${lacks}`, () => {
  test('a Unix socket', async () => {
    const path = join(dir, 'tpm.sock');
    startSwtpm(`type=unixio,path=${path}`);
    await using transport = await whenReady(() => openTpmSocket({ path }));
    expect(await proves(transport)).toEqual(['quote', true]);
  });

  test('a TCP port', async () => {
    const port = await freePort();
    startSwtpm(`type=tcp,port=${port},bindaddr=127.0.0.1`);
    await using transport = await whenReady(() => openTpmSocket({ host: '127.0.0.1', port }));
    expect(await proves(transport)).toEqual(['quote', true]);
  });

  test.skipIf(lacksPython !== '')(`a character device${lacksPython}`, async () => {
    const path = join(dir, 'tpm.sock');
    startSwtpm(`type=unixio,path=${path}`);
    await (await whenReady(() => openTpmSocket({ path })))[Symbol.asyncDispose]();
    const bridge = spawn(PYTHON, ['-c', BRIDGE, path], { stdio: ['ignore', 'pipe', 'inherit'], env: {} });
    children.push(bridge);
    const [device = ''] = await new Promise<string[]>((resolve) => {
      createInterface(bridge.stdout).once('line', (line) => resolve([line]));
    });
    await using transport = await openTpmDevice(device);
    expect(await proves(transport)).toEqual(['quote', true]);
  });

  test('a TPM that dies is an error at once, not after the timeout', async () => {
    const path = join(dir, 'tpm.sock');
    const child = startSwtpm(`type=unixio,path=${path}`);
    await using transport = await whenReady(() => openTpmSocket({ path }));
    const tpm = tpmOver(transport);
    await tpm.getRandom(4);
    child.kill('SIGKILL');
    await expect(tpm.getRandom(4)).rejects.toMatchObject({ code: 'tpm-failed' });
  });

  test('nobody at an address: an error that says where', async () => {
    const path = join(dir, 'nobody.sock');
    await expect(openTpmSocket({ path })).rejects.toThrow(`no TPM answers at ${path}`);
    const port = await freePort();
    await expect(openTpmSocket({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'tpm-failed' });
  });
});

/** Makes a key and a quote, and verifies it: long commands and answers both ways. */
async function proves(transport: Transport): Promise<[type: string, verified: boolean]> {
  const tpm = tpmOver(transport);
  const ak = await tpm.createPrimary(TPM_RH.ENDORSEMENT, akTemplate());
  const qualifyingData = crypto.getRandomValues(new Uint8Array(32));
  const { attestation, signature } = await tpm.quote({ signHandle: ak.objectHandle, qualifyingData, pcrs: [0, 7] });
  await tpm.flushContext(ak.objectHandle);
  return [parseAttest(attestation).type, await verifySignature(ak.outPublic, signature, attestation)];
}

function startSwtpm(server: string): ChildProcess {
  const args = ['socket', '--tpm2', '--tpmstate', `dir=${dir}`, '--server', server];
  const control = ['--ctrl', `type=unixio,path=${join(dir, 'ctrl.sock')}`];
  const child = spawn(SWTPM, [...args, ...control, '--flags', 'not-need-init,startup-clear'], {
    stdio: 'ignore',
    env: {},
  });
  children.push(child);
  return child;
}

async function whenReady<T>(open: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
