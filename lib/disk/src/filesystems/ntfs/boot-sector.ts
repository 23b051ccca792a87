// The boot sector of NTFS (Linux-NTFS documentation, "$Boot"; [MS-FSCC] names the structures), checked.
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';

const BOOT_SECTOR_BYTES = 512;

/** Clusters of 512 bytes to 2 MiB, as Windows makes them. */
const MAX_CLUSTER_BYTES = 2 ** 21;
const MIN_RECORD_BYTES = 512;
const MAX_RECORD_BYTES = 65_536;

export interface NtfsGeometry {
  readonly size: number;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  readonly mftStart: number;
  readonly recordBytes: number;
  readonly serial: string;
}

export function isNtfs(head: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(head.subarray(3, 11)) === 'NTFS    ';
}

export function parseNtfsBootSector(source: ByteSource): NtfsGeometry {
  const sector = source.read(0, BOOT_SECTOR_BYTES);
  if (!isNtfs(sector)) throw new ParseError('invalid', 'OEM_ID', 3, 'expected "NTFS    "');
  const cursor = new Cursor(sector);
  cursor.skip(11, 'jump, OEM_ID');
  const sectorBytes = cursor.u16le('bytes_per_sector');
  if (![256, 512, 1024, 2048, 4096].includes(sectorBytes)) {
    throw new ParseError('invalid', 'bytes_per_sector', 11, `${sectorBytes}, expected 256..4096`);
  }
  const stored = cursor.u8('sectors_per_cluster');
  // Values from 0x80 on are negative exponents.
  const clusterSectors = stored > 0x80 ? 2 ** (256 - stored) : stored;
  const clusterBytes = clusterSectors * sectorBytes;
  if (!isPowerOfTwo(clusterSectors) || clusterBytes > MAX_CLUSTER_BYTES) {
    throw new ParseError(
      'invalid',
      'sectors_per_cluster',
      13,
      `${stored}, expected clusters of at most ${MAX_CLUSTER_BYTES} bytes`,
    );
  }
  cursor.skip(26, 'unused');
  const sectors = Number(cursor.u64le('number_of_sectors'));
  const size = sectors * sectorBytes;
  if (sectors === 0 || size > source.size) {
    throw new ParseError('truncated', 'number_of_sectors', 40, `${sectors}, but the volume has ${source.size} bytes`);
  }
  const mftCluster = Number(cursor.u64le('mft_lcn'));
  const clusterCount = Math.floor(size / clusterBytes);
  if (mftCluster >= clusterCount) {
    throw new ParseError('invalid', 'mft_lcn', 48, `${mftCluster}, expected less than ${clusterCount}`);
  }
  cursor.skip(8, 'mftmirr_lcn');
  const recordBytes = recordSize(cursor.u8('clusters_per_mft_record'), clusterBytes);
  cursor.skip(7, 'clusters_per_index_record');
  const serial = cursor.u64le('volume_serial_number').toString(16).toUpperCase().padStart(16, '0');
  return { size, clusterBytes, clusterCount, mftStart: mftCluster * clusterBytes, recordBytes, serial };
}

/** Clusters, or as a negative number the exponent of a number of bytes. */
function recordSize(stored: number, clusterBytes: number): number {
  const bytes = stored >= 0x80 ? 2 ** (256 - stored) : stored * clusterBytes;
  if (!isPowerOfTwo(bytes) || bytes < MIN_RECORD_BYTES || bytes > MAX_RECORD_BYTES) {
    const expected = `expected ${MIN_RECORD_BYTES}..${MAX_RECORD_BYTES}`;
    throw new ParseError(
      'invalid',
      'clusters_per_mft_record',
      64,
      `${stored}, which makes ${bytes} bytes, ${expected}`,
    );
  }
  return bytes;
}

/** Beyond 32 bits too: a hostile exponent is up to 128. */
function isPowerOfTwo(value: number): boolean {
  return value > 0 && value <= 2 ** 31 && Number.isInteger(Math.log2(value));
}
