import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { QMP_LINE_LIMIT_BYTES, QmpClient, type QmpEvent } from './qmp.ts';

const GREETING = '{"QMP":{"version":{"qemu":{"major":7},"package":"x"},"capabilities":[]}}\n';

/** A monitor that greets, and answers each command with what `answer` says. */
class FakeQemu {
  readonly #dir = mkdtempSync(join(tmpdir(), 'ringwall-qmp-'));
  readonly path: string = join(this.#dir, 'qmp');
  readonly #sockets = new Set<Socket>();
  readonly commands: string[] = [];
  #server: Server | undefined;

  async listen(answer: (command: string, id: number) => string, greeting: string = GREETING): Promise<void> {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.write(greeting);
      socket.on('data', (chunk) => {
        for (const line of chunk.toString('utf8').split('\n').filter(Boolean)) {
          const [, execute = '', number = ''] = /^\{"execute":"([\w-]+)",.*"id":(\d+)\}$/.exec(line) ?? [];
          const id = Number(number);
          this.commands.push(execute);
          socket.write(execute === 'qmp_capabilities' ? `{"return":{},"id":${id}}\n` : answer(execute, id));
        }
      });
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.path, resolve));
  }

  send(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.hangUp();
    this.#server?.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

let qemu: FakeQemu;
beforeEach(() => {
  qemu = new FakeQemu();
});
afterEach(() => qemu.close());

describe('QmpClient', () => {
  test('greets, negotiates and runs commands, in any order of replies', async () => {
    let held = '';
    await qemu.listen((command, id) => {
      const reply = `{"return":"${command}","id":${id}}\n`;
      if (command !== 'first') return reply + held;
      held = reply;
      return '';
    });
    await using qmp = await QmpClient.connect(qemu.path);
    expect(await Promise.all([qmp.execute('first'), qmp.execute('second')])).toEqual(['first', 'second']);
    expect(qemu.commands).toEqual(['qmp_capabilities', 'first', 'second']);
  });

  test('repeats an error of QEMU with its command', async () => {
    await qemu.listen((_, id) => `{"error":{"class":"CommandNotFound","desc":"no such"},"id":${id}}\n`);
    await using qmp = await QmpClient.connect(qemu.path);
    await expect(qmp.execute('migrate')).rejects.toMatchObject({
      code: 'vmm-failed',
      message: 'QEMU refused migrate: no such (CommandNotFound)',
    });
  });

  test('passes events on', async () => {
    await qemu.listen(
      (_, id) => `{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"}}\n{"return":1,"id":${id}}\n`,
    );
    await using qmp = await QmpClient.connect(qemu.path);
    const events: QmpEvent[] = [];
    qmp.onEvent((event) => events.push(event));
    await qmp.execute('stop');
    expect(events).toEqual([{ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-reset' } }]);
  });

  test('refuses a reply of another shape', async () => {
    await qemu.listen((_, id) => `{"return":{"running":"yes"},"id":${id}}\n`);
    await using qmp = await QmpClient.connect(qemu.path);
    await expect(qmp.query('query-status', () => undefined)).rejects.toThrow('another shape');
  });

  test.each([
    ['a reply that nobody asked for', '{"return":{},"id":77}\n', 'what nobody asked'],
    ['a reply with a broken id', '{"return":{},"id":0.5}\n', 'what nobody asked'],
    ['a reply without an id', '{"return":{}}\n', 'what nobody asked'],
    ['an array', '[]\n', 'what nobody asked'],
    ['an error without words', '{"id":2,"error":7}\n', 'what nobody asked'],
    ['no JSON', 'hello\n', 'no JSON'],
    ['half a line and an end', '{"return":', 'closed its monitor'],
    ['a line without end', 'x'.repeat(QMP_LINE_LIMIT_BYTES + 2), 'a line of more than'],
  ])('ends the connection at %s', async (_, text, message) => {
    await qemu.listen(() => '');
    await using qmp = await QmpClient.connect(qemu.path);
    const fake = qemu;
    const pending = qmp.execute('query-status');
    qemu.send(text);
    if (text.endsWith(':')) setTimeout(() => fake.hangUp(), 50);
    await expect(pending).rejects.toThrow(message);
    await expect(qmp.execute('query-status')).rejects.toThrow(message);
  });

  test('does not wait for ever for a reply, and passes over one that comes too late', async () => {
    await qemu.listen((command, id) => (command === 'late' ? '' : `{"return":1,"id":2}\n{"return":2,"id":${id}}\n`));
    await using qmp = await QmpClient.connect(qemu.path);
    await expect(qmp.execute('late', {}, 50)).rejects.toMatchObject({ code: 'timeout' });
    expect(await qmp.execute('next')).toBe(2);
  });

  test('does not wait for ever for a greeting', async () => {
    await qemu.listen(() => '', '');
    await expect(QmpClient.connect(qemu.path, 50)).rejects.toMatchObject({ code: 'timeout' });
  });

  test('refuses what is no monitor', async () => {
    await qemu.listen(() => '', '{"hello":1}\n');
    await expect(QmpClient.connect(qemu.path)).rejects.toThrow('no QEMU monitor');
  });

  test('says so where there is nothing to connect to', async () => {
    await expect(QmpClient.connect(`${qemu.path}-not`)).rejects.toMatchObject({ code: 'vmm-failed' });
  });
});
