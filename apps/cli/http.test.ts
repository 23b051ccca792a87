// The small HTTP client against servers that say exactly these bytes.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpExchange, requestText } from './http.ts';

let directory: string;
let server: Server | undefined;
let received: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rw-http-'));
  received = '';
});
afterEach(() => {
  server?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Answers once the head of a request has come. */
async function serve(answer: (socket: Socket) => void): Promise<string> {
  const socketPath = join(directory, 's');
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
      if (received.includes('\r\n\r\n')) answer(socket);
    });
  });
  await new Promise<void>((resolve) => server?.listen(socketPath, resolve));
  return socketPath;
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n';

describe('requestText()', () => {
  it('reads an answer of a known length', async () => {
    const socketPath = await serve((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloIGNORED'),
    );
    expect(await requestText({ socketPath, method: 'GET', path: '/x' })).toMatchObject({ status: 200, text: 'hello' });
    expect(received).toBe('GET /x HTTP/1.1\r\nHost: ringwall\r\naccept: application/json\r\nconnection: close\r\n\r\n');
  });

  it('reads an answer that lasts until the end', async () => {
    const socketPath = await serve((socket) => socket.end('HTTP/1.1 404 Not Found\r\n\r\nnothing'));
    expect(await requestText({ socketPath, method: 'GET', path: '/' })).toMatchObject({ status: 404, text: 'nothing' });
  });

  it('reads chunks, cut anywhere', async () => {
    for (let at = 1; at < CHUNKED.length; at += 1) {
      received = '';
      const socketPath = await serve((socket) => {
        socket.write(CHUNKED.slice(0, at));
        setTimeout(() => socket.end(CHUNKED.slice(at)), 1);
      });
      expect((await requestText({ socketPath, method: 'GET', path: '/' })).text, String(at)).toBe('hello world');
      server?.close();
      rmSync(socketPath, { force: true });
    }
  });

  it('keeps characters whole that come in two pieces', async () => {
    const body = Buffer.from('grün');
    const socketPath = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
      socket.write(body.subarray(0, 3));
      setTimeout(() => socket.write(body.subarray(3)), 5);
    });
    expect((await requestText({ socketPath, method: 'GET', path: '/' })).text).toBe('grün');
  });

  it('reads an answer that is larger than what may wait unread', async () => {
    const body = Buffer.alloc(5 * 1024 * 1024, 'x');
    const socketPath = await serve((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${String(body.length)}\r\n\r\n`);
      socket.write(body);
    });
    expect((await requestText({ socketPath, method: 'GET', path: '/' })).text).toHaveLength(body.length);
  });

  it('gives up on an answer without end', async () => {
    const socketPath = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const piece = Buffer.alloc(1024 * 1024);
      const more = (): void => {
        if (!socket.destroyed) socket.write(piece, more);
      };
      more();
    });
    await expect(requestText({ socketPath, method: 'GET', path: '/' })).rejects.toThrow('an answer of more than');
  });

  it('sends a body with its length in bytes', async () => {
    const socketPath = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    await requestText({ socketPath, method: 'POST', path: '/', body: '{"name":"ü"}' });
    expect(received).toContain('content-length: 13\r\n');
  });

  it.each([
    ['an end in the middle of the head', 'HTTP/1.1 200 OK\r\nConte', 'in the middle of its answer'],
    [
      'an end in the middle of the body',
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell',
      'in the middle of its answer',
    ],
    [
      'an end in the middle of a chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhe',
      'in the middle of its answer',
    ],
    ['no answer at all', '', 'in the middle of its answer'],
    ['something else than HTTP', 'SSH-2.0-x\r\n\r\n', 'a first line "SSH-2.0-x"'],
    ['a first line without an end', 'SSH-2.0-x', 'a first line "SSH-2.0-x"'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n', 'a header "nonsense"'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'content-length "-1"'],
    [
      'a chunk size that is none',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'a chunk of size "zz"',
    ],
    [
      'a chunk that does not end',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n',
      'a chunk that does not end',
    ],
    ['an endless head', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`, 'more than 65536 bytes without'],
  ])('refuses %s', async (_, bytes, message) => {
    const socketPath = await serve((socket) => socket.end(bytes));
    await expect(requestText({ socketPath, method: 'GET', path: '/' })).rejects.toThrow(message);
  });

  it('gives up on a server that says nothing', async () => {
    const socketPath = await serve(() => {});
    await expect(requestText({ socketPath, method: 'GET', path: '/', timeoutMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
      hint: expect.stringContaining('ringwall down'),
    });
  });

  it('does not wait for the end of what is not HTTP', async () => {
    const socketPath = await serve((socket) => void socket.write('\u0000rubbish\n'));
    await expect(requestText({ socketPath, method: 'GET', path: '/' })).rejects.toThrow('a first line');
  });

  it('says that nobody listens', async () => {
    await expect(
      requestText({ socketPath: join(directory, 'nobody'), method: 'GET', path: '/' }),
    ).rejects.toMatchObject({
      code: 'daemon-unavailable',
      message: 'ringwalld does not run',
    });
  });
});

describe('HttpExchange', () => {
  it('hands the connection over with what came along', async () => {
    const socketPath = await serve((socket) => {
      if (received.endsWith('typed')) socket.write('echo');
      else socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n# ');
    });
    const exchange = await HttpExchange.open({
      socketPath,
      method: 'GET',
      path: '/',
      headers: { connection: 'Upgrade', upgrade: 'x' },
    });
    expect(exchange.status).toBe(101);
    const { socket, head } = exchange.takeConnection();
    expect(Buffer.from(head).toString()).toBe('# ');
    const answer = new Promise((resolve) => socket.once('data', (bytes: Buffer) => resolve(bytes.toString())));
    socket.resume();
    socket.write('typed');
    expect(await answer).toBe('echo');
    socket.destroy();
  });
});
