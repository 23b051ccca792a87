// A file, directory or link of ISO 9660.
import { DiskError } from '../../disk-error.ts';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkFileName, encodeFileName } from '../file-name.ts';
import type { DirectoryEntry, FileKind, FileNode } from '../file-system.ts';
import { kindOfMode, permissionsOfMode, wrongKind } from '../node-kind.ts';
import type { IsoEntry, IsoVolume } from './volume.ts';

export class IsoNode implements FileNode {
  readonly permissions: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly links: number;
  readonly kind: FileKind;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly #volume: IsoVolume;
  readonly #entry: IsoEntry;

  constructor(volume: IsoVolume, entry: IsoEntry) {
    this.#volume = volume;
    this.#entry = entry;
    const { mode, uid, gid, links, device } = entry.rockRidge;
    this.kind = kindOf(entry);
    this.permissions = mode === undefined ? undefined : permissionsOfMode(mode);
    this.uid = uid;
    this.gid = gid;
    this.links = links ?? 1;
    const hasDevice = this.kind === 'block-device' || this.kind === 'character-device';
    if (hasDevice && device !== undefined) this.device = device;
  }

  /** There are no inodes: a directory is known by where it lies, a file by where its record lies. */
  get id(): number {
    return idOf(this.#entry);
  }

  get size(): number {
    if (this.kind === 'symlink') return encodeFileName(this.target()).length;
    return this.kind === 'file' ? (this.#entry.rockRidge.zisofsSize ?? this.#entry.size) : 0;
  }

  get modifiedAt(): number {
    return this.#entry.rockRidge.modifiedAt ?? this.#entry.first.modifiedAt;
  }

  entries(): Iterable<DirectoryEntry> {
    return this.#entries(this.#directory());
  }

  lookup(name: string): FileNode | undefined {
    const entry = this.#volume.find(this.#directory(), name);
    return entry === undefined ? undefined : new IsoNode(this.#volume, entry);
  }

  open(): ByteSource {
    if (this.kind !== 'file') throw wrongKind(this.kind, 'file');
    if (this.#entry.rockRidge.zisofsSize !== undefined) {
      throw new DiskError('needs-codec', 'the contents are compressed by zisofs, which is not read');
    }
    return this.#volume.open(this.#entry);
  }

  target(): string {
    if (this.kind !== 'symlink') throw wrongKind(this.kind, 'symlink');
    return this.#entry.rockRidge.target ?? '';
  }

  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    return new Map();
  }

  #directory(): IsoEntry {
    if (this.kind !== 'directory') throw wrongKind(this.kind, 'directory');
    return this.#entry;
  }

  *#entries(directory: IsoEntry): Generator<DirectoryEntry> {
    const volume = this.#volume;
    for (const entry of volume.entries(directory)) {
      yield {
        name: checkFileName(entry.name, 'File Identifier', entry.first.position),
        kind: kindOf(entry),
        id: idOf(entry),
        node: () => new IsoNode(volume, entry),
      };
    }
  }
}

function idOf({ isDirectory, first, runs }: IsoEntry): number {
  return isDirectory ? (runs.at(0)?.from ?? first.position) : first.position;
}

function kindOf({ isDirectory, rockRidge: { mode } }: IsoEntry): FileKind {
  if (isDirectory) return 'directory';
  const kind = mode === undefined ? undefined : kindOfMode(mode);
  // Its record says what is a directory.
  return kind === undefined || kind === 'directory' ? 'file' : kind;
}
