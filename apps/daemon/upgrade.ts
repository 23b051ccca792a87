// What upgrades of HTTP have in common (RFC 9110 section 7.8): whom they are about, and how they are accepted and refused.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { HTTP_STATUS_OF_ERROR, RingwallError } from '@ringwall/api';

/** The one parameter of the route's path in this request; undefined where it is another route. */
export function parameterOf({ url = '' }: IncomingMessage, route: { readonly path: string }): string | undefined {
  const [before = '', after = ''] = route.path.split(/\{\w+\}/);
  const path = url.split(/[?#]/, 1).join('');
  if (!path.startsWith(before) || !path.endsWith(after)) return undefined;
  const text = path.slice(before.length, path.length - after.length);
  if (path.length <= before.length + after.length || text.includes('/') || text.length > 400) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RingwallError('bad-request', 'the path is not encoded as a URL');
  }
}

/** Throws where the request is for another protocol, or is none to upgrade. */
export function requireProtocol(request: IncomingMessage, protocol: string): void {
  if (request.headers.upgrade?.toLowerCase() === protocol) return;
  throw new RingwallError('bad-request', 'this route is asked for in an unknown protocol', {
    hint: `ask with the header Upgrade: ${protocol}`,
  });
}

export function acceptUpgrade(client: Duplex, protocol: string, head: Buffer): void {
  client.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
  if (head.length > 0) client.unshift(head);
}

/** The error as JSON, like every other answer. */
export function refuseUpgrade(client: Duplex, error: RingwallError): void {
  const body = `${JSON.stringify({ error: error.toBody() })}\n`;
  client.end(
    `HTTP/1.1 ${String(HTTP_STATUS_OF_ERROR[error.code])} Refused\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
    () => client.destroy(),
  );
}

export function closing(stream: Duplex): Disposable {
  stream.on('error', () => {});
  return { [Symbol.dispose]: () => void stream.destroy() };
}
