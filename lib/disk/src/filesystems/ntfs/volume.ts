// An NTFS volume: records by number, and what some of the first ones say of all others.
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { dataWithin, type ByteSource } from '../../source/byte-source.ts';
import { attributeNamed, collectAttributes, openAttribute } from './attributes.ts';
import type { NtfsGeometry } from './boot-sector.ts';
import { ATTRIBUTE, parseNtfsRecord, utf16, type NtfsAttribute, type NtfsRecord } from './record.ts';

/** Numbers of the records that every volume has. */
const MFT = 0;
const VOLUME = 3;
const BITMAP = 6;
const UPCASE = 10;
export const ROOT = 5;
/** Those of the volume's own bookkeeping, which directories show and nobody calls files. */
export const FIRST_FILE = 16;

const UPCASE_CHARACTERS = 65_536;
const ASCII = /^[ -~]*$/;

/** A label has 32 characters; more is cut. */
const MAX_LABEL_BYTES = 256;

/** Of a file server with four million files. Pieces of the table may all lie in one place, and then it ends nowhere. */
const MAX_RECORDS = 2 ** 22;

/** Records that are kept: parts of paths are asked for again and again. */
const CACHED_RECORDS = 256;

/** $VOLUME_INFORMATION. */
const DIRTY = 1;

export interface NtfsFile {
  readonly record: NtfsRecord;
  readonly attributes: readonly NtfsAttribute[];
}

export class NtfsVolume {
  readonly geometry: NtfsGeometry;
  readonly #disk: ByteSource;
  readonly #mft: ByteSource;
  readonly #files = new BoundedMap<number, NtfsFile>(CACHED_RECORDS);
  #upcase: Uint16Array | undefined;
  #bitmap: ByteSource | undefined;

  constructor(disk: ByteSource, geometry: NtfsGeometry) {
    this.#disk = disk;
    this.geometry = geometry;
    const { mftStart, recordBytes } = geometry;
    const record = parseNtfsRecord(disk.read(mftStart, recordBytes), MFT, mftStart);
    const first = attributeNamed(record.attributes, ATTRIBUTE.data, '');
    // Where the table itself is in many pieces, its first piece leads to the records that know the others.
    const beginning = openAttribute(first, disk, geometry);
    const all = collectAttributes(record, disk, geometry, (number) => this.#parse(beginning, number));
    this.#mft = openAttribute(attributeNamed(all, ATTRIBUTE.data, ''), disk, geometry);
    if (this.#mft.size < recordBytes) throw new ParseError('invalid', '$MFT', mftStart, `has ${this.#mft.size} bytes`);
  }

  /** The numbers of all records from `first` on that lie somewhere: where the table has a hole, there is none. */
  *recordNumbers(first: number): Generator<number> {
    const { recordBytes } = this.geometry;
    const end = Math.floor(this.#mft.size / recordBytes) * recordBytes;
    for (let at = first * recordBytes, count = 0; at < end;) {
      const data = dataWithin(this.#mft, at, end - at);
      if (data === undefined) return;
      const last = at + data.offset + data.length;
      for (at = Math.floor((at + data.offset) / recordBytes) * recordBytes; at < last; at += recordBytes) {
        count += 1;
        if (count > MAX_RECORDS) throw new DiskError('limit', `the volume has more than ${MAX_RECORDS} records`);
        yield at / recordBytes;
      }
    }
  }

  file(number: number): NtfsFile {
    const known = this.#files.get(number);
    if (known !== undefined) return known;
    const record = this.record(number);
    const readRecord = (other: number): NtfsRecord => this.record(other);
    const file = { record, attributes: collectAttributes(record, this.#disk, this.geometry, readRecord) };
    // One that lies in many records may be large.
    if (file.attributes === record.attributes) this.#files.set(number, file);
    return file;
  }

  record(number: number): NtfsRecord {
    return this.#parse(this.#mft, number);
  }

  /** The contents of the attribute of this type and name; empty where there is none. */
  open({ attributes }: NtfsFile, type: number, name: string): ByteSource {
    return openAttribute(attributeNamed(attributes, type, name), this.#disk, this.geometry);
  }

  /** Where a record lies, for errors: exact as long as the table is in one piece. */
  positionOf(number: number): number {
    return this.geometry.mftStart + number * this.geometry.recordBytes;
  }

  /** A name as the volume compares it: by its own table of upper case, in which ASCII is the same on every volume. */
  fold(name: string): string {
    if (ASCII.test(name)) return name.toUpperCase();
    this.#upcase ??= this.#readUpcase();
    let folded = '';
    for (let index = 0; index < name.length; index += 1) {
      const unit = name.charCodeAt(index);
      folded += String.fromCharCode(this.#upcase[unit] ?? unit);
    }
    return folded;
  }

  /** Whether a cluster belongs to a file. */
  isInUse(cluster: number): boolean {
    this.#bitmap ??= this.open(this.file(BITMAP), ATTRIBUTE.data, '');
    const byte = this.#bitmap.read(cluster >>> 3, 1)[0] ?? 0;
    return (byte & (1 << (cluster & 7))) !== 0;
  }

  label(): string {
    const name = this.open(this.file(VOLUME), ATTRIBUTE.volumeName, '');
    return utf16(name.read(0, Math.min(name.size, MAX_LABEL_BYTES)));
  }

  notes(): string[] {
    const information = this.open(this.file(VOLUME), ATTRIBUTE.volumeInformation, '');
    const isDirty = information.size >= 12 && ((information.read(10, 1)[0] ?? 0) & DIRTY) !== 0;
    return isDirty ? ['the volume is marked as not cleanly unmounted; its journal is not replayed'] : [];
  }

  #readUpcase(): Uint16Array {
    const source = this.open(this.file(UPCASE), ATTRIBUTE.data, '');
    const bytes = source.read(0, Math.min(source.size, 2 * UPCASE_CHARACTERS));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Uint16Array.from({ length: bytes.length >>> 1 }, (_, index) => view.getUint16(2 * index, true));
  }

  #parse(mft: ByteSource, number: number): NtfsRecord {
    const { recordBytes } = this.geometry;
    return parseNtfsRecord(mft.read(number * recordBytes, recordBytes), number, this.positionOf(number));
  }
}
