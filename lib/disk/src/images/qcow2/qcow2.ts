// QCOW2 images, versions 2 and 3: the format of QEMU (QEMU docs/interop/qcow2.txt).
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { windowOf, type ByteSource } from '../../source/byte-source.ts';
import { diskOf } from '../disk-of.ts';
import type { DiskImage, ExternalReference, ImageChain, ImageFormat, ImageHeader, ParsedImage } from '../disk-image.ts';
import { ClusterMap, type ClusterSpace } from './clusters.ts';
import { l1EntriesFor, parseHeader, tableOffset, type Qcow2Header } from './header.ts';
import { MAGIC } from './raw-header.ts';
import { readSnapshots, type Qcow2Snapshot } from './snapshots.ts';

/** QEMU's names of formats; without one the content decides, as it did before names were written. */
const BACKING_FORMATS: Readonly<Record<string, ImageFormat>> = {
  raw: 'raw',
  file: 'raw',
  host_device: 'raw',
  qcow2: 'qcow2',
  qed: 'qed',
  vmdk: 'vmdk',
  vpc: 'vhd',
  vhdx: 'vhdx',
  vdi: 'vdi',
};

export function recogniseQcow2(source: ByteSource): boolean {
  if (source.size < 4) return false;
  const bytes = source.read(0, 4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) === MAGIC;
}

export function parseQcow2(source: ByteSource): ParsedImage {
  const checked = parseHeader(source);
  const snapshots = readSnapshots(source, checked);
  const header = describe(source, checked, snapshots);
  return { ...header, open: (chain) => openQcow2(source, checked, header, snapshots, chain) };
}

function describe(source: ByteSource, header: Qcow2Header, snapshots: readonly Qcow2Snapshot[]): ImageHeader {
  const { version, clusterBytes, virtualSize, encryption, encryptionHeader } = header;
  return {
    format: 'qcow2',
    virtualSize,
    facts: {
      ...{ version, clusterBytes, compression: header.compression, refcountBits: header.refcountBits },
      ...flags(header, 'extendedL2', 'lazyRefcounts', 'dirty', 'corrupt'),
      ...(encryption === undefined ? {} : { encryption }),
      ...(header.backingFormat === undefined ? {} : { backingFormat: header.backingFormat }),
    },
    references: referencesOf(header),
    snapshots: snapshots.map(({ id, name, createdAt, virtualSize: size, vmStateBytes }) => {
      return { id, name, createdAt, virtualSize: size, vmStateBytes };
    }),
    encryption: encryption && {
      method: encryption,
      header:
        encryptionHeader &&
        windowOf(source, encryptionHeader.offset, encryptionHeader.length, 'encryption header length'),
    },
  };
}

/** Flags are told where they are set. */
function flags(header: Qcow2Header, ...keys: readonly (keyof Qcow2Header)[]): Record<string, boolean> {
  return Object.fromEntries(keys.filter((key) => header[key] === true).map((key) => [key, true]));
}

function referencesOf({ backing, backingFormat, dataFile }: Qcow2Header): ExternalReference[] {
  const references: ExternalReference[] = [];
  if (backing !== undefined) {
    const { name, offset } = backing;
    references.push({ kind: 'backing', name, format: backingFormat, field: 'backing_file_offset', offset });
  }
  if (dataFile !== undefined) {
    const { name, offset } = dataFile;
    references.push({ kind: 'data-file', name, format: 'raw', field: 'external data file name', offset });
  }
  return references;
}

function openQcow2(
  source: ByteSource,
  header: Qcow2Header,
  described: ImageHeader,
  snapshots: readonly Qcow2Snapshot[],
  chain: ImageChain,
): DiskImage {
  const { references, encryption } = described;
  const backing = references.find(({ kind }) => kind === 'backing');
  const dataFile = references.find(({ kind }) => kind === 'data-file');
  const space: ClusterSpace = {
    header,
    source,
    data: dataFile === undefined ? source : chain.openFile(dataFile),
    backing: backing && chain.openImage(backing, backingFormatOf(backing)),
    tables: chain.tables.section(),
    blocks: chain.blocks.section(),
    codecs: chain.codecs,
    decrypt: encryption && chain.unlock(encryption),
  };
  const clusters = new ClusterMap(space, header.l1Offset, header.l1Entries);
  return diskOf(described, (offset, length) => clusters.locate(offset, length), {
    locked: isLocked(space),
    openSnapshot: (id) => openSnapshot(described, space, snapshots, id),
  });
}

function backingFormatOf({ format, field, offset }: ExternalReference): ImageFormat | undefined {
  if (format === undefined) return undefined;
  const known = BACKING_FORMATS[format];
  if (known === undefined) {
    throw new DiskError('unrecognised', `${field} at ${offset} names a file of format ${JSON.stringify(format)}`);
  }
  return known;
}

function openSnapshot(
  described: ImageHeader,
  space: ClusterSpace,
  snapshots: readonly Qcow2Snapshot[],
  id: string,
): DiskImage {
  const snapshot = snapshots.find((candidate) => candidate.id === id);
  if (snapshot === undefined) throw new DiskError('not-found', `no snapshot ${JSON.stringify(id)} in this image`);
  const { clusterBytes, extendedL2 } = space.header;
  const { offset, l1_table_offset, l1_size, virtualSize } = snapshot;
  const l1Offset = tableOffset(
    space.source,
    l1_table_offset,
    l1_size * 8,
    clusterBytes,
    'snapshot l1_table_offset',
    offset,
  );
  const needed = l1EntriesFor(virtualSize, clusterBytes, extendedL2);
  if (l1_size < needed) {
    throw new ParseError('invalid', 'snapshot l1_size', offset + 8, `${l1_size}, expected at least ${needed}`);
  }
  const clusters = new ClusterMap(space, l1Offset, l1_size);
  return diskOf({ ...described, virtualSize, snapshots: [] }, (at, length) => clusters.locate(at, length), {
    locked: isLocked(space),
  });
}

function isLocked({ header, decrypt }: ClusterSpace): boolean {
  return header.encryption !== undefined && decrypt === undefined;
}
