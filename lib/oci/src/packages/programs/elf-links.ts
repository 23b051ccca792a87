// With which libraries the programs of an image are linked: `DT_NEEDED` of each, as the loader reads it. System V ABI, "Dynamic
// linking". Whoever made the image controls every byte: what cannot be read makes nothing look unused.
import type { FactValue, Inspector } from '../../inspection/inspector.ts';

/** Few programs are larger; of those only the beginning is read, where compilers put the names of libraries. */
const MAX_PROGRAM_BYTES: number = 32 * 1024 * 1024;
/** Node has them after 2 MiB of symbols. */
const NAMES_WITHIN_BYTES: number = 8 * 1024 * 1024;
/** The largest have some 150. */
const MAX_NEEDED = 1000;
const MAX_NAME_CHARACTERS = 200;
const MAX_SECTIONS = 10_000;
const ANY_EXECUTE_BIT = 0o111;
const LIBRARY = /\.so(?:\.|$)/;
/** `e_ident`, section types and tags of the ABI. */
const MAGIC = 0x7f454c46;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const SHT_DYNAMIC = 6;
const DT_NEEDED = 1;
const DT_SONAME = 14;

export interface ElfLinks {
  readonly needed: readonly string[];
  /** '' for a program. */
  readonly soname: string;
}

export const elfLinksInspector: Inspector = {
  id: 'elf-links/1',
  wants: ({ type, mode, bytes, path }) =>
    type === 'file' && bytes >= 64 && ((mode & ANY_EXECUTE_BIT) !== 0 || LIBRARY.test(path))
      ? Math.min(bytes, MAX_PROGRAM_BYTES)
      : undefined,
  inspect: (entry, bytes): readonly FactValue[] => {
    if (new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0) !== MAGIC) return [];
    const links = bytes.length < entry.bytes ? namedIn(bytes) : parseElfLinks(bytes);
    return [links === undefined ? { unread: true } : { needed: links.needed, soname: links.soname }];
  },
};

/** Of a static program nothing; undefined where the file does not say it. */
export function parseElfLinks(bytes: Uint8Array): ElfLinks | undefined {
  try {
    return readLinks(bytes);
  } catch (error) {
    // DataView: an offset that lies outside.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Whatever looks like the name of a library: more than it needs, and so never too little. Undefined where not even the C library is. */
function namedIn(bytes: Uint8Array): ElfLinks | undefined {
  const text = latin1.decode(bytes.subarray(0, NAMES_WITHIN_BYTES));
  if (!text.includes('\0libc.so.') && !text.includes('\0libc.musl')) return undefined;
  const names = new Set(
    Array.from(text.matchAll(/\0([\w+.-]{1,100}\.so(?:\.\d{1,5}){0,4})(?=\0)/g), ([, name = '']) => name),
  );
  return names.size > MAX_NEEDED ? undefined : { needed: [...names], soname: '' };
}

function readLinks(bytes: Uint8Array): ElfLinks | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const is64 = bytes[4] === CLASS_64;
  const little = bytes[5] === LITTLE_ENDIAN;
  const u16 = (at: number): number => view.getUint16(at, little);
  const u32 = (at: number): number => view.getUint32(at, little);
  const word = (at: number): number => (is64 ? Number(view.getBigUint64(at, little)) : u32(at));
  const [tableAt, entryBytes, count] = is64 ? [word(40), u16(58), u16(60)] : [word(32), u16(46), u16(48)];
  if (count === 0 || count > MAX_SECTIONS) return undefined;
  const [offsetAt, sizeAt, linkAt] = is64 ? [24, 32, 40] : [16, 20, 24];
  const sections = Array.from({ length: count }, (_, each) => tableAt + each * entryBytes);
  const dynamic = sections.find((at) => u32(at + 4) === SHT_DYNAMIC);
  if (dynamic === undefined) return { needed: [], soname: '' };
  const strings = sections[u32(dynamic + linkAt)];
  if (strings === undefined) return undefined;
  const [stringsAt, stringsBytes] = [word(strings + offsetAt), word(strings + sizeAt)];
  const text = bytes.subarray(stringsAt, stringsAt + stringsBytes);
  const nameAt = (at: number): string => {
    const end = text.indexOf(0, at);
    return latin1.decode(text.subarray(at, Math.min(end < 0 ? text.length : end, at + MAX_NAME_CHARACTERS)));
  };
  const step = is64 ? 16 : 8;
  const start = word(dynamic + offsetAt);
  const end = start + word(dynamic + sizeAt);
  const needed: string[] = [];
  let soname = '';
  for (let at = start; at + step <= end && needed.length < MAX_NEEDED; at += step) {
    const tag = word(at);
    if (tag === 0) break;
    if (tag === DT_NEEDED) needed.push(nameAt(word(at + step / 2)));
    if (tag === DT_SONAME) soname = nameAt(word(at + step / 2));
  }
  return needed.length === MAX_NEEDED ? undefined : { needed, soname };
}

const latin1: TextDecoder = new TextDecoder('latin1');
