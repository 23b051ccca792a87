// HTTP Upgrade to the serial console (RFC 9110 section 7.8): a connection that asks for it becomes the guest's console,
// raw bytes both ways; every other upgrade is refused with an error as JSON.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CONSOLE_PROTOCOL, HTTP_ROUTES, HTTP_STATUS_OF_ERROR, RingwallError } from '@ringwall/api';
import type { Machines } from '@ringwall/control/machines';
import { explain, type Note } from './answers.ts';

const PATH = new RegExp(`^${HTTP_ROUTES.machineConsole.path.replace('{machine}', '([^/?#]{1,400})')}$`);

/** Never throws: what goes wrong is answered, or the connection is closed. */
export async function upgradeToConsole(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  machines: Pick<Machines, 'openConsole'>,
  note: Note,
): Promise<void> {
  client.on('error', () => {});
  let guest: Duplex;
  try {
    guest = await machines.openConsole(machineOf(request));
  } catch (error) {
    refuse(client, explain(error, note));
    return;
  }
  using _guest = closing(guest);
  using _client = closing(client);
  if (client.destroyed) return;
  client.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${CONSOLE_PROTOCOL}\r\n\r\n`);
  if (head.length > 0) client.unshift(head);
  // Where one side has ended there is no console any more for the other.
  await Promise.race([pipeline(client, guest).catch(() => {}), pipeline(guest, client).catch(() => {})]);
}

function machineOf(request: IncomingMessage): string {
  const match = PATH.exec(request.url ?? '');
  if (request.method !== 'GET' || match?.[1] === undefined) {
    throw new RingwallError('not-found', 'this route cannot be upgraded', {
      hint: `only ${HTTP_ROUTES.machineConsole.path} can`,
    });
  }
  if (request.headers.upgrade?.toLowerCase() !== CONSOLE_PROTOCOL) {
    throw new RingwallError('bad-request', 'the console is asked for in an unknown protocol', {
      hint: `ask with the header Upgrade: ${CONSOLE_PROTOCOL}`,
    });
  }
  try {
    return decodeURIComponent(match[1]);
  } catch {
    throw new RingwallError('bad-request', 'the path is not encoded as a URL');
  }
}

function refuse(client: Duplex, error: RingwallError): void {
  const body = `${JSON.stringify({ error: error.toBody() })}\n`;
  client.end(
    `HTTP/1.1 ${String(HTTP_STATUS_OF_ERROR[error.code])} Refused\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
    () => client.destroy(),
  );
}

function closing(stream: Duplex): Disposable {
  stream.on('error', () => {});
  return { [Symbol.dispose]: () => void stream.destroy() };
}
