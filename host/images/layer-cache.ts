// What is known of layers, kept by their digest: a base that many images share is read once. Files are packed with zstd, whose
// checksum tells a damaged one; each is written beside and renamed, so that two scans at once harm nothing. A file that cannot
// be read, or is not what it should be, is as none.
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { decodeLayer, encodeLayer, RECORD_FORMAT, type LayerContents } from '@ringwall/oci';

/** Some thousand layers. */
export const MAX_CACHE_BYTES: number = 1024 ** 3;
/** Of one, unpacked: above what an inspection may keep. */
const MAX_RECORD_BYTES: number = 512 * 1024 ** 2;
/** Left behind by a scan that was killed. */
const STALE_MS = 3_600_000;

export interface LayerCache {
  readonly get: (digest: string) => LayerContents | undefined;
  /** Never throws: a scan that cannot be kept is a good scan. */
  readonly put: (digest: string, contents: LayerContents) => void;
  /** Removes what was not used for longest, down to the limit. */
  readonly trim: (maxBytes?: number) => void;
}

/** `ids` of all that makes facts: with others, other files are used. */
export function openLayerCache(folder: string, ids: readonly string[]): LayerCache {
  const fileOf = (digest: string): string =>
    join(
      folder,
      createHash('sha256')
        .update([RECORD_FORMAT, digest, ...ids].join('\n'))
        .digest('hex'),
    );
  return {
    get: (digest) => {
      const file = fileOf(digest);
      try {
        const packed = readFileSync(file);
        const record = zstdDecompressSync(packed, { maxOutputLength: MAX_RECORD_BYTES }).toString();
        // Of two layers whose names were mixed up, the other one's facts would be believed.
        const [named, rest] = [record.slice(0, digest.length), record.slice(digest.length + 1)];
        if (named !== digest) return undefined;
        const contents = decodeLayer(rest);
        const now = new Date();
        utimesSync(file, now, now);
        return contents;
      } catch {
        return undefined;
      }
    },
    put: (digest, contents) => {
      const beside = join(folder, `.${randomUUID()}`);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const packed = zstdCompressSync(`${digest}\n${encodeLayer(contents)}`, {
          params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
        });
        writeFileSync(beside, packed, { mode: 0o600 });
        renameSync(beside, fileOf(digest));
      } catch {
        rmSync(beside, { force: true });
      }
    },
    trim: (maxBytes = MAX_CACHE_BYTES) => {
      try {
        trimFolder(folder, maxBytes);
      } catch {
        // The next scan tries again.
      }
    },
  };
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
