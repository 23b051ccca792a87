// Images made by qemu-img and qemu-io, and the check that this library reads them as QEMU does.
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { onTestFinished } from 'vitest';
import type { DiskImage, OpenImageOptions } from '../src/images/disk-image.ts';
import { openImage } from '../src/images/open-image.ts';
import { memorySource, readInto, type ByteSource, type Extent } from '../src/source/byte-source.ts';
import { nodeCodecs } from '../src/node/codecs.ts';
import { missingTools, runTool, TemporaryFolder } from './tools.ts';

/** Ends a test's title where the tools are missing. */
export const NEEDS_QEMU_IMG: string = missingTools('qemu-img', 'qemu-io');

/** A folder for one test, in which QEMU's tools run. */
export interface Workshop {
  readonly path: (name: string) => string;
  readonly qemuImg: (...args: string[]) => string;
  /** Each is one command of qemu-io: `write -P 0x5a 64k 4k`. */
  readonly qemuIo: (image: string, format: string, ...commands: string[]) => void;
  readonly bytes: (name: string) => Buffer;
}

export function workshop(): Workshop {
  const folder = new TemporaryFolder();
  onTestFinished(() => folder[Symbol.dispose]());
  const inFolder = { cwd: folder.path };
  return {
    path: (name) => folder.at(name),
    bytes: (name) => readFileSync(folder.at(name)),
    qemuImg: (...args) => runTool(['qemu-img', ...args], inFolder).toString(),
    qemuIo: (image, format, ...commands) => {
      runTool(['qemu-io', '-f', format, ...commands.flatMap((command) => ['-c', command]), image], inFolder);
    },
  };
}

/** Opens an image in the workshop; names of other files are looked up beside it. */
export function openIn(shop: Workshop, name: string, options: OpenImageOptions = {}): DiskImage {
  return openImage(memorySource(shop.bytes(name)), {
    codecs: nodeCodecs,
    resolve: ({ name: other }) => memorySource(readFileSync(isAbsolute(other) ? other : shop.path(other))),
    ...options,
  });
}

/** The whole disk, in pieces of a size that fits nothing: every second one into a buffer that held something else. */
export function readAll(source: ByteSource, pieceBytes: number = 777_777): Buffer {
  const bytes = Buffer.alloc(source.size, 0xee);
  for (let at = 0; at < source.size; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    if ((at / pieceBytes) % 2 === 0) piece.set(source.read(at, piece.length));
    else readInto(source, at, piece);
  }
  return bytes;
}

/** What `nextData` says, neighbours joined. */
export function dataRuns(source: ByteSource): Extent[] {
  const runs: { offset: number; length: number }[] = [];
  for (let at = 0; at < source.size;) {
    const run = source.nextData?.(at);
    if (run === undefined) break;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === run.offset) last.length += run.length;
    else runs.push({ ...run });
    at = run.offset + run.length;
  }
  return runs;
}

/** Where `qemu-img map` sees data, neighbours joined. */
export function mappedRuns(shop: Workshop, name: string, format: string): Extent[] {
  const map: { start: number; length: number; zero: boolean }[] = JSON.parse(
    shop.qemuImg('map', '--output=json', '-f', format, name),
  );
  const runs: { offset: number; length: number }[] = [];
  for (const { start, length, zero } of map) {
    if (zero) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === start) last.length += length;
    else runs.push({ offset: start, length });
  }
  return runs;
}

/** What QEMU reads from an image. */
export function qemuReads(shop: Workshop, name: string, format: string, ...options: string[]): Buffer {
  shop.qemuImg('convert', '-f', format, '-O', 'raw', ...options, name, 'qemu-read.raw');
  return shop.bytes('qemu-read.raw');
}

/**
 * Where this library and QEMU differ about an image, undefined where they agree. What each calls data is compared too: it may
 * be 'more' here where QEMU looks for holes of the files themselves, which bytes in memory have not, and 'any' where QEMU
 * does not look for them.
 */
export function differenceFromQemu(
  shop: Workshop,
  name: string,
  format: string,
  data: 'same' | 'more' | 'any' = 'same',
): string | undefined {
  const image = openIn(shop, name);
  const [ours, theirs] = [readAll(image), qemuReads(shop, name, format)];
  if (ours.length !== theirs.length) return `size ${ours.length}, QEMU ${theirs.length}`;
  if (!ours.equals(theirs)) {
    const at = ours.findIndex((byte, index) => byte !== theirs[index]);
    return `byte ${at} is ${ours[at]}, QEMU ${theirs[at]}`;
  }
  const [ourRuns, theirRuns] = [dataRuns(image), mappedRuns(shop, name, format)];
  const agree =
    data === 'any' ||
    (data === 'same' ? JSON.stringify(ourRuns) === JSON.stringify(theirRuns) : covers(ourRuns, theirRuns));
  return agree ? undefined : `data at ${JSON.stringify(ourRuns)}, QEMU ${JSON.stringify(theirRuns)}`;
}

/** Whether each run of `inner` lies within one of `outer`. */
function covers(outer: readonly Extent[], inner: readonly Extent[]): boolean {
  return inner.every(({ offset, length }) =>
    outer.some((run) => run.offset <= offset && offset + length <= run.offset + run.length),
  );
}
