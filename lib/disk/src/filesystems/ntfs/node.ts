// A file, directory or link of NTFS.
import { DiskError } from '../../disk-error.ts';
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkFileName, encodeFileName } from '../file-name.ts';
import type { DirectoryEntry, FileKind, FileNode } from '../file-system.ts';
import { wrongKind } from '../node-kind.ts';
import { DOS_NAMESPACE, NtfsIndex } from './index.ts';
import { ATTRIBUTE, type NtfsAttribute } from './record.ts';
import { interixTarget, MAX_INTERIX_BYTES, parseReparsePoint, type ReparsePoint } from './reparse.ts';
import { FIRST_FILE, type NtfsFile, type NtfsVolume } from './volume.ts';

const INDEX_NAME = '$I30';

/** Flags of $STANDARD_INFORMATION. */
const SYSTEM = 0x4;
const ENCRYPTED = 0x4000;
/** Of a name in an index: its file has a reparse point. */
const REPARSE_POINT = 0x400;

/** $INDEX_ROOT lies in the record of its directory. */
const MAX_ROOT_BYTES = 65_536;
/** Streams up to this size are shown as extended attributes, too (XATTR_SIZE_MAX of Linux). */
const MAX_XATTR_BYTES = 65_536;
/** All of one file together; what is beyond is among its streams only. */
const MAX_XATTRS_BYTES = 8 * 2 ** 20;
/** MAXIMUM_REPARSE_DATA_BUFFER_SIZE. */
const MAX_REPARSE_BYTES = 16_384;

/** From 1601 to 1970, and what a unit of 100 ns is. */
const EPOCH_MS = 11_644_473_600_000;
const UNITS_PER_MS = 10_000;

export class NtfsNode implements FileNode {
  readonly permissions = undefined;
  readonly uid = undefined;
  readonly gid = undefined;
  readonly encrypted: boolean;
  readonly #volume: NtfsVolume;
  readonly #file: NtfsFile;
  readonly #standard: DataView | undefined;
  readonly #reparse: ReparsePoint;
  readonly #link: string | undefined;

  constructor(volume: NtfsVolume, file: NtfsFile) {
    this.#volume = volume;
    this.#file = file;
    const standard = this.#attribute(ATTRIBUTE.standardInformation)?.value;
    if (standard !== undefined && standard.length >= 36) {
      this.#standard = new DataView(standard.buffer, standard.byteOffset, standard.byteLength);
    }
    const flags = this.#standard?.getUint32(32, true) ?? 0;
    this.encrypted = (flags & ENCRYPTED) !== 0 || this.#attribute(ATTRIBUTE.data)?.encrypted === true;
    this.#reparse = this.#readReparsePoint();
    this.#link = this.#reparse.target ?? ((flags & SYSTEM) === 0 ? undefined : this.#interixLink());
  }

  get id(): number {
    return this.#file.record.number;
  }

  get kind(): FileKind {
    if (this.#link !== undefined) return 'symlink';
    return this.#file.record.isDirectory ? 'directory' : 'file';
  }

  get size(): number {
    if (this.#link !== undefined) return encodeFileName(this.#link).length;
    const data = this.kind === 'file' ? this.#attribute(ATTRIBUTE.data) : undefined;
    return data?.value?.length ?? data?.runs?.size ?? 0;
  }

  get links(): number {
    return this.#file.record.links;
  }

  get modifiedAt(): number {
    const units = this.#standard?.getBigUint64(8, true) ?? 0n;
    return units === 0n ? 0 : Number(units / BigInt(UNITS_PER_MS)) - EPOCH_MS;
  }

  entries(): Iterable<DirectoryEntry> {
    return this.#entries(this.#index());
  }

  lookup(name: string): FileNode | undefined {
    const found = this.#index().find(name, (text) => this.#volume.fold(text));
    if (found === undefined || found.record < FIRST_FILE) return undefined;
    return new NtfsNode(this.#volume, this.#volume.file(found.record));
  }

  open(): ByteSource {
    if (this.kind !== 'file') throw wrongKind(this.kind, 'file');
    if (this.#reparse.hides !== undefined) {
      throw new DiskError('needs-codec', `the contents are ${this.#reparse.hides}, which is not read`);
    }
    return this.#volume.open(this.#file, ATTRIBUTE.data, '');
  }

  target(): string {
    if (this.#link === undefined) throw wrongKind(this.kind, 'symlink');
    return this.#link;
  }

  /** Other streams than the file itself, by their names: of directories, too. */
  streams(): ReadonlyMap<string, ByteSource> {
    const names = this.#file.attributes.filter(({ type, name }) => type === ATTRIBUTE.data && name !== '');
    return new Map(names.map(({ name }) => [name, this.#volume.open(this.#file, ATTRIBUTE.data, name)]));
  }

  /** Small streams, as ntfs-3g shows them. */
  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    const attributes = new Map<string, Uint8Array>();
    let left = MAX_XATTRS_BYTES;
    for (const [name, source] of this.streams()) {
      if (source.size > Math.min(MAX_XATTR_BYTES, left)) continue;
      left -= source.size;
      attributes.set(`user.${name}`, source.read(0, source.size));
    }
    return attributes;
  }

  *#entries(index: NtfsIndex): Generator<DirectoryEntry> {
    const volume = this.#volume;
    const position = volume.positionOf(this.id);
    for (const { name, namespace, record, flags } of index.entries()) {
      if (namespace === DOS_NAMESPACE || record < FIRST_FILE) continue;
      // The index does not say whether a reparse point is a link, nor what Interix took for one.
      const isPlain = (flags & (REPARSE_POINT | SYSTEM)) === 0;
      yield {
        name: checkFileName(name, 'file name', position),
        kind: isPlain ? kindOfFlags(flags) : undefined,
        id: record,
        node: () => new NtfsNode(volume, volume.file(record)),
      };
    }
  }

  #index(): NtfsIndex {
    if (this.kind !== 'directory') throw wrongKind(this.kind, 'directory');
    const position = this.#volume.positionOf(this.id);
    const root = this.#volume.open(this.#file, ATTRIBUTE.indexRoot, INDEX_NAME);
    if (root.size > MAX_ROOT_BYTES) throw new ParseError('limit', 'index root', position, `has ${root.size} bytes`);
    const blocks = this.#volume.open(this.#file, ATTRIBUTE.indexAllocation, INDEX_NAME);
    return new NtfsIndex(root.read(0, root.size), blocks, this.#volume.geometry.clusterBytes, position);
  }

  #readReparsePoint(): ReparsePoint {
    if (this.#attribute(ATTRIBUTE.reparsePoint) === undefined) return {};
    const source = this.#volume.open(this.#file, ATTRIBUTE.reparsePoint, '');
    const position = this.#volume.positionOf(this.id);
    if (source.size > MAX_REPARSE_BYTES)
      throw new ParseError('limit', 'reparse point', position, `has ${source.size} bytes`);
    return parseReparsePoint(source.read(0, source.size), position);
  }

  #interixLink(): string | undefined {
    if (this.encrypted || this.#file.record.isDirectory) return undefined;
    const source = this.#volume.open(this.#file, ATTRIBUTE.data, '');
    return source.size > MAX_INTERIX_BYTES ? undefined : interixTarget(source.read(0, source.size));
  }

  /** The first piece of an unnamed attribute. */
  #attribute(wanted: number): NtfsAttribute | undefined {
    return this.#file.attributes.find(({ type, name, runs }) => {
      return type === wanted && name === '' && (runs?.firstCluster ?? 0) === 0;
    });
  }
}

/** Of a name in an index: the kind that its file had when the name was written. */
function kindOfFlags(flags: number): FileKind {
  return (flags & 0x1000_0000) === 0 ? 'file' : 'directory';
}
