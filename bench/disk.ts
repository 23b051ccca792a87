// What reading a disk image costs: all of it, against qemu-img in the same run, plain and compressed; and one small file out
// of a file system in it, inside a running process, from opening the image on.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openDisk, openImage } from '@ringwall/disk';
import { FileSource, nodeCodecs } from '@ringwall/disk/node';
import type * as HostDisk from '@ringwall/host/disk';
import { build } from 'esbuild';
import { median, pairs, timeProcess, type Figure } from './measure.ts';

const TOOLS = ['/usr/bin/qemu-img', '/usr/sbin/mke2fs', '/usr/sbin/debugfs'] as const;
const QEMU_IMG = TOOLS[0];
const ENV = { PATH: '/usr/sbin:/usr/bin' };
/** Files such as a system has: programs, libraries, text. */
const CONTENTS = '/usr/bin';
const DISK_BYTES = 4 * 2 ** 30;
const READ_BYTES = 2 * 2 ** 20;
const PAIRS = 5;
const OPENINGS = 301;

export async function benchDisk(): Promise<Figure[]> {
  const missing = TOOLS.find((tool) => !existsSync(tool));
  if (missing !== undefined) return [{ name: 'reading disk images', value: `skipped: needs ${missing}` }];
  // In memory where there is room: the processor is measured, not somebody's disk.
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ringwall-bench-'));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string): Promise<Figure[]> {
  const at = (name: string): string => join(folder, name);
  const raw = at('disk.raw');
  mkdirSync(at('etc'));
  writeFileSync(at('etc/shadow'), 'root:*:19000:0:99999:7:::\n');
  execFileSync(TOOLS[1], ['-q', '-t', 'ext4', '-d', CONTENTS, raw, `${DISK_BYTES / 1024}k`], { env: ENV });
  execFileSync(TOOLS[2], ['-w', '-R', 'mkdir /etc', raw], { env: ENV, stdio: 'ignore' });
  execFileSync(TOOLS[2], ['-w', '-R', `write ${at('etc/shadow')} /etc/shadow`, raw], { env: ENV, stdio: 'ignore' });
  const images = { plain: at('plain.qcow2'), zlib: at('zlib.qcow2'), zstd: at('zstd.qcow2') };
  const make = (to: string, ...flags: string[]): Buffer =>
    execFileSync(QEMU_IMG, ['convert', '-f', 'raw', '-O', 'qcow2', ...flags, raw, to], { env: ENV });
  make(images.plain);
  make(images.zlib, '-c');
  make(images.zstd, '-c', '-o', 'compression_type=zstd');
  rmSync(raw);
  const { convertImage } = await bundled(folder);
  const convert: Convert = async (image, output) => (await convertImage(image, output)).written;
  return [
    await readWhole(images.plain),
    await convertWhole(convert, 'plain QCOW2', images.plain, at('out.raw'), 1),
    await convertWhole(convert, 'QCOW2 of zlib clusters', images.zlib, at('out.raw'), 1.5),
    await convertWhole(convert, 'QCOW2 of zstd clusters', images.zstd, at('out.raw'), undefined),
    openAndRead('plain QCOW2', images.plain, 0.4),
    openAndRead('QCOW2 of zlib clusters', images.zlib, 1),
  ];
}

type Convert = (image: string, output: string) => Promise<number>;

/** As the programs have it: a thread that loads its modules as source takes longer for them than for its work. */
async function bundled(folder: string): Promise<typeof HostDisk> {
  await build({
    entryPoints: {
      disk: join(import.meta.dirname, '../host/disk/index.ts'),
      'convert-worker': join(import.meta.dirname, '../host/disk/convert-worker.ts'),
    },
    ...{ bundle: true, platform: 'node', format: 'esm', conditions: ['ringwall-source'], outdir: folder },
    outExtension: { '.js': '.mjs' },
  });
  return import(pathToFileURL(join(folder, 'disk.mjs')).href);
}

/** Bytes through `ByteSource` on one thread, against qemu-img into nowhere. */
async function readWhole(image: string): Promise<Figure> {
  let bytes = 0;
  const target = `driver=null-co,size=${DISK_BYTES}`;
  const theirs = [QEMU_IMG, 'convert', '-n', '-f', 'qcow2', '--target-image-opts', image, target];
  const measured = await pairs(
    PAIRS,
    () => timeProcess(theirs, ENV),
    () => {
      const startedAt = performance.now();
      bytes = readAll(image);
      return performance.now() - startedAt;
    },
  );
  return {
    name: `plain QCOW2 (${mebibytes(bytes)} MiB of data) read through ByteSource on one thread, against qemu-img convert into null-co`,
    value: `${rate(bytes, measured.b)} against ${rate(bytes, measured.a)}: ratio ${measured.ratio.toFixed(2)}`,
    goal: { text: 'at least 1', met: measured.ratio >= 1 },
  };
}

function readAll(path: string): number {
  using source = FileSource.open(path);
  const disk = openImage(source, { codecs: nodeCodecs });
  let bytes = 0;
  for (let at = 0; at < disk.size;) {
    const run = disk.nextData(at);
    if (run === undefined) break;
    const length = Math.min(READ_BYTES, run.length);
    bytes += disk.read(run.offset, length).length;
    at = run.offset + length;
  }
  return bytes;
}

async function convertWhole(
  convert: Convert,
  what: string,
  image: string,
  output: string,
  goal: number | undefined,
): Promise<Figure> {
  let bytes = 0;
  const theirs = [QEMU_IMG, 'convert', '-f', 'qcow2', '-O', 'raw', image, output];
  const measured = await pairs(
    PAIRS,
    () => {
      rmSync(output, { force: true });
      return timeProcess(theirs, ENV);
    },
    async () => {
      rmSync(output, { force: true });
      const startedAt = performance.now();
      bytes = await convert(image, output);
      return performance.now() - startedAt;
    },
  );
  rmSync(output, { force: true });
  return {
    name: `${what} to a sparse raw file, against qemu-img convert`,
    value: `${rate(bytes, measured.b)} against ${rate(bytes, measured.a)}: ratio ${measured.ratio.toFixed(2)}`,
    ...(goal === undefined ? {} : { goal: { text: `at least ${goal}`, met: measured.ratio >= goal } }),
  };
}

function openAndRead(what: string, image: string, goalMs: number): Figure {
  using source = FileSource.open(image);
  const times = Array.from({ length: OPENINGS }, () => {
    const startedAt = performance.now();
    const [volume] = openDisk(openImage(source, { codecs: nodeCodecs }), { codecs: nodeCodecs }).volumes;
    if (volume?.contents.kind !== 'file-system') throw new Error('no file system in the image');
    const file = volume.contents.fileSystem.root.lookup('etc')?.lookup('shadow');
    if (file === undefined) throw new Error('no /etc/shadow in the image');
    file.open().read(0, file.size);
    return performance.now() - startedAt;
  });
  const ms = median(times);
  return {
    name: `opening a ${DISK_BYTES / 2 ** 30} GiB ${what} with ext4 and reading /etc/shadow, in a running process`,
    value: `${ms.toFixed(3)} ms`,
    goal: { text: `${goalMs} ms`, met: ms <= goalMs },
  };
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function rate(bytes: number, milliseconds: number): string {
  return `${mebibytes(bytes / (milliseconds / 1000))} MiB/s`;
}
