import { HTTP_ROUTES } from '@ringwall/api';
import { describe, expect, it } from 'vitest';
import { ApiClient, readEvents, ROUTES } from './api-client.ts';
import { FakeApi } from './testing/fake-api.ts';

describe('ROUTES', () => {
  it('are those of the contract', () => {
    const contract: Record<string, { method: string; path: string }> = HTTP_ROUTES;
    for (const [name, { method, path }] of Object.entries(ROUTES))
      expect(contract[name], name).toMatchObject({ method, path });
  });
});

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function eventsOf(...texts: string[]): Promise<string[]> {
  const events: string[] = [];
  for await (const event of readEvents(pieces(...texts))) events.push(event);
  return events;
}

describe('readEvents()', () => {
  it('joins the data lines of an event and leaves the rest', async () => {
    expect(await eventsOf(': hello\nevent: a\nid: 1\ndata: one\ndata: two\n\ndata:three\r\n\r\n')).toEqual([
      'one\ntwo',
      'three',
    ]);
  });

  it('reads the same however it is cut', async () => {
    const text = 'event: operation\r\ndata: {"a":1}\r\n\r\ndata: grün\n\n';
    const whole = await eventsOf(text);
    expect(whole).toEqual(['{"a":1}', 'grün']);
    for (let at = 1; at < text.length; at += 1)
      expect(await eventsOf(text.slice(0, at), text.slice(at)), String(at)).toEqual(whole);
  });

  it('leaves out an event that was not ended', async () => {
    expect(await eventsOf('data: one\n\ndata: tw')).toEqual(['one']);
  });

  it('refuses an event without end', async () => {
    await expect(eventsOf(`data: ${'x'.repeat(300_000)}`)).rejects.toThrow('without end');
  });
});

describe('ApiClient', () => {
  it('keeps a name in its one segment of the path', async () => {
    await using fake = await FakeApi.start();
    const api = new ApiClient(fake.socketPath);
    for (const machine of ['../host', '..', 'a/b', 'a?force=true', 'a#b', ' ', '%2e%2e']) {
      await expect(api.call('showMachine', { params: { machine } })).rejects.toMatchObject({ code: 'not-found' });
    }
    expect(fake.requests).toEqual([
      'GET /v1/machines/..%2Fhost',
      'GET /v1/machines/%2E%2E',
      'GET /v1/machines/a%2Fb',
      'GET /v1/machines/a%3Fforce%3Dtrue',
      'GET /v1/machines/a%23b',
      'GET /v1/machines/%20',
      'GET /v1/machines/%252e%252e',
    ]);
  });
});
