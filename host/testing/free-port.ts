// A port of the loopback that nobody listens on: for a program that is to be told which, and cannot choose one itself.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Of 127.0.0.1. Somebody else may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the system gives no port');
  return address.port;
}
