// What goes on after the answer: events of operations and of the audit trail, and the bytes of a console.
import { connect, type Socket } from 'node:net';
import { acceptedSchema, errorAnswerSchema, eventSchema, HTTP_STATUS_OF_ERROR, operationSchema } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ServedApi, textOf } from './testing/served-api.ts';

let api: ServedApi;
beforeEach(async () => {
  api = await ServedApi.open();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('event streams', () => {
  test('an operation is told at each change and at least each second, and the stream ends with it', async () => {
    await api.makeMachine('web', false);
    api.world.warden.guestWords = '';
    const { operation } = acceptedSchema.parse((await api.ask('POST', '/v1/machines/web/start')).body);
    const response = await api.open('GET', `/v1/operations/${operation.id}/events`);
    expect(response.headers['content-type']).toBe('text/event-stream');
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) {
      text += String(chunk);
      api.world.warden.guestWords = 'hello 1\n';
    }
    const frames = text.split('\n\n').filter((frame) => frame !== '');
    const told = frames.map((frame) => {
      expect(frame).toMatch(/^event: operation\ndata: \{.*\}$/);
      return operationSchema.parse(JSON.parse(frame.split('data: ')[1] ?? ''));
    });
    expect(told.length).toBeGreaterThan(1);
    expect(told.at(-1)).toMatchObject({ id: operation.id, state: 'done', fraction: 1 });
  });

  test('of an operation that has ended there is one event', async () => {
    await api.makeMachine('web', false);
    const { operation } = acceptedSchema.parse((await api.ask('POST', '/v1/machines/web/stop')).body);
    const { text } = await api.ask('GET', `/v1/operations/${operation.id}/events`);
    expect(text.match(/^event: operation$/gm)).toHaveLength(1);
  });

  test('an operation that does not change is told each second all the same', async () => {
    await api.makeMachine('web', false);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    api.world.warden.onRequest = ({ op }) => (op === 'start-machine' ? held : undefined);
    const { operation } = acceptedSchema.parse((await api.ask('POST', '/v1/machines/web/start')).body);
    const response = await api.open('GET', `/v1/operations/${operation.id}/events`);
    let frames = 0;
    for await (const chunk of response.setEncoding('utf8')) {
      frames += String(chunk).split('event: operation').length - 1;
      if (frames >= 3) break;
    }
    expect(frames).toBe(3);
    release();
  });

  test('the audit trail is told from a number on, then live, and each event has its number as id', async () => {
    await api.makeMachine('web', false);
    const response = await api.open('GET', '/v1/events?since=1');
    const events: unknown[] = [];
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) {
      text += String(chunk);
      const frames = text.split('\n\n');
      text = frames.pop() ?? '';
      for (const frame of frames) {
        if (frame.startsWith(':')) continue;
        const [, seq, data] = /^id: (\d+)\nevent: audit\ndata: (.*)$/.exec(frame) ?? [];
        const event = eventSchema.parse(JSON.parse(data ?? ''));
        expect(String(event.seq)).toBe(seq);
        events.push(event.kind);
      }
      if (events.length === 1) await api.world.store.appendEvent({ kind: 'test.live', message: 'now' });
      if (events.length === 2) break;
    }
    expect(events).toEqual(['machine.made', 'test.live']);
    const resumed = await api.open('GET', '/v1/events', undefined, { 'last-event-id': '2' });
    const [first] = await resumed.setEncoding('utf8').take(1).toArray();
    expect(String(first)).toMatch(/^id: 3\n/);
    resumed.destroy();
  });

  test('a client that goes away leaves nothing that watches', async () => {
    await api.makeMachine('web', false);
    const response = await api.open('GET', '/v1/events');
    await response.take(1).toArray();
    response.destroy();
    await expect(api.stopListening()).resolves.toBeUndefined();
    await api.listen();
  });
});

describe('the console', () => {
  function upgrade(path: string, protocol = 'ringwall-console'): Promise<Socket> {
    const socket = connect({ path: api.path });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ringwall\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    return Promise.resolve(socket);
  }

  test('becomes raw bytes both ways, and ends when the guest does', async () => {
    await api.makeMachine();
    const socket = await upgrade('/v1/machines/web/console');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    await api.world.until(() => text.includes('\r\n\r\n') || undefined);
    expect(text).toBe('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ringwall-console\r\n\r\n');
    socket.write(Buffer.from([0, 1, 2, 255]));
    await api.world.until(() => text.endsWith('\r\n\r\n\0\u0001\u0002\u00ff') || undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const guest of api.world.warden.guests) guest.end();
    await closed;
  });

  test('what was typed before the answer is not lost', async () => {
    await api.makeMachine();
    const socket = connect({ path: api.path });
    socket.write(
      'GET /v1/machines/web/console HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ringwall-console\r\n\r\nearly',
    );
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    expect(await api.world.until(() => text.endsWith('early') || undefined)).toBe(true);
    socket.destroy();
  });

  test.each([
    ['/v1/machines/nobody/console', 'ringwall-console', 'not-found'],
    ['/v1/machines/--help/console', 'ringwall-console', 'name-invalid'],
    ['/v1/machines/%E0%A4%A/console', 'ringwall-console', 'bad-request'],
    ['/v1/machines/idle/console', 'ringwall-console', 'conflict'],
    ['/v1/machines/idle/console', 'websocket', 'bad-request'],
    ['/v1/machines', 'ringwall-console', 'not-found'],
  ] as const)('%s upgraded to %s is refused as %s', async (path, protocol, code) => {
    await api.makeMachine('idle', false);
    const answer = await textOf(await upgrade(path, protocol));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${String(HTTP_STATUS_OF_ERROR[code])} `));
    expect(errorAnswerSchema.parse(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).error.code).toBe(code);
  });

  test('a client that goes away lets go of the guest', async () => {
    await api.makeMachine();
    const socket = await upgrade('/v1/machines/web/console');
    await new Promise((resolve) => socket.once('data', resolve));
    const guest = api.world.warden.guests.at(-1);
    socket.destroy();
    expect(await api.world.until(() => guest?.readableEnded === true || guest?.destroyed === true || undefined)).toBe(
      true,
    );
  });
});
