// A FAT volume: directories and files by the numbers of their first clusters.
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { memorySource, windowOf, type ByteSource } from '../../source/byte-source.ts';
import { sourceOfRuns } from '../run-source.ts';
import { AllocationTable } from './allocation-table.ts';
import type { FatGeometry } from './boot-sector.ts';
import { decodeCodePage437 } from './code-page-437.ts';
import { ENTRY_BYTES, readFatEntries, type FatEntry } from './directory.ts';

/** The specification's limit of a directory: 65,536 entries. */
const MAX_DIRECTORY_BYTES = 65_536 * ENTRY_BYTES;

/** What mkfs writes where nobody gave a label. */
const NO_LABEL = 'NO NAME';

/** Directories whose names are kept for look-ups: of the largest there can be, 30 MiB each. */
const CACHED_DIRECTORIES = 2;

/** A piece of a directory: where it lies, and its bytes. */
interface DirectoryPiece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

export class FatVolume {
  readonly geometry: FatGeometry;
  readonly table: AllocationTable;
  readonly #source: ByteSource;
  readonly #names = new BoundedMap<number, ReadonlyMap<string, FatEntry>>(CACHED_DIRECTORIES);

  constructor(source: ByteSource, geometry: FatGeometry) {
    this.#source = source;
    this.geometry = geometry;
    this.table = new AllocationTable(source, geometry);
  }

  /** Entries of the directory that begins in `cluster`, deleted ones too; undefined is the root. */
  *entries(cluster: number | undefined): Generator<FatEntry> {
    for (const entry of readFatEntries(this.#pieces(cluster))) if (!('label' in entry)) yield entry;
  }

  label(): string {
    for (const entry of readFatEntries(this.#pieces(undefined))) if ('label' in entry) return entry.label;
    const label = decodeCodePage437(this.geometry.label).trimEnd();
    return label === NO_LABEL ? '' : label;
  }

  /** Files and directories of a directory by their names, long and short, in upper case: FAT does not tell them apart by case. */
  namesOf(cluster: number | undefined): ReadonlyMap<string, FatEntry> {
    const key = cluster ?? 0;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const names = new Map<string, FatEntry>();
    for (const entry of this.entries(cluster)) {
      if (entry.isDeleted) continue;
      for (const name of [entry.name.toUpperCase(), entry.shortName.toUpperCase()])
        if (!names.has(name)) names.set(name, entry);
    }
    this.#names.set(key, names);
    return names;
  }

  readCluster(cluster: number): DirectoryPiece {
    const position = this.table.placeOf(cluster);
    return { position, bytes: this.#source.read(position, this.geometry.clusterBytes) };
  }

  open({ firstCluster, size }: FatEntry): ByteSource {
    if (size === 0) return memorySource(new Uint8Array(0));
    return sourceOfRuns(this.#source, this.table.runs(firstCluster, size), size, 'file');
  }

  /** A run of clusters as it lies, whoever owns them by now. */
  openContiguous(firstCluster: number, size: number): ByteSource {
    return windowOf(this.#source, this.table.placeOf(firstCluster), size, 'deleted file');
  }

  *#pieces(cluster: number | undefined): Generator<DirectoryPiece> {
    const { root, clusterBytes } = this.geometry;
    if (cluster === undefined && 'start' in root) {
      yield { position: root.start, bytes: this.#source.read(root.start, root.bytes) };
      return;
    }
    const first = cluster ?? ('cluster' in root ? root.cluster : 0);
    let bytes = 0;
    for (const next of this.table.chain(first, 'directory')) {
      bytes += clusterBytes;
      if (bytes > MAX_DIRECTORY_BYTES + clusterBytes) {
        throw new ParseError(
          'limit',
          'directory',
          this.table.placeOf(next),
          `has more than ${MAX_DIRECTORY_BYTES} bytes`,
        );
      }
      yield this.readCluster(next);
    }
  }
}
