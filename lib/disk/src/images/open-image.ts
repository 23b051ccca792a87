// An image of any format, recognised by its content. Names of files say nothing here, and other files are opened only where
// the caller gives their bytes.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import { ByteCache, giveBack } from '../source/byte-cache.ts';
import type { ByteSource } from '../source/byte-source.ts';
import type {
  DiskImage,
  ExternalReference,
  ImageChain,
  ImageFormat,
  ImageHeader,
  OpenImageOptions,
  ParsedImage,
} from './disk-image.ts';
import { recogniseOva } from './ova/ova.ts';
import { parseQcow2, recogniseQcow2 } from './qcow2/qcow2.ts';
import { parseQed, recogniseQed } from './qed.ts';
import { parseRaw } from './raw.ts';
import { parseVdi, recogniseVdi } from './vdi.ts';
import { parseVhd, recogniseVhd } from './vhd/vhd.ts';
import { parseVhdx, recogniseVhdx } from './vhdx/vhdx.ts';
import { parseVmdk, recogniseVmdk } from './vmdk/vmdk.ts';

/** Images below one another. libvirt's incremental backups reach some dozens; a loop ends here. */
const MAX_CHAIN_IMAGES = 64;
/** Pages of tables of all images of a chain. 4 MiB of QCOW2's L2 tables are the way to 32 GiB of disk. */
const TABLE_CACHE_BYTES = 4 * 2 ** 20;
/** Decompressed blocks of all images of a chain: eight of the largest (2 MiB), 256 of the usual 64 KiB. */
const BLOCK_CACHE_BYTES = 16 * 2 ** 20;

interface Format {
  /** Looks at magic bytes only. */
  readonly recognise: (source: ByteSource) => boolean;
  readonly parse: (source: ByteSource) => ParsedImage;
}

const FORMATS: Readonly<Record<Exclude<ImageFormat, 'raw'>, Format>> = {
  qcow2: { recognise: recogniseQcow2, parse: parseQcow2 },
  qed: { recognise: recogniseQed, parse: parseQed },
  vmdk: { recognise: recogniseVmdk, parse: parseVmdk },
  vhdx: { recognise: recogniseVhdx, parse: parseVhdx },
  vdi: { recognise: recogniseVdi, parse: parseVdi },
  // Last: its footer lies at the end, where the other formats have a guest's data.
  vhd: { recognise: recogniseVhd, parse: parseVhd },
};

/** What an image says of itself. Opens nothing else, and needs neither key nor codec. */
export function parseImageHeader(source: ByteSource, format?: ImageFormat): ImageHeader {
  return parse(source, format);
}

/** The disk inside an image. */
export function openImage(source: ByteSource, options: OpenImageOptions = {}): DiskImage {
  return new Chain(options).open(source, options.format, 1);
}

function parse(source: ByteSource, format: ImageFormat | undefined): ParsedImage {
  if (format === 'raw') return parseRaw(source);
  if (format !== undefined) return FORMATS[format].parse(source);
  const found = Object.values(FORMATS).find(({ recognise }) => recognise(source));
  if (found !== undefined) return found.parse(source);
  if (recogniseOva(source))
    throw new DiskError('wrong-kind', 'an archive of disks (OVA): openOva() gives each of them');
  return parseRaw(source);
}

class Chain {
  readonly #options: OpenImageOptions;
  readonly #tables = new ByteCache(TABLE_CACHE_BYTES);
  // What is read of a block is copied out of it at once (runs.ts).
  readonly #blocks = new ByteCache(BLOCK_CACHE_BYTES, giveBack);

  constructor(options: OpenImageOptions) {
    this.#options = options;
  }

  open(source: ByteSource, format: ImageFormat | undefined, depth: number): DiskImage {
    return parse(source, format).open(this.#at(depth));
  }

  #at(depth: number): ImageChain {
    return {
      codecs: this.#options.codecs ?? {},
      tables: this.#tables,
      blocks: this.#blocks,
      unlock: (encryption) => this.#options.unlock?.(encryption),
      openFile: (reference) => this.#file(reference),
      openImage: (reference, format) => {
        if (depth === MAX_CHAIN_IMAGES) {
          throw new ParseError(
            'limit',
            reference.field,
            reference.offset,
            `names image ${depth + 1} of a chain, expected at most ${MAX_CHAIN_IMAGES}`,
          );
        }
        return this.open(this.#file(reference), format, depth + 1);
      },
    };
  }

  #file(reference: ExternalReference): ByteSource {
    const source = this.#options.resolve?.(reference);
    if (source === undefined) {
      const { kind, name, field, offset } = reference;
      throw new DiskError('reference', `${field} at ${offset} names another file (${kind}): ${JSON.stringify(name)}`);
    }
    return source;
  }
}
