// A client of requests in lines: what it refuses of whoever listens, and what it says of who does not.
import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errorOf, LinesScene } from './testing/lines-scene.ts';

let scene: LinesScene;
beforeEach(() => {
  scene = new LinesScene();
});
afterEach(() => scene[Symbol.asyncDispose]());

describe('LineClient', () => {
  test('tells a stranger who says nothing from a server of ours that is slow', async () => {
    const peer = scene.client();
    const stranger = createServer((socket) => socket.resume().on('error', () => undefined));
    await new Promise<void>((resolve) => stranger.listen(scene.path, resolve));
    await expect(peer.call({ op: 'echo', text: 'x' }, { firstWordMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
      message: `what listens on ${scene.path} said nothing for 50 ms: it hangs, or it is not the broker`,
      hint: expect.stringContaining(`ss -xlp | grep ${scene.path}`),
    });
    await new Promise((resolve) => stranger.close(resolve));

    await scene.serve();
    const steps: string[] = [];
    const onProgress = ({ step }: { step: string }): unknown => steps.push(step);
    const slow = peer.call({ op: 'wait' }, { firstWordMs: 3_000, timeoutMs: 3_400, onProgress });
    await expect(slow).rejects.toThrow('gave no answer for 3400 ms');
    expect(steps).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)('says whose the socket is that it may not open', async () => {
    const server = await scene.serve();
    chmodSync(scene.directory, 0o755);
    chmodSync(scene.path, 0o600);
    process.seteuid?.(65_534);
    try {
      await expect(scene.client().call({ op: 'echo', text: 'x' })).rejects.toMatchObject({
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
    const error = await errorOf(scene.client().call({ op: 'echo', text: '' }));
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
    await scene.rawServer((socket) => socket.write(bytes));
    expect((await errorOf(scene.client().call({ op: 'echo', text: '' }))).code).toBe('internal');
  });

  test('ends a call that is not answered in time, and one that is aborted', async () => {
    await scene.rawServer(() => undefined);
    expect((await errorOf(scene.client().call({ op: 'wait' }, { timeoutMs: 30 }))).code).toBe('timeout');
    const signal = AbortSignal.timeout(20);
    expect((await errorOf(scene.client().call({ op: 'wait' }, { signal }))).code).toBe('timeout');
    expect((await errorOf(scene.client().call({ op: 'wait' }, { signal: AbortSignal.abort() }))).code).toBe('timeout');
  });

  test('says so when the connection is closed before the answer', async () => {
    await scene.rawServer((socket) => socket.end());
    const error = await errorOf(scene.client().call({ op: 'echo', text: '' }));
    expect(error.code).toBe('broker-unavailable');
    expect(error.message).toContain('closed the connection');
  });

  test('refuses to send a request that is too large', async () => {
    await scene.serve();
    expect((await errorOf(scene.client().call({ op: 'echo', text: 'x'.repeat(5000) }))).code).toBe('too-large');
  });
});
