// VMDK images: one sparse file with its descriptor inside, or a descriptor that names its extents (VMware, Virtual Disk
// Format 5.0). The formats of ESXi's own files (COWD, SESparse) are recognised and told.
import { ParseError } from '@ringwall/bytes';
import { windowOf, type ByteSource } from '../../source/byte-source.ts';
import { diskOf } from '../disk-of.ts';
import type { DiskImage, ExternalReference, ImageChain, ImageHeader, ParsedImage } from '../disk-image.ts';
import { checkWithin } from '../fields.ts';
import { openParent } from '../parent.ts';
import type { Locate, Run } from '../runs.ts';
import { MAX_DESCRIPTOR_BYTES, parseDescriptor, type DescribedExtent, type Descriptor } from './descriptor.ts';
import { GrainMap } from './grains.ts';
import { isSparseExtent, readSparseHeader, type SparseHeader } from './sparse-header.ts';

const DESCRIPTOR_START = '# Disk DescriptorFile';
/** Comments and empty lines may stand before. */
const DESCRIPTOR_LOOK_BYTES = 512;
/** Extents of ESXi, which lie beside their descriptor there: 'COWD', and SESparse's 0xcafebabe. */
const ESXI_MAGIC: Readonly<Record<number, string>> = { 0x44574f43: 'COWD', 0xcafebabe: 'SESparse' };

export function recogniseVmdk(source: ByteSource): boolean {
  return isSparseExtent(source) || esxiFormat(source) !== undefined || isDescriptor(source);
}

export function parseVmdk(source: ByteSource): ParsedImage {
  const esxi = esxiFormat(source);
  if (esxi !== undefined) throw new ParseError('unsupported', 'magic', 0, `of ${esxi}, an extent of ESXi's own`);
  return isSparseExtent(source) ? parseSparse(source) : parseDescribed(source);
}

/** One sparse extent; its descriptor, where it has one, must describe it alone. */
function parseSparse(source: ByteSource): ParsedImage {
  const sparse = readSparseHeader(source);
  const { offset, length } = sparse.descriptor;
  const descriptor = length === 0 ? undefined : parseDescriptor(source.read(offset, length), offset);
  if (descriptor !== undefined) checkEmbedded(descriptor, sparse, offset);
  const header = describe(sparse.capacity, descriptor, sparse, []);
  const open = (chain: ImageChain): DiskImage => {
    const parent = openParentOf(header, descriptor, chain);
    return diskOf(header, grainsOf(source, sparse, parent, chain));
  };
  return { ...header, open };
}

function checkEmbedded({ extents }: Descriptor, sparse: SparseHeader, offset: number): void {
  const [extent] = extents;
  if (extents.length !== 1 || extent?.type !== 'SPARSE' || extent.start !== 0) {
    throw new ParseError(
      'invalid',
      'extents',
      extent?.nameOffset ?? offset,
      'of an embedded descriptor: expected one, SPARSE, itself',
    );
  }
  if (extent.bytes !== sparse.capacity) {
    const found = `make ${extent.bytes} bytes, expected the capacity of the header, ${sparse.capacity}`;
    throw new ParseError('invalid', 'extent sectors', extent.nameOffset, found);
  }
}

/** A descriptor in a file of its own. */
function parseDescribed(source: ByteSource): ParsedImage {
  if (source.size > MAX_DESCRIPTOR_BYTES) {
    throw new ParseError(
      'limit',
      'descriptor',
      0,
      `has ${source.size} bytes, expected at most ${MAX_DESCRIPTOR_BYTES}`,
    );
  }
  const descriptor = parseDescriptor(source.read(0, source.size), 0);
  const { extents } = descriptor;
  const virtualSize = extents.reduce((total, { bytes }) => total + bytes, 0);
  if (!Number.isSafeInteger(virtualSize)) {
    throw new ParseError(
      'limit',
      'extents',
      0,
      `make ${virtualSize} bytes, expected at most ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  const header = describe(virtualSize, descriptor, undefined, extents);
  return { ...header, open: (chain) => openExtents(header, descriptor, chain) };
}

function describe(
  virtualSize: number,
  descriptor: Descriptor | undefined,
  sparse: SparseHeader | undefined,
  extents: readonly DescribedExtent[],
): ImageHeader {
  const references: ExternalReference[] = extents.flatMap((extent) => {
    const { type, name, nameOffset } = extent;
    return type === 'ZERO' ? [] : [{ kind: 'extent', name, format: type, field: 'extent', offset: nameOffset }];
  });
  if (descriptor?.parentName !== undefined) {
    const { parentName: name, parentOffset: offset } = descriptor;
    references.push({ kind: 'parent', name, format: 'vmdk', field: 'parentFileNameHint', offset });
  }
  return {
    format: 'vmdk',
    virtualSize,
    facts: {
      ...(descriptor && { createType: descriptor.createType, cid: descriptor.cid }),
      ...(descriptor?.parentCid !== undefined && { parentCid: descriptor.parentCid }),
      ...(sparse && { version: sparse.version, grainBytes: sparse.grainBytes, compressed: sparse.compressed }),
      ...(sparse?.unclean === true && { uncleanShutdown: true }),
      ...(extents.length > 0 && { extents: extents.length }),
    },
    references,
    snapshots: [],
    encryption: undefined,
  };
}

function openParentOf(
  header: ImageHeader,
  descriptor: Descriptor | undefined,
  chain: ImageChain,
): DiskImage | undefined {
  if (descriptor?.parentCid === undefined) return undefined;
  const { parentCid: expected, parentOffset: offset } = descriptor;
  const parents = header.references.filter(({ kind }) => kind === 'parent');
  return openParent(chain, parents, 'vmdk', { fact: 'cid', expected, field: 'parentCID', offset });
}

function grainsOf(source: ByteSource, header: SparseHeader, below: ByteSource | undefined, chain: ImageChain): Locate {
  const tables = chain.tables.section();
  const grains = new GrainMap({ source, header, below, tables, blocks: chain.blocks.section(), codecs: chain.codecs });
  return (offset, length) => grains.locate(offset, length);
}

interface OpenExtent {
  readonly start: number;
  readonly end: number;
  readonly locate: Locate;
}

function openExtents(header: ImageHeader, descriptor: Descriptor, chain: ImageChain): DiskImage {
  const parent = openParentOf(header, descriptor, chain);
  const references = header.references.filter(({ kind }) => kind === 'extent').values();
  let start = 0;
  const extents: OpenExtent[] = [];
  for (const extent of descriptor.extents) {
    const reference = extent.type === 'ZERO' ? undefined : references.next().value;
    const below = parent && part(parent, start, extent.bytes);
    if (extent.bytes > 0) {
      const locate = openExtent(extent, reference, below, chain);
      extents.push({ start, end: start + extent.bytes, locate });
    }
    start += extent.bytes;
  }
  return diskOf(header, (offset, length) => {
    const extent = extentAt(extents, offset);
    return extent.locate(offset - extent.start, Math.min(length, extent.end - offset));
  });
}

/** The part of the image below that lies under an extent: less where that image is shorter. */
function part(parent: ByteSource, start: number, bytes: number): ByteSource | undefined {
  return start >= parent.size ? undefined : windowOf(parent, start, Math.min(bytes, parent.size - start), 'extent');
}

function openExtent(
  extent: DescribedExtent,
  reference: ExternalReference | undefined,
  below: ByteSource | undefined,
  chain: ImageChain,
): Locate {
  const { type, bytes, start, nameOffset } = extent;
  if (reference === undefined) return (_, length) => ({ kind: 'zero', length });
  if (type === 'FLAT' || type === 'VMFS') {
    const source = chain.openFile(reference);
    checkWithin(source, start, bytes, 'extent sectors', nameOffset);
    return (offset, length): Run => ({ kind: 'data', length, source, at: start + offset });
  }
  if (type !== 'SPARSE') {
    throw new ParseError('unsupported', 'extent', nameOffset, `of type ${type}, which only ESXi reads`);
  }
  const source = chain.openFile(reference);
  const sparse = readSparseHeader(source);
  if (sparse.capacity !== bytes) {
    const found = `make ${bytes} bytes, but the extent's own header says ${sparse.capacity}`;
    throw new ParseError('invalid', 'extent sectors', nameOffset, found);
  }
  return grainsOf(source, sparse, below, chain);
}

function extentAt(extents: readonly OpenExtent[], offset: number): OpenExtent {
  let [low, high] = [0, extents.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((extents[middle]?.end ?? 0) > offset) high = middle;
    else low = middle + 1;
  }
  const extent = extents[low];
  if (extent === undefined) throw new ParseError('invalid', 'extents', 0, `none holds byte ${offset}`);
  return extent;
}

function esxiFormat(source: ByteSource): string | undefined {
  if (source.size < 4) return undefined;
  const bytes = source.read(0, 4);
  return ESXI_MAGIC[new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)];
}

function isDescriptor(source: ByteSource): boolean {
  const text = new TextDecoder('latin1').decode(source.read(0, Math.min(source.size, DESCRIPTOR_LOOK_BYTES)));
  const line = text.split('\n').find((candidate) => candidate.trim() !== '');
  return line?.trim() === DESCRIPTOR_START;
}
