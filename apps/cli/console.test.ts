import type { EventEmitter } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachConsole, type ConsoleInput } from './console.ts';

/** A keyboard that remembers what was done to it. */
class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  readonly modes: boolean[] = [];
  setRawMode(raw: boolean): void {
    this.modes.push(raw);
  }
}

class FakeScreen extends PassThrough {
  readonly isTTY = true;
  shown = '';
  constructor() {
    super();
    this.on('data', (bytes: Buffer) => (this.shown += bytes.toString('latin1')));
  }
}

let directory: string;
let server: Server;
let machine: Promise<Socket>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rw-console-'));
  machine = new Promise((resolve) => {
    server = createServer((socket) => {
      socket.on('error', () => {});
      resolve(socket);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(join(directory, 's'), resolve);
  });
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

function attach(input: ConsoleInput, output: FakeScreen, head = ''): Promise<'detached' | 'closed'> {
  const socket = connect(join(directory, 's'));
  socket.pause();
  return attachConsole({ socket, head: Buffer.from(head), input, output });
}

function nextBytes(emitter: EventEmitter): Promise<string> {
  return new Promise((resolve) => {
    emitter.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1')));
  });
}

describe('attachConsole()', () => {
  it('carries bytes both ways until ctrl-], and gives the terminal back', async () => {
    const [input, output] = [new FakeTerminal(), new FakeScreen()];
    const ended = attach(input, output, '# ');
    const socket = await machine;
    const typed = nextBytes(socket);
    input.write('ls\r');
    expect(await typed).toBe('ls\r');
    socket.write('file\r\n\u001b]0;owned\u0007');
    await expect.poll(() => output.shown).toBe('# file\r\n');
    input.write('x\u001dy');
    expect(await ended).toBe('detached');
    expect(input.modes).toEqual([true, false]);
    expect(output.shown).toContain('\u001b[?25h');
  });

  it('leaves the other screen only where the guest went there', async () => {
    for (const [said, leaves] of [
      ['vi\u001b[?1049h', true],
      ['vi\u001b[?1049h\u001b[?1049l', false],
      ['sh', false],
    ] as const) {
      const [input, output] = [new FakeTerminal(), new FakeScreen()];
      const ended = attach(input, output, said);
      input.write('\u001d');
      await ended;
      await expect.poll(() => output.shown).toContain('\u001b[?25h');
      expect(output.shown.endsWith('\u001b[?2004l')).toBe(true);
      expect(output.shown.slice(said.length).includes('\u001b[?1049l'), said).toBe(leaves);
    }
  });

  it('sends what was typed before the detach key, and nothing after it', async () => {
    const input = new FakeTerminal();
    const ended = attach(input, new FakeScreen());
    const typed = nextBytes(await machine);
    input.write('x\u001dy');
    expect(await typed).toBe('x');
    await ended;
  });

  it('gives the terminal back when the machine closes', async () => {
    const input = new FakeTerminal();
    const ended = attach(input, new FakeScreen());
    (await machine).end();
    expect(await ended).toBe('closed');
    expect(input.modes).toEqual([true, false]);
  });

  it('gives the terminal back when the connection breaks', async () => {
    const input = new FakeTerminal();
    const ended = attach(input, new FakeScreen());
    (await machine).destroy();
    expect(await ended).toBe('closed');
    expect(input.modes).toEqual([true, false]);
  });

  it('leaves no listener on the process', async () => {
    const before = ['exit', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name));
    const input = new FakeTerminal();
    const ended = attach(input, new FakeScreen());
    input.write('\u001d');
    await ended;
    expect(['exit', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name))).toEqual(before);
  });

  it('a pipe is no keyboard: ctrl-] is a byte like any other', async () => {
    const input = new PassThrough();
    const ended = attach(input, new FakeScreen());
    const socket = await machine;
    const typed = nextBytes(socket);
    input.write('a\u001db');
    expect(await typed).toBe('a\u001db');
    socket.end();
    expect(await ended).toBe('closed');
  });
});
