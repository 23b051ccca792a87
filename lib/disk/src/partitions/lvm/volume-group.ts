// LVM2 volume groups: which logical volumes there are, and the bytes of those that lie in plain pieces (lvm2: the segment
// types of lib/striped). Every other kind is told by its name and not read.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { sourceOfRuns, type Run } from '../../filesystems/run-source.ts';
import { windowOf, type ByteSource } from '../../source/byte-source.ts';
import { readLvmLabel, type PhysicalVolumeLabel } from './lvm-label.ts';
import { parseLvmMetadata, type LvmSection } from './lvm-metadata.ts';

const SECTOR_BYTES = 512;
/** Far more than anybody fragments a volume into. */
const MAX_SEGMENTS = 65_536;

export interface VolumeGroup {
  readonly name: string;
  readonly uuid: string;
  readonly volumes: readonly LogicalVolume[];
}

export interface LogicalVolume {
  readonly name: string;
  readonly uuid: string;
  /** Kinds of its segments: `linear`, or another (`thin`, `raid1`, `striped`), which is not read. */
  readonly kinds: readonly string[];
  /** Whether LVM shows it: parts of mirrors and pools are hidden. */
  readonly visible: boolean;
  readonly size: number;
  /**
   * Its bytes. Throws `ParseError` (`unsupported`) naming a kind that is not read, and `DiskError` (`reference`) naming a
   * physical volume that is not there.
   */
  open(): ByteSource;
}

/**
 * The group to which `disks` belong, physical volumes all, in any order. Some may be missing: what lies on them cannot be
 * opened. Throws where they belong to different groups.
 */
export function readVolumeGroup(disks: readonly ByteSource[]): VolumeGroup {
  const labelled: LabelledDisk[] = [];
  let newest: GroupText | undefined;
  // Each has the text of the whole group, of up to 8 MiB: one at a time.
  for (const disk of disks) {
    const { uuid: physical, metadata } = readLvmLabel(disk);
    labelled.push({ disk, uuid: physical });
    if (metadata === undefined) continue;
    const group = groupOf(metadata);
    if (newest !== undefined && newest.uuid !== group.uuid) {
      throw new ParseError('invalid', 'LVM metadata', 0, `of groups ${newest.name} and ${group.name}, expected one`);
    }
    if (newest === undefined || group.sequence > newest.sequence) newest = group;
  }
  if (newest === undefined) throw new ParseError('unsupported', 'LVM metadata', 0, 'are on another physical volume');
  const { name, uuid, section, offset } = newest;
  const extentBytes = integer(section, 'extent_size', offset, 1, 2 ** 31) * SECTOR_BYTES;
  const places = placesOf(section, offset, labelled);
  const volumes = [...(section.sections.get('logical_volumes')?.sections ?? [])].map(([volume, body]) =>
    volumeOf(volume, body, { offset, extentBytes, places }),
  );
  return { name, uuid, volumes };
}

interface LabelledDisk {
  readonly disk: ByteSource;
  readonly uuid: string;
}

interface GroupText {
  readonly name: string;
  readonly uuid: string;
  readonly sequence: number;
  readonly section: LvmSection;
  readonly offset: number;
}

/** Where the extents of a physical volume begin; no disk where it is missing. */
interface Place {
  readonly uuid: string;
  readonly firstByte: number;
  readonly extents: number;
  readonly disk: ByteSource | undefined;
}

interface GroupContext {
  readonly offset: number;
  readonly extentBytes: number;
  readonly places: ReadonlyMap<string, Place>;
}

function groupOf({ text, offset }: NonNullable<PhysicalVolumeLabel['metadata']>): GroupText {
  const root = parseLvmMetadata(text, offset);
  const [entry, ...more] = root.sections;
  if (entry === undefined || more.length > 0) {
    throw new ParseError('invalid', 'LVM metadata', offset, `of ${root.sections.size} groups, expected 1`);
  }
  const [name, section] = entry;
  return { name, uuid: textOf(section, 'id', offset), sequence: integer(section, 'seqno', offset), section, offset };
}

function placesOf(group: LvmSection, offset: number, labelled: readonly LabelledDisk[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [name, body] of group.sections.get('physical_volumes')?.sections ?? []) {
    const uuid = textOf(body, 'id', offset);
    places.set(name, {
      uuid,
      firstByte: integer(body, 'pe_start', offset, 0, 2 ** 43) * SECTOR_BYTES,
      extents: integer(body, 'pe_count', offset),
      disk: labelled.find((known) => known.uuid === uuid)?.disk,
    });
  }
  return places;
}

function volumeOf(name: string, body: LvmSection, context: GroupContext): LogicalVolume {
  const { offset, extentBytes } = context;
  const count = integer(body, 'segment_count', offset, 1, MAX_SEGMENTS);
  const segments: LvmSection[] = [];
  let extents = 0;
  for (let index = 1; index <= count; index += 1) {
    const segment = body.sections.get(`segment${index}`);
    if (segment === undefined) {
      throw new ParseError(
        'invalid',
        'LVM metadata',
        offset,
        `volume ${name} without segment${index}, expected ${count}`,
      );
    }
    const first = integer(segment, 'start_extent', offset);
    if (first !== extents) {
      throw new ParseError(
        'invalid',
        'start_extent',
        offset,
        `${first} of segment${index} of ${name}, expected ${extents}`,
      );
    }
    extents += integer(segment, 'extent_count', offset, 1);
    segments.push(segment);
  }
  const size = extents * extentBytes;
  if (!Number.isSafeInteger(size))
    throw new ParseError('limit', 'extent_count', offset, `of ${name}, expected below 2^53`);
  const kinds = segments.map((segment) => kindOf(segment, offset));
  const status = body.values.get('status');
  return {
    name,
    uuid: textOf(body, 'id', offset),
    kinds: [...new Set(kinds)],
    visible: Array.isArray(status) && status.includes('VISIBLE'),
    size,
    open: () => openVolume(name, segments, size, context),
  };
}

/** LVM calls a linear segment one of a single stripe. */
function kindOf(segment: LvmSection, offset: number): string {
  const type = textOf(segment, 'type', offset);
  return type === 'striped' && integer(segment, 'stripe_count', offset) === 1 ? 'linear' : type;
}

function openVolume(name: string, segments: readonly LvmSection[], size: number, context: GroupContext): ByteSource {
  const { offset, extentBytes, places } = context;
  const runs: (Run & { readonly disk: ByteSource })[] = [];
  for (const segment of segments) {
    const kind = kindOf(segment, offset);
    if (kind !== 'linear') {
      throw new ParseError('unsupported', 'segment type', offset, `${kind} of volume ${name}, which is not read here`);
    }
    const stripe = segment.values.get('stripes');
    const [placeName, firstExtent] = Array.isArray(stripe) ? stripe : [];
    const place = typeof placeName === 'string' ? places.get(placeName) : undefined;
    const count = integer(segment, 'extent_count', offset, 1);
    if (
      place === undefined ||
      typeof firstExtent !== 'number' ||
      firstExtent < 0 ||
      firstExtent + count > place.extents
    ) {
      throw new ParseError('invalid', 'stripes', offset, `of volume ${name} lie on no extents of a physical volume`);
    }
    if (place.disk === undefined) {
      throw new DiskError('reference', `volume ${name} needs physical volume ${place.uuid}, which is not there`);
    }
    const at = integer(segment, 'start_extent', offset) * extentBytes;
    const from = place.firstByte + firstExtent * extentBytes;
    runs.push({ at, length: count * extentBytes, from, disk: place.disk });
  }
  return joined(name, runs, size);
}

/** Runs on one disk are one source; those of several are read each from its own. */
function joined(name: string, runs: readonly (Run & { readonly disk: ByteSource })[], size: number): ByteSource {
  const field = `logical volume ${name}`;
  for (const { disk, from = 0, length } of runs) windowOf(disk, from, length, field);
  const [first] = runs;
  if (first !== undefined && runs.every(({ disk }) => disk === first.disk)) {
    return sourceOfRuns(first.disk, runs, size, field);
  }
  // Each disk lies behind the ones before it, in one space of bytes.
  const disks = [...new Set(runs.map(({ disk }) => disk))];
  const starts = new Map<ByteSource, number>();
  let total = 0;
  for (const disk of disks) {
    starts.set(disk, total);
    total += disk.size;
  }
  const together: ByteSource = {
    size: total,
    read(offset, length) {
      const disk = disks.findLast((candidate) => (starts.get(candidate) ?? 0) <= offset);
      return disk === undefined ? new Uint8Array(0) : disk.read(offset - (starts.get(disk) ?? 0), length);
    },
  };
  const moved = runs.map((run) => ({ ...run, from: (run.from ?? 0) + (starts.get(run.disk) ?? 0) }));
  return sourceOfRuns(together, moved, size, field);
}

function textOf(section: LvmSection, name: string, offset: number): string {
  const value = section.values.get(name);
  if (typeof value === 'string') return value;
  throw new ParseError('invalid', name, offset, 'missing from the LVM metadata, expected a string');
}

function integer(
  section: LvmSection,
  name: string,
  offset: number,
  low = 0,
  high: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = section.values.get(name);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= low && value <= high) return value;
  throw new ParseError(
    'invalid',
    name,
    offset,
    `${JSON.stringify(value)} in the LVM metadata, expected ${low} to ${high}`,
  );
}
