// A registry that answers as a test tells it, over real HTTP on this machine.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** `seen` counts the requests. */
export type Answer = (request: IncomingMessage, response: ServerResponse, seen: number) => void;

const servers: Server[] = [];

/** For `afterEach`. */
export function closeFakes(): void {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
}

/** `log` has each request: its path, its login, its range. */
export async function fake(answer: Answer): Promise<{ domain: string; log: string[] }> {
  const log: string[] = [];
  const server = createServer((request, response) => {
    log.push(`${request.url ?? ''} ${request.headers.authorization ?? '-'} ${request.headers.range ?? '-'}`);
    answer(request, response, log.length);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('listens nowhere');
  return { domain: `127.0.0.1:${String(address.port)}`, log };
}
