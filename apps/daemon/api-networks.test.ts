// Networks through the API: their rules and policies, what is counted in them, and what is mirrored.
import { createdMachineSchema, HTTP_ROUTES, type HttpRoute } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf, ServedApi } from './testing/served-api.ts';

let api: ServedApi;
beforeEach(async () => {
  api = await ServedApi.open();
});
afterEach(() => api[Symbol.asyncDispose]());

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
      const answer = await api.ask(route.method.toUpperCase(), path, body);
      expect([path, answer.status, answer.body]).toEqual([path, 200, route.response?.parse(answer.body)]);
    }
    expect(await codeOf(api.ask('GET', '/v1/networks/app'))).toBe('not-found');
    expect(await codeOf(api.ask('POST', '/v1/networks', { name: 'a', addresses: ['10.0.0.1/8'] }))).toBe(
      'policy-invalid',
    );
    expect(await codeOf(api.ask('POST', '/v1/networks', { name: 'a; flush ruleset' }))).toBe('policy-invalid');
    expect(await api.world.eventKinds()).toEqual(
      expect.arrayContaining(['network.created', 'network.changed', 'network.removed']),
    );
  });

  test('has counters, by the names of its machines and rules, and is mirrored', async () => {
    const rules = ['web', 'chat'].map((name, index) => ({
      ...{ name, action: 'allow', from: 'any', to: 'any', services: [`tcp/${index + 80}`] },
    }));
    await api.ask('POST', '/v1/networks', { name: 'app' });
    for (const rule of rules) await api.ask('POST', '/v1/networks/app/rules', { rule });
    const { operation } = createdMachineSchema.parse(
      (await api.ask('POST', '/v1/machines', { image: 'hello', name: 'web', network: 'app', start: true })).body,
    );
    await api.world.ended(operation);
    expect((await api.ask('GET', '/v1/networks/app/counters')).body).toEqual({
      network: 'app',
      refused: [{ reason: 'refused', packets: 5, bytes: 300 }],
      putBack: 0,
      connections: { known: 3, limit: 1_000 },
      rules: [
        { rules: [{ name: 'web', action: 'allow' }], connections: 7 },
        { rules: [{ name: 'chat', action: 'allow' }], connections: 0 },
      ],
      machines: [
        {
          name: 'web',
          sent: { packets: 10, bytes: 1_000 },
          received: { packets: 20, bytes: 2_000 },
          late: 1,
          refused: [{ reason: 'refused', packets: 5, bytes: 300 }],
        },
      ],
    });
    expect(await codeOf(api.ask('GET', '/v1/networks/ap/counters'))).toBe('not-found');

    const mirrored = await api.ask('POST', '/v1/networks/app/mirror', { machines: ['web'] });
    expect(mirrored.body).toMatchObject({ network: 'app', machines: ['web'], mirrored: ['web'], interface: 'ids0' });
    expect((await api.ask('GET', '/v1/networks/app/mirror')).body).toEqual(mirrored.body);
    expect(await codeOf(api.ask('POST', '/v1/networks/app/mirror', { machines: ['nobody'] }))).toBe('not-found');
    expect((await api.ask('POST', '/v1/networks/app/mirror', { machines: [] })).body).toMatchObject({ mirrored: [] });
    const events = (await api.world.store.listEvents(0)).filter(({ kind }) => kind.startsWith('network.mirror'));
    expect(events.map(({ kind, message }) => [kind, message.split(' to ')[0]])).toEqual([
      ['network.mirrored', 'app: web: mirrored'],
      ['network.mirror-ended', 'app: nothing is mirrored any more'],
    ]);
  });
});
