// Alters LUKS2 headers as somebody would who can write to a disk: metadata changed, checksums made right again. Layout:
// LUKS2 On-Disk Format Specification 1.1.1, section 2.1.
import { createHash } from 'node:crypto';

/** The binary header, 4 KiB; behind it the metadata up to `hdr_size`. */
const BINARY_BYTES = 4096;
const CHECKSUM_OFFSET = 448;
const CHECKSUM_BYTES = 64;
/** As the guest's disks have it: `--luks2-metadata-size 16k`. */
const HEADER_BYTES = 16 * 1024;

export type HeaderCopy = 'first' | 'second';

/** A copy of `disk` with the metadata of these copies of its header changed. */
export function alterMetadata(
  disk: Uint8Array,
  change: (json: string) => string,
  copies: readonly HeaderCopy[] = ['first', 'second'],
): Buffer {
  const altered = Buffer.from(disk);
  for (const copy of copies) {
    const header = headerOf(altered, copy);
    const area = header.subarray(BINARY_BYTES);
    const before = area.subarray(0, area.indexOf(0)).toString('utf8');
    const after = change(before);
    if (after === before) throw new Error('the change changes nothing');
    area.fill(0);
    area.write(after, 'utf8');
    fixChecksum(header);
  }
  return altered;
}

/** A copy of `disk` with one copy of its header overwritten. */
export function destroyHeader(disk: Uint8Array, copy: HeaderCopy): Buffer {
  const altered = Buffer.from(disk);
  headerOf(altered, copy).fill(0x55, 0, BINARY_BYTES);
  return altered;
}

function headerOf(disk: Buffer, copy: HeaderCopy): Buffer {
  const at = copy === 'first' ? 0 : HEADER_BYTES;
  return disk.subarray(at, at + HEADER_BYTES);
}

function fixChecksum(header: Buffer): void {
  header.fill(0, CHECKSUM_OFFSET, CHECKSUM_OFFSET + CHECKSUM_BYTES);
  createHash('sha256').update(header).digest().copy(header, CHECKSUM_OFFSET);
}
