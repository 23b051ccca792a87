// The API over its real Unix socket, on fakes of the warden and the broker.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  acceptedSchema,
  createdMachineSchema,
  errorAnswerSchema,
  eventSchema,
  HTTP_BODY_LIMIT_BYTES,
  HTTP_ROUTES,
  HTTP_STATUS_OF_ERROR,
  type HttpRoute,
  type Machine,
  machineListSchema,
  operationSchema,
} from '@ringwall/api';
import { World } from '@ringwall/control/machines/testing';
import { Disks } from '@ringwall/control/disks';
import { Backups, References, Snapshots } from '@ringwall/control/machines';
import { Packets } from '@ringwall/control/networks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Peers } from '@ringwall/control/networks';
import { makeApi } from './api.ts';
import { type ApiServer, listenOn } from './server.ts';

const BUILD = '0123456789abcdef';

let folder: string;
let world: World;
let server: ApiServer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-api-'));
  world = await World.open();
  server = await listen();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function listen(): Promise<ApiServer> {
  const { machines, host, store, worker, warden, broker } = world;
  const note = (line: string): void => void world.notes.push(line);
  const { operations, networks } = worker;
  const disks = new Disks({ store, warden, broker, operations, note });
  const snapshots = new Snapshots({ store, warden, broker });
  const app = makeApi({
    machines,
    disks,
    networks,
    peers: new Peers({ store, warden }),
    snapshots,
    backups: new Backups({ machines, snapshots, store, note }),
    references: new References({ broker, warden, machines, store }),
    operations,
    host,
    store,
    version: '1.2.3',
    build: BUILD,
    note,
  });
  return listenOn(join(folder, 'api.sock'), app, {
    machines,
    disks,
    packets: new Packets({ store, warden, note }),
    note,
  });
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: unknown;
}

async function ask(
  method: string,
  path: string,
  body?: Buffer | object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const response = await open(method, path, bytes, headers);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  const isJson = response.headers['content-type'] === 'application/json';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  };
}

function open(
  method: string,
  path: string,
  body?: Buffer,
  headers: Record<string, string> = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: server.path, method, path, headers }, resolve);
    call.on('error', reject);
    call.end(body);
  });
}

async function codeOf(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  const { error } = errorAnswerSchema.parse(body);
  expect(status).toBe(HTTP_STATUS_OF_ERROR[error.code]);
  return error.code;
}

async function makeMachine(name = 'web', start = true): Promise<Machine> {
  const { machine, operation } = createdMachineSchema.parse(
    (await ask('POST', '/v1/machines', { image: 'hello', name, start })).body,
  );
  await world.ended(operation);
  return machine;
}

describe('a machine through the API', () => {
  test('is made, shown, stopped and removed, and each answer is what its route says', async () => {
    const machine = await makeMachine();
    const answers: [HttpRoute, Answer][] = [];
    const record = async (route: HttpRoute, path: string, body?: object): Promise<Answer> => {
      const answer = await ask(route.method.toUpperCase(), path, body);
      answers.push([route, answer]);
      return answer;
    };
    await record(HTTP_ROUTES.health, '/v1/health');
    await record(HTTP_ROUTES.host, '/v1/host');
    await record(HTTP_ROUTES.listImages, '/v1/images');
    await record(HTTP_ROUTES.buildImage, '/v1/images/debian/build', {});
    await record(HTTP_ROUTES.listMachines, '/v1/machines');
    await record(HTTP_ROUTES.showMachine, '/v1/machines/web');
    await record(HTTP_ROUTES.machineLogs, `/v1/machines/${machine.id}/logs?bytes=10`);
    await record(HTTP_ROUTES.machineProof, '/v1/machines/web/proof');
    const stop = await record(HTTP_ROUTES.stopMachine, '/v1/machines/web/stop', { graceMs: 0 });
    const { operation } = acceptedSchema.parse(stop.body);
    await world.ended(operation);
    await record(HTTP_ROUTES.showOperation, `/v1/operations/${operation.id}`);
    await record(HTTP_ROUTES.startMachine, '/v1/machines/web/start');
    const removal = await record(HTTP_ROUTES.removeMachine, '/v1/machines/web?force=true');
    await world.ended(acceptedSchema.parse(removal.body).operation);
    for (const [route, { status, body, headers }] of answers) {
      expect([route.path, status]).toEqual([route.path, route.status]);
      expect(route.response?.parse(body), route.path).toEqual(body);
      expect(headers['cache-control']).toBe('no-store');
    }
    expect(machineListSchema.parse((await ask('GET', '/v1/machines')).body)).toEqual({ machines: [], notices: [] });
  });

  test('is found by id and by name, and a list can be asked for one name', async () => {
    const { id } = await makeMachine();
    await makeMachine('db', false);
    expect(await codeOf(ask('GET', '/v1/machines/nobody'))).toBe('not-found');
    expect((await ask('GET', `/v1/machines/${id}`)).body).toMatchObject({ machine: { name: 'web' } });
    expect((await ask('GET', '/v1/machines?name=db')).body).toMatchObject({ machines: [{ name: 'db' }] });
    expect((await ask('GET', '/v1/machines?name=nobody')).body).toEqual({ machines: [], notices: [] });
  });

  test('is changed only at the version that If-Match names', async () => {
    await makeMachine('web', false);
    const { version } = await world.machines.find('web');
    const start = (value: string): Promise<Answer> =>
      ask('POST', '/v1/machines/web/start', undefined, { 'if-match': value });
    expect(await codeOf(start('"999"'))).toBe('conflict');
    expect(await codeOf(start('*'))).toBe('bad-request');
    expect((await start(`"${String(version)}"`)).status).toBe(202);
  });
});

describe('a network through the API', () => {
  test('is made, ruled, explained and removed, and each answer is what its route says', async () => {
    const rule = { name: 'w', action: 'allow', from: { labels: { role: 'web' } }, to: 'any', services: ['tcp/80'] };
    const policy = {
      version: 1,
      tenant: 'default',
      networks: [{ name: 'app', addresses: ['10.20.0.0/16'], rules: [] }],
    };
    const steps: [HttpRoute, string, object?][] = [
      [HTTP_ROUTES.createNetwork, '/v1/networks', { name: 'app', addresses: ['10.20.0.0/16'] }],
      [HTTP_ROUTES.addRule, '/v1/networks/app/rules', { rule }],
      [HTTP_ROUTES.listNetworks, '/v1/networks'],
      [HTTP_ROUTES.showNetwork, '/v1/networks/app'],
      [HTTP_ROUTES.mapNetwork, '/v1/networks/app/map'],
      [HTTP_ROUTES.explainReach, '/v1/reach?from=10.20.0.9&to=10.20.0.8&service=tcp%2F80&network=app'],
      [HTTP_ROUTES.removeRule, '/v1/networks/app/rules/w'],
      [HTTP_ROUTES.exportPolicy, '/v1/policy'],
      [HTTP_ROUTES.planPolicy, '/v1/policy/plan', { policy }],
      [HTTP_ROUTES.applyPolicy, '/v1/policy/apply', { policy }],
      [HTTP_ROUTES.removeNetwork, '/v1/networks/app'],
    ];
    for (const [route, path, body] of steps) {
      const answer = await ask(route.method.toUpperCase(), path, body);
      expect([path, answer.status, answer.body]).toEqual([path, 200, route.response?.parse(answer.body)]);
    }
    expect(await codeOf(ask('GET', '/v1/networks/app'))).toBe('not-found');
    expect(await codeOf(ask('POST', '/v1/networks', { name: 'a', addresses: ['10.0.0.1/8'] }))).toBe('policy-invalid');
    expect(await codeOf(ask('POST', '/v1/networks', { name: 'a; flush ruleset' }))).toBe('policy-invalid');
    expect(await world.eventKinds()).toEqual(
      expect.arrayContaining(['network.created', 'network.changed', 'network.removed']),
    );
  });
});

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
      await codeOf(ask('POST', '/v1/machines', body === undefined ? undefined : Buffer.from(body, 'latin1'))),
    ).toBe(code);
    expect(await world.machines.list()).toEqual([]);
  });

  test('a body without a length that never ends is refused at the limit', async () => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({ socketPath: server.path, method: 'POST', path: '/v1/machines' }, resolve);
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
    expect(await codeOf(ask(method, path))).toBe(code);
  });

  test('a body where none belongs is refused', async () => {
    expect(await codeOf(ask('POST', '/v1/machines/web/start', { force: true }))).toBe('bad-request');
  });

  test('what is not HTTP is answered with 400 and closed', async () => {
    const socket = connect({ path: server.path });
    socket.write('rubbish\r\n\r\n');
    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('a defect is told to the log in full, and to the client in one sentence', async () => {
    await world.store.close();
    const { status, text } = await ask('GET', '/v1/machines');
    expect(status).toBe(500);
    expect(text).not.toMatch(/at |node:|\.ts/);
    expect(world.notes.join('\n')).toContain('.ts:');
  });

  test('every answer says which build has given it, a refusal too', async () => {
    for (const path of ['/v1/health', '/v1/machines', '/v1/machines/none', '/nowhere', '/openapi.json']) {
      expect((await ask('GET', path)).headers, path).toMatchObject({ 'ringwall-build': BUILD });
    }
  });

  test('while the warden is away each route that needs it says so, and the rest go on', async () => {
    await makeMachine();
    world.warden.away = true;
    expect(await codeOf(ask('GET', '/v1/images'))).toBe('warden-unavailable');
    expect(await codeOf(ask('POST', '/v1/machines', { image: 'hello' }))).toBe('warden-unavailable');
    expect((await ask('GET', '/v1/machines')).status).toBe(200);
    expect((await ask('GET', '/v1/machines/web')).status).toBe(200);
    expect(await ask('GET', '/v1/host')).toMatchObject({
      status: 200,
      body: {
        findings: [
          { id: 'disk.room', state: 'present' },
          { id: 'host.unseen', state: 'unknown', seen: 'the warden does not run', hint: expect.any(String) },
        ],
        processes: [{ state: 'up' }, { name: 'ringwall-warden', state: 'down' }, { state: 'up' }],
      },
    });
    expect((await ask('GET', '/v1/health')).body).toMatchObject({
      version: '1.2.3',
      processes: [
        { name: 'ringwalld', state: 'up', pid: process.pid },
        { name: 'ringwall-warden', state: 'down' },
        { name: 'ringwall-broker', state: 'up' },
      ],
    });
  });
});

describe('event streams', () => {
  test('an operation is told at each change and at least each second, and the stream ends with it', async () => {
    await makeMachine('web', false);
    world.warden.guestWords = '';
    const { operation } = acceptedSchema.parse((await ask('POST', '/v1/machines/web/start')).body);
    const response = await open('GET', `/v1/operations/${operation.id}/events`);
    expect(response.headers['content-type']).toBe('text/event-stream');
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) {
      text += String(chunk);
      world.warden.guestWords = 'hello 1\n';
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
    await makeMachine('web', false);
    const { operation } = acceptedSchema.parse((await ask('POST', '/v1/machines/web/stop')).body);
    const { text } = await ask('GET', `/v1/operations/${operation.id}/events`);
    expect(text.match(/^event: operation$/gm)).toHaveLength(1);
  });

  test('an operation that does not change is told each second all the same', async () => {
    await makeMachine('web', false);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    world.warden.onRequest = ({ op }) => (op === 'start-machine' ? held : undefined);
    const { operation } = acceptedSchema.parse((await ask('POST', '/v1/machines/web/start')).body);
    const response = await open('GET', `/v1/operations/${operation.id}/events`);
    let frames = 0;
    for await (const chunk of response.setEncoding('utf8')) {
      frames += String(chunk).split('event: operation').length - 1;
      if (frames >= 3) break;
    }
    expect(frames).toBe(3);
    release();
  });

  test('the audit trail is told from a number on, then live, and each event has its number as id', async () => {
    await makeMachine('web', false);
    const response = await open('GET', '/v1/events?since=1');
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
      if (events.length === 1) await world.store.appendEvent({ kind: 'test.live', message: 'now' });
      if (events.length === 2) break;
    }
    expect(events).toEqual(['machine.made', 'test.live']);
    const resumed = await open('GET', '/v1/events', undefined, { 'last-event-id': '2' });
    const [first] = await resumed.setEncoding('utf8').take(1).toArray();
    expect(String(first)).toMatch(/^id: 3\n/);
    resumed.destroy();
  });

  test('a client that goes away leaves nothing that watches', async () => {
    await makeMachine('web', false);
    const response = await open('GET', '/v1/events');
    await response.take(1).toArray();
    response.destroy();
    await expect(server[Symbol.asyncDispose]()).resolves.toBeUndefined();
    server = await listen();
  });
});

describe('the console', () => {
  function upgrade(path: string, protocol = 'ringwall-console'): Promise<Socket> {
    const socket = connect({ path: server.path });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ringwall\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    return Promise.resolve(socket);
  }

  test('becomes raw bytes both ways, and ends when the guest does', async () => {
    await makeMachine();
    const socket = await upgrade('/v1/machines/web/console');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    await world.until(() => text.includes('\r\n\r\n') || undefined);
    expect(text).toBe('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ringwall-console\r\n\r\n');
    socket.write(Buffer.from([0, 1, 2, 255]));
    await world.until(() => text.endsWith('\r\n\r\n\0\u0001\u0002\u00ff') || undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const guest of world.warden.guests) guest.end();
    await closed;
  });

  test('what was typed before the answer is not lost', async () => {
    await makeMachine();
    const socket = connect({ path: server.path });
    socket.write(
      'GET /v1/machines/web/console HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ringwall-console\r\n\r\nearly',
    );
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    expect(await world.until(() => text.endsWith('early') || undefined)).toBe(true);
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
    await makeMachine('idle', false);
    const answer = await textOf(await upgrade(path, protocol));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${String(HTTP_STATUS_OF_ERROR[code])} `));
    expect(errorAnswerSchema.parse(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).error.code).toBe(code);
  });

  test('a client that goes away lets go of the guest', async () => {
    await makeMachine();
    const socket = await upgrade('/v1/machines/web/console');
    await new Promise((resolve) => socket.once('data', resolve));
    const guest = world.warden.guests.at(-1);
    socket.destroy();
    expect(await world.until(() => guest?.readableEnded === true || guest?.destroyed === true || undefined)).toBe(true);
  });
});

describe('the OpenAPI document', () => {
  const documentSchema = z.object({
    paths: z.record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          operationId: z.string(),
          responses: z.record(z.string(), z.unknown()),
          parameters: z.array(z.object({ name: z.string(), in: z.string() })).optional(),
        }),
      ),
    ),
  });

  test('has every route of the contract, each with its answers', async () => {
    const { body } = await ask('GET', '/openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0', info: { title: 'Ringwall', version: '1.2.3' } });
    const { paths } = documentSchema.parse(body);
    const routes = Object.entries<HttpRoute>(HTTP_ROUTES);
    for (const [name, { path, method, status }] of routes) {
      expect(paths[path]?.[method]).toMatchObject({ operationId: name, responses: { [status]: {}, 500: {} } });
    }
    expect(Object.values(paths).flatMap((methods) => Object.keys(methods))).toHaveLength(routes.length);
  });

  test('every {parameter} of a path is described, and nothing refers to what is not there', async () => {
    const { body, text } = await ask('GET', '/openapi.json');
    for (const [path, methods] of Object.entries(documentSchema.parse(body).paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      for (const { parameters = [] } of Object.values(methods)) {
        expect(parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)).toEqual(named);
      }
    }
    expect(text).not.toContain('"$ref"');
  });
});

describe('the socket', () => {
  test('may be used by user and group only', () => {
    expect(statSync(server.path).mode & 0o777).toBe(0o660);
  });

  test("is not taken from a daemon that listens; a dead one's is replaced", async () => {
    await expect(listen()).rejects.toMatchObject({ code: 'conflict' });
    await server[Symbol.asyncDispose]();
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(server.path, resolve));
    await expect(listen()).rejects.toMatchObject({ code: 'conflict' });
    await new Promise((resolve) => dead.close(resolve));
    server = await listen();
    expect((await ask('GET', '/v1/machines')).status).toBe(200);
  });
});

function textOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => {});
    socket.once('close', () => resolve(text));
  });
}
