// Images made by hand from their specifications, for what no tool here makes: damaged ones, ones that lie, differencing VHD
// and VHDX, a VHDX whose log was not replayed.
import { Writer, concatBytes, utf8 } from '@ringwall/bytes';
import { crc32c } from '../src/images/vhdx/crc32c.ts';
import { vhdChecksum } from '../src/images/vhd/footer.ts';

export const KIB = 1024;
export const MIB: number = 2 ** 20;

/** Bytes at places, zeros between. */
export function layout(size: number, parts: Readonly<Record<number, Uint8Array>>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (const [at, part] of Object.entries(parts)) bytes.set(part, Number(at));
  return bytes;
}

/** Numbers of `width` bytes each. */
export function numbers(
  width: 1 | 2 | 4 | 8,
  littleEndian: boolean,
  ...values: readonly (number | bigint)[]
): Uint8Array {
  const bytes = new Uint8Array(width * values.length);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) {
    const at = index * width;
    if (width === 1) view.setUint8(at, Number(value));
    else if (width === 2) view.setUint16(at, Number(value), littleEndian);
    else if (width === 4) view.setUint32(at, Number(value), littleEndian);
    else view.setBigUint64(at, BigInt(value), littleEndian);
  }
  return bytes;
}

/** A copy with a number written over: one lie. */
export function altered(bytes: Uint8Array, at: number, change: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy.set(change, at);
  return copy;
}

export const be32 = (...values: readonly (number | bigint)[]): Uint8Array => numbers(4, false, ...values);
export const be64 = (...values: readonly (number | bigint)[]): Uint8Array => numbers(8, false, ...values);
export const le16 = (...values: readonly (number | bigint)[]): Uint8Array => numbers(2, true, ...values);
export const le32 = (...values: readonly (number | bigint)[]): Uint8Array => numbers(4, true, ...values);
export const le64 = (...values: readonly (number | bigint)[]): Uint8Array => numbers(8, true, ...values);

/**
 * A QCOW2 of 64 KiB clusters and 1 MiB: header, L1 at 64 KiB, L2 at 128 KiB, refcount table at 192 KiB, and one cluster of
 * 0x5a at 256 KiB, which is the guest's second.
 */
export function qcow2(): Uint8Array<ArrayBuffer> {
  const cluster = 64 * KIB;
  const header = concatBytes(
    be32(0x514649fb, 3),
    be64(0),
    be32(0, 16),
    be64(MIB),
    be32(0, 1),
    be64(cluster, 3 * cluster),
    be32(1, 0),
    be64(0, 0, 0, 0),
    be32(4, 112),
    be64(0),
  );
  return layout(5 * cluster, {
    0: header,
    [cluster]: be64(2n ** 63n + BigInt(2 * cluster)),
    [2 * cluster]: be64(0, 2n ** 63n + BigInt(4 * cluster)),
    [4 * cluster]: new Uint8Array(cluster).fill(0x5a),
  });
}

function utf16(text: string, littleEndian: boolean): Uint8Array {
  return numbers(2, littleEndian, ...Array.from({ length: text.length }, (_, index) => text.charCodeAt(index)));
}

/** Of VHD, with its checksum. */
function vhdFooter(type: number, size: number, dataOffset: bigint, uuid: number): Uint8Array {
  const footer = layout(512, {
    0: utf8('conectix'),
    8: be32(2, 0x1_0000),
    16: be64(dataOffset),
    28: utf8('test'),
    40: be64(size, size),
    60: be32(type),
    68: new Uint8Array(16).fill(uuid),
  });
  footer.set(be32(vhdChecksum(footer, 64)), 64);
  return footer;
}

export interface VhdBlock {
  readonly bitmap: readonly number[];
  readonly fill: number;
}

/** A differencing (with `parent`) or dynamic VHD of 8 KiB blocks, each with a bitmap of its 16 sectors. */
export function vhd(
  uuid: number,
  blocks: readonly (VhdBlock | undefined)[],
  parent?: { readonly uuid: number; readonly name: string },
): Uint8Array<ArrayBuffer> {
  const blockBytes = 8 * KIB;
  const footer = vhdFooter(parent === undefined ? 3 : 4, blocks.length * blockBytes, 512n, uuid);
  const locator = utf16(parent?.name ?? '', true);
  const header = layout(1024, {
    0: utf8('cxsparse'),
    8: be64(2n ** 64n - 1n, 1536),
    24: be32(0x1_0000, blocks.length, blockBytes),
    ...(parent && { 40: new Uint8Array(16).fill(parent.uuid) }),
    ...(parent && { 64: utf16(parent.name, false) }),
    ...(parent && { 576: concatBytes(utf8('W2ru'), be32(512, locator.length, 0), be64(2048)) }),
  });
  header.set(be32(vhdChecksum(header, 36)), 36);
  const parts: Record<number, Uint8Array> = { 0: footer, 512: header, 2048: locator };
  const table = new Uint8Array(512).fill(0xff);
  let at = 2560;
  for (const [index, block] of blocks.entries()) {
    if (block === undefined) continue;
    table.set(be32(at / 512), index * 4);
    parts[at] = Uint8Array.from(block.bitmap);
    parts[at + 512] = new Uint8Array(blockBytes).fill(block.fill);
    at += 512 + blockBytes;
  }
  parts[1536] = table;
  parts[at] = footer;
  return layout(at + 512, parts);
}

const guid = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
/** A GUID as it is read, in the bytes in which it lies. */
const guidBytes = (text: string): Uint8Array => {
  const bytes = Uint8Array.from(text.replaceAll('-', '').match(/../g) ?? [], (hex) => Number.parseInt(hex, 16));
  for (const [start, end] of [
    [0, 4],
    [4, 6],
    [6, 8],
  ] as const) {
    bytes.subarray(start, end).reverse();
  }
  return bytes;
};
/** The text of a GUID of which all bytes are the same. */
export const guidOf = (fill: number): string => {
  const hex = fill.toString(16).padStart(2, '0');
  return [4, 2, 2, 2, 6].map((bytes) => hex.repeat(bytes)).join('-');
};

function checked(bytes: Uint8Array): Uint8Array {
  return altered(bytes, 4, le32(crc32c(bytes, 4)));
}

export interface VhdxParts {
  /** One entry of the table for each block of 1 MiB, and the sector bitmap's behind them for a differencing disk. */
  readonly bat: readonly bigint[];
  readonly blocks: number;
  readonly dataWriteGuid: number;
  readonly logGuid?: number;
  readonly log?: Uint8Array;
  readonly parent?: { readonly guid: number; readonly name: string };
  readonly parts?: Readonly<Record<number, Uint8Array>>;
  readonly size: number;
}

/** A VHDX of 1 MiB blocks: log at 1 MiB, metadata at 2 MiB, block allocation table at 3 MiB, blocks where `bat` says. */
export function vhdx({
  bat,
  blocks,
  dataWriteGuid,
  logGuid = 0,
  log,
  parent,
  parts,
  size,
}: VhdxParts): Uint8Array<ArrayBuffer> {
  const header = (sequence: number): Uint8Array =>
    checked(
      layout(4096, {
        0: utf8('head'),
        8: le64(sequence),
        16: guid(9),
        32: guid(dataWriteGuid),
        48: guid(logGuid),
        64: le16(0, 1),
        68: le32(MIB),
        72: le64(MIB),
      }),
    );
  const region = (id: string, at: number): Uint8Array => concatBytes(guidBytes(id), le64(at), le32(MIB, 1));
  const regions = checked(
    layout(64 * KIB, {
      0: utf8('regi'),
      8: le32(2),
      16: concatBytes(
        region('2dc27766-f623-4200-9d64-115e9bfd4a08', 3 * MIB),
        region('8b7ca206-4790-4b9a-b8fe-575f050f886e', 2 * MIB),
      ),
    }),
  );
  return layout(size, {
    0: concatBytes(utf8('vhdxfile'), utf8('m\0a\0d\0e\0')),
    [64 * KIB]: header(1),
    [128 * KIB]: header(2),
    [192 * KIB]: regions,
    [256 * KIB]: regions,
    [MIB]: log ?? new Uint8Array(0),
    [2 * MIB]: vhdxMetadata(blocks * MIB, parent),
    [3 * MIB]: le64(...bat),
    ...parts,
  });
}

function vhdxMetadata(virtualSize: number, parent: VhdxParts['parent']): Uint8Array {
  const items: [string, Uint8Array][] = [
    ['caa16737-fa36-4d43-b3b6-33f0aa44e76b', le32(MIB, parent === undefined ? 0 : 2)],
    ['2fa54224-cd1b-4876-b211-5dbed83bf4b8', le64(virtualSize)],
    ['beca12ab-b2e6-4523-93ef-c309e000c746', guid(7)],
    ['8141bf1d-a96f-4709-ba47-f233a8faab5f', le32(512)],
    ['cda348c7-445d-4471-9cc9-e9885251c556', le32(4096)],
  ];
  if (parent !== undefined) items.push(['a8d35f2d-b30b-454d-abf7-d3d84834ab0c', parentLocator(parent)]);
  const table = new Writer();
  table.bytes(utf8('metadata')).u16le(0).u16le(items.length).bytes(new Uint8Array(20));
  let at = 64 * KIB;
  const parts: Record<number, Uint8Array> = {};
  for (const [id, bytes] of items) {
    table.bytes(guidBytes(id)).u32le(at).u32le(bytes.length).u32le(4).u32le(0);
    parts[at] = bytes;
    at += 4096;
  }
  return layout(at, { ...parts, 0: table.finish() });
}

function parentLocator(parent: { readonly guid: number; readonly name: string }): Uint8Array {
  const texts = ['parent_linkage', `{${guidOf(parent.guid)}}`, 'relative_path', parent.name].map((text) =>
    utf16(text, true),
  );
  const starts = texts.map(
    (_, index) => 20 + 24 + texts.slice(0, index).reduce((total, { length }) => total + length, 0),
  );
  const entry = (key: number): Uint8Array =>
    concatBytes(
      le32(starts[key] ?? 0, starts[key + 1] ?? 0),
      le16(texts[key]?.length ?? 0, texts[key + 1]?.length ?? 0),
    );
  const type = guidBytes('b04aefb7-d19e-4a81-b789-25b8e9445913');
  return concatBytes(type, le16(0, 2), entry(0), entry(2), ...texts);
}

export type LogWrite =
  | { readonly at: number; readonly sector: Uint8Array }
  | { readonly at: number; readonly zeros: number };

/** One entry of a VHDX log (MS-VHDX section 2.3.1). */
export function logEntry(
  sequence: number,
  tail: number,
  logGuid: number,
  writes: readonly LogWrite[],
  fileBytes: number,
): Uint8Array<ArrayBuffer> {
  const head = Math.ceil((64 + 32 * writes.length) / 4096) * 4096;
  const sectors = writes.flatMap((write) => ('sector' in write ? [write.sector] : []));
  const entry = layout(head + sectors.length * 4096, {
    0: utf8('loge'),
    8: le32(head + sectors.length * 4096, tail),
    16: le64(sequence),
    24: le32(writes.length, 0),
    32: guid(logGuid),
    48: le64(fileBytes, fileBytes),
  });
  for (const [index, write] of writes.entries()) {
    const descriptor =
      'sector' in write
        ? concatBytes(utf8('desc'), write.sector.subarray(4092), write.sector.subarray(0, 8), le64(write.at, sequence))
        : concatBytes(utf8('zero'), le32(0), le64(write.zeros, write.at, sequence));
    entry.set(descriptor, 64 + 32 * index);
  }
  for (const [index, sector] of sectors.entries()) {
    const data = concatBytes(utf8('data'), le32(0), sector.subarray(8, 4092), le32(sequence));
    entry.set(data, head + index * 4096);
  }
  return altered(entry, 4, le32(crc32c(entry, 4)));
}
