// A registry of real images that are built upon each other, and what to update first.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOCKER_REGISTRY, startRegistry, type RealRegistry } from '../../../host/registry/testing/real-registry.ts';
import { runCli, type Run } from '../testing/harness.ts';

const TOOLS = ['/usr/bin/umoci', '/usr/bin/skopeo', DOCKER_REGISTRY];
const EMPTY_PASSWORD = 'root::19000:0:99999:7:::\n';

describe.skipIf(!TOOLS.every((tool) => existsSync(tool)))(
  'image tree (skipped: needs umoci, skopeo and docker-registry)',
  () => {
    let folder: string;
    let registry: RealRegistry;
    const at = (name: string): string => join(folder, name);
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    /** A layer of one file, put upon an image of the layout. */
    const add = (from: string, tag: string, path: string, contents: string, created: string): void => {
      const root = at(`root-${tag}`);
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), contents, { mode: 0o640 });
      run('tar', '--owner=0', '--group=0', '-cf', `${tag}.tar`, '-C', root, path.split('/')[0] ?? '');
      if (from === '') run('umoci', 'new', '--image', `layout:${tag}`);
      else run('umoci', 'tag', '--image', `layout:${from}`, tag);
      run('umoci', 'raw', 'add-layer', '--image', `layout:${tag}`, '--history.created_by', `ADD ${path}`, `${tag}.tar`);
      run('umoci', 'config', '--image', `layout:${tag}`, '--created', `${created}T00:00:00Z`);
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ringwall-tree-'));
      registry = await startRegistry();
      run('umoci', 'init', '--layout', 'layout');
      add('', 'base-1', 'etc/shadow', EMPTY_PASSWORD, '2026-01-01');
      add('', 'base-2', 'etc/shadow', 'root:!:19000:0:99999:7:::\n', '2026-02-01');
      add('base-1', 'app', 'app/one', 'one', '2026-03-01');
      add('base-1', 'web', 'web/two', 'two', '2026-03-01');
      for (const [tag, name] of [
        ['base-1', 'base:1'],
        ['base-2', 'base:2'],
        ['app', 'app:1'],
        ['app', 'app:latest'],
        ['web', 'team/web:1'],
      ] as const)
        run(
          'skopeo',
          'copy',
          '-q',
          '--dest-tls-verify=false',
          `oci:layout:${tag}`,
          `docker://${registry.domain}/${name}`,
        );
    });
    afterAll(async () => {
      await registry[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });
    const tree = (...words: string[]): Promise<Run> =>
      runCli(undefined, ['image', 'tree', ...words], {
        environment: { HOME: folder, XDG_CACHE_HOME: at('cache'), XDG_DATA_HOME: at('data') },
      });

    test('draws what is built on what, and says which ancestor to update to what', async () => {
      const { code, stdout } = await tree(registry.domain);
      const lines = stdout.replaceAll(registry.domain, 'R').split('\n');
      expect(lines[0]).toMatch(/^R · 4 images · \d+ findings$/);
      expect(
        lines.filter((line) => /[─ ] ?R\//.test(line)).map((line) => line.trim().replace(/,? brings.*?(?=,|$)/, '')),
      ).toEqual([
        'R/base:1 1 layer, 2 images on it',
        '├─ R/app:1 2 layers, also R/app:latest',
        '└─ R/team/web:1 2 layers',
        'R/base:2 1 layer',
        expect.stringMatching(/^\d+ R\/base:1 in 2 images, \d+ critical or high$/),
        expect.stringMatching(/^R\/base:2 has \d+ of them no more$/),
      ]);
      expect(code).toBe(0);
    });

    test('is the same for a layout, in JSON, and as a page that runs nothing', async () => {
      const { updates, images, whole } = JSON.parse((await tree(at('layout'), '--json')).stdout);
      expect([images, whole, updates.length]).toEqual([4, true, 1]);
      expect(updates[0]).toMatchObject({ name: `${at('layout')}:base-1`, images: 2 });
      const page = (await tree(`${registry.domain}/team`, '--format', 'html')).stdout;
      expect(page).toContain('<b>' + registry.domain + '/team/web:1</b>');
      expect(page).toContain("default-src 'none'");
    });

    test('tells what could not be judged, and ends with an error', async () => {
      const manifest = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
      await registry.push('team/web', {
        bytes: Buffer.from(JSON.stringify(manifest)),
        manifest: { mediaType: manifest.mediaType, tag: 'broken' },
      });
      const { code, stdout } = await tree(`${registry.domain}/team/web`);
      expect(stdout).toContain('Not judged');
      expect(stdout).toContain('team/web:broken');
      expect(code).toBe(1);
    });
  },
);

test.each([
  [['tree', '/etc/hostname'], 2, 'holds no images'],
  [['tree', 'acme/app'], 2, 'names no registry'],
  [['tree', 'r.example/app:1'], 2, 'is one image'],
  [['tree', '127.0.0.1:1'], 1, 'does not answer'],
  [['judge', 'nginx', 'debian'], 2, 'one at a time'],
])('%j ends with %i: %s', async (words, code, message) => {
  expect(await runCli(undefined, ['image', ...words])).toMatchObject({
    code,
    stderr: expect.stringContaining(message),
  });
});
