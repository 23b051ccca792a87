import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePlatform, parseReference } from '@ringwall/oci';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openImage, openLayerReader, writeLayout } from '../images/index.ts';
import { openRemoteImage, type RemoteOptions } from './index.ts';

const TOOLS = ['/usr/bin/umoci', '/usr/bin/skopeo', '/usr/bin/docker-registry'];

describe.skipIf(!TOOLS.every((tool) => existsSync(tool)))(
  'Debian’s docker-registry (skipped: needs umoci, skopeo and docker-registry)',
  () => {
    let folder: string;
    let registry: ChildProcess;
    let domain: string;
    const at = (name: string): string => join(folder, name);
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: folder, encoding: 'utf8' });
    const { signal } = new AbortController();
    const options: RemoteOptions = {
      platform: parsePlatform('linux/amd64'),
      signal,
      credentials: () => Promise.resolve({ user: 'reader', password: 'pass' }),
      mirrors: [],
      plainHttp: new Set(),
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ringwall-registry-'));
      const port = await freePort();
      domain = `127.0.0.1:${String(port)}`;
      // reader:pass, as `htpasswd -B` has it.
      writeFileSync(at('htpasswd'), `reader:${bcryptOfPass()}\n`);
      writeFileSync(
        at('config.yml'),
        `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${at('store')}}}\nhttp: {addr: "${domain}"}\nauth: {htpasswd: {realm: test, path: ${at('htpasswd')}}}\n`,
      );
      registry = spawn('/usr/bin/docker-registry', ['serve', at('config.yml')], { stdio: 'ignore' });
      mkdirSync(at('one/etc'), { recursive: true });
      writeFileSync(at('one/etc/hostname'), 'one\n'.repeat(500_000));
      run('tar', '-cf', 'one.tar', '-C', 'one', 'etc');
      run('umoci', 'init', '--layout', 'layout');
      run('umoci', 'new', '--image', 'layout:latest');
      run('umoci', 'raw', 'add-layer', '--image', 'layout:latest', '--history.created_by', 'ADD one', 'one.tar');
      await untilUp(`http://${domain}/v2/`);
      for (const [name, format] of [
        ['acme/app:oci', 'oci'],
        ['acme/app:docker', 'v2s2'],
      ] as const)
        run(
          ...([
            'skopeo',
            'copy',
            '-q',
            '--dest-tls-verify=false',
            '--dest-creds',
            'reader:pass',
            '--format',
            format,
          ] as const),
          'oci:layout:latest',
          `docker://${domain}/${name}`,
        );
    });
    afterAll(() => {
      registry.kill();
      rmSync(folder, { recursive: true });
    });

    test.each(['oci', 'docker'])('an image of form %s is read layer by layer, straight from it', async (tag) => {
      const image = await openRemoteImage(parseReference(`${domain}/acme/app:${tag}`), options);
      await using reader = openLayerReader({ cacheFolder: undefined, finishers: [], signal });
      const { visible, layers } = await reader.inspect(image);
      expect(visible.map(({ entry: { path } }) => path).toSorted()).toEqual(['etc', 'etc/hostname']);
      expect(layers.map(({ createdBy }) => createdBy)).toEqual(['ADD one']);
    });

    const copy = async (tag: string): Promise<string> => {
      const image = await openRemoteImage(parseReference(`${domain}/acme/app:${tag}`), options);
      mkdirSync(at(`copy-${tag}`));
      await writeLayout(image, at(`copy-${tag}`), { name: tag, signal, onBytes: () => undefined });
      return image.digest;
    };

    test('an image is copied as skopeo and umoci read it', async () => {
      const digest = await copy('oci');
      expect(JSON.parse(run('skopeo', 'inspect', 'oci:copy-oci:oci'))).toMatchObject({ Digest: digest });
      run('umoci', 'unpack', '--rootless', '--image', 'copy-oci:oci', 'bundle');
      expect(readFileSync(at('bundle/rootfs/etc/hostname'), 'utf8').length).toBe(2_000_000);
    });

    test('one of Docker’s form stays so, and keeps its digest', async () => {
      const digest = await copy('docker');
      using opened = await openImage(at('copy-docker'), { image: 'docker', platform: options.platform, signal });
      expect(opened?.digest).toBe(digest);
    });

    test('a digest is enough, a stranger gets nothing, and what is not there is not there', async () => {
      const { digest } = await openRemoteImage(parseReference(`${domain}/acme/app:oci`), options);
      expect((await openRemoteImage(parseReference(`${domain}/acme/app@${digest}`), options)).digest).toBe(digest);
      const strange = { ...options, credentials: () => Promise.resolve(undefined) };
      await expect(openRemoteImage(parseReference(`${domain}/acme/app:oci`), strange)).rejects.toMatchObject({
        code: 'unauthorized',
      });
      await expect(openRemoteImage(parseReference(`${domain}/acme/app:none`), options)).rejects.toMatchObject({
        code: 'not-found',
      });
    });
  },
);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('listens nowhere');
  return address.port;
}

async function untilUp(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    // oxlint-disable-next-line no-await-in-loop -- until it answers
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return;
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(100);
  }
  throw new Error('the registry does not start');
}

/** By the system's own libcrypt. */
function bcryptOfPass(): string {
  return execFileSync('/usr/bin/perl', ['-e', 'print crypt("pass", q($2y$05$abcdefghijklmnopqrstuu))'], {
    encoding: 'utf8',
  });
}
