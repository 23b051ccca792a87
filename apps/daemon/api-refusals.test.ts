// What the API refuses, and how it says so: input that is bad, a defect of its own, a warden that is away.
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { HTTP_BODY_LIMIT_BYTES } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILD, codeOf, ServedApi, textOf, VERSION } from './testing/served-api.ts';

let api: ServedApi;
beforeEach(async () => {
  api = await ServedApi.open();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('bad input', () => {
  test.each([
    ['not JSON', '{"image":', 'bad-request'],
    ['no body', undefined, 'bad-request'],
    ['not an object', '[]', 'bad-request'],
    ['null', 'null', 'bad-request'],
    ['an unknown field', '{"image":"hello","colour":"red"}', 'bad-request'],
    ['a prototype as a field', '{"image":"hello","__proto__":{"start":true}}', 'bad-request'],
    ['a number as text', '{"image":"hello","cpus":"2"}', 'bad-request'],
    ['no image', '{}', 'bad-request'],
    ['bytes that are not UTF-8', '{"image":"\xff', 'bad-request'],
    ['an absurd number', '{"image":"hello","memoryMiB":1e400}', 'bad-request'],
    ['half a cpu', '{"image":"hello","cpus":0.5}', 'spec-invalid'],
    ['less than no disk', '{"image":"hello","diskMiB":-1}', 'spec-invalid'],
    ['more memory than the host has', '{"image":"hello","memoryMiB":16384}', 'host-full'],
    ['an unknown image', '{"image":"windows"}', 'image-unknown'],
    ['an image that is a path', '{"image":"../../etc/passwd"}', 'image-unknown'],
    ['a name that is empty', '{"image":"hello","name":""}', 'name-invalid'],
    ['a name that is a path', '{"image":"hello","name":"../x"}', 'name-invalid'],
    ['a name that has a slash', '{"image":"hello","name":"a/b"}', 'name-invalid'],
    ['a name that is an option', '{"image":"hello","name":"--help"}', 'name-invalid'],
    ['a name of 300 characters', `{"image":"hello","name":"${'a'.repeat(300)}"}`, 'name-invalid'],
    ['a body of more than the limit', `{"image":"${'a'.repeat(HTTP_BODY_LIMIT_BYTES)}"}`, 'too-large'],
  ])('POST /v1/machines refuses %s', async (_, body, code) => {
    expect(
      await codeOf(api.ask('POST', '/v1/machines', body === undefined ? undefined : Buffer.from(body, 'latin1'))),
    ).toBe(code);
    expect(await api.world.machines.list()).toEqual([]);
  });

  test('a body without a length that never ends is refused at the limit', async () => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({ socketPath: api.path, method: 'POST', path: '/v1/machines' }, resolve);
      call.on('error', reject);
      const chunk = 'a'.repeat(16 * 1024);
      for (let sent = 0; sent <= HTTP_BODY_LIMIT_BYTES; sent += chunk.length) call.write(chunk);
    });
    expect(answer.statusCode).toBe(413);
    answer.destroy();
  });

  test.each([
    ['GET', '/v1/machines/--help', 'name-invalid'],
    ['GET', '/v1/machines/..%2f..%2fetc', 'name-invalid'],
    ['GET', '/v1/machines/a%2fb', 'name-invalid'],
    ['GET', '/v1/machines/%00', 'name-invalid'],
    ['GET', `/v1/machines/${'a'.repeat(300)}`, 'bad-request'],
    ['GET', '/v1/machines/../../etc', 'not-found'],
    ['GET', '/v1/machines/', 'not-found'],
    ['GET', '/v1/machines//logs', 'not-found'],
    ['GET', '/v1/machines?colour=red', 'bad-request'],
    ['GET', '/v1/machines?name=a&name=b', 'bad-request'],
    ['GET', '/v1/health?x=1', 'bad-request'],
    ['GET', '/v1/machines/web/logs?bytes=-1', 'bad-request'],
    ['GET', '/v1/machines/web/logs?bytes=0', 'bad-request'],
    ['GET', '/v1/machines/web/logs?bytes=999999999', 'bad-request'],
    ['GET', '/v1/operations/op_1', 'bad-request'],
    ['GET', `/v1/operations/op_${'a'.repeat(20)}`, 'not-found'],
    ['GET', `/v1/operations/op_${'a'.repeat(20)}/events`, 'not-found'],
    ['GET', '/v1/events?since=yesterday', 'bad-request'],
    ['GET', '/', 'not-found'],
    ['PUT', '/v1/machines', 'not-found'],
    ['DELETE', '/v1/machines', 'not-found'],
    ['DELETE', '/v1/machines/web?force=maybe', 'bad-request'],
    ['POST', '/v1/images/..%2fx/build', 'bad-request'],
    ['POST', '/v1/images/windows/build', 'image-unknown'],
    ['GET', '/v1/machines/web/console', 'bad-request'],
  ])('%s %s is answered with %s', async (method, path, code) => {
    expect(await codeOf(api.ask(method, path))).toBe(code);
  });

  test('a body where none belongs is refused', async () => {
    expect(await codeOf(api.ask('POST', '/v1/machines/web/start', { force: true }))).toBe('bad-request');
  });

  test('what is not HTTP is answered with 400 and closed', async () => {
    const socket = connect({ path: api.path });
    socket.write('rubbish\r\n\r\n');
    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('a defect is told to the log in full, and to the client in one sentence', async () => {
    await api.world.store.close();
    const { status, text } = await api.ask('GET', '/v1/machines');
    expect(status).toBe(500);
    expect(text).not.toMatch(/at |node:|\.ts/);
    expect(api.world.notes.join('\n')).toContain('.ts:');
  });

  test('every answer says which build has given it, a refusal too', async () => {
    for (const path of ['/v1/health', '/v1/machines', '/v1/machines/none', '/nowhere', '/openapi.json']) {
      expect((await api.ask('GET', path)).headers, path).toMatchObject({ 'ringwall-build': BUILD });
    }
  });

  test('while the warden is away each route that needs it says so, and the rest go on', async () => {
    await api.makeMachine();
    api.world.warden.away = true;
    expect(await codeOf(api.ask('GET', '/v1/images'))).toBe('warden-unavailable');
    expect(await codeOf(api.ask('POST', '/v1/machines', { image: 'hello' }))).toBe('warden-unavailable');
    expect((await api.ask('GET', '/v1/machines')).status).toBe(200);
    expect((await api.ask('GET', '/v1/machines/web')).status).toBe(200);
    expect(await api.ask('GET', '/v1/host')).toMatchObject({
      status: 200,
      body: {
        findings: [
          { id: 'disk.room', state: 'present' },
          { id: 'host.unseen', state: 'unknown', seen: 'the warden does not run', hint: expect.any(String) },
        ],
        processes: [{ state: 'up' }, { name: 'ringwall-warden', state: 'down' }, { state: 'up' }],
      },
    });
    expect((await api.ask('GET', '/v1/health')).body).toMatchObject({
      version: VERSION,
      processes: [
        { name: 'ringwalld', state: 'up', pid: process.pid },
        { name: 'ringwall-warden', state: 'down' },
        { name: 'ringwall-broker', state: 'up' },
      ],
    });
  });
});
