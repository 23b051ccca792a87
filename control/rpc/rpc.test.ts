import { chmodSync, linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineClient, serveLines, type CallContext, type LineServer, type RpcLimits, type Schema } from './index.ts';

const LINE_LIMIT_BYTES = 4096;

type TestRequest = { op: 'echo'; text: string } | { op: 'wait' } | { op: 'open' } | { op: 'fail' } | { op: 'break' };

/** A schema by hand, so that this package shows that it needs of a schema no more than `safeParse`. */
const requestSchema: Schema<TestRequest> = {
  safeParse(input) {
    if (typeof input === 'object' && input !== null && 'op' in input) {
      if (input.op === 'echo' && 'text' in input && typeof input.text === 'string') {
        return { success: true, data: { op: 'echo', text: input.text } };
      }
      for (const op of ['wait', 'open', 'fail', 'break'] as const)
        if (input.op === op) return { success: true, data: { op } };
    }
    return { success: false, error: { issues: [{ path: ['op'], message: 'invalid request' }] } };
  },
};

const emptySchema: Schema<Record<string, never>> = {
  safeParse: (input) =>
    typeof input === 'object' && input !== null
      ? { success: true, data: {} }
      : { success: false, error: { issues: [{ path: [], message: 'expected an object' }] } },
};

const echoSchema: Schema<{ text: string }> = {
  safeParse: (input) =>
    typeof input === 'object' && input !== null && 'text' in input && typeof input.text === 'string'
      ? { success: true, data: { text: input.text } }
      : { success: false, error: { issues: [{ path: ['text'], message: 'expected a string' }] } },
};

const responseSchemas = {
  echo: echoSchema,
  wait: emptySchema,
  open: emptySchema,
  fail: emptySchema,
  break: emptySchema,
};

let directory = '';
let path = '';
const cleanUps: (() => unknown)[] = [];
const defects: unknown[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rpc-'));
  path = join(directory, 's.sock');
  defects.length = 0;
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
  rmSync(directory, { recursive: true, force: true });
});

async function handle(request: TestRequest, call: CallContext): Promise<unknown> {
  switch (request.op) {
    case 'echo':
      call.progress({ step: 'echoing', fraction: 0.5 });
      return { text: request.text };
    case 'wait':
      await sleep(60_000, undefined, { signal: call.signal });
      return {};
    case 'open':
      call.upgrade((stream) => {
        stream.on('data', (chunk: Uint8Array) => stream.write(`<${Buffer.from(chunk).toString()}>`));
        stream.on('end', () => stream.end());
        stream.on('error', () => undefined);
        stream.resume();
      });
      return {};
    case 'fail':
      throw new RingwallError('conflict', 'the machine runs', { hint: 'stop it' });
    case 'break':
    default:
      throw new TypeError('a secret detail');
  }
}

async function serve(
  limits: Partial<RpcLimits> = {},
  handler: (request: TestRequest, call: CallContext) => Promise<unknown> = handle,
): Promise<LineServer> {
  const server = await serveLines<TestRequest>({
    path,
    mode: 0o600,
    requestSchema,
    responseSchemas,
    lineLimitBytes: LINE_LIMIT_BYTES,
    limits: { closeGraceMs: 100, ...limits },
    handle: handler,
    onDefect: (error) => defects.push(error),
  });
  cleanUps.push(() => server.close());
  return server;
}

function client(): LineClient<TestRequest, typeof responseSchemas> {
  return new LineClient<TestRequest, typeof responseSchemas>({
    path,
    responseSchemas,
    lineLimitBytes: LINE_LIMIT_BYTES,
    peer: 'the broker',
    unavailable: 'broker-unavailable',
    hint: 'start it with ringwall up',
  });
}

/** A peer that writes bytes as it likes, and collects what comes back until the other side ends. */
async function rawPeer(write: (socket: Socket) => void | Promise<void>): Promise<{ lines: unknown[]; text: string }> {
  const socket = connect({ path, allowHalfOpen: true });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<void>((resolve) => {
    socket.on('end', resolve);
    socket.on('close', () => resolve());
    socket.on('error', () => resolve());
  });
  await write(socket);
  await ended;
  socket.destroy();
  const lines = text.split('\n').filter((line) => line !== '');
  return { lines: lines.map((line): unknown => JSON.parse(line)), text };
}

/** A server that answers each connection with fixed bytes, as a confused or hostile one would. */
async function rawServer(onConnection: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    cleanUps.push(() => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  cleanUps.push(() => server.close());
}

async function errorOf(promise: Promise<unknown>): Promise<RingwallError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RingwallError)) throw new Error(`no RingwallError: ${String(error)}`);
  return error;
}

describe('LineClient and serveLines()', () => {
  test('carry a request, its progress and its result', async () => {
    await serve();
    const steps: unknown[] = [];
    const result = await client().call(
      { op: 'echo', text: 'grüß\n' },
      { onProgress: (progress) => steps.push(progress) },
    );
    expect(result).toEqual({ text: 'grüß\n' });
    expect(steps).toEqual([{ step: 'echoing', fraction: 0.5 }]);
  });

  test('carry an error with its code, message and hint', async () => {
    await serve();
    const error = await errorOf(client().call({ op: 'fail' }));
    expect(error.toBody()).toEqual({ code: 'conflict', message: 'the machine runs', hint: 'stop it' });
  });

  test('tell a peer of a defect only that there was one', async () => {
    await serve();
    const error = await errorOf(client().call({ op: 'break' }));
    expect(error.code).toBe('internal');
    expect(JSON.stringify(error.toBody())).not.toContain('secret');
    expect(defects).toHaveLength(1);
  });

  test('answer many calls at a time', async () => {
    await serve();
    const caller = client();
    const texts = Array.from({ length: 100 }, (_, index) => `t${String(index)}`);
    const results = await Promise.all(texts.map((text) => caller.call({ op: 'echo', text })));
    expect(results.map((result) => result.text)).toEqual(texts);
  });

  test('hand the connection over as a stream after the result, with bytes that came early', async () => {
    await serve({}, async (request, call) => {
      call.upgrade((stream: Duplex) => {
        stream.write('hello');
        stream.on('data', (chunk: Uint8Array) => stream.end(`<${Buffer.from(chunk).toString()}>`));
        stream.resume();
      });
      await sleep(20);
      return request.op === 'open' ? {} : { text: '' };
    });
    const { stream } = await client().openStream({ op: 'open' });
    stream.write('ping');
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    expect(text).toBe('hello<ping>');
  });

  test('pass bytes on that follow the request at once to the stream', async () => {
    await serve();
    const peer = await rawPeer((socket) => {
      socket.write('{"id":7,"request":{"op":"open"}}\n');
      socket.end('raw');
    }).catch((error: unknown) => error);
    // '<raw>' is no JSON: the helper says so, and that proves that it came back as it was.
    expect(peer).toBeInstanceOf(SyntaxError);
  });
});

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
    await serve();
    const { lines } = await rawPeer((socket) => void socket.end(bytes));
    expect(lines).toMatchObject([{ error: { code, message } }]);
  });

  test('cuts off a peer that takes too long for a line, however often it sends a byte', async () => {
    await serve({ lineTimeoutMs: 100 });
    const { lines } = await rawPeer(async (socket) => {
      for (let sent = 0; sent < 30 && socket.writable; sent += 1) {
        socket.write('x');
        await sleep(10);
      }
    });
    expect(lines).toMatchObject([{ error: { code: 'timeout' } }]);
  });

  test('closes a connection that says nothing', async () => {
    await serve({ idleTimeoutMs: 50 });
    const { text } = await rawPeer(() => undefined);
    expect(text).toBe('');
  });

  test('refuses more pending requests than its limit, and an id twice', async () => {
    await serve({ pendingRequests: 2 });
    const { lines } = await rawPeer(async (socket) => {
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
    await serve({ unreadBytes: 64 * 1024 });
    const socket = connect(path);
    socket.pause();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    const request = `"request":{"op":"echo","text":"${'x'.repeat(3000)}"}`;
    for (let id = 0; id < 3000 && !socket.destroyed; id += 1) {
      if (!socket.write(`{"id":${String(id)},${request}}\n`)) await sleep(2);
    }
    await closed;
    expect(defects).toEqual([]);
  });

  test('refuses more connections than its limit', async () => {
    await serve({ connections: 1 });
    const first = await client().openStream({ op: 'open' });
    expect((await errorOf(client().call({ op: 'echo', text: '' }))).code).toBe('broker-unavailable');
    first.stream.destroy();
    await sleep(20);
    await expect(client().call({ op: 'echo', text: 'again' })).resolves.toEqual({ text: 'again' });
  });

  test('refuses to turn a connection into a stream while it owes other answers', async () => {
    await serve();
    const { lines } = await rawPeer(async (socket) => {
      socket.write('{"id":1,"request":{"op":"wait"}}\n{"id":2,"request":{"op":"open"}}\n');
      await sleep(50);
      socket.write('rubbish\n');
    });
    expect(lines[0]).toMatchObject({ id: 2, error: { code: 'bad-request' } });
  });

  test('aborts the handlers of a peer that is cut off', async () => {
    let aborted = false;
    const server = await serve({}, async (_request, call) => {
      await sleep(60_000, undefined, { signal: call.signal }).catch(() => (aborted = true));
      return {};
    });
    const call = errorOf(client().call({ op: 'wait' }));
    await sleep(30);
    await server.close();
    expect((await call).code).toBe('broker-unavailable');
    await expect.poll(() => aborted).toBe(true);
  });

  test('lets a request end that is being handled when it closes', async () => {
    const server = await serve({ closeGraceMs: 2000 }, async () => {
      await sleep(60);
      return { text: 'done' };
    });
    const call = client().call({ op: 'echo', text: '' });
    await sleep(20);
    await server.close();
    await expect(call).resolves.toEqual({ text: 'done' });
  });

  test('refuses its own answers that are not what the schema says', async () => {
    await serve({}, async () => ({ text: 'a', key: 'b' }));
    expect((await errorOf(client().call({ op: 'echo', text: '' }))).code).toBe('internal');
    expect(String(defects[0])).toContain('unknown field key');
  });

  test('makes the socket with exactly its mode, whatever the umask', async () => {
    const umask = process.umask(0);
    cleanUps.push(() => process.umask(umask));
    await serve();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(0);
  });

  test('gives the socket to a group', async () => {
    const gid = process.getgid?.() ?? 0;
    const server = await serveLines<TestRequest>({
      path,
      mode: 0o660,
      gid,
      requestSchema,
      responseSchemas,
      lineLimitBytes: LINE_LIMIT_BYTES,
      handle,
    });
    cleanUps.push(() => server.close());
    expect(statSync(path)).toMatchObject({ gid });
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  test('removes its socket when it closes', async () => {
    const server = await serve();
    await server.close();
    await server.close();
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('replaces a socket that nobody listens on', async () => {
    // A hard link survives the close that removes the first name: just what a killed process leaves behind.
    const other = join(directory, 'other.sock');
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(other, resolve));
    linkSync(other, path);
    await new Promise((resolve) => dead.close(resolve));
    await serve();
    await expect(client().call({ op: 'echo', text: 'alive' })).resolves.toEqual({ text: 'alive' });
  });

  test('refuses to take the socket of a living process', async () => {
    await serve();
    const error = await errorOf(serve());
    expect(error.code).toBe('conflict');
    await expect(client().call({ op: 'echo', text: 'still' })).resolves.toEqual({ text: 'still' });
  });

  test('refuses to replace a file or a link', async () => {
    writeFileSync(path, 'precious');
    expect((await errorOf(serve())).message).toContain('is no socket');
    rmSync(path);
    symlinkSync('/etc/passwd', path);
    expect((await errorOf(serve())).message).toContain('is no socket');
  });

  test('says what is wrong with a path that is too long or has no directory', async () => {
    path = join(directory, 'x'.repeat(120));
    expect((await errorOf(serve())).hint).toContain('shorter path');
    path = join(directory, 'none', 's.sock');
    expect((await errorOf(serve())).code).toBe('conflict');
  });
});

describe('LineClient', () => {
  test('tells a stranger who says nothing from a server of ours that is slow', async () => {
    const peer = client();
    const stranger = createServer((socket) => socket.resume().on('error', () => undefined));
    await new Promise<void>((resolve) => stranger.listen(path, resolve));
    await expect(peer.call({ op: 'echo', text: 'x' }, { firstWordMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
      message: `what listens on ${path} said nothing for 50 ms: it hangs, or it is not the broker`,
      hint: expect.stringContaining(`ss -xlp | grep ${path}`),
    });
    await new Promise((resolve) => stranger.close(resolve));

    await serve();
    const steps: string[] = [];
    const onProgress = ({ step }: { step: string }): unknown => steps.push(step);
    const slow = peer.call({ op: 'wait' }, { firstWordMs: 1_000, timeoutMs: 1_400, onProgress });
    await expect(slow).rejects.toThrow('gave no answer for 1400 ms');
    expect(steps).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)('says whose the socket is that it may not open', async () => {
    const server = await serve();
    chmodSync(directory, 0o755);
    chmodSync(path, 0o600);
    process.seteuid?.(65_534);
    try {
      await expect(client().call({ op: 'echo', text: 'x' })).rejects.toMatchObject({
        code: 'unauthorized',
        message: expect.stringMatching(/may not open .*, which belongs to uid 0, mode 600$/),
        hint: expect.stringMatching(/^the broker did not make it so; see who did: ss -xlp .*\nstart it/),
      });
    } finally {
      process.seteuid?.(0);
    }
    await server.close();
  });

  test('says that nobody is there, with what to do', async () => {
    const error = await errorOf(client().call({ op: 'echo', text: '' }));
    expect(error.toBody()).toEqual({
      code: 'broker-unavailable',
      message: 'the broker does not run',
      hint: 'start it with ringwall up',
    });
  });

  const nonsense: [string, string][] = [
    ['rubbish', 'hello\n'],
    ['a result of another request', '{"id":2,"result":{"text":"x"}}\n'],
    ['a result of the wrong shape', '{"id":1,"result":{"text":1}}\n'],
    ['a result with an unknown field', '{"id":1,"result":{"text":"x","y":1}}\n'],
    ['two things in one line', '{"id":1,"result":{"text":"x"},"error":{"code":"internal","message":"x"}}\n'],
    ['an unknown error code', '{"id":1,"error":{"code":"on-fire","message":"x"}}\n'],
    ['progress that is none', '{"id":1,"progress":{"fraction":2,"step":"x"}}\n'],
    ['an endless line', 'x'.repeat(10_000)],
  ];
  test.each(nonsense)('refuses %s', async (_name, bytes) => {
    await rawServer((socket) => socket.write(bytes));
    expect((await errorOf(client().call({ op: 'echo', text: '' }))).code).toBe('internal');
  });

  test('ends a call that is not answered in time, and one that is aborted', async () => {
    await rawServer(() => undefined);
    expect((await errorOf(client().call({ op: 'wait' }, { timeoutMs: 30 }))).code).toBe('timeout');
    const signal = AbortSignal.timeout(20);
    expect((await errorOf(client().call({ op: 'wait' }, { signal }))).code).toBe('timeout');
    expect((await errorOf(client().call({ op: 'wait' }, { signal: AbortSignal.abort() }))).code).toBe('timeout');
  });

  test('says so when the connection is closed before the answer', async () => {
    await rawServer((socket) => socket.end());
    const error = await errorOf(client().call({ op: 'echo', text: '' }));
    expect(error.code).toBe('broker-unavailable');
    expect(error.message).toContain('closed the connection');
  });

  test('refuses to send a request that is too large', async () => {
    await serve();
    expect((await errorOf(client().call({ op: 'echo', text: 'x'.repeat(5000) }))).code).toBe('too-large');
  });
});
