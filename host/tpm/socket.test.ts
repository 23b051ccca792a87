import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { socketPair } from '../exec/index.ts';
import { SocketTransport } from './socket.ts';

const COMMAND = Uint8Array.of(0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0);
const RESPONSE = Uint8Array.of(0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0);

let dir: string;
let tpm: Socket;
let connection: SocketTransport;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ringwall-tpm-'));
  const [ours, theirs] = await socketPair(dir);
  tpm = theirs;
  connection = new SocketTransport(ours);
});
afterEach(async () => {
  await connection[Symbol.asyncDispose]();
  tpm.destroy();
  rmSync(dir, { recursive: true });
});

describe('SocketTransport', () => {
  test('puts a response together from pieces of one byte', async () => {
    tpm.once('data', () => {
      for (const byte of RESPONSE) tpm.write(Uint8Array.of(byte));
    });
    tpm.resume();
    expect([...(await connection.send(COMMAND))]).toEqual([...RESPONSE]);
  });

  test('takes one command at a time', async () => {
    const first = connection.send(COMMAND);
    await expect(connection.send(COMMAND)).rejects.toThrow('one command at a time');
    tpm.end();
    await expect(first).rejects.toThrow('closed its connection');
  });

  test('ends at bytes that nobody asked for, so that they are never taken for an answer', async () => {
    tpm.write(RESPONSE);
    await once(tpm.resume(), 'close');
    await expect(connection.send(COMMAND)).rejects.toThrow('nobody asked for');
  });

  test('gives up after its time', async () => {
    const [ours, theirs] = await socketPair(dir);
    await using impatient = new SocketTransport(ours, { timeoutMs: 10 });
    await expect(impatient.send(COMMAND)).rejects.toThrow('did not answer within 0.01 s');
    theirs.destroy();
  });

  test('does not send a command that its header does not measure', async () => {
    await expect(connection.send(COMMAND.subarray(0, 11))).rejects.toMatchObject({ code: 'internal' });
    await expect(connection.send(Uint8Array.of(...COMMAND, 0))).rejects.toMatchObject({ code: 'internal' });
  });

  test.each([
    ['a size below the header', [0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0]],
    ['a size beyond any TPM', [0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]],
    ['more than its size', [...RESPONSE, 0]],
  ])('ends at a response with %s', async (_, bytes) => {
    const answer = connection.send(COMMAND);
    tpm.write(Uint8Array.from(bytes));
    await expect(answer).rejects.toMatchObject({ code: 'tpm-failed' });
    await expect(connection.send(COMMAND)).rejects.toMatchObject({ code: 'tpm-failed' });
  });
});
