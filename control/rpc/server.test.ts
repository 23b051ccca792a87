// A server of requests in lines: what it refuses of its peers, and what it does with its socket.
import { linkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serveLines } from './index.ts';
import {
  errorOf,
  handle,
  LINE_LIMIT_BYTES,
  type TestRequest,
  responseSchemas,
  requestSchema,
  LinesScene,
} from './testing/lines-scene.ts';

let scene: LinesScene;
beforeEach(() => {
  scene = new LinesScene();
});
afterEach(() => scene[Symbol.asyncDispose]());

describe('serveLines()', () => {
  const refused: [string, string, string, string][] = [
    ['rubbish', '\u0000\u00ffhello\n', 'bad-request', 'a line that is not JSON'],
    ['an array', '[1,2]\n', 'bad-request', 'a line that is not a JSON object'],
    ['no id', '{"request":{"op":"echo","text":""}}\n', 'bad-request', 'a request without a whole number as id'],
    ['a fractional id', '{"id":1.5,"request":{}}\n', 'bad-request', 'a request without a whole number as id'],
    ['no request', '{"id":1}\n', 'bad-request', 'a line without a request'],
    ['an unknown envelope field', '{"id":1,"request":{"op":"wait"},"uid":0}\n', 'bad-request', 'unknown field uid'],
    ['an unknown op', '{"id":1,"request":{"op":"rm"}}\n', 'bad-request', 'op: invalid request'],
    ['an unknown field', '{"id":1,"request":{"op":"wait","x":1}}\n', 'bad-request', 'unknown field x'],
    ['a prototype', '{"id":1,"request":{"op":"wait","__proto__":{"a":1}}}\n', 'bad-request', 'unknown field __proto__'],
    ['an oversized line', `${'x'.repeat(LINE_LIMIT_BYTES + 1)}\n`, 'too-large', 'a line of more than 4096 bytes'],
    ['an endless line', 'x'.repeat(64 * 1024), 'too-large', 'a line of more than 4096 bytes'],
  ];
  test.each(refused)('refuses %s', async (_name, bytes, code, message) => {
    await scene.serve();
    const { lines } = await scene.rawPeer((socket) => void socket.end(bytes));
    expect(lines).toMatchObject([{ error: { code, message } }]);
  });

  test('cuts off a peer that takes too long for a line, however often it sends a byte', async () => {
    await scene.serve({ lineTimeoutMs: 100 });
    const { lines } = await scene.rawPeer(async (socket) => {
      for (let sent = 0; sent < 30 && socket.writable; sent += 1) {
        socket.write('x');
        await sleep(10);
      }
    });
    expect(lines).toMatchObject([{ error: { code: 'timeout' } }]);
  });

  test('closes a connection that says nothing', async () => {
    await scene.serve({ idleTimeoutMs: 50 });
    const { text } = await scene.rawPeer(() => undefined);
    expect(text).toBe('');
  });

  test('refuses more pending requests than its limit, and an id twice', async () => {
    await scene.serve({ pendingRequests: 2 });
    const { lines } = await scene.rawPeer(async (socket) => {
      for (const id of [1, 2, 3]) socket.write(`{"id":${String(id)},"request":{"op":"wait"}}\n`);
      await sleep(50);
      socket.write('{"id":1,"request":{"op":"wait"}}\n');
    });
    expect(lines).toMatchObject([
      { id: 3, error: { code: 'too-large' } },
      { id: null, error: { code: 'bad-request', message: 'request 1 is still being handled' } },
    ]);
  });

  test('cuts off a peer that does not read its answers', async () => {
    await scene.serve({ unreadBytes: 64 * 1024 });
    const socket = connect(scene.path);
    socket.pause();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    const request = `"request":{"op":"echo","text":"${'x'.repeat(3000)}"}`;
    for (let id = 0; id < 3000 && !socket.destroyed; id += 1) {
      if (!socket.write(`{"id":${String(id)},${request}}\n`)) await sleep(2);
    }
    await closed;
    expect(scene.defects).toEqual([]);
  });

  test('refuses more connections than its limit', async () => {
    await scene.serve({ connections: 1 });
    const first = await scene.client().openStream({ op: 'open' });
    expect((await errorOf(scene.client().call({ op: 'echo', text: '' }))).code).toBe('broker-unavailable');
    first.stream.destroy();
    await expect.poll(() => scene.client().call({ op: 'echo', text: 'again' })).toEqual({ text: 'again' });
  });

  test('refuses to turn a connection into a stream while it owes other answers', async () => {
    await scene.serve();
    const { lines } = await scene.rawPeer(async (socket) => {
      socket.write('{"id":1,"request":{"op":"wait"}}\n{"id":2,"request":{"op":"open"}}\n');
      await sleep(50);
      socket.write('rubbish\n');
    });
    expect(lines[0]).toMatchObject({ id: 2, error: { code: 'bad-request' } });
  });

  test('aborts the handlers of a peer that is cut off', async () => {
    let aborted = false;
    const begun = Promise.withResolvers<void>();
    const server = await scene.serve({}, async (_request, call) => {
      begun.resolve();
      await sleep(60_000, undefined, { signal: call.signal }).catch(() => (aborted = true));
      return {};
    });
    const call = errorOf(scene.client().call({ op: 'wait' }));
    await begun.promise;
    await server.close();
    expect((await call).code).toBe('broker-unavailable');
    await expect.poll(() => aborted).toBe(true);
  });

  test('lets a request end that is being handled when it closes', async () => {
    const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const server = await scene.serve({ closeGraceMs: 60_000 }, async () => {
      begun.resolve();
      await end.promise;
      return { text: 'done' };
    });
    const call = scene.client().call({ op: 'echo', text: '' });
    await begun.promise;
    const closed = server.close();
    end.resolve();
    await closed;
    await expect(call).resolves.toEqual({ text: 'done' });
  });

  test('refuses its own answers that are not what the schema says', async () => {
    await scene.serve({}, async () => ({ text: 'a', key: 'b' }));
    expect((await errorOf(scene.client().call({ op: 'echo', text: '' }))).code).toBe('internal');
    expect(String(scene.defects[0])).toContain('unknown field key');
  });

  test('makes the socket with exactly its mode, whatever the umask', async () => {
    const umask = process.umask(0);
    scene.defer(() => process.umask(umask));
    await scene.serve();
    expect(statSync(scene.path).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(0);
  });

  test('gives the socket to a group', async () => {
    const gid = process.getgid?.() ?? 0;
    const server = await serveLines<TestRequest>({
      path: scene.path,
      mode: 0o660,
      gid,
      requestSchema,
      responseSchemas,
      lineLimitBytes: LINE_LIMIT_BYTES,
      handle,
    });
    scene.defer(() => server.close());
    expect(statSync(scene.path)).toMatchObject({ gid });
    expect(statSync(scene.path).mode & 0o777).toBe(0o660);
  });

  test('removes its socket when it closes', async () => {
    const server = await scene.serve();
    await server.close();
    await server.close();
    expect(statSync(scene.path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('replaces a socket that nobody listens on', async () => {
    // A hard link survives the close that removes the first name: just what a killed process leaves behind.
    const other = join(scene.directory, 'other.sock');
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(other, resolve));
    linkSync(other, scene.path);
    await new Promise((resolve) => dead.close(resolve));
    await scene.serve();
    await expect(scene.client().call({ op: 'echo', text: 'alive' })).resolves.toEqual({ text: 'alive' });
  });

  test('refuses to take the socket of a living process', async () => {
    await scene.serve();
    const error = await errorOf(scene.serve());
    expect(error.code).toBe('conflict');
    await expect(scene.client().call({ op: 'echo', text: 'still' })).resolves.toEqual({ text: 'still' });
  });

  test('refuses to replace a file or a link', async () => {
    writeFileSync(scene.path, 'precious');
    expect((await errorOf(scene.serve())).message).toContain('is no socket');
    rmSync(scene.path);
    symlinkSync('/etc/passwd', scene.path);
    expect((await errorOf(scene.serve())).message).toContain('is no socket');
  });

  test('says what is wrong with a path that is too long or has no directory', async () => {
    scene.path = join(scene.directory, 'x'.repeat(120));
    expect((await errorOf(scene.serve())).hint).toContain('shorter path');
    scene.path = join(scene.directory, 'none', 's.sock');
    expect((await errorOf(scene.serve())).code).toBe('conflict');
  });
});
