// Debian's docker-registry on a port of its own, for tests: with one login, or open to everybody.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../testing/free-port.ts';

export const DOCKER_REGISTRY = '/usr/bin/docker-registry';
/** Where it is asked for. */
export const READER = { user: 'reader', password: 'pass' } as const;

export interface RealRegistry extends AsyncDisposable {
  /** As a reference names it. */
  readonly domain: string;
  /** Pushes whatever it is, of a registry without a login; answers with its descriptor. */
  readonly push: (
    repository: string,
    content: RawContent,
  ) => Promise<{ readonly digest: string; readonly size: number }>;
}

/** A blob, or a manifest under a tag or its digest. */
export interface RawContent {
  readonly bytes: Buffer;
  readonly manifest?: { readonly mediaType: string; readonly tag?: string };
}

export async function startRegistry({ withLogin = false } = {}): Promise<RealRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'ringwall-docker-registry-'));
  const domain = `127.0.0.1:${String(await freePort())}`;
  const base = `http://${domain}/v2`;
  writeFileSync(join(folder, 'htpasswd'), `${READER.user}:${bcryptOfPassword()}\n`);
  const auth = withLogin ? `auth: {htpasswd: {realm: test, path: ${join(folder, 'htpasswd')}}}\n` : '';
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${join(folder, 'store')}}}\nhttp: {addr: "${domain}"}\n${auth}`,
  );
  const server = spawn(DOCKER_REGISTRY, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  await untilUp(`${base}/`);
  return {
    domain,
    push: async (repository, { bytes, manifest }) => {
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      const body = new Uint8Array(bytes);
      if (manifest === undefined) {
        const begun = await fetch(`${base}/${repository}/blobs/uploads/`, { method: 'POST' });
        const place = new URL(begun.headers.get('location') ?? '', base);
        place.searchParams.set('digest', digest);
        await pushed(await fetch(place, { method: 'PUT', body }));
      } else {
        const headers = { 'content-type': manifest.mediaType };
        const url = `${base}/${repository}/manifests/${manifest.tag ?? digest}`;
        await pushed(await fetch(url, { method: 'PUT', body, headers }));
      }
      return { digest, size: bytes.length };
    },
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

async function pushed(response: Response): Promise<void> {
  const said = await response.text();
  if (response.status !== 201) throw new Error(`the registry takes it not: ${String(response.status)} ${said}`);
}

async function untilUp(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const isUp = fetch(url).then(
      () => true,
      () => false,
    );
    // oxlint-disable-next-line no-await-in-loop -- until it answers
    if (await isUp) return;
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(100);
  }
  throw new Error('the registry does not start');
}

/** As `htpasswd -B` has it, by the system's own libcrypt. */
function bcryptOfPassword(): string {
  const script = `print crypt("${READER.password}", q($2y$05$abcdefghijklmnopqrstuu))`;
  return execFileSync('/usr/bin/perl', ['-e', script], { encoding: 'utf8' });
}
