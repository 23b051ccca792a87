// What it costs to look into an image: one of real Debian files against GNU tar that unpacks the same layer into RAM, the same image
// again, and two hundred images on four bases. Without the scanners of the host: a run of ClamAV takes longer than all of it.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openImage, openLayerReader } from '@ringwall/host/images';
import { parsePlatform } from '@ringwall/oci';
import { writeDebianLayer } from './debian-image.ts';
import { median, pairs, timeProcess, type Figure } from './measure.ts';

const RINGWALL = resolve(import.meta.dirname, '../dist/ringwall.mjs');
/** In RAM: what is measured is work, not a disk. */
const RAM = '/dev/shm';
const FILES = 20_000;
const BYTES = 120e6;
const IMAGES = 200;
const BASES = 4;
const ROUNDS = 5;
const MAX_COLD_RATIO = 1.5;
const MAX_WARM_MS = 150;
const MAX_PEAK_MB = 512;

export async function benchScan(): Promise<Figure[]> {
  const folder = mkdtempSync(join(RAM, 'ringwall-bench-'));
  try {
    return [...(await oneImage(folder)), ...(await manyImages(folder))];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function oneImage(folder: string): Promise<Figure[]> {
  const tar = join(folder, 'layer.tar');
  const { files, bytes } = writeDebianLayer(tar, folder, { files: FILES, bytes: BYTES });
  const layout = join(folder, 'layout');
  const store = openStore(layout);
  const layer = readFileSync(tar);
  // What registries have: `docker push` packs with the default of gzip.
  const blob = store.layer(layer, gzipSync(layer));
  store.finish([{ name: 'latest', layers: [blob] }]);
  const environment = { PATH: '/usr/bin:/bin', HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') };
  const scan = (...more: string[]): number =>
    timeProcess(
      [process.execPath, RINGWALL, 'image', 'scan', layout, '--no-scanners', '--fail-on', 'never', '--json', ...more],
      environment,
    );
  const unpacked = join(folder, 'unpacked');
  const packed = join(layout, 'blobs/sha256', blob.digest.slice('sha256:'.length));
  const cold = await pairs(
    ROUNDS,
    () => scan('--no-cache', '--no-scanners'),
    () => {
      mkdirSync(unpacked);
      const spent = timeProcess(['/bin/sh', '-c', `gunzip -c <"${packed}" | tar -x -C "${unpacked}"`], environment);
      rmSync(unpacked, { recursive: true });
      return spent;
    },
  );
  const looked = await pairs(
    ROUNDS,
    () => scan('--no-cache'),
    () => scan('--no-cache', '--no-scanners'),
  );
  scan();
  const start = (): number => timeProcess([process.execPath, RINGWALL, 'version'], environment);
  const warm = await pairs(ROUNDS, () => scan(), start);
  const warmMs = warm.a - warm.b;
  const verdicts = join(environment.XDG_CACHE_HOME, 'ringwall/verdicts');
  const anew = await pairs(
    ROUNDS,
    () => {
      rmSync(verdicts, { recursive: true });
      return scan();
    },
    start,
  );
  const peak = peakMegabytes(
    [process.execPath, RINGWALL, 'image', 'scan', layout, '--no-scanners', '--fail-on', 'never', '--no-cache'],
    environment,
  );
  return [
    {
      name: `image scan of ${String(files)} Debian files (${String(Math.round(bytes / 1e6))} MB), against gunzip and GNU tar into RAM`,
      value: `${cold.a.toFixed(0)} ms against ${cold.b.toFixed(0)} ms: ratio ${cold.ratio.toFixed(2)}`,
      goal: { text: `at most ${String(MAX_COLD_RATIO)}`, met: cold.ratio <= MAX_COLD_RATIO },
    },
    {
      name: 'the same with YARA and ClamAV (by our rules), against without',
      value: `${looked.a.toFixed(0)} ms against ${looked.b.toFixed(0)} ms: ratio ${looked.ratio.toFixed(2)}`,
    },
    {
      name: 'the same image again, beyond the start of the process',
      value: `${warmMs.toFixed(0)} ms; with its layers known, and judged anew: ${(anew.a - anew.b).toFixed(0)} ms`,
      goal: { text: `under ${String(MAX_WARM_MS)} ms`, met: warmMs < MAX_WARM_MS },
    },
    {
      name: 'most memory that it took',
      value: `${peak.toFixed(0)} MB`,
      goal: { text: `under ${String(MAX_PEAK_MB)} MB`, met: peak < MAX_PEAK_MB },
    },
  ];
}

/** Small layers on a few large ones: what is shared is read once. */
async function manyImages(folder: string): Promise<Figure[]> {
  const tar = readFileSync(join(folder, 'layer.tar'));
  const layout = join(folder, 'many');
  const store = openStore(layout);
  const bases = Array.from({ length: BASES }, () => packedWith(store, tar));
  const images = Array.from({ length: IMAGES }, (_, at) => ({
    name: `image-${String(at)}`,
    layers: [bases[at % BASES], packedWith(store, Buffer.alloc(10_240))].filter((layer) => layer !== undefined),
  }));
  store.finish(images);
  const readAll = async (names: readonly string[]): Promise<{ ms: number; read: number }> => {
    const startedAt = performance.now();
    const { signal } = new AbortController();
    await using reader = openLayerReader({
      cacheFolder: join(folder, `cache-${String(names.length)}`),
      finishers: [],
      signal,
    });
    for (const image of names) {
      // oxlint-disable-next-line no-await-in-loop -- as a registry is gone through
      using opened = await openImage(layout, { image, platform: parsePlatform('linux/amd64'), signal });
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (opened !== undefined) await reader.inspect(opened);
    }
    return { ms: performance.now() - startedAt, read: reader.counts().read };
  };
  const few = await readAll(images.slice(0, BASES).map(({ name }) => name));
  const all = await readAll(images.map(({ name }) => name));
  const known = median(
    [await readAll(images.map(({ name }) => name)), await readAll(images.map(({ name }) => name))].map(({ ms }) => ms),
  );
  return [
    {
      name: `${String(IMAGES)} images on ${String(BASES)} bases, against ${String(BASES)} images on them`,
      value: `${(all.ms / 1000).toFixed(1)} s (${String(all.read)} layers read of ${String(2 * IMAGES)}) against ${(few.ms / 1000).toFixed(1)} s; all known: ${(known / 1000).toFixed(1)} s`,
      goal: { text: 'each distinct layer once', met: all.read === BASES + IMAGES },
    },
  ];
}

interface Stored {
  readonly digest: string;
  readonly size: number;
  readonly diffId: string;
}

/** An OCI layout, written by hand: no tool is measured. */
function openStore(layout: string): {
  readonly layer: (tar: Buffer, packed: Buffer) => Stored;
  readonly finish: (images: readonly { readonly name: string; readonly layers: readonly Stored[] }[]) => void;
} {
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const digestOf = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
  const put = (bytes: Buffer | string): { readonly digest: string; readonly size: number } => {
    const hex = digestOf(bytes);
    writeFileSync(join(layout, 'blobs/sha256', hex), bytes);
    return { digest: `sha256:${hex}`, size: Buffer.byteLength(bytes) };
  };
  return {
    layer: (tar, packed) => ({ ...put(packed), diffId: `sha256:${digestOf(tar)}` }),
    finish: (images) => {
      const manifests = images.map(({ name, layers }) => {
        const diffIds = layers.map(({ diffId }) => diffId);
        const config = put(JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: diffIds } }));
        const manifest = put(
          JSON.stringify({
            schemaVersion: 2,
            config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
            layers: layers.map(({ digest, size }) => ({
              mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
              digest,
              size,
            })),
          }),
        );
        const annotations = { 'org.opencontainers.image.ref.name': name };
        return { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest, annotations };
      });
      writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
      writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
    },
  };
}

/** Another layer of the same size: what follows the end of an archive is read by nobody, and is in its digest. */
function packedWith(store: ReturnType<typeof openStore>, tar: Buffer): Stored {
  const whole = Buffer.concat([tar, randomBytes(512)]);
  return store.layer(whole, gzipSync(whole, { level: 1 }));
}

function peakMegabytes(argv: readonly string[], env: Readonly<Record<string, string>>): number {
  const script =
    'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
  const printed = execFileSync('python3', ['-c', script, ...argv], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return (Number(printed) * 1024) / 1e6;
}
