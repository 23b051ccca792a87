import { createHash } from 'node:crypto';
import { OciError, parsePlatform, parseReference } from '@ringwall/oci';
import { afterEach, describe, expect, it } from 'vitest';
import { parseChallenge, retryAfterMs } from './challenge.ts';
import { openRemoteImage, type RemoteOptions } from './open-remote-image.ts';
import { openRegistry, type RegistryOptions } from './registry.ts';
import { RegistryError } from './registry-error.ts';
import { closeFakes, fake, type Answer } from './testing/fake-server.ts';

const { signal } = new AbortController();
/** Both ends are in this process: on a busy host they are silent for a while, which is no stall of a registry. */
const PATIENT_MS = 30_000;
afterEach(closeFakes);

const registryAt = (domain: string, changes: Partial<RegistryOptions> = {}): ReturnType<typeof openRegistry> =>
  openRegistry({
    domain,
    repository: 'a/b',
    credentials: () => Promise.resolve(undefined),
    plainHttp: false,
    stallMs: PATIENT_MS,
    retryMs: 20,
    ...changes,
  });
const all = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
};
const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

describe('openRegistry()', () => {
  it('goes on where a connection broke, and where a server knows no ranges', async () => {
    for (const status of [206, 200]) {
      // oxlint-disable-next-line no-await-in-loop -- one server after the other
      const { domain, log } = await fake((_request, response, seen) => {
        const from = seen === 1 || status === 200 ? 0 : 4;
        const headers = { 'content-length': 10 - from, ...(from === 0 ? {} : { 'content-range': `bytes 4-9/10` }) };
        response.writeHead(from === 0 ? 200 : 206, headers);
        if (seen === 1) response.write('0123', () => response.destroy());
        else response.end('0123456789'.slice(from));
      });
      // oxlint-disable-next-line no-await-in-loop -- as above
      expect(await all(registryAt(domain).blob(sha('x'), 10, signal))).toBe('0123456789');
      expect(log[1]).toContain('bytes=4-');
    }
  });

  it('gives up where nothing comes any more', async () => {
    const { domain, log } = await fake((_request, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('0');
    });
    await expect(all(registryAt(domain, { stallMs: 50 }).blob(sha('x'), 10, signal))).rejects.toThrow(RegistryError);
    expect(log.length).toBeLessThan(12);
  });

  it('takes no more than was said, and no manifest without end', async () => {
    const endless: Answer = (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    };
    const { domain } = await fake(endless);
    expect((await all(registryAt(domain).blob(sha('x'), 100_000, signal))).length).toBeLessThan(300_000);
    await expect(registryAt(domain).manifest('latest', signal)).rejects.toThrow('more than 4194304 bytes');
  });

  it('waits as it is asked, and not for an hour', async () => {
    const { domain, log } = await fake((_request, response, seen) => {
      if (seen === 1) response.writeHead(429, { 'retry-after': '0' }).end();
      else response.writeHead(200).end('{}');
    });
    expect(new TextDecoder().decode(await registryAt(domain).manifest('latest', signal))).toBe('{}');
    expect(log.length).toBe(2);
    const late = await fake((_request, response) => response.writeHead(429, { 'retry-after': '3600' }).end());
    await expect(registryAt(late.domain).manifest('latest', signal)).rejects.toThrow('asks to wait 3600 s');
  });

  it('answers challenges, asks for a token of its own repository only, and shows its login to no other host', async () => {
    const elsewhere = await fake((_request, response) => response.writeHead(200, { 'content-length': 2 }).end('ok'));
    const { domain, log } = await fake((request, response) => {
      const url = request.url ?? '';
      if (url.startsWith('/token')) response.end(JSON.stringify({ token: 'abc' }));
      else if (request.headers.authorization !== 'Bearer abc')
        response
          .writeHead(401, {
            'www-authenticate': `Bearer realm="http://${domain}/token",service="s",scope="repository:other:push"`,
          })
          .end();
      else response.writeHead(307, { location: `http://${elsewhere.domain}/cdn` }).end();
    });
    const registry = registryAt(domain, { credentials: () => Promise.resolve({ user: 'u', password: 'p:w' }) });
    expect(await all(registry.blob(sha('x'), 2, signal))).toBe('ok');
    expect(log[1]).toBe(`/token?service=s&scope=repository%3Aa%2Fb%3Apull Basic ${btoa('u:p:w')} -`);
    expect(elsewhere.log).toEqual(['/cdn - -']);
  });

  it.each<[what: string, answer: Answer, message: string]>([
    [
      'another protocol',
      (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      'redirects to file:',
    ],
    [
      'a circle',
      (request, response) => response.writeHead(302, { location: request.url ?? '' }).end(),
      'more than 5 times',
    ],
    [
      'a token that ends the header',
      (_request, response) => response.writeHead(401, { 'www-authenticate': 'Bearer realm="x"' }).end(),
      'wants a login',
    ],
    ['nothing', (_request, response) => response.writeHead(404).end(), 'has no a/b/manifests/latest'],
  ])('follows no answer that leads to %s', async (_what, answer, message) => {
    const { domain } = await fake(answer);
    await expect(registryAt(domain).manifest('latest', signal)).rejects.toThrow(message);
  });

  it('asks another machine by TLS only, unless somebody says so by its name', async () => {
    const { domain } = await fake((_request, response) => response.end('{}'));
    const port = domain.split(':')[1] ?? '';
    const stranger = registryAt(`ip6-localhost.invalid:${port}`);
    await expect(stranger.manifest('latest', signal)).rejects.toThrow('does not answer');
    expect(await registryAt(`localhost:${port}`).manifest('latest', signal)).toBeDefined();
  });
});

describe('openRemoteImage()', () => {
  const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] } });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha(config), size: config.length },
    layers: [],
  });
  const serving =
    (manifestText: string, configText: string): Answer =>
    (request, response) => {
      const text = request.url?.includes('/manifests/') === true ? manifestText : configText;
      response.writeHead(200, { 'content-length': text.length }).end(text);
    };
  const options: RemoteOptions = {
    platform: parsePlatform('linux/amd64'),
    signal,
    credentials: () => Promise.resolve(undefined),
    mirrors: [],
    plainHttp: new Set(),
    stallMs: PATIENT_MS,
  };

  it('reads an image, and one that changed on the way is refused', async () => {
    const honest = await fake(serving(manifest, config));
    expect((await openRemoteImage(parseReference(`${honest.domain}/a/b:1`), options)).digest).toBe(sha(manifest));
    const wrong = await fake(serving(manifest, config.replace('linux', 'LINUX')));
    await expect(openRemoteImage(parseReference(`${wrong.domain}/a/b:1`), options)).rejects.toThrow(OciError);
    const other = parseReference(`${honest.domain}/a/b@${sha('another')}`);
    await expect(openRemoteImage(other, options)).rejects.toThrow('was asked for');
  });

  it('asks mirrors first, and the registry where they lack it', async () => {
    const mirror = await fake((_request, response) => response.writeHead(404).end());
    const honest = await fake(serving(manifest, config));
    const reference = parseReference(`${honest.domain}/a/b:1`);
    const image = await openRemoteImage(reference, { ...options, mirrors: [mirror.domain] });
    expect(image.digest).toBe(sha(manifest));
    expect(mirror.log.length).toBe(1);
  });
});

describe('parseChallenge()', () => {
  it.each([
    ['Bearer realm="https://a/t",service="s"', 'bearer', 'https://a/t'],
    ['bearer REALM="x"', 'bearer', 'x'],
    ['Basic realm="r"', 'basic', 'r'],
  ])('reads %s', (header, scheme, realm) => {
    const challenge = parseChallenge(header);
    expect([challenge?.scheme, challenge?.parameters.get('realm')]).toEqual([scheme, realm]);
  });

  it.each(['', 'Negotiate', 'Digest realm="x"', '"'.repeat(10_000)])('answers nothing to “%.20s”', (header) => {
    expect(parseChallenge(header)).toBeUndefined();
  });
});

describe('retryAfterMs()', () => {
  it('reads seconds and dates', () => {
    expect([
      retryAfterMs('7', 0),
      retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 1000),
      retryAfterMs('soon', 0),
    ]).toEqual([7000, 8000, undefined]);
  });
});
