// An ISO 9660 volume: directories by the extents that they lie in, files with all of their extents.
import { BoundedMap, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { RunList, sourceOfRuns, type Runs } from '../run-source.ts';
import { FLAG, parseDirectoryRecord, type DirectoryRecord } from './directory-record.ts';
import { readRockRidge, systemUseSkip, type RockRidge } from './rock-ridge.ts';
import { SECTOR_BYTES, ucs2, type VolumeDescriptor, type VolumeDescriptors } from './volume-descriptors.ts';

/** Some hundred thousand names. */
const MAX_DIRECTORY_BYTES = 16 * 2 ** 20;
/** Up to this size the names of a directory are kept for look-ups, some 40 MiB of memory; a larger one is read each time. */
const MAX_KEPT_DIRECTORY_BYTES = 4 * 2 ** 20;
const CACHED_DIRECTORIES = 1;
/** A file of 8 TiB in extents of 4 GiB. */
const MAX_EXTENTS = 2048;

/** One file of a directory: its records, and what Rock Ridge adds. */
export interface IsoEntry {
  readonly name: string;
  readonly first: DirectoryRecord;
  readonly rockRidge: RockRidge;
  readonly isDirectory: boolean;
  /** Where its contents lie, and how many bytes they are. */
  readonly runs: Runs;
  readonly size: number;
}

export class IsoVolume {
  readonly names: 'rock-ridge' | 'joliet' | 'plain';
  readonly descriptor: VolumeDescriptor;
  readonly #source: ByteSource;
  readonly #skip: number;
  readonly #names = new BoundedMap<number, ReadonlyMap<string, IsoEntry>>(CACHED_DIRECTORIES);

  constructor(source: ByteSource, { primary, joliet }: VolumeDescriptors) {
    this.#source = source;
    const self = this.#selfRecord(primary.root.block, primary);
    const skip = systemUseSkip(self.systemUse);
    this.#skip = skip ?? 0;
    this.names = skip === undefined ? 'plain' : 'rock-ridge';
    if (skip === undefined && joliet !== undefined) this.names = 'joliet';
    this.descriptor = this.names === 'joliet' && joliet !== undefined ? joliet : primary;
  }

  root(): IsoEntry {
    return this.#directoryAt(this.descriptor.root.block, '', undefined);
  }

  open({ runs, size }: IsoEntry): ByteSource {
    return sourceOfRuns(this.#source, runs, size, 'file');
  }

  /** Files and directories of a directory, each once, without those that belong elsewhere. */
  *entries(directory: IsoEntry): Generator<IsoEntry> {
    const contents = this.open(directory);
    let parts: DirectoryRecord[] = [];
    let position = directory.first.position;
    for (const record of this.#records(contents, directory.runs.at(0)?.from ?? 0)) {
      position = record.position;
      // Itself and its parent, by names of one byte.
      const [only] = record.rawName;
      if (record.rawName.length === 1 && (only === 0 || only === 1)) continue;
      if ((record.flags & FLAG.associated) !== 0) continue;
      parts.push(record);
      if (parts.length > MAX_EXTENTS)
        throw new ParseError('limit', 'File Flags', position, `more than ${MAX_EXTENTS} extents`);
      if ((record.flags & FLAG.multiExtent) !== 0) continue;
      const entry = this.#entry(parts);
      parts = [];
      if (entry.rockRidge.isRelocated !== true) yield entry;
    }
    if (parts.length > 0)
      throw new ParseError('truncated', 'File Flags', position, 'the last extent of a file is missing');
  }

  /** By name as it is; of Joliet and plain names also in upper case. */
  find(directory: IsoEntry, name: string): IsoEntry | undefined {
    if (directory.size > MAX_KEPT_DIRECTORY_BYTES) return this.#search(directory, name);
    const key = directory.first.block;
    const names = this.#names.get(key) ?? this.#namesOf(directory);
    this.#names.set(key, names);
    return names.get(name) ?? names.get(this.#fold(name));
  }

  #namesOf(directory: IsoEntry): ReadonlyMap<string, IsoEntry> {
    const names = new Map<string, IsoEntry>();
    for (const entry of this.entries(directory)) {
      for (const name of [entry.name, this.#fold(entry.name)]) if (!names.has(name)) names.set(name, entry);
    }
    return names;
  }

  #search(directory: IsoEntry, name: string): IsoEntry | undefined {
    const folded = this.#fold(name);
    for (const entry of this.entries(directory)) if (this.#fold(entry.name) === folded) return entry;
    return undefined;
  }

  #fold(name: string): string {
    return this.names === 'rock-ridge' ? name : name.toUpperCase();
  }

  /** The record of a directory about itself, which is its first. */
  #selfRecord(block: number, { blockBytes } = this.descriptor): DirectoryRecord {
    const position = block * blockBytes;
    const record = parseDirectoryRecord(this.#source.read(position, SECTOR_BYTES), position);
    if ((record.flags & FLAG.directory) === 0 || record.block !== block) {
      throw new ParseError(
        'invalid',
        'directory',
        position,
        `is that of block ${record.block}, expected a directory in ${block}`,
      );
    }
    return record;
  }

  /** A directory by its place: that it lies there, its own first record says. */
  #directoryAt(block: number, name: string, rockRidge: RockRidge | undefined): IsoEntry {
    const first = this.#selfRecord(block);
    const own = rockRidge ?? this.#rockRidge(first);
    if (first.size > MAX_DIRECTORY_BYTES) {
      throw new ParseError(
        'limit',
        'Data Length',
        first.position + 10,
        `${first.size}, expected at most ${MAX_DIRECTORY_BYTES}`,
      );
    }
    const runs = [{ at: 0, length: first.size, from: block * this.descriptor.blockBytes }];
    return { name, first, rockRidge: own, isDirectory: true, runs, size: first.size };
  }

  #entry(parts: readonly DirectoryRecord[]): IsoEntry {
    const [first, ...others] = parts;
    if (first === undefined) throw new ParseError('invalid', 'File Flags', 0, 'a file without a record');
    const rockRidge = this.#rockRidge(first);
    const name = this.#nameOf(first, rockRidge);
    if (rockRidge.childBlock !== undefined) return this.#relocated(first, rockRidge.childBlock, name);
    const runs = new RunList();
    for (const { block, size } of [first, ...others]) runs.append(size, block * this.descriptor.blockBytes);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const isDirectory = (first.flags & FLAG.directory) !== 0;
    if (isDirectory && size > MAX_DIRECTORY_BYTES) {
      throw new ParseError(
        'limit',
        'Data Length',
        first.position + 10,
        `${size}, expected at most ${MAX_DIRECTORY_BYTES}`,
      );
    }
    return { name, first, rockRidge, isDirectory, runs, size };
  }

  /** A directory that lies elsewhere: what is true of it stands there, in its own record. */
  #relocated(placeholder: DirectoryRecord, block: number, name: string): IsoEntry {
    if (block === placeholder.block) {
      throw new ParseError('invalid', 'CL', placeholder.position, `leads to block ${block}, which is this one`);
    }
    return this.#directoryAt(block, name, undefined);
  }

  #rockRidge(record: DirectoryRecord): RockRidge {
    if (this.names !== 'rock-ridge') return {};
    const entries = record.systemUse.subarray(this.#isRoot(record) ? 0 : this.#skip);
    return readRockRidge(this.#source, entries, this.descriptor.blockBytes, record.position);
  }

  /** The skip counts for every record but the one that says it. */
  #isRoot(record: DirectoryRecord): boolean {
    return record.position === this.descriptor.root.block * this.descriptor.blockBytes;
  }

  #nameOf(record: DirectoryRecord, rockRidge: RockRidge): string {
    if (rockRidge.name !== undefined) return rockRidge.name;
    const raw = this.names === 'joliet' ? ucs2(record.rawName) : new TextDecoder('latin1').decode(record.rawName);
    // A version, and a dot before an extension that is not there.
    return raw.replace(/;\d*$/, '').replace(/\.$/, '');
  }

  /** Records do not cross sectors; the rest of a sector is zero. */
  *#records(contents: ByteSource, start: number): Generator<DirectoryRecord> {
    for (let at = 0; at < contents.size; at += SECTOR_BYTES) {
      const sector = contents.read(at, Math.min(SECTOR_BYTES, contents.size - at));
      for (let within = 0; within < sector.length && sector[within] !== 0;) {
        const record = parseDirectoryRecord(sector.subarray(within), start + at + within);
        yield record;
        within += record.length;
      }
    }
  }
}
