// What a VMM does with its devices, also one that has been broken into: it is over in time.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { expect, test } from 'vitest';
import { listenForState, readState, sendState } from './state-socket.ts';

const SOON_MS = 30;

test('listenForState() waits for a VMM that brings nothing, and not for ever', async () => {
  const runDir = mkdtempSync(join(tmpdir(), 'ringwall-state-'));
  try {
    const vmm = { runDir, uid: process.getuid?.() ?? 0 };
    await using waiting = await listenForState(vmm, SOON_MS);
    await expect(waiting.connected).rejects.toMatchObject({
      code: 'vmm-failed',
      message: 'QEMU did not bring its state',
    });
    await using listening = await listenForState(vmm);
    const brought = connect(join(runDir, 'state.sock'));
    brought.end('devices');
    expect(Buffer.from(await readState(await listening.connected, 7)).toString()).toBe('devices');
  } finally {
    rmSync(runDir, { recursive: true });
  }
});

test('readState() has all that is brought', async () => {
  const [ours, theirs] = duplexPair();
  for (const piece of ['devices, ', 'and a TPM']) theirs.write(piece);
  theirs.end();
  expect(Buffer.from(await readState(ours, 18)).toString()).toBe('devices, and a TPM');
});

test('readState() refuses more than it may hold', async () => {
  const [ours, theirs] = duplexPair();
  theirs.write(Buffer.alloc(100));
  await expect(readState(ours, 99)).rejects.toMatchObject({ code: 'vmm-failed' });
  expect(ours.destroyed).toBe(true);
});

test('readState() ends where the VMM does not, also one that says a little now and then', async () => {
  for (const dripsMs of [undefined, 5]) {
    const [ours, theirs] = duplexPair();
    theirs.on('error', () => undefined);
    const timer = dripsMs === undefined ? undefined : setInterval(() => theirs.write('x'), dripsMs);
    await expect(readState(ours, 1000, SOON_MS)).rejects.toMatchObject({ code: 'timeout' });
    clearInterval(timer);
  }
});

test('sendState() ends where the VMM takes all of it, and where it takes nothing', async () => {
  const [ours, theirs] = duplexPair();
  const taken: Buffer[] = [];
  theirs.on('data', (piece: Buffer) => taken.push(piece)).on('end', () => theirs.end());
  await sendState(ours, Buffer.from('devices'));
  expect(Buffer.concat(taken).toString()).toBe('devices');

  const [silent, reader] = duplexPair();
  reader.pause();
  await sendState(silent, Buffer.alloc(2 ** 20), SOON_MS);
  expect(silent.destroyed).toBe(true);
});
