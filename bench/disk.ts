// What reading a disk image costs: all of it, against qemu-img in the same run, plain and compressed; one small file out of a
// file system in it, inside a running process and as a command; and looking for what a thief would have, in time and memory.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openDisk, openImage, openPath, readInto } from '@ringwall/disk';
import { FileSource, nodeCodecs } from '@ringwall/disk/node';
import type * as HostDisk from '@ringwall/host/disk';
import { BUNDLED_COMMAND } from '@ringwall/testkit';
import { build } from 'esbuild';
import { median, pairs, timeProcess, type Figure } from './measure.ts';

const TOOLS = ['/usr/bin/qemu-img', '/usr/sbin/mke2fs'] as const;
const QEMU_IMG = TOOLS[0];
const ENV = { PATH: '/usr/sbin:/usr/bin' };
/** Files such as a system has: programs, libraries, text. */
const CONTENTS = '/usr/bin';
const DISK_BYTES = 4 * 2 ** 30;
const READ_BYTES = 2 ** 18;
const PAIRS = 5;
const OPENINGS = 301;
const COMMANDS = 15;
/** As many as a Debian system has, of which `CONTENTS` are some thousands. */
const MORE_FOLDERS = 300;
const FILES_A_FOLDER = 95;
/** Every format in which the whole is looked through, with what qemu-img calls it. */
const FORMATS: readonly (readonly [name: string, ...options: readonly string[]])[] = [
  ['qcow2'],
  ['qcow2 zlib', '-c'],
  ['qcow2 zstd', '-c', '-o', 'compression_type=zstd'],
  ['vmdk stream', '-o', 'subformat=streamOptimized'],
  ['vhdx'],
  ['vdi'],
  ['vpc'],
  ['qed'],
];
const INSPECT_MS = 2000;
const INSPECT_BYTES = 200 * 2 ** 20;
const INSPECT_MORE_BYTES = 128 * 2 ** 20;

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
  makeSystem(at('system'));
  execFileSync(TOOLS[1], ['-q', '-t', 'ext4', '-d', at('system'), raw, `${DISK_BYTES / 1024}k`], { env: ENV });
  rmSync(at('system'), { recursive: true });
  const images = { plain: at('qcow2'), zlib: at('qcow2 zlib'), zstd: at('qcow2 zstd') };
  for (const [name, ...options] of FORMATS) {
    const [format = ''] = name.split(' ');
    execFileSync(QEMU_IMG, ['convert', '-f', 'raw', '-O', format, ...options, raw, at(name)], { env: ENV });
  }
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
    await catCommand(images.plain, at('compiled')),
    ...inspectCommands(at, at('compiled')),
  ];
}

/** A tree like that of a system: few names at its root, `/etc` of usual size, tens of thousands of files. */
function makeSystem(root: string): void {
  const folder = (...names: string[]): string => {
    const path = join(root, ...names);
    mkdirSync(path, { recursive: true });
    return path;
  };
  for (const name of ['boot', 'dev', 'home', 'lib', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp']) folder(name);
  cpSync(CONTENTS, folder('usr', 'bin'), { recursive: true, verbatimSymlinks: true });
  const fill = (path: string, count: number): void => {
    for (let index = 0; index < count; index += 1)
      writeFileSync(join(path, `file-${index}.conf`), `setting ${index}\n`);
  };
  fill(folder('etc'), 180);
  writeFileSync(join(root, 'etc', 'shadow'), 'root:*:19000:0:99999:7:::\n');
  for (let index = 0; index < MORE_FOLDERS; index += 1)
    fill(folder('usr', 'share', `package-${index}`), FILES_A_FOLDER);
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
  const buffer = new Uint8Array(READ_BYTES);
  let bytes = 0;
  for (let run = disk.nextData(0); run !== undefined;) {
    const end = run.offset + run.length;
    for (let at = run.offset; at < end; at += READ_BYTES) readInto(disk, at, buffer.subarray(0, end - at));
    bytes += run.length;
    run = end < disk.size ? disk.nextData(end) : undefined;
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
    const file = openPath(volume.contents.fileSystem, '/etc/shadow');
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

/** As the launcher starts it: with the code that an earlier run compiled. */
async function catCommand(image: string, compiled: string): Promise<Figure> {
  const command = [...BUNDLED_COMMAND, 'disk', 'cat', image, '/etc/shadow'];
  const env = { ...ENV, NODE_COMPILE_CACHE: compiled };
  timeProcess(command, env);
  const node = [process.execPath, '-e', '0'];
  const measured = await pairs(
    COMMANDS,
    () => timeProcess(command, env),
    () => timeProcess(node, env),
  );
  return {
    name: 'ringwall disk cat IMAGE /etc/shadow against node -e 0',
    value: `${measured.a.toFixed(0)} ms against ${measured.b.toFixed(0)} ms: ratio ${measured.ratio.toFixed(2)}`,
    goal: { text: 'at most 1.5', met: measured.ratio <= 1.5 },
  };
}

/** The whole program on the plain image; then in every format how much more memory it takes than for a disk of zeros. */
function inspectCommands(at: (name: string) => string, compiled: string): Figure[] {
  const hook = at('peak.mjs');
  // VmHWM begins anew with the program, where getrusage() goes on from whoever started it.
  const hwm = "readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\\s+(\\d+)/)[1]";
  writeFileSync(
    hook,
    `import { readFileSync } from 'node:fs';\nprocess.on('exit', () => process.stderr.write('peak ' + ${hwm}));\n`,
  );
  const empty = at('empty.raw');
  writeFileSync(empty, '');
  truncateSync(empty, 2 ** 20);
  const inspect = (image: string): { ms: number; peakBytes: number; files: number } => {
    const [node = '', program = ''] = BUNDLED_COMMAND;
    const env = { ...ENV, NODE_COMPILE_CACHE: compiled };
    const startedAt = performance.now();
    const argv = ['--import', hook, program, 'disk', 'inspect', image, '--json'];
    const { status, stdout, stderr } = spawnSync(node, argv, { env, maxBuffer: 2 ** 28, encoding: 'utf8' });
    const ms = performance.now() - startedAt;
    const peak = /peak (\d+)$/.exec(stderr)?.[1];
    if (status !== 0 || peak === undefined) throw new Error(`inspect ${image}: exit ${status} ${stderr}`);
    const report: { volumes: { files?: number }[] } = JSON.parse(stdout);
    return { ms, peakBytes: Number(peak) * 1024, files: report.volumes[0]?.files ?? 0 };
  };
  inspect(empty);
  const least = inspect(empty).peakBytes;
  const runs = FORMATS.map(([name]) => ({ name, ...inspect(at(name)) }));
  const more = runs.map(({ peakBytes }) => peakBytes - least);
  const [plain] = runs;
  if (plain === undefined) throw new Error('no format');
  return [
    {
      name: `ringwall disk inspect of ${plain.files} files in a plain QCOW2, the whole program`,
      value: `${(plain.ms / 1000).toFixed(2)} s, ${mebibytes(plain.peakBytes)} MiB`,
      goal: { text: 'under 2 s and 200 MB', met: plain.ms < INSPECT_MS && plain.peakBytes < INSPECT_BYTES },
    },
    {
      name: 'memory that it takes beyond that for an empty disk, by format',
      value: runs.map(({ name }, index) => `${name} ${mebibytes(more[index] ?? 0)} MiB`).join(', '),
      goal: { text: 'under 128 MB', met: more.every((bytes) => bytes < INSPECT_MORE_BYTES) },
    },
  ];
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function rate(bytes: number, milliseconds: number): string {
  return `${mebibytes(bytes / (milliseconds / 1000))} MiB/s`;
}
