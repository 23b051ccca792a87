import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { OciError, parsePlatform, type InspectedImage } from '@ringwall/oci';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openImage, openLayerReader } from './index.ts';
import { layerOf, writeMadeLayout } from './testing/made-image.ts';

const TOOLS = ['/usr/bin/umoci', '/usr/bin/skopeo'];

describe.skipIf(!TOOLS.every((tool) => existsSync(tool)))(
  'images of real tools (skipped: needs umoci and skopeo)',
  () => {
    let folder: string;
    const at = (name: string): string => join(folder, name);
    const run = (program: string, ...args: string[]): void =>
      void execFileSync(program, args, { cwd: folder, stdio: 'pipe' });
    const { signal } = new AbortController();

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'ringwall-images-'));
      mkdirSync(at('one/etc'), { recursive: true });
      writeFileSync(at('one/etc/hostname'), 'one\n');
      writeFileSync(at('one/secret'), randomBytes(3_000_000));
      run('tar', '-cf', 'one.tar', '-C', 'one', 'etc', 'secret');
      mkdirSync(at('two'));
      writeFileSync(at('two/.wh.secret'), '');
      run('tar', '-cf', 'two.tar', '-C', 'two', '.wh.secret');
      run('umoci', 'init', '--layout', 'layout');
      run('umoci', 'new', '--image', 'layout:latest');
      run('umoci', 'raw', 'add-layer', '--image', 'layout:latest', '--history.created_by', 'ADD one', 'one.tar');
      run('umoci', 'raw', 'add-layer', '--image', 'layout:latest', '--history.created_by', 'RUN rm secret', 'two.tar');
      run('umoci', 'gc', '--layout', 'layout');
      run('skopeo', 'copy', '-q', 'oci:layout:latest', 'docker-archive:docker.tar:debian:test');
      run('skopeo', 'copy', '-q', 'oci:layout:latest', 'oci-archive:oci.tar:test');
      run(
        'skopeo',
        'copy',
        '-q',
        '--dest-compress-format',
        'zstd',
        '--dest-oci-accept-uncompressed-layers=false',
        'oci:layout:latest',
        'oci:zstd:latest',
      );
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    interface Read {
      readonly image: InspectedImage;
      readonly counts: { readonly read: number; readonly known: number };
    }
    const read = async (name: string, cacheFolder?: string): Promise<Read> => {
      using opened = await openImage(at(name), { image: '', platform: parsePlatform('linux/amd64'), signal });
      if (opened === undefined) throw new Error(`${name} is no image`);
      await using reader = openLayerReader({ cacheFolder, finishers: [], signal });
      return { image: await reader.inspect(opened), counts: reader.counts() };
    };

    test('a layout, a tar of it, and what skopeo makes of it for Docker are one image', async () => {
      for (const name of ['layout', 'oci.tar', 'docker.tar', 'zstd']) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is easier to read where one fails
        const { image } = await read(name);
        expect(image.layers.map(({ createdBy }) => createdBy)).toEqual(['ADD one', 'RUN rm secret']);
        expect(image.visible.map(({ entry: { path } }) => path).toSorted()).toEqual(['etc', 'etc/hostname']);
        expect(image.hidden.map(({ entry: { path }, layer, hiddenBy }) => [path, layer, hiddenBy])).toEqual([
          ['secret', 0, 1],
        ]);
      }
    });

    test('what is known of a layer is used, and read anew where it is damaged', async () => {
      const first = await read('layout', at('cache'));
      expect(first.counts).toEqual({ read: 2, known: 0 });
      const again = await read('oci.tar', at('cache'));
      expect(again.counts).toEqual({ read: 0, known: 2 });
      expect(again.image.visible).toEqual(first.image.visible);
      for (const name of readdirSync(at('cache'))) {
        const bytes = readFileSync(join(at('cache'), name));
        bytes[bytes.length - 6] = 255 - (bytes[bytes.length - 6] ?? 0);
        writeFileSync(join(at('cache'), name), bytes);
      }
      expect((await read('layout', at('cache'))).counts).toEqual({ read: 2, known: 0 });
    });

    test('a layer that is not what its digest says is refused by its name, and not kept', async () => {
      run('cp', '-r', 'layout', 'changed');
      const { name, path } = largest(at('changed/blobs/sha256'));
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] = 255 - (bytes[bytes.length >> 1] ?? 0);
      writeFileSync(path, bytes);
      await expect(read('changed', at('changed-cache'))).rejects.toThrow(
        new RegExp(`layer 1 \\(sha256:${name.slice(0, 12)}`),
      );
      const kept = existsSync(at('changed-cache')) ? readdirSync(at('changed-cache')).length : 0;
      expect(kept).toBeLessThan(2);
      truncateSync(path, 1000);
      await expect(read('changed')).rejects.toThrow('1000 bytes');
    });

    test('an archive that is two images at once is refused', async () => {
      run('cp', '-r', 'layout', 'both');
      const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] } });
      writeFileSync(at('both/other.json'), config);
      writeFileSync(at('both/manifest.json'), JSON.stringify([{ Config: 'other.json', RepoTags: [], Layers: [] }]));
      await expect(read('both')).rejects.toThrow('one image by its manifest.json, and another by its index.json');
    });

    test.each<[what: string, pack: (tar: Buffer) => Buffer, message: string]>([
      ['a bomb of gzip', () => gzipSync(Buffer.alloc(3e8)), 'a bomb'],
      ['a bomb of zstd', () => zstdCompressSync(Buffer.alloc(3e8)), 'a bomb'],
      ['gzip that is cut', (tar) => gzipSync(tar).subarray(0, -9), 'cannot be unpacked'],
      ['bzip2', () => Buffer.from('BZh9 and more'), 'packed with bzip2'],
      [
        'another archive than was said',
        (tar) => gzipSync(Buffer.concat([tar, Buffer.alloc(512)])),
        'the digest of what it unpacks to',
      ],
      ['no archive', () => Buffer.from('no archive '.repeat(100)), 'its archive, at byte'],
    ])('%s is refused, by the name of its layer', async (what, pack, message) => {
      const name = `made-${what.replaceAll(' ', '-')}`;
      const tar = readFileSync(at('one.tar'));
      const packed = pack(tar);
      // What is no archive has its true digest: it must not be refused for that.
      const unpacked = message.startsWith('its archive') ? packed : tar;
      writeMadeLayout(at(name), [layerOf(unpacked, () => packed)]);
      const reading = read(name);
      await expect(reading).rejects.toThrow(OciError);
      await expect(reading).rejects.toThrow(/^layer 1 /);
      await expect(reading).rejects.toThrow(message);
    });
  },
);

function largest(folder: string): { readonly name: string; readonly path: string } {
  const sized = readdirSync(folder).map((name) => ({
    name,
    path: join(folder, name),
    size: readFileSync(join(folder, name)).length,
  }));
  const [first] = sized.toSorted((one, other) => other.size - one.size);
  if (first === undefined) throw new Error('empty');
  return first;
}
