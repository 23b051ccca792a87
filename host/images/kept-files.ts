// What was found out once, kept in a folder under the key of what it is about. Files are packed with zstd, whose checksum tells a
// damaged one; each is written beside and renamed, so that two scans at once harm nothing. A file that cannot be read, or is not
// what it should be, is as none.
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Of one, unpacked: above what an inspection may keep. */
const MAX_RECORD_BYTES: number = 512 * 1024 ** 2;
/** Left behind by a scan that was killed. */
const STALE_MS = 3_600_000;

export interface KeptFiles<Value> {
  readonly get: (key: string) => Value | undefined;
  /** Never throws: a scan that cannot be kept is a good scan. */
  readonly put: (key: string, value: Value) => void;
  /** Removes what was not used for longest, down to the limit. */
  readonly trim: (maxBytes: number) => void;
}

export interface RecordFormat<Value> {
  readonly encode: (value: Value) => string;
  /** Throws where the record is none. */
  readonly decode: (record: string) => Value;
}

export function openKeptFiles<Value>(folder: string, { encode, decode }: RecordFormat<Value>): KeptFiles<Value> {
  return {
    get: (key) => {
      const name = nameOf(key);
      const file = join(folder, name);
      try {
        const record = zstdDecompressSync(readFileSync(file), { maxOutputLength: MAX_RECORD_BYTES }).toString();
        // Of two files whose names were mixed up, what is said of another thing would be believed.
        if (!record.startsWith(`${name}\n`)) return undefined;
        const value = decode(record.slice(name.length + 1));
        const now = new Date();
        utimesSync(file, now, now);
        return value;
      } catch {
        return undefined;
      }
    },
    put: (key, value) => {
      const name = nameOf(key);
      const beside = join(folder, `.${randomUUID()}`);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const packed = zstdCompressSync(`${name}\n${encode(value)}`, {
          params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
        });
        writeFileSync(beside, packed, { mode: 0o600 });
        renameSync(beside, join(folder, name));
      } catch {
        rmSync(beside, { force: true });
      }
    },
    trim: (maxBytes) => {
      try {
        trimFolder(folder, maxBytes);
      } catch {
        // The next scan tries again.
      }
    },
  };
}

function nameOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

function trimFolder(folder: string, maxBytes: number): void {
  const files = readdirSync(folder).flatMap((name) => {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ name, bytes: stat.size, usedAt: stat.mtimeMs }];
  });
  let total = 0;
  for (const { name, bytes, usedAt } of files.toSorted((one, other) => other.usedAt - one.usedAt)) {
    total += bytes;
    const isStale = name.startsWith('.') && Date.now() - usedAt > STALE_MS;
    if (total > maxBytes || isStale) rmSync(join(folder, name), { force: true });
  }
}
