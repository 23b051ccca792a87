// A session that ringwalld takes over is one that was cut off, however the connection tells it.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerResponseSchemas, BROKER_LINE_LIMIT_BYTES, type BrokerRequest } from '@ringwall/api/broker';
import { LineClient } from '@ringwall/control/rpc';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BrokerSession } from './broker-session.ts';

const MACHINE = 'mch_aaaaaaaaaaaaaaaaaaaa';
const BOOT = '0'.repeat(32);

let dir: string;
let server: Server;
/** What the broker does with a session, once it is open. */
let cut: (socket: Socket) => void;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'drills-'));
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write('{"id":1,"result":{}}\n', () => cut(socket)));
  });
  await new Promise<void>((done) => server.listen(join(dir, 'broker.sock'), done));
});
afterEach(async () => {
  await new Promise((done) => server.close(done));
  rmSync(dir, { recursive: true });
});

const open = (): Promise<BrokerSession> => {
  const client = new LineClient<BrokerRequest, typeof brokerResponseSchemas>({
    path: join(dir, 'broker.sock'),
    responseSchemas: brokerResponseSchemas,
    lineLimitBytes: BROKER_LINE_LIMIT_BYTES,
    peer: 'the broker',
    unavailable: 'broker-unavailable',
    hint: '',
  });
  return BrokerSession.open(client, MACHINE, BOOT);
};

test.each([
  ['it is closed', (socket: Socket) => void socket.end()],
  ['it is destroyed before the attacker’s words', (socket: Socket) => void socket.destroy()],
  [
    'it is destroyed with the attacker’s words unread',
    (socket: Socket) => {
      socket.pause();
      setTimeout(() => socket.destroy(), 100);
    },
  ],
])('BrokerSession says undefined where %s', async (_, end) => {
  cut = end;
  using session = await open();
  expect(await session.hello()).toBeUndefined();
});
