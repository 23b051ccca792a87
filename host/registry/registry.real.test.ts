import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePlatform, parseReference } from '@ringwall/oci';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openImage, openLayerReader, writeLayout } from '../images/index.ts';
import { openRemoteImage, type RemoteOptions } from './index.ts';
import { DOCKER_REGISTRY, READER, startRegistry, type RealRegistry } from './testing/real-registry.ts';

const TOOLS = ['/usr/bin/umoci', '/usr/bin/skopeo', DOCKER_REGISTRY];

describe.skipIf(!TOOLS.every((tool) => existsSync(tool)))(
  'Debian’s docker-registry (skipped: needs umoci, skopeo and docker-registry)',
  () => {
    let folder: string;
    let registry: RealRegistry;
    let domain: string;
    const at = (name: string): string => join(folder, name);
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: folder, encoding: 'utf8' });
    const { signal } = new AbortController();
    const options: RemoteOptions = {
      platform: parsePlatform('linux/amd64'),
      signal,
      credentials: () => Promise.resolve(READER),
      mirrors: [],
      plainHttp: new Set(),
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ringwall-registry-'));
      registry = await startRegistry({ withLogin: true });
      ({ domain } = registry);
      mkdirSync(at('one/etc'), { recursive: true });
      writeFileSync(at('one/etc/hostname'), 'one\n'.repeat(500_000));
      run('tar', '-cf', 'one.tar', '-C', 'one', 'etc');
      run('umoci', 'init', '--layout', 'layout');
      run('umoci', 'new', '--image', 'layout:latest');
      run('umoci', 'raw', 'add-layer', '--image', 'layout:latest', '--history.created_by', 'ADD one', 'one.tar');
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
            `${READER.user}:${READER.password}`,
            '--format',
            format,
          ] as const),
          'oci:layout:latest',
          `docker://${domain}/${name}`,
        );
    });
    afterAll(async () => {
      await registry[Symbol.asyncDispose]();
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
