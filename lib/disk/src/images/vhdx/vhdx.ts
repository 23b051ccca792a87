// VHDX images: the format of Hyper-V (MS-VHDX 7.0).
import type { ByteSource } from '../../source/byte-source.ts';
import { TablePages } from '../../source/table-pages.ts';
import { diskOf } from '../disk-of.ts';
import type { DiskImage, ImageChain, ImageHeader, ParsedImage } from '../disk-image.ts';
import { openParent } from '../parent.ts';
import { VhdxBlocks } from './blocks.ts';
import { NO_GUID, readCreator, readHeader, type VhdxHeader } from './header.ts';
import { replayLog } from './log.ts';
import { readMetadata, type VhdxMetadata } from './metadata.ts';
import { readRegions, type Regions } from './regions.ts';

export { recogniseVhdx } from './header.ts';

export function parseVhdx(source: ByteSource): ParsedImage {
  const header = readHeader(source);
  const replayed = replayLog(source, header);
  const regions = readRegions(replayed, header);
  const metadata = readMetadata(replayed, regions.metadata);
  const described = describe(readCreator(source), header, metadata);
  return { ...described, open: (chain) => openVhdx(replayed, described, regions, metadata, chain) };
}

function describe(creator: string, header: VhdxHeader, metadata: VhdxMetadata): ImageHeader {
  const { fixed, hasParent, blockBytes, sectorBytes, physicalSectorBytes, virtualSize, diskId, parent } = metadata;
  return {
    format: 'vhdx',
    virtualSize,
    facts: {
      type: hasParent ? 'differencing' : fixed ? 'fixed' : 'dynamic',
      ...{ creator, diskId, dataWriteGuid: header.dataWriteGuid, blockBytes, sectorBytes, physicalSectorBytes },
      ...(header.logGuid === NO_GUID ? {} : { logReplayed: true }),
    },
    references: parent?.references ?? [],
    snapshots: [],
    encryption: undefined,
  };
}

function openVhdx(
  source: ByteSource,
  described: ImageHeader,
  regions: Regions,
  metadata: VhdxMetadata,
  chain: ImageChain,
): DiskImage {
  const { parent: locator } = metadata;
  const parent =
    locator &&
    openParent(chain, described.references, 'vhdx', {
      ...{ fact: 'dataWriteGuid', expected: locator.linkage, field: 'parent_linkage', offset: locator.linkageOffset },
    });
  const pages = new TablePages(source, chain.tables.section());
  const blocks = new VhdxBlocks({ source, pages, regions, metadata, parent });
  return diskOf(described, (offset, length) => blocks.locate(offset, length));
}
