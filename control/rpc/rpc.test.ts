// Requests in lines over a Unix socket, from one end to the other: what both make of it together.
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errorOf, LinesScene } from './testing/lines-scene.ts';

let scene: LinesScene;
beforeEach(() => {
  scene = new LinesScene();
});
afterEach(() => scene[Symbol.asyncDispose]());

describe('LineClient and serveLines()', () => {
  test('carry a request, its progress and its result', async () => {
    await scene.serve();
    const steps: unknown[] = [];
    const result = await scene
      .client()
      .call({ op: 'echo', text: 'grüß\n' }, { onProgress: (progress) => steps.push(progress) });
    expect(result).toEqual({ text: 'grüß\n' });
    expect(steps).toEqual([{ step: 'echoing', fraction: 0.5 }]);
  });

  test('carry an error with its code, message and hint', async () => {
    await scene.serve();
    const error = await errorOf(scene.client().call({ op: 'fail' }));
    expect(error.toBody()).toEqual({ code: 'conflict', message: 'the machine runs', hint: 'stop it' });
  });

  test('tell a peer of a defect only that there was one', async () => {
    await scene.serve();
    const error = await errorOf(scene.client().call({ op: 'break' }));
    expect(error.code).toBe('internal');
    expect(JSON.stringify(error.toBody())).not.toContain('secret');
    expect(scene.defects).toHaveLength(1);
  });

  test('answer many calls at a time', async () => {
    await scene.serve();
    const caller = scene.client();
    const texts = Array.from({ length: 100 }, (_, index) => `t${String(index)}`);
    const results = await Promise.all(texts.map((text) => caller.call({ op: 'echo', text })));
    expect(results.map((result) => result.text)).toEqual(texts);
  });

  test('hand the connection over as a stream after the result, with bytes that came early', async () => {
    await scene.serve({}, async (request, call) => {
      call.upgrade((stream: Duplex) => {
        stream.write('hello');
        stream.on('data', (chunk: Uint8Array) => stream.end(`<${Buffer.from(chunk).toString()}>`));
        stream.resume();
      });
      await sleep(20);
      return request.op === 'open' ? {} : { text: '' };
    });
    const { stream } = await scene.client().openStream({ op: 'open' });
    stream.write('ping');
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    expect(text).toBe('hello<ping>');
  });

  test('pass bytes on that follow the request at once to the stream', async () => {
    await scene.serve();
    const peer = await scene
      .rawPeer((socket) => {
        socket.write('{"id":7,"request":{"op":"open"}}\n');
        socket.end('raw');
      })
      .catch((error: unknown) => error);
    // '<raw>' is no JSON: the helper says so, and that proves that it came back as it was.
    expect(peer).toBeInstanceOf(SyntaxError);
  });
});
