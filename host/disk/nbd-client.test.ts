// The NBD client against servers that lie: an error, never a hang, never a write that counts as done.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NbdClient } from './nbd-client.ts';

const GREETING = Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT', 'latin1'), Buffer.of(0, 3)]);
const EXPORT = Buffer.concat([Buffer.alloc(6), Buffer.of(16, 0), Buffer.of(0, 0)]);
const SIZE = 4096;
const DISCONNECT = 2;

let dir: string;
let server: Server;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringwall-nbd-'));
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true });
});

/** `answer`: to each request, from its 28 bytes; undefined closes the connection. */
async function serve(
  hello: Buffer,
  answer: (request: Buffer) => Buffer | undefined = () => undefined,
): Promise<Socket> {
  server = createServer((socket) => {
    let greeted = false;
    socket.on('error', () => {});
    socket.write(hello);
    socket.on('data', (bytes: Buffer) => {
      if (!greeted) {
        greeted = true;
        socket.write(EXPORT);
        return;
      }
      const said = answer(bytes);
      if (said === undefined) socket.destroy();
      else socket.write(said);
    });
    if (!hello.equals(GREETING)) socket.end();
  });
  await new Promise<void>((resolve) => server.listen(join(dir, 's'), resolve));
  const socket = connect(join(dir, 's'));
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

function reply(request: Buffer, error: number, cookie = request.subarray(8, 16)): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(0x67446698);
  head.writeUInt32BE(error, 4);
  return Buffer.concat([head, cookie]);
}

describe('NbdClient', () => {
  test('learns the size, writes, and says goodbye', async () => {
    const nbd = await NbdClient.open(
      await serve(GREETING, (request) => (request.readUInt16BE(6) === DISCONNECT ? undefined : reply(request, 0))),
    );
    expect(nbd.sizeBytes).toBe(SIZE);
    await nbd.write(0, new Uint8Array(8));
    await nbd.writeZeros(0, SIZE);
    await nbd.flush();
    await nbd.close();
  });

  test.each<[string, Buffer]>([
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n')],
    ['the oldest NBD', Buffer.concat([Buffer.from('NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53', 'latin1'), Buffer.alloc(2)])],
    ['newstyle without options', Buffer.concat([GREETING.subarray(0, 16), Buffer.of(0, 0)])],
    ['half a greeting', GREETING.subarray(0, 10)],
  ])('refuses %s', async (_, hello) => {
    await expect(NbdClient.open(await serve(hello))).rejects.toMatchObject({ code: 'image-failed' });
  });

  test.each<[string, (request: Buffer) => Buffer | undefined, string]>([
    ['a full disk', (request) => reply(request, 28), 'host-full'],
    ['an error', (request) => reply(request, 5), 'image-failed'],
    ['an answer to somebody else', (request) => reply(request, 0, Buffer.alloc(8, 9)), 'image-failed'],
    ['nonsense', () => Buffer.alloc(16), 'image-failed'],
    ['its end', () => undefined, 'image-failed'],
  ])('says of a write that was answered with %s', async (_, answer, code) => {
    const nbd = await NbdClient.open(await serve(GREETING, answer));
    await expect(nbd.write(0, new Uint8Array(8))).rejects.toMatchObject({ code });
    await nbd.close();
  });
});
