// The witness on real sockets, with a TPM that answers what it is told to.
import { createHash } from 'node:crypto';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commands, fillTemplate, type Transport } from '@ringwall/tpm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { socketPair } from '../exec/index.ts';
import { witness } from './witness.ts';

const DONE = Uint8Array.of(0x80, 0x02, 0, 0, 0, 10, 0, 0, 0, 0);
const EXITED = extend(5, 'Exit Boot Services Returned with Success');
const COMMAND_SIZE = '80010000000a00000142';

function extend(pcr: number, text: string): Uint8Array {
  return fillTemplate(commands.pcrExtend(pcr, new Uint8Array(createHash('sha256').update(text).digest())));
}

let dir: string;
let port: Server;
let states: Server;
let guest: Socket;
let served: Promise<void>;
let asked: Uint8Array[];
const clients: Socket[] = [];

async function startWitness(holdMs: number): Promise<void> {
  const [ours, theirs] = await socketPair(dir);
  guest = ours;
  guest.resume();
  port = createServer();
  await new Promise<void>((resolve) => {
    port.listen(join(dir, 'port.sock'), resolve);
  });
  const tpm: Transport = {
    send: async (command) => {
      asked.push(command);
      return DONE;
    },
  };
  states = createServer();
  const control = {
    readState: async () => await Promise.reject(new Error('not asked')),
    loadState: async () => undefined,
  };
  served = witness({ guest: theirs, tpm, control, port, states }, { holdMs });
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'witness-'));
  asked = [];
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  guest.destroy();
  await served;
  port.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The response to a command of the guest's, in hexadecimal; undefined where none comes in time. */
async function answerTo(command: Uint8Array, waitMs = 60_000): Promise<string | undefined> {
  const answer = new Promise<string>((resolve) => guest.once('data', (bytes) => resolve(bytes.toString('hex'))));
  guest.write(command);
  return await Promise.race([answer, sleep(waitMs, undefined, { ref: false })]);
}

/** What the witness says to a broker, line by line; `say` answers it. */
function relay(): { readonly heard: () => string; readonly say: (text: string) => void } {
  const client = connect(join(dir, 'port.sock'));
  clients.push(client);
  let text = '';
  client
    .on('error', () => undefined)
    .setEncoding('latin1')
    .on('data', (chunk) => (text += String(chunk)));
  return { heard: () => text, say: (words) => void client.write(words) };
}

describe('witness()', () => {
  test('passes commands on and answers back', async () => {
    await startWitness(50);
    expect(await answerTo(extend(4, 'code'))).toBe(Buffer.from(DONE).toString('hex'));
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['shorter than a header', Uint8Array.of(0x80, 1)],
    ['shorter than it says', extend(4, 'code').slice(0, -1)],
    ['longer than it says', new Uint8Array([...extend(4, 'code'), 0])],
    ['longer than any', new Uint8Array(5000)],
  ])('refuses a command that is %s, and the TPM hears nothing of it', async (_, command) => {
    await startWitness(50);
    expect(await answerTo(command)).toBe(COMMAND_SIZE);
    expect(asked).toEqual([]);
  });

  test('says nothing to a broker before the firmware has handed over', async () => {
    await startWitness(50);
    const { heard } = relay();
    await answerTo(extend(4, 'code'));
    await sleep(50);
    expect(heard()).toBe('');
    await answerTo(EXITED);
    await expect.poll(heard).toBe('hello 1\n');
  });

  test('keeps the guest waiting until the broker has decided', async () => {
    await startWitness(60_000);
    const { heard, say } = relay();
    const answer = answerTo(EXITED);
    await expect.poll(heard).toBe('hello 1\n');
    expect(await Promise.race([answer, sleep(100, 'none')])).toBe('none');
    say('done\n');
    expect(await answer).toBe(Buffer.from(DONE).toString('hex'));
  });

  test('keeps a guest that is refused waiting', async () => {
    await startWitness(3_000);
    const { heard, say } = relay();
    const answer = answerTo(EXITED);
    await expect.poll(heard).toBe('hello 1\n');
    say('refused\nreason of its own\nend\n');
    expect(await Promise.race([answer, sleep(150, 'none')])).toBe('none');
    // Firmware gives up on a TPM some day, and its VMM is stopped long before.
    expect(await answer).toBe(Buffer.from(DONE).toString('hex'));
  });

  test('lets the guest go on where nobody asks', async () => {
    await startWitness(100);
    expect(await answerTo(EXITED)).toBe(Buffer.from(DONE).toString('hex'));
    expect(await answerTo(extend(11, 'userland'))).toBe(Buffer.from(DONE).toString('hex'));
  });

  test('tells the broker where the TPM does not answer as one', async () => {
    await startWitness(2_000);
    const { heard, say } = relay();
    void answerTo(EXITED);
    await expect.poll(heard).toBe('hello 1\n');
    say(`challenge ${'00'.repeat(32)} mch_aaaaaaaaaaaaaaaaaaaa ${'00'.repeat(16)}\n`);
    await expect.poll(heard).toMatch(/^hello 1\nfailed its TPM could not be asked: .+\n$/);
  });

  test('outlives a broker that sends rubbish without end', async () => {
    await startWitness(100);
    const { heard, say } = relay();
    void answerTo(EXITED);
    await expect.poll(heard).toBe('hello 1\n');
    say('x'.repeat(100_000));
    await sleep(150);
    const again = relay();
    await expect.poll(again.heard).toBe('hello 1\n');
  });
});
