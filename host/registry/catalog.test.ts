import { afterEach, describe, expect, it } from 'vitest';
import { listRepositories, listTags } from './catalog.ts';
import { RegistryError } from './registry-error.ts';
import { closeFakes, fake, type Answer } from './testing/fake-server.ts';

const { signal } = new AbortController();
afterEach(closeFakes);

const all = async (names: AsyncIterable<string>): Promise<string[]> => {
  const found: string[] = [];
  for await (const name of names) found.push(name);
  return found;
};
/** Both ends are in this process: on a busy host they are silent for a while, which is no stall of a registry. */
const PATIENT_MS = 30_000;
const repositories = (domain: string, stallMs = PATIENT_MS): Promise<string[]> =>
  all(
    listRepositories(
      {
        domain,
        credentials: () => Promise.resolve({ user: 'u', password: 'p' }),
        plainHttp: false,
        stallMs,
        retryMs: 5,
      },
      signal,
    ),
  );
const tags = (domain: string): Promise<string[]> =>
  all(listTags({ domain, credentials: () => Promise.resolve(undefined), plainHttp: false }, 'a/b', signal));
const json =
  (document: unknown, link?: string): Answer =>
  (_request, response) => {
    response.writeHead(200, link === undefined ? {} : { link }).end(JSON.stringify(document));
  };

describe('listRepositories()', () => {
  it('follows pages to the end, and asks for a token of the catalogue alone', async () => {
    const { domain, log } = await fake((request, response) => {
      const url = request.url ?? '';
      if (url.startsWith('/token')) response.end('{"token":"abc"}');
      else if (request.headers.authorization !== 'Bearer abc')
        response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${domain}/token"` }).end();
      else if (url.includes('last=b')) response.end('{"repositories":["c/d"]}');
      else response.writeHead(200, { link: '</v2/_catalog?last=b&n=2>; rel="next"' }).end('{"repositories":["a","b"]}');
    });
    expect(await repositories(domain)).toEqual(['a', 'b', 'c/d']);
    expect(log[1]).toContain('/token?scope=registry%3Acatalog%3A*');
  });

  it.each<[what: string, answer: Answer, code: string, message: string]>([
    [
      'goes on elsewhere',
      json({ repositories: [] }, '<http://evil.invalid/v2/_catalog>; rel="next"'),
      'refused',
      'elsewhere',
    ],
    ['goes on with another list', json({ repositories: [] }, '</v2/x/tags/list>; rel="next"'), 'refused', 'elsewhere'],
    ['goes on for ever', json({ repositories: ['a'] }, '</v2/_catalog?n=1>; rel="next"'), 'refused', 'without end'],
    ['lists what leads elsewhere', json({ repositories: ['../../x'] }), 'refused', 'is no repository'],
    ['lists a whole address', json({ repositories: ['a?b=c'] }), 'refused', 'is no repository'],
    ['lists no texts', json({ repositories: [7] }), 'refused', 'no list of repositories'],
    ['answers with something else', (_request, response) => void response.end('<html>'), 'refused', 'no list'],
    [
      'never ends its list',
      (_request, response) => void response.end(Buffer.alloc(5 * 1024 ** 2)),
      'refused',
      'more than',
    ],
    ['shows it to nobody', (_request, response) => void response.writeHead(403).end(), 'unauthorized', 'does not give'],
    ['has none', (_request, response) => void response.writeHead(404).end(), 'not-found', 'has no _catalog'],
  ])('refuses a registry that %s', async (_what, answer, code, message) => {
    const { domain } = await fake(answer);
    const asking = repositories(domain);
    await expect(asking).rejects.toThrow(RegistryError);
    await expect(asking).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('refuses a registry that says nothing', async () => {
    const { domain } = await fake(() => undefined);
    await expect(repositories(domain, 300)).rejects.toThrow('sent nothing for 300 ms');
  });
});

describe('listTags()', () => {
  it('leaves out what hangs on images, and knows a repository that has none left', async () => {
    const digest = 'a'.repeat(64);
    const { domain } = await fake(json({ tags: ['1', `sha256-${digest}`, `sha256-${digest}.sig`, 'sha256-x'] }));
    expect(await tags(domain)).toEqual(['1', 'sha256-x']);
    expect(await tags((await fake(json({ tags: null }))).domain)).toEqual([]);
  });

  it('refuses what is no tag', async () => {
    await expect(tags((await fake(json({ tags: ['1/../../x'] }))).domain)).rejects.toThrow('is no tag');
  });
});
