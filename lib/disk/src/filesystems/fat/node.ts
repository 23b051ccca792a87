// A file or directory of FAT.
import type { ByteSource } from '../../source/byte-source.ts';
import { checkFileName } from '../file-name.ts';
import type { DirectoryEntry, FileKind, FileNode } from '../file-system.ts';
import { wrongKind } from '../node-kind.ts';
import { ENTRY_BYTES, type FatEntry } from './directory.ts';
import type { FatVolume } from './volume.ts';

/** The root has no entry. Other nodes are numbered by the place of theirs, which is never in the boot sector. */
const ROOT_ID = 1;

export class FatNode implements FileNode {
  readonly #volume: FatVolume;
  /** Undefined is the root. */
  readonly #entry: FatEntry | undefined;
  readonly #contents: (() => ByteSource) | undefined;
  readonly permissions = undefined;
  readonly uid = undefined;
  readonly gid = undefined;
  readonly links = 1;

  /** `contents`: those of a deleted file, which the table does not say any more. */
  constructor(volume: FatVolume, entry: FatEntry | undefined, contents?: () => ByteSource) {
    this.#volume = volume;
    this.#entry = entry;
    this.#contents = contents;
  }

  get id(): number {
    return this.#entry === undefined ? ROOT_ID : this.#entry.position / ENTRY_BYTES;
  }

  get kind(): FileKind {
    return kindOf(this.#entry);
  }

  get size(): number {
    return this.kind === 'file' ? (this.#entry?.size ?? 0) : 0;
  }

  get modifiedAt(): number {
    return this.#entry?.modifiedAt ?? 0;
  }

  entries(): Iterable<DirectoryEntry> {
    return this.#entries(this.#cluster());
  }

  lookup(name: string): FileNode | undefined {
    const entry = this.#volume.namesOf(this.#cluster()).get(name.toUpperCase());
    return entry === undefined ? undefined : new FatNode(this.#volume, entry);
  }

  open(): ByteSource {
    if (this.#entry === undefined || this.#entry.isDirectory) throw wrongKind('directory', 'file');
    return this.#contents === undefined ? this.#volume.open(this.#entry) : this.#contents();
  }

  target(): string {
    throw wrongKind(this.kind, 'symlink');
  }

  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    return new Map();
  }

  *#entries(cluster: number | undefined): Generator<DirectoryEntry> {
    const volume = this.#volume;
    for (const entry of volume.entries(cluster)) {
      if (entry.isDeleted) continue;
      yield {
        name: checkFileName(entry.name, 'DIR_Name', entry.position),
        kind: kindOf(entry),
        id: entry.position / ENTRY_BYTES,
        node: () => new FatNode(volume, entry),
      };
    }
  }

  /** The first cluster of this directory, undefined for the root. */
  #cluster(): number | undefined {
    if (this.#entry === undefined) return undefined;
    if (!this.#entry.isDirectory) throw wrongKind('file', 'directory');
    return this.#entry.firstCluster;
  }
}

function kindOf(entry: FatEntry | undefined): FileKind {
  return entry === undefined || entry.isDirectory ? 'directory' : 'file';
}
