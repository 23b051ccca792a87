// `ringwall disk import`: an image of any format becomes an encrypted disk of this host. The image is judged, opened and read
// here, by our own parsers and with the rights of whoever calls; what goes to the services are the contents of the disk alone,
// so that nothing with more rights ever meets an image format.
import { createHash, hash } from 'node:crypto';
import { once } from 'node:events';
import { basename } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Disk, ImportBegin, ImportedDisk } from '@ringwall/api/disks';
import { FRAME, FRAME_HEADER_BYTES } from '@ringwall/api/disk-stream';
import { RingwallError } from '@ringwall/api/errors';
import type { ByteSource } from '@ringwall/disk';
import type { ImportSource } from '../disk/open-to-import.ts';
import { readingFrom } from '../disk/open-target.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { followOperation, whileWatching } from '../operations.ts';
import { formatBytes } from '../quantities.ts';

/** Of LUKS1: a disk that ends within one has no last sector. */
const SECTOR_BYTES = 512;
/** One frame says so at most, so that progress is told between: 256 MiB. */
const ZEROS_AT_A_TIME = 64;
const BEGIN_LIMIT_BYTES = 4096;

export { openToImport } from '../disk/open-to-import.ts';

export async function importDisk(invocation: Invocation, target: ImportSource): Promise<void> {
  const { out, json, self } = invocation;
  const { imported, wentOn } = await bringDisk(invocation, target);
  if (json) {
    printJson(invocation, imported);
    return;
  }
  const { name, spec } = imported;
  if (wentOn > 0) out.line(`It went on where it was broken off: ${formatBytes(wentOn)} were there.`);
  for (const beside of target.alongside) out.line(`Read along with it: ${beside}`);
  for (const note of target.notes) out.line(note);
  out.line(
    `${name} is there: ${formatBytes(spec.sizeBytes)} of ${target.image.format}, encrypted, and read back the same.`,
  );
  out.line(`SHA-256 of its chunks: ${imported.status.digest ?? 'unknown'}`);
  out.line(`Give it to a machine: ${self} run hello --attach ${name}`);
}

/** Without a word of it but its progress. `wentOn`: how many bytes were there already. */
export async function bringDisk(
  invocation: Invocation,
  target: ImportSource,
): Promise<{ readonly imported: Disk; readonly wentOn: number }> {
  const name = invocation.values.get('name') ?? nameAfter(target.path);
  const { image, contents } = target;
  const sizeBytes = Math.ceil(contents.size / SECTOR_BYTES) * SECTOR_BYTES;
  await invocation.needServices();
  using progress = invocation.progress();
  const body = { name, sizeBytes, source: { format: image.format, name: basename(target.path) } };
  const { disk, operation }: ImportedDisk = await invocation.withApi((api) => {
    progress.step('asking for the disk');
    return api.call('importDisk', { body });
  });
  const stop = new AbortController();
  const sending = sendContents(invocation, disk.id, target, sizeBytes, stop.signal);
  const farewell = `The import was broken off. To go on: ${invocation.self} disk import ${target.path} --name ${name}`;
  // What went wrong on the way is told by the operation; where it is our own reading that failed, by that.
  sending.catch(() => {});
  try {
    await whileWatching(invocation, farewell, () => followOperation(invocation, operation, progress));
  } catch (error) {
    progress.fail();
    stop.abort();
    const failed = await sending.then(
      () => undefined,
      (cause: unknown) => cause,
    );
    throw failed instanceof RingwallError && failed.code !== 'daemon-unavailable' ? failed : error;
  }
  const { wentOn } = await sending;
  const { disks } = await invocation.withApi((api) => api.call('listDisks'));
  return { imported: disks.find(({ id }) => id === disk.id) ?? disk, wentOn };
}

/** Sends what the service does not have yet; answers how many bytes were there already. */
async function sendContents(
  invocation: Invocation,
  disk: string,
  { path, contents }: ImportSource,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<{ readonly wentOn: number }> {
  const { socket, begin } = await openImport(invocation, disk);
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  const send = (...parts: readonly Uint8Array[]): Promise<void> => sendAll(socket, parts, closed.signal);
  try {
    const reader = new ChunkReader(padded(contents, sizeBytes), begin.chunkBytes);
    const start = readingFrom(path, () => (isThere(reader, begin) ? begin.have : 0));
    await send(frameOf(FRAME.start, start));
    for (let chunk = start; chunk < reader.count;) {
      const zeros = readingFrom(path, () => reader.zerosAt(chunk));
      if (zeros > 0) {
        await send(frameOf(FRAME.zeros, zeros));
        chunk += zeros;
        continue;
      }
      const bytes = readingFrom(path, () => reader.read(chunk));
      await send(frameOf(FRAME.data, bytes.length), hash('sha256', bytes, 'buffer'), bytes);
      chunk += 1;
    }
    await send(frameOf(FRAME.end, 0));
    return { wentOn: Math.min(start * begin.chunkBytes, sizeBytes) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function openImport(
  invocation: Invocation,
  disk: string,
): Promise<{ readonly socket: Duplex; readonly begin: ImportBegin }> {
  const { socket, head } = await invocation.api.openImport(disk);
  socket.on('error', () => {});
  let text = Buffer.from(head).toString('latin1');
  while (!text.includes('\n')) {
    const chunk: unknown = socket.read();
    if (Buffer.isBuffer(chunk)) text += chunk.toString('latin1');
    else if (socket.destroyed || socket.readableEnded) {
      throw new RingwallError('daemon-unavailable', 'ringwalld ended the import before it began');
    } else await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
    if (text.length > BEGIN_LIMIT_BYTES)
      throw new RingwallError('internal', 'ringwalld begins the import with nonsense');
  }
  // Nothing more comes; an end must be seen all the same.
  socket.resume();
  // The type is taken on trust: the daemon checks its answers before it sends them.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { socket, begin: JSON.parse(text) as ImportBegin };
}

/** Whether what lies on the disk already is the beginning of this very image, as it reads now. */
function isThere(reader: ChunkReader, { have, digest }: ImportBegin): boolean {
  if (have === 0) return false;
  const seen = createHash('sha256');
  for (let chunk = 0; chunk < have; chunk += 1) seen.update(hash('sha256', reader.read(chunk), 'buffer'));
  return seen.digest('hex') === digest;
}

/** The disk in pieces of the size that the service wants. */
class ChunkReader {
  readonly count: number;
  readonly #source: ByteSource;
  readonly #chunkBytes: number;

  constructor(source: ByteSource, chunkBytes: number) {
    this.#source = source;
    this.#chunkBytes = chunkBytes;
    this.count = Math.ceil(source.size / chunkBytes);
  }

  read(chunk: number): Uint8Array {
    const offset = chunk * this.#chunkBytes;
    return this.#source.read(offset, Math.min(this.#chunkBytes, this.#source.size - offset));
  }

  /** How many chunks from this one on hold nothing, as the image itself says. */
  zerosAt(chunk: number): number {
    if (this.#source.nextData === undefined) return 0;
    const run = this.#source.nextData(chunk * this.#chunkBytes);
    const until = run === undefined ? this.count : Math.floor(run.offset / this.#chunkBytes);
    return Math.min(until - chunk, ZEROS_AT_A_TIME);
  }
}

/** A disk that ends within a sector gets the rest of it as zeros. */
function padded(source: ByteSource, size: number): ByteSource {
  if (source.size === size) return source;
  const next = source.nextData?.bind(source);
  return {
    size,
    read(offset, length) {
      const there = Math.max(0, Math.min(length, source.size - offset));
      const bytes = new Uint8Array(length);
      if (there > 0) bytes.set(source.read(offset, there));
      return bytes;
    },
    ...(next === undefined ? {} : { nextData: (offset) => (offset >= source.size ? undefined : next(offset)) }),
  };
}

function frameOf(kind: number, value: number): Uint8Array {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES);
  frame.writeUInt8(kind, 0);
  frame.writeUInt32BE(value, 1);
  return frame;
}

/** Waits where the service is slower than the image. */
async function sendAll(socket: Duplex, parts: readonly Uint8Array[], closed: AbortSignal): Promise<void> {
  let room = true;
  for (const part of parts) room = socket.write(part);
  try {
    if (!room) await once(socket, 'drain', { signal: closed });
    closed.throwIfAborted();
  } catch (cause) {
    throw new RingwallError('daemon-unavailable', 'ringwalld ended the connection of the import', { cause });
  }
}

/** As a machine may be called: web.qcow2 becomes web. */
function nameAfter(path: string): string {
  const [stem = ''] = basename(path).toLowerCase().split('.');
  const name = stem
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^[^a-z]+|-+$/g, '')
    .slice(0, 63);
  return name === '' ? 'disk' : name;
}
