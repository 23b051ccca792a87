// System Use entries (IEEE P1281, SUSP 1.12) and what Rock Ridge (IEEE P1282, RRIP 1.12) keeps in them: names, permissions, links,
// times, devices, and directories that lie elsewhere than where they belong.
import { concatBytes, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { decodeFileName } from '../file-name.ts';
import { parseShortDate } from './directory-record.ts';
import { parseLongDate } from './volume-descriptors.ts';

const ENTRY_HEADER_BYTES = 4;
/** Continuation areas that one record may lead through: a name and a target of the longest kind need four. */
const MAX_CONTINUATIONS = 8;
/** NAME_MAX of Linux. */
const MAX_NAME_BYTES = 255;
/** One area lies within a block. */
const MAX_AREA_BYTES = 2048;

/** Of NM and SL: the next entry continues this one. */
const CONTINUES = 1;
const SL_CURRENT = 2;
const SL_PARENT = 4;
const SL_ROOT = 8;

/** Which times TF holds, in this order: creation, modification, and more. */
const TF_CREATION = 1;
const TF_MODIFICATION = 2;
const TF_LONG = 0x80;

export interface RockRidge {
  readonly name?: string;
  readonly mode?: number;
  readonly links?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly target?: string;
  readonly modifiedAt?: number;
  readonly device?: { readonly major: number; readonly minor: number };
  /** The block of the directory that belongs here and lies elsewhere. */
  readonly childBlock?: number;
  /** It lies here and belongs elsewhere. */
  readonly isRelocated?: boolean;
  /** Packed by zisofs: how many bytes it unpacks to. */
  readonly zisofsSize?: number;
}

interface SystemUseEntry {
  readonly signature: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** How many bytes before the entries must be passed over, where the root's own record says that there are entries; else undefined. */
export function systemUseSkip(systemUse: Uint8Array): number | undefined {
  const isThere = [0x53, 0x50, 7, 1, 0xbe, 0xef].every((byte, index) => systemUse[index] === byte);
  return isThere ? systemUse[6] : undefined;
}

/** What Rock Ridge adds to a record whose `systemUse` lies at `position`. */
export function readRockRidge(
  disk: ByteSource,
  systemUse: Uint8Array,
  blockBytes: number,
  position: number,
): RockRidge {
  const found: { -readonly [Key in keyof RockRidge]: RockRidge[Key] } = {};
  const nameParts: Uint8Array[] = [];
  const targetParts: Uint8Array[] = [];
  for (const { signature, bytes, view } of systemUseEntries(disk, systemUse, blockBytes, position)) {
    const u32 = (offset: number): number => (offset + 4 <= bytes.length ? view.getUint32(offset, true) : 0);
    switch (signature) {
      case 'NM':
        nameParts.push(bytes.subarray(5));
        break;
      case 'PX':
        Object.assign(found, { mode: u32(4) & 0xffff, links: u32(12), uid: u32(20), gid: u32(28) });
        break;
      case 'SL':
        targetParts.push(bytes.subarray(4));
        break;
      case 'TF':
        Object.assign(found, modificationTime(bytes));
        break;
      case 'PN':
        found.device = deviceOf(u32(4), u32(12));
        break;
      case 'CL':
        found.childBlock = u32(4);
        break;
      case 'RE':
        found.isRelocated = true;
        break;
      case 'ZF':
        found.zisofsSize = u32(8);
        break;
      default:
    }
  }
  if (nameParts.length > 0) found.name = joinName(nameParts, position);
  if (targetParts.length > 0) found.target = linkTarget(targetParts, position);
  return found;
}

/** Entries of a record, through the continuation areas that they lead to. */
function* systemUseEntries(
  disk: ByteSource,
  systemUse: Uint8Array,
  blockBytes: number,
  position: number,
): Generator<SystemUseEntry> {
  let area: Uint8Array | undefined = systemUse;
  for (let count = 0; area !== undefined; count += 1) {
    if (count > MAX_CONTINUATIONS) {
      throw new ParseError('limit', 'CE', position, `leads through more than ${MAX_CONTINUATIONS} continuation areas`);
    }
    let next: Uint8Array | undefined;
    for (let at = 0; at + ENTRY_HEADER_BYTES <= area.length;) {
      const length = area[at + 2] ?? 0;
      // Zeros fill the area up.
      if (length < ENTRY_HEADER_BYTES || at + length > area.length) break;
      const bytes = area.subarray(at, at + length);
      const view = new DataView(bytes.buffer, bytes.byteOffset, length);
      const signature = String.fromCharCode(bytes[0] ?? 0, bytes[1] ?? 0);
      if (signature === 'ST') break;
      if (signature === 'CE' && length >= 28) {
        const bytesThere = view.getUint32(20, true);
        if (bytesThere > MAX_AREA_BYTES) {
          throw new ParseError(
            'limit',
            'CE',
            position,
            `an area of ${bytesThere} bytes, expected at most ${MAX_AREA_BYTES}`,
          );
        }
        next = disk.read(view.getUint32(4, true) * blockBytes + view.getUint32(12, true), bytesThere);
      } else {
        yield { signature, bytes, view };
      }
      at += length;
    }
    area = next;
  }
}

function joinName(parts: readonly Uint8Array[], position: number): string {
  const name = concatBytes(...parts);
  if (name.length > MAX_NAME_BYTES) {
    throw new ParseError('limit', 'NM', position, `a name of ${name.length} bytes, expected at most ${MAX_NAME_BYTES}`);
  }
  return decodeFileName(name);
}

/** Components with flags: SL entries continue one another, and so do components. */
function linkTarget(parts: readonly Uint8Array[], position: number): string {
  let target = '';
  // A component that continues is not ended by a separator.
  let separator = '';
  for (const part of parts) {
    for (let at = 1; at + 2 <= part.length;) {
      const flags = part[at] ?? 0;
      const length = part[at + 1] ?? 0;
      if (at + 2 + length > part.length)
        throw new ParseError('truncated', 'SL', position, `a component of ${length} bytes`);
      let text = decodeFileName(part.subarray(at + 2, at + 2 + length));
      if ((flags & SL_CURRENT) !== 0) text = '.';
      if ((flags & SL_PARENT) !== 0) text = '..';
      if ((flags & SL_ROOT) !== 0) {
        target = '/';
        separator = '';
      } else {
        target += separator + text;
        separator = (flags & CONTINUES) === 0 ? '/' : '';
      }
      at += 2 + length;
    }
  }
  return target;
}

function modificationTime(bytes: Uint8Array): Pick<RockRidge, 'modifiedAt'> {
  const flags = bytes[4] ?? 0;
  if ((flags & TF_MODIFICATION) === 0) return {};
  const isLong = (flags & TF_LONG) !== 0;
  const width = isLong ? 17 : 7;
  const at = 5 + ((flags & TF_CREATION) === 0 ? 0 : width);
  const date = bytes.subarray(at, at + width);
  return { modifiedAt: isLong ? parseLongDate(date) : parseShortDate(date) };
}

/** As Linux reads it: some writers put both numbers into the second field. */
function deviceOf(high: number, low: number): { major: number; minor: number } {
  if (high === 0 && low > 0xff) return { major: low >>> 8, minor: low & 0xff };
  return { major: high, minor: low };
}
