// What a registry may do that means harm, and is over soon: it stalls, answers byte by byte, leads elsewhere, and changes what it has
// while it is read.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parsePlatform, parseReference } from '@ringwall/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLayerReader, writeLayout } from '../images/index.ts';
import { httpGet } from './http-get.ts';
import { openRemoteImage, type RemoteImage } from './open-remote-image.ts';
import { openRegistry, type Registry } from './registry.ts';
import { closeFakes, fake, type Answer } from './testing/fake-server.ts';

const { signal } = new AbortController();
const STALL_MS = 250;
/** For what is no matter of time: both ends are in this process, and on a busy host they are silent for a while. */
const PATIENT_MS = 30_000;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-hostile-'));
});
afterEach(() => {
  closeFakes();
  rmSync(folder, { recursive: true });
});

const sha = (bytes: string | Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const registryAt = (domain: string, stallMs = STALL_MS): Registry =>
  openRegistry({
    domain,
    repository: 'a/b',
    credentials: () => Promise.resolve({ user: 'u', password: 'p' }),
    plainHttp: false,
    stallMs,
    retryMs: 5,
  });
/** One byte at a time, with less than `STALL_MS` between them. */
const drip =
  (begin: string): Answer =>
  (_request, response) => {
    const socket = response.socket;
    socket?.write(begin);
    const timer = setInterval(() => socket?.write('x'), STALL_MS / 12);
    socket?.on('close', () => clearInterval(timer)).on('error', () => undefined);
  };

describe('a registry that wants to be waited for', () => {
  it.each<[what: string, answer: Answer, message: string]>([
    ['says nothing', () => undefined, 'sent nothing'],
    [
      'says a part of a manifest',
      (_request, response) => void response.writeHead(200, { 'content-length': 99 }).write('{'),
      'sent nothing',
    ],
    ['says its headers byte by byte', drip('HTTP/1.1 200 OK\r\nx-pad: '), 'does not come to an answer'],
    [
      'says a manifest byte by byte',
      drip('HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n'),
      'too slowly to ever end',
    ],
  ])('gets no more than its time where it %s', async (_what, answer, message) => {
    const { domain } = await fake(answer);
    const ask = (): Promise<unknown> =>
      registryAt(domain)
        .manifest('latest', signal)
        .catch((error: unknown) => error);
    // Where this process itself stood still between two bytes, they are taken for silence: then it is asked again.
    await expect.poll(ask).toMatchObject({ code: 'stalled', message: expect.stringContaining(message) });
  });

  it('gets no more than its time for a token, and for a list of referrers', async () => {
    const slow = await fake(drip('HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n'));
    const { domain } = await fake((_request, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${slow.domain}/token"` }).end(),
    );
    await expect(registryAt(domain).manifest('latest', signal)).rejects.toMatchObject({ code: 'stalled' });
    await expect(registryAt(slow.domain).referrers(sha('x'), signal)).rejects.toMatchObject({ code: 'stalled' });
  });
});

it('waits for one that is slow, and not too slow', async () => {
  const { domain } = await fake(drip('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n'));
  const ask = async (): Promise<string> => Buffer.from(await registryAt(domain).manifest('latest', signal)).toString();
  // As above.
  await expect.poll(() => ask().catch(String)).toBe('xx');
});

describe('a registry that leads elsewhere', () => {
  it('is not followed from TLS to none, nor to what is no address', async () => {
    const { domain } = await fake((_request, response) => response.writeHead(302, { location: 'http://' }).end());
    const options = { headers: {}, authorization: 'Basic x', stallMs: PATIENT_MS, signal };
    await expect(httpGet(new URL(`http://${domain}/`), { ...options, mayBePlain: false })).rejects.toThrow(
      'without TLS',
    );
    await expect(httpGet(new URL(`http://${domain}/`), { ...options, mayBePlain: true })).rejects.toThrow('to nowhere');
  });

  it('gets a blob of the wrong place for none: another offset than was asked for is refused', async () => {
    const { domain } = await fake((_request, response, seen) => {
      if (seen === 1) {
        response.writeHead(200, { 'content-length': 10 });
        response.write('0123', () => response.destroy());
      } else response.writeHead(206, { 'content-range': 'bytes 6-9/10', 'content-length': 4 }).end('6789');
    });
    const read = async (): Promise<void> => {
      for await (const chunk of registryAt(domain, PATIENT_MS).blob(sha('x'), 10, signal))
        expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toThrow('goes on elsewhere than asked');
  });
});

describe('a registry that changes what it has while it is read', () => {
  const tar = Buffer.alloc(10_240);
  const layer = gzipSync(tar);
  const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [sha(tar)] } });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha(layer), size: layer.length }],
  });
  const serving =
    (layerOf: (seen: number) => Buffer): Answer =>
    (request, response, seen) => {
      const url = request.url ?? '';
      const body = url.includes('/manifests/') ? manifest : url.endsWith(sha(config)) ? config : layerOf(seen);
      response.writeHead(200, { 'content-length': body.length }).end(body);
    };
  const open = (domain: string): Promise<RemoteImage> =>
    openRemoteImage(parseReference(`${domain}/a/b:1`), {
      platform: parsePlatform('linux/amd64'),
      signal,
      credentials: () => Promise.resolve(undefined),
      mirrors: [],
      plainHttp: new Set(),
      stallMs: PATIENT_MS,
    });
  /** Of the same length. */
  const changed = Buffer.from(layer.map((byte, at) => (at === layer.length - 6 ? byte ^ 1 : byte)));

  it.each<[what: string, layer: Buffer, message: RegExp]>([
    ['another layer of that length', changed, /its digest is|cannot be unpacked/],
    ['a longer layer', Buffer.concat([layer, layer]), /more than the \d+ bytes/],
  ])('serves %s, which is neither judged nor kept', async (_what, bytes, message) => {
    const { domain } = await fake(serving(() => bytes));
    const image = await open(domain);
    await using reader = openLayerReader({ cacheFolder: join(folder, 'cache'), finishers: [], signal });
    await expect(reader.inspect(image)).rejects.toThrow(message);
    expect(existsSync(join(folder, 'cache'))).toBe(false);
    const out = join(folder, 'out');
    await expect(writeLayout(image, out, { name: '', signal, onBytes: () => undefined })).rejects.toThrow(/sha256:/);
    expect(existsSync(join(out, 'index.json'))).toBe(false);
  });

  it('serves another manifest under a digest that was asked for', async () => {
    const { domain } = await fake(serving(() => layer));
    const other = parseReference(`${domain}/a/b@${sha('another')}`);
    const options = { platform: parsePlatform('linux/amd64'), signal, mirrors: [], plainHttp: new Set<string>() };
    await expect(openRemoteImage(other, { ...options, credentials: () => Promise.resolve(undefined) })).rejects.toThrow(
      'was asked for',
    );
  });
});
