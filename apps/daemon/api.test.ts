// The API over its real Unix socket, on fakes of the warden and the broker.
import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import { acceptedSchema, HTTP_ROUTES, type HttpRoute, machineListSchema } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Answer, codeOf, ServedApi, VERSION } from './testing/served-api.ts';

let api: ServedApi;
beforeEach(async () => {
  api = await ServedApi.open();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('a machine through the API', () => {
  test('is made, shown, stopped and removed, and each answer is what its route says', async () => {
    const machine = await api.makeMachine();
    const answers: [HttpRoute, Answer][] = [];
    const record = async (route: HttpRoute, path: string, body?: object): Promise<Answer> => {
      const answer = await api.ask(route.method.toUpperCase(), path, body);
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
    await api.world.ended(operation);
    await record(HTTP_ROUTES.showOperation, `/v1/operations/${operation.id}`);
    await record(HTTP_ROUTES.startMachine, '/v1/machines/web/start');
    const removal = await record(HTTP_ROUTES.removeMachine, '/v1/machines/web?force=true');
    await api.world.ended(acceptedSchema.parse(removal.body).operation);
    for (const [route, { status, body, headers }] of answers) {
      expect([route.path, status]).toEqual([route.path, route.status]);
      expect(route.response?.parse(body), route.path).toEqual(body);
      expect(headers['cache-control']).toBe('no-store');
    }
    expect(machineListSchema.parse((await api.ask('GET', '/v1/machines')).body)).toEqual({ machines: [], notices: [] });
  });

  test('is found by id and by name, and a list can be asked for one name', async () => {
    const { id } = await api.makeMachine();
    await api.makeMachine('db', false);
    expect(await codeOf(api.ask('GET', '/v1/machines/nobody'))).toBe('not-found');
    expect((await api.ask('GET', `/v1/machines/${id}`)).body).toMatchObject({ machine: { name: 'web' } });
    expect((await api.ask('GET', '/v1/machines?name=db')).body).toMatchObject({ machines: [{ name: 'db' }] });
    expect((await api.ask('GET', '/v1/machines?name=nobody')).body).toEqual({ machines: [], notices: [] });
  });

  test('is changed only at the version that If-Match names', async () => {
    await api.makeMachine('web', false);
    const { version } = await api.world.machines.find('web');
    const start = (value: string): Promise<Answer> =>
      api.ask('POST', '/v1/machines/web/start', undefined, { 'if-match': value });
    expect(await codeOf(start('"999"'))).toBe('conflict');
    expect(await codeOf(start('*'))).toBe('bad-request');
    expect((await start(`"${String(version)}"`)).status).toBe(202);
  });
});

describe('figures for Prometheus', () => {
  test('are text of the kind that was asked for, and not for a cache', async () => {
    for (const [accept, type, end] of [
      ['*/*', 'text/plain; version=0.0.4; charset=utf-8', '\n'],
      [
        'application/openmetrics-text;version=1.0.0,text/plain;q=0.5',
        'application/openmetrics-text; version=1.0.0; charset=utf-8',
        '\n# EOF\n',
      ],
    ] as const) {
      const { status, headers, text } = await api.ask('GET', '/metrics', undefined, { accept });
      expect({ status, type: headers['content-type'], cache: headers['cache-control'] }).toEqual({
        ...{ status: 200, type, cache: 'no-store' },
      });
      expect(text).toContain('\nringwall_process_up{process="ringwalld"} 1\n');
      expect(text.endsWith(end)).toBe(true);
    }
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
    const { body } = await api.ask('GET', '/openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0', info: { title: 'Ringwall', version: VERSION } });
    const { paths } = documentSchema.parse(body);
    const routes = Object.entries<HttpRoute>(HTTP_ROUTES);
    for (const [name, { path, method, status }] of routes) {
      expect(paths[path]?.[method]).toMatchObject({ operationId: name, responses: { [status]: {}, 500: {} } });
    }
    expect(Object.values(paths).flatMap((methods) => Object.keys(methods))).toHaveLength(routes.length);
  });

  test('every {parameter} of a path is described, and nothing refers to what is not there', async () => {
    const { body, text } = await api.ask('GET', '/openapi.json');
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
    expect(statSync(api.path).mode & 0o777).toBe(0o660);
  });

  test("is not taken from a daemon that listens; a dead one's is replaced", async () => {
    await expect(api.listen()).rejects.toMatchObject({ code: 'conflict' });
    await api.stopListening();
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(api.path, resolve));
    await expect(api.listen()).rejects.toMatchObject({ code: 'conflict' });
    await new Promise((resolve) => dead.close(resolve));
    await api.listen();
    expect((await api.ask('GET', '/v1/machines')).status).toBe(200);
  });
});
