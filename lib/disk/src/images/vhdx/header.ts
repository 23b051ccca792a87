// The file identifier and the two headers of a VHDX image, of which the newer valid one counts (MS-VHDX sections 2.2.1, 2.2.2).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkWithin, cursorAt, safeNumber } from '../fields.ts';
import { guidText } from '../../uuid.ts';
import { crc32c } from './crc32c.ts';

export const MIB: number = 2 ** 20;
export const NO_GUID = '00000000-0000-0000-0000-000000000000';
const FILE_IDENTIFIER = 'vhdxfile';
const CREATOR_BYTES = 512;
const HEADER_OFFSETS = [64 * 1024, 128 * 1024] as const;
const HEADER_BYTES = 4096;
const CHECKSUM_OFFSET = 4;
const SIGNATURE = 0x64616568;
/** Hyper-V and QEMU make logs of 1 MiB; a log is held in memory to be replayed. */
const MAX_LOG_BYTES = 32 * MIB;

export interface VhdxHeader {
  readonly offset: number;
  readonly sequence: bigint;
  readonly dataWriteGuid: string;
  /** `NO_GUID` where the log is empty. */
  readonly logGuid: string;
  readonly logOffset: number;
  readonly logLength: number;
}

export function recogniseVhdx(source: ByteSource): boolean {
  return source.size >= 8 && new TextDecoder('latin1').decode(source.read(0, 8)) === FILE_IDENTIFIER;
}

/** Who made the image, as it says itself. */
export function readCreator(source: ByteSource): string {
  const text = new TextDecoder('utf-16le').decode(cursorAt(source, 8, CREATOR_BYTES, 'creator').rest('creator'));
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

/** The valid header with the higher sequence number. Throws what is wrong with the first where none is valid. */
export function readHeader(source: ByteSource): VhdxHeader {
  const valid: VhdxHeader[] = [];
  let refused: ParseError | undefined;
  for (const offset of HEADER_OFFSETS) {
    try {
      valid.push(parseHeader(source, offset));
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      refused ??= error;
    }
  }
  const [newest] = valid.toSorted((a, b) => (a.sequence < b.sequence ? 1 : -1));
  if (newest === undefined) throw refused ?? new ParseError('invalid', 'header', 0, 'is not there');
  return newest;
}

function parseHeader(source: ByteSource, offset: number): VhdxHeader {
  const cursor = cursorAt(source, offset, HEADER_BYTES, 'header');
  const signature = cursor.u32le('signature');
  if (signature !== SIGNATURE) {
    throw new ParseError('invalid', 'signature', offset, `0x${signature.toString(16)}, expected 'head'`);
  }
  checkChecksum(source.read(offset, HEADER_BYTES), cursor.u32le('checksum'), offset);
  const sequence = cursor.u64le('sequence_number');
  cursor.skip(16, 'file_write_guid');
  const dataWriteGuid = guidText(cursor.take(16, 'data_write_guid'));
  const logGuid = guidText(cursor.take(16, 'log_guid'));
  const logVersion = cursor.u16le('log_version');
  const version = cursor.u16le('version');
  const logLength = cursor.u32le('log_length');
  const logOffset = safeNumber(cursor.u64le('log_offset'), 'log_offset', offset + 72);
  if (logVersion !== 0) throw new ParseError('unsupported', 'log_version', offset + 64, `${logVersion}, expected 0`);
  if (version !== 1) throw new ParseError('unsupported', 'version', offset + 66, `${version}, expected 1`);
  if (logLength % MIB !== 0 || logLength > MAX_LOG_BYTES) {
    const expected = `a multiple of 1 MiB up to ${MAX_LOG_BYTES}`;
    throw new ParseError('limit', 'log_length', offset + 68, `${logLength}, expected ${expected}`);
  }
  if (logOffset % MIB !== 0 || logOffset === 0) {
    throw new ParseError('invalid', 'log_offset', offset + 72, `${logOffset}, expected a multiple of 1 MiB above 0`);
  }
  checkWithin(source, logOffset, logLength, 'log_offset', offset + 72);
  return { offset, sequence, dataWriteGuid, logGuid, logOffset, logLength };
}

/** The checksum of a structure whose own checksum lies behind its signature. */
export function checkChecksum(bytes: Uint8Array, stored: number, offset: number): void {
  const computed = crc32c(bytes, CHECKSUM_OFFSET);
  if (stored === computed) return;
  const found = `0x${stored.toString(16)}, expected 0x${computed.toString(16)}`;
  throw new ParseError('invalid', 'checksum', offset + CHECKSUM_OFFSET, found);
}
