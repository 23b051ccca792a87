// Feeds as they lie in files: JSON, lines of JSON, CSV, each also gzipped or in zstd; zip archives and folders of many.
import { readdirSync, readFileSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { RingwallError } from '@ringwall/api/errors';
import { ParseError } from '@ringwall/bytes';
import { DEFLATED, OciError, readZip, STORED, type FeedDocument, type ZipEntry } from '@ringwall/oci';

/** V8's strings end at 512 Mi characters; the Debian tracker has 75 MiB, OSV's dump of npm 220 MiB zipped. */
const MAX_FILE_BYTES: number = 500 * 1024 * 1024;
/** Of one advisory in an archive. */
const MAX_ADVISORY_BYTES: number = 64 * 1024 * 1024;
const MAX_FILES_OF_A_FOLDER = 1_000_000;

const GZIP: readonly number[] = [0x1f, 0x8b];
const ZSTD: readonly number[] = [0x28, 0xb5, 0x2f, 0xfd];
const ZIP: readonly number[] = [0x50, 0x4b];

/** Throws RingwallError. */
export function readFeedFile(path: string): Iterable<FeedDocument> {
  const status = statOf(path);
  if (status.isDirectory()) return documentsOfFolder(path);
  return documentsOf(readBounded(path, status.size), path);
}

/** When the file was last changed: fetchers set it to what the server says. */
export function fileDate(path: string): string {
  return statOf(path).mtime.toISOString();
}

export function* documentsOf(bytes: Uint8Array, name: string): Generator<FeedDocument> {
  const plain = naming(name, () => decompress(bytes));
  if (startsWith(plain, ZIP)) {
    const entries = naming(name, () => [...readZip(plain)]);
    for (const entry of entries) {
      if (entry.name.endsWith('.json')) yield naming(`${name}: ${entry.name}`, () => parseJson(textOf(unzip(entry))));
    }
    return;
  }
  const text = naming(name, () => textOf(plain));
  if (!/^\s*[{[]/.test(text.slice(0, 100))) {
    yield text;
    return;
  }
  const whole = attempt(() => parseJson(text));
  if (whole !== undefined) {
    yield whole;
    return;
  }
  // Lines of JSON: the first of them is a whole document.
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    if (line.trim() !== '') yield naming(name, () => parseJson(line));
    start = end + 1;
  }
}

function* documentsOfFolder(folder: string): Generator<FeedDocument> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  if (files.length > MAX_FILES_OF_A_FOLDER)
    throw new RingwallError('too-large', `${folder} has more than ${MAX_FILES_OF_A_FOLDER} files`);
  if (files.length === 0)
    throw new RingwallError('bad-request', `${folder} holds no advisories: no file in it ends in .json`);
  for (const file of files) yield naming(file, () => parseJson(textOf(readBounded(file, statOf(file).size))));
}

function unzip(entry: ZipEntry): Uint8Array {
  if (entry.bytes > MAX_ADVISORY_BYTES)
    throw new OciError('limit', `has ${entry.bytes} bytes, at most ${MAX_ADVISORY_BYTES}`);
  if (entry.method === STORED) return entry.compressed();
  if (entry.method !== DEFLATED || entry.isEncrypted) throw new OciError('malformed', 'is not compressed by deflate');
  return inflateRawSync(entry.compressed(), { maxOutputLength: Math.max(entry.bytes, 1) });
}

function decompress(bytes: Uint8Array): Uint8Array {
  if (startsWith(bytes, GZIP)) return gunzipSync(bytes, { maxOutputLength: MAX_FILE_BYTES });
  if (startsWith(bytes, ZSTD)) return zstdDecompressSync(bytes, { maxOutputLength: MAX_FILE_BYTES });
  return bytes;
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, at) => bytes[at] === byte);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

function parseJson(text: string): FeedDocument {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new OciError('malformed', 'is no JSON object');
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function naming<Result>(name: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    const ours = cause instanceof OciError || cause instanceof ParseError;
    const why = ours ? cause.message : 'is not what it should be: broken off, or altered';
    throw new RingwallError('bad-request', `${name}: ${why}`, { cause });
  }
}

function readBounded(path: string, bytes: number): Uint8Array {
  if (bytes > MAX_FILE_BYTES) throw new RingwallError('too-large', `${path} has more than ${MAX_FILE_BYTES} bytes`);
  return readFileSync(path);
}

function statOf(path: string): Stats {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) throw new RingwallError('not-found', `${path} is not there`);
  return status;
}
