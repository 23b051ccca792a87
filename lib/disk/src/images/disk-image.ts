// What every image format looks like from outside: what its header says, and the disk that its guest would see. All of it was
// written by whoever made the image; names of other files are told, and never followed from here.
import type { ByteSource, Extent } from '../source/byte-source.ts';
import type { ByteCache } from '../source/byte-cache.ts';
import type { Codecs } from '../source/codecs.ts';

export const IMAGE_FORMATS = ['raw', 'qcow2', 'qed', 'vmdk', 'vhd', 'vhdx', 'vdi'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** Another file that an image needs. */
export interface ExternalReference {
  /** `backing` and `parent` are images below this one; `data-file` and `extent` hold bytes of this one. */
  readonly kind: 'backing' | 'data-file' | 'extent' | 'parent';
  /** As the image says it: a path of the machine that made it, of this one, or a trap. A VDI gives its parent's UUID. */
  readonly name: string;
  /** The format that the image claims for it, in the image's own words; undefined where it says none. */
  readonly format: string | undefined;
  readonly field: string;
  /** Where the name lies in the image. */
  readonly offset: number;
}

/** An older state of the disk inside the same image. */
export interface ImageSnapshot {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly virtualSize: number;
  /** Bytes of the machine's memory and device state, kept in clear beside the disk; 0 for none. */
  readonly vmStateBytes: number;
}

export interface ImageEncryption {
  readonly method: 'luks' | 'aes-cbc';
  /** The LUKS header with its key material, as a LUKS reader takes it; undefined for the older method, which has none. */
  readonly header: ByteSource | undefined;
}

/** Decrypts whole sectors of 512 bytes, of which the first has that number in the file that holds them. */
export type DecryptSectors = (sectors: Uint8Array, firstSector: number) => Uint8Array;

/** What an image says of itself, checked. */
export interface ImageHeader {
  readonly format: ImageFormat;
  /** Bytes of the disk as its guest sees it. */
  readonly virtualSize: number;
  /** For people: version, creator, cluster size, compression and the like. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly references: readonly ExternalReference[];
  readonly snapshots: readonly ImageSnapshot[];
  readonly encryption: ImageEncryption | undefined;
}

/** The disk as its guest sees it: `size` is `virtualSize`. */
export interface DiskImage extends ByteSource, ImageHeader {
  /** Its contents are encrypted, and no key was given: what is read throws `DiskError` (`needs-key`). */
  readonly locked: boolean;
  nextData(offset: number): Extent | undefined;
  /** An older state of the disk. Throws `DiskError` (`not-found`) where the image has none of that id. */
  openSnapshot(id: string): DiskImage;
}

export interface OpenImageOptions {
  /** What the image is, where the caller knows: a guest can write any header into a raw disk of its own. */
  readonly format?: ImageFormat;
  /** Needed for compressed images only. */
  readonly codecs?: Codecs;
  /** The bytes of a file that an image refers to; undefined refuses it, as without this function every one is refused. */
  readonly resolve?: (reference: ExternalReference) => ByteSource | undefined;
  /** The key of an encrypted image; undefined where there is none, and then whatever is encrypted is `needs-key`. */
  readonly unlock?: (encryption: ImageEncryption) => DecryptSectors | undefined;
}

/** What a format's reader gets from whoever opens a chain of images. */
export interface ImageChain {
  readonly codecs: Codecs;
  readonly tables: ByteCache;
  readonly blocks: ByteCache;
  unlock(encryption: ImageEncryption): DecryptSectors | undefined;
  /** The bytes of another file as they are. Throws `DiskError` (`reference`) where the caller gives none. */
  openFile(reference: ExternalReference): ByteSource;
  /** Another file as an image, one level further down. */
  openImage(reference: ExternalReference, format: ImageFormat | undefined): DiskImage;
}

/** A header, and the way from it to the disk. */
export interface ParsedImage extends ImageHeader {
  open(chain: ImageChain): DiskImage;
}
