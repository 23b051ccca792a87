// The descriptor of a VMDK: text that says what kind of disk it is, which files hold it, and what lies below it (VMware,
// Virtual Disk Format 5.0, "The Descriptor File"). Every name in it can lead anywhere.
import { ParseError } from '@ringwall/bytes';
import { safeNumber } from '../fields.ts';

export const SECTOR_BYTES = 512;
/** Those of VMware have below 2 KiB; 1,200 extents of 2 GB, as many as a disk of 2 TB has, below 128 KiB. */
export const MAX_DESCRIPTOR_BYTES: number = 2 ** 20;
const MAX_EXTENTS = 4096;
/** parentCID of a disk without a parent. */
const NO_PARENT = 'ffffffff';

export const EXTENT_TYPES = ['SPARSE', 'FLAT', 'ZERO', 'VMFS', 'VMFSSPARSE', 'SESPARSE', 'VMFSRDM', 'VMFSRAW'] as const;
export type ExtentType = (typeof EXTENT_TYPES)[number];

export interface DescribedExtent {
  readonly type: ExtentType;
  /** Bytes of the disk that it holds. */
  readonly bytes: number;
  /** '' for one of zeros. */
  readonly name: string;
  /** Where the disk's bytes begin in a flat file. */
  readonly start: number;
  /** Where the name lies in the image, counted from the image's start. */
  readonly nameOffset: number;
}

export interface Descriptor {
  readonly createType: string;
  readonly cid: string;
  readonly parentCid: string | undefined;
  readonly parentName: string | undefined;
  readonly parentOffset: number;
  readonly extents: readonly DescribedExtent[];
  readonly encoding: string | undefined;
}

// Both match trimmed lines, and in time linear to them: a line may be as long as the whole descriptor.
const EXTENT = /^(?:RW|RDONLY|NOACCESS)\s+(\d{1,16})\s+([A-Z]+)(?:\s+"([^"]*)"(?:\s+(\d{1,16})(?:\s.*)?)?)?\s*$/;
const SETTING = /^([A-Za-z][\w.]*)\s*=\s*(?:"([^"]*)"|(\S.*))$/;

/** `base` is where `bytes` begin in the image. */
export function parseDescriptor(bytes: Uint8Array, base: number): Descriptor {
  const zero = bytes.indexOf(0);
  // Latin-1 keeps offsets in text and bytes the same; names are decoded below.
  const text = new TextDecoder('latin1').decode(zero === -1 ? bytes : bytes.subarray(0, zero));
  const settings = new Map<string, { readonly value: string; readonly offset: number }>();
  const extents: DescribedExtent[] = [];
  for (let start = 0; start < text.length;) {
    const found = text.indexOf('\n', start);
    const end = found === -1 ? text.length : found;
    const raw = text.slice(start, end);
    const line = raw.trim();
    const at = base + start + raw.indexOf(line);
    start = end + 1;
    if (line === '' || line.startsWith('#')) continue;
    if (/^(RW|RDONLY|NOACCESS)\s/.test(line)) {
      extents.push(parseExtent(line, at));
      if (extents.length > MAX_EXTENTS) {
        throw new ParseError('limit', 'extents', at, `${extents.length}, expected at most ${MAX_EXTENTS}`);
      }
      continue;
    }
    const [, key, quoted, bare] = SETTING.exec(line) ?? [];
    const value = quoted ?? bare;
    if (key === undefined || value === undefined) continue;
    if (settings.has(key)) throw new ParseError('invalid', key, at, 'a second time');
    settings.set(key, { value, offset: at });
  }
  return describe(settings, extents, base);
}

function describe(
  settings: ReadonlyMap<string, { readonly value: string; readonly offset: number }>,
  extents: readonly DescribedExtent[],
  base: number,
): Descriptor {
  const valueOf = (key: string): string | undefined => settings.get(key)?.value;
  const createType = valueOf('createType');
  const cid = valueOf('CID')?.toLowerCase();
  if (createType === undefined || cid === undefined) {
    throw new ParseError('invalid', 'descriptor', base, `has no ${createType === undefined ? 'createType' : 'CID'}`);
  }
  const parentCid = valueOf('parentCID')?.toLowerCase() ?? NO_PARENT;
  const hint = settings.get('parentFileNameHint');
  if (parentCid !== NO_PARENT && hint === undefined) {
    throw new ParseError(
      'invalid',
      'parentCID',
      settings.get('parentCID')?.offset ?? base,
      `${parentCid}, expected parentFileNameHint beside`,
    );
  }
  return {
    ...{ createType, cid, extents, encoding: valueOf('encoding') },
    parentCid: parentCid === NO_PARENT ? undefined : parentCid,
    parentName: parentCid === NO_PARENT || hint === undefined ? undefined : decoded(hint.value),
    parentOffset: hint?.offset ?? base,
  };
}

function parseExtent(line: string, at: number): DescribedExtent {
  const [, sectors = '', typeName = '', name, start] = EXTENT.exec(line) ?? [];
  const type = EXTENT_TYPES.find((known) => known === typeName);
  if (type === undefined) {
    throw new ParseError(
      'invalid',
      'extent',
      at,
      `${JSON.stringify(line.slice(0, 80))}, expected access, sectors, type and name`,
    );
  }
  if (type !== 'ZERO' && (name === undefined || name === ''))
    throw new ParseError('invalid', 'extent', at, 'has no name of a file');
  return {
    type,
    bytes: safeNumber(BigInt(sectors) * 512n, 'extent sectors', at),
    name: decoded(name ?? ''),
    start: safeNumber(BigInt(start ?? '0') * 512n, 'extent offset', at),
    nameOffset: at + Math.max(line.indexOf('"') + 1, 0),
  };
}

/** The UTF-8 that was read as Latin-1. */
function decoded(latin1: string): string {
  return new TextDecoder().decode(Uint8Array.from(latin1, (character) => character.charCodeAt(0)));
}
