// The log of a VHDX image, replayed in memory (MS-VHDX section 2.3). A writer that was cut off has its last changes to tables
// only there: without them the disk is torn.
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { PatchedSource } from '../../source/patched-source.ts';
import { safeNumber } from '../fields.ts';
import { guidText } from '../../uuid.ts';
import { crc32c } from './crc32c.ts';
import { NO_GUID, type VhdxHeader } from './header.ts';

const SECTOR_BYTES = 4096;
const ENTRY_HEADER_BYTES = 64;
const DESCRIPTOR_BYTES = 32;
const CHECKSUM_OFFSET = 4;
const SIGNATURE = { entry: 0x65676f6c, data: 0x63736564, zero: 0x6f72657a, sector: 0x61746164 } as const;
/** Each entry is checked once when its sequence is read; a log of lies could ask for far more. */
const MAX_CHECKED_LOGS = 4;

interface LogEntry {
  readonly bytes: Uint8Array;
  readonly descriptors: number;
  readonly sequence: bigint;
  /** Within the log. */
  readonly offset: number;
  readonly tail: number;
  readonly flushedFileOffset: bigint;
  readonly lastFileOffset: bigint;
}

/** The image as it is after its log: itself, where the log is empty. */
export function replayLog(source: ByteSource, header: VhdxHeader): ByteSource {
  if (header.logGuid === NO_GUID) return source;
  const entries = activeSequence(new LogReader(source, header));
  const head = entries.at(-1);
  if (head === undefined) {
    throw new ParseError(
      'invalid',
      'log',
      header.logOffset,
      'has no valid entry, expected one for the log_guid of the header',
    );
  }
  if (head.flushedFileOffset > BigInt(source.size)) {
    const found = `${head.flushedFileOffset}, but the image ends at ${source.size}`;
    throw new ParseError('truncated', 'log flushed_file_offset', header.logOffset + head.offset + 48, found);
  }
  const last = safeNumber(head.lastFileOffset, 'log last_file_offset', header.logOffset + head.offset + 56);
  const patched = new PatchedSource(source, Math.max(source.size, last));
  for (const entry of entries) applyEntry(patched, entry, header.logOffset);
  return patched;
}

/** Entries of which each follows the one before, from the tail that the newest of them names (section 2.3.2). */
function activeSequence(log: LogReader): LogEntry[] {
  let best: LogEntry[] = [];
  for (let start = 0; start < log.length;) {
    const sequence: LogEntry[] = [];
    let at = start;
    let bytes = 0;
    for (;;) {
      const entry = log.entryAt(at % log.length);
      const previous = sequence.at(-1);
      if (entry === undefined || (previous !== undefined && entry.sequence !== previous.sequence + 1n)) break;
      bytes += entry.bytes.length;
      // An entry that reaches around the whole log would be its own successor.
      if (bytes > log.length) break;
      sequence.push(entry);
      at += entry.bytes.length;
    }
    const head = sequence.at(-1);
    const tail = sequence.findIndex((entry) => entry.offset === head?.tail);
    if (head !== undefined && tail !== -1 && head.sequence > (best.at(-1)?.sequence ?? 0n)) best = sequence.slice(tail);
    start = Math.max(at, start + SECTOR_BYTES);
  }
  return best;
}

class LogReader {
  readonly length: number;
  readonly #source: ByteSource;
  readonly #header: VhdxHeader;
  #checkedBytes = 0;

  constructor(source: ByteSource, header: VhdxHeader) {
    this.length = header.logLength;
    this.#source = source;
    this.#header = header;
  }

  /** The entry at `offset` in the log, undefined where no valid one is: what is left of older logs is no error. */
  entryAt(offset: number): LogEntry | undefined {
    const cursor = new Cursor(this.#read(offset, ENTRY_HEADER_BYTES));
    const signature = cursor.u32le('signature');
    const checksum = cursor.u32le('checksum');
    const entryLength = cursor.u32le('entry_length');
    const tail = cursor.u32le('tail');
    const sequence = cursor.u64le('sequence_number');
    const descriptors = cursor.u32le('descriptor_count');
    cursor.skip(4, 'reserved');
    const logGuid = guidText(cursor.take(16, 'log_guid'));
    const flushedFileOffset = cursor.u64le('flushed_file_offset');
    const lastFileOffset = cursor.u64le('last_file_offset');
    if (signature !== SIGNATURE.entry || logGuid !== this.#header.logGuid || sequence === 0n) return undefined;
    if (entryLength === 0 || entryLength % SECTOR_BYTES !== 0 || entryLength > this.length) return undefined;
    if (tail % SECTOR_BYTES !== 0 || tail >= this.length) return undefined;
    if (descriptorSectors(descriptors) * SECTOR_BYTES > entryLength) return undefined;
    this.#checkedBytes += entryLength;
    if (this.#checkedBytes > MAX_CHECKED_LOGS * this.length) {
      const at = this.#header.logOffset + offset;
      throw new ParseError(
        'limit',
        'log entry_length',
        at + 8,
        `${entryLength}: entries overlap, expected a log of disjoint ones`,
      );
    }
    const bytes = this.#read(offset, entryLength);
    if (crc32c(bytes, CHECKSUM_OFFSET) !== checksum) return undefined;
    return { bytes, descriptors, sequence, offset, tail, flushedFileOffset, lastFileOffset };
  }

  /** The log is a ring. */
  #read(offset: number, length: number): Uint8Array {
    const { logOffset } = this.#header;
    const first = Math.min(length, this.length - offset);
    if (first === length) return this.#source.read(logOffset + offset, length);
    const bytes = new Uint8Array(length);
    bytes.set(this.#source.read(logOffset + offset, first));
    bytes.set(this.#source.read(logOffset, length - first), first);
    return bytes;
  }
}

function descriptorSectors(descriptors: number): number {
  return Math.ceil((ENTRY_HEADER_BYTES + descriptors * DESCRIPTOR_BYTES) / SECTOR_BYTES);
}

function applyEntry(patched: PatchedSource, entry: LogEntry, logOffset: number): void {
  const base = logOffset + entry.offset;
  const descriptors = new Cursor(entry.bytes.subarray(ENTRY_HEADER_BYTES), base + ENTRY_HEADER_BYTES);
  let dataAt = descriptorSectors(entry.descriptors) * SECTOR_BYTES;
  for (let index = 0; index < entry.descriptors; index += 1) {
    const at = descriptors.offset;
    const signature = descriptors.u32le('log descriptor signature');
    const trailing = descriptors.take(4, 'log descriptor trailing_bytes');
    const leading = descriptors.take(8, 'log descriptor leading_bytes');
    const fileOffset = safeNumber(
      descriptors.u64le('log descriptor file_offset'),
      'log descriptor file_offset',
      at + 16,
    );
    const sequence = descriptors.u64le('log descriptor sequence_number');
    if (sequence !== entry.sequence) {
      throw new ParseError(
        'invalid',
        'log descriptor sequence_number',
        at + 24,
        `${sequence}, expected ${entry.sequence}`,
      );
    }
    if (fileOffset % SECTOR_BYTES !== 0) {
      throw new ParseError(
        'invalid',
        'log descriptor file_offset',
        at + 16,
        `${fileOffset}, expected a multiple of 4096`,
      );
    }
    if (signature === SIGNATURE.zero) {
      const length = safeNumber(new Cursor(leading).u64le('zero_length'), 'log descriptor zero_length', at + 8);
      if (length % SECTOR_BYTES !== 0) {
        throw new ParseError('invalid', 'log descriptor zero_length', at + 8, `${length}, expected a multiple of 4096`);
      }
      patched.write(fileOffset, length, undefined);
    } else if (signature === SIGNATURE.data) {
      patched.write(fileOffset, SECTOR_BYTES, dataSector(entry, dataAt, leading, trailing, base));
      dataAt += SECTOR_BYTES;
    } else {
      throw new ParseError(
        'invalid',
        'log descriptor signature',
        at,
        `0x${signature.toString(16)}, expected 'desc' or 'zero'`,
      );
    }
  }
}

/** The sector as it is to be written: its first 8 and last 4 bytes are in the descriptor, their place holds the sequence. */
function dataSector(entry: LogEntry, at: number, leading: Uint8Array, trailing: Uint8Array, base: number): Uint8Array {
  const cursor = new Cursor(entry.bytes.subarray(Math.min(at, entry.bytes.length)), base + at);
  const signature = cursor.u32le('log data signature');
  const high = cursor.u32le('log data sequence_high');
  const data = cursor.take(SECTOR_BYTES - leading.length - trailing.length, 'log data');
  const low = cursor.u32le('log data sequence_low');
  if (signature !== SIGNATURE.sector || (BigInt(high) << 32n) + BigInt(low) !== entry.sequence) {
    throw new ParseError(
      'invalid',
      'log data sequence',
      base + at,
      `${high}:${low}, expected that of its entry, ${entry.sequence}`,
    );
  }
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(leading);
  sector.set(data, leading.length);
  sector.set(trailing, SECTOR_BYTES - trailing.length);
  return sector;
}
