// What a hostile image may take: the whole program, in a process of its own, by the most memory that it ever had.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { parseManifest } from '@ringwall/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeZip } from '../../lib/oci/testing/make-zip.ts';
import { closeFakes, fake } from '../registry/testing/fake-server.ts';
import { layerOf, paxHeader, tarFile, tarHeader, writeMadeLayout, type MadeLayer } from './testing/made-image.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/ringwall.mjs');
const MAX_PEAK_MB = 512;
/** A quiet machine takes seconds for each; what is not bounded takes for ever. */
const MAX_MS = 240_000;
/** Written by the process itself, for its parent's peak is counted into what the system says of a child. */
const TELL_PEAK = `import { readFileSync } from 'node:fs';
process.on('exit', () => process.stderr.write('peak ' + /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]));`;

const gzip = (tar: Buffer): MadeLayer => layerOf(tar, (bytes) => gzipSync(bytes, { level: 1 }));
const each = (count: number, make: (at: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => make(at)));

interface Hostile {
  readonly layers: () => readonly MadeLayer[];
  readonly config?: Readonly<Record<string, unknown>>;
  /** Of the message; absent where it is judged to the end. */
  readonly refused?: string;
}

const EMPTY: MadeLayer = gzip(Buffer.alloc(1024));

const HOSTILE: Readonly<Record<string, Hostile>> = {
  'hundreds of thousands of files in four layers': {
    layers: () => {
      const layer = (name: string): MadeLayer => gzip(each(90_000, (at) => tarHeader(`${name}/${String(at)}`, 0)));
      return ['a', 'b', 'c', 'd'].map(layer);
    },
    refused: 'image has more than 350000 files',
  },
  'paths as long as can be': {
    layers: () => {
      const path = (at: number): string => `${'ж'.repeat(4000)}${String(at)}`;
      const layer = gzip(each(7000, (at) => Buffer.concat([paxHeader({ path: path(at) }), tarHeader('a', 0)])));
      return [layer, gzip(each(7000, (at) => Buffer.concat([paxHeader({ path: path(-at) }), tarHeader('a', 0)])))];
    },
    refused: 'what is to be kept of the image has more than',
  },
  'windows of 128 MiB in three layers': {
    layers: () => {
      const params = {
        [constants.ZSTD_c_compressionLevel]: 1,
        [constants.ZSTD_c_windowLog]: 27,
        [constants.ZSTD_c_contentSizeFlag]: 0,
      };
      // More than the window, so that all of it is filled.
      const content = each(140, (at) => Buffer.alloc(1_000_000, `${String(at)} of what is in it\n`));
      return ['a', 'b', 'c'].map((name) => layerOf(tarFile(name, content), (tar) => zstdCompressSync(tar, { params })));
    },
  },
  'package databases as large as are read': {
    layers: () => {
      const list = Buffer.alloc(60_000_000, 'no colon, no end of a paragraph, and letters beyond Latin: ж\n');
      const paths = ['var/lib/dpkg/status', 'lib/apk/db/installed', 'usr/lib/sysimage/rpm/Packages.db'];
      return paths.map((path) => gzip(tarFile(path, list)));
    },
  },
  'hundreds of thousands of packages': {
    layers: () => {
      const stanza = (at: number): Buffer =>
        Buffer.from(
          `Package: p${String(at)}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.${String(at)}\n\n`,
        );
      const status = gzip(tarFile('var/lib/dpkg/status', each(90_000, stanza)));
      return [status, gzip(tarFile('var/lib/dpkg/status', each(90_001, stanza)))];
    },
    refused: 'what is to be kept of the image has more than',
  },
  'ten thousand layers': {
    layers: () => Array.from({ length: 10_000 }, () => EMPTY),
    refused: 'more than 512 layers',
  },
  'a history without end': {
    layers: () => [],
    config: { history: [{ created_by: `RUN ${'a $(b `c` "d" || '.repeat(150_000)}`, empty_layer: true }] },
  },
  'programs and texts of 63 MB that look like what is looked for': {
    layers: () => {
      const script = Buffer.alloc(
        63_000_000,
        'password = "aB3$x9Kq7Zp1" ghp_abcdefghij stratum+tcp:/ eval(base64_decode(x nc -e\n',
      );
      const library = Buffer.alloc(63_000_000, '\0libabc.so.6\0');
      library.write('\x7fELF\x02\x01\x01', 'latin1');
      return ['w', 'x', 'y', 'z'].map((name) =>
        gzip(Buffer.concat([tarFile(`opt/${name}.sh`, script), tarFile(`usr/lib/${name}.so`, library)])),
      );
    },
  },
  'archives of Java in each other, each larger unpacked': {
    layers: () => {
      const inner = makeZip({ 'b.jar': Buffer.alloc(60_000_000), 'c.jar': Buffer.alloc(190_000_000) });
      const jar = Buffer.from(makeZip({ 'a.jar': makeZip({ 'd.jar': inner }), 'e.jar': inner }));
      return ['w', 'x', 'y', 'z'].map((name) => gzip(tarFile(`opt/${name}.jar`, jar)));
    },
  },
  'terabytes of holes': {
    layers: () => [
      gzip(
        each(2000, (at) =>
          Buffer.concat([
            paxHeader({ 'GNU.sparse.size': '100000000', 'GNU.sparse.map': '100000000,0' }),
            tarHeader(`opt/${String(at)}`, 0),
          ]),
        ),
      ),
    ],
    refused: 'bytes of holes',
  },
};
/** Nothing of it packs. */
const SENT: Hostile = {
  layers: () =>
    Array.from({ length: 4 }, (_, name) => {
      const content = randomBytes(63_000_000);
      content.write('PK\x03\x04', 'latin1');
      return layerOf(tarFile(`opt/${String(name)}.jar`, content), (tar) => tar);
    }),
};

describe('image scan', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringwall-bounds-'));
  });
  afterEach(() => {
    closeFakes();
    rmSync(folder, { recursive: true });
  });

  const write = (hostile: Hostile): string => {
    const image = join(folder, 'image');
    writeMadeLayout(image, hostile.layers(), hostile.config);
    return image;
  };
  /** How it ended, and the most memory that it ever had. */
  const scan = async (subject: string): Promise<{ code: number | null; stdout: string; peakMegabytes: number }> => {
    const tell = join(folder, 'tell-peak.mjs');
    writeFileSync(tell, TELL_PEAK);
    const options = ['--no-cache', '--no-scanners', '--fail-on', 'never', '--json'];
    const child = spawn(process.execPath, ['--import', tell, PROGRAM, 'image', 'scan', subject, ...options], {
      env: { PATH: '/usr/bin:/bin', HOME: folder },
      timeout: MAX_MS,
    });
    const ended = new Promise<number | null>((done) => child.on('close', done));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, stdout, peakMegabytes: (Number(/peak (\d+)/.exec(stderr)?.[1]) * 1024) / 1e6 };
  };

  it.each(Object.entries(HOSTILE))('takes no more than it may for an image of %s', async (_what, hostile) => {
    const { code, stdout, peakMegabytes } = await scan(write(hostile));
    expect(peakMegabytes).toBeLessThan(MAX_PEAK_MB);
    expect(code).toBe(hostile.refused === undefined ? 0 : 1);
    expect(stdout).toContain(hostile.refused ?? '"findings"');
  });

  it('takes no more than it may for an image that a registry sends as fast as it can', async () => {
    const image = write(SENT);
    const manifests = parseManifest(readFileSync(join(image, 'index.json')));
    const digest = manifests.kind === 'index' ? (manifests.manifests[0]?.digest ?? '') : '';
    const { domain } = await fake((request, response) => {
      const path = request.url?.includes('/manifests/') === true ? digest : (request.url?.split('/').at(-1) ?? '');
      if (!path.startsWith('sha256:')) response.end();
      else response.end(readFileSync(join(image, 'blobs', path.replace(':', '/'))));
    });
    const { code, stdout, peakMegabytes } = await scan(`${domain}/acme/app:1`);
    expect(peakMegabytes).toBeLessThan(MAX_PEAK_MB);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('"findings"') });
  });
});
