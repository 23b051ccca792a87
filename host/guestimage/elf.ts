// Reads what an ELF file (System V ABI, 64 bit, little endian) says that it needs: the shared libraries of a program,
// and the modules of a kernel module. Only that: nothing is loaded or run.
import { Cursor, ParseError } from '@ringwall/bytes';

/** The kernel has fewer than a hundred sections in a module; a program has about thirty. */
const MAX_SECTIONS = 4096;
const SECTION_HEADER_BYTES = 64;
const SHT_STRTAB = 3;
const SHT_DYNAMIC = 6;
const DT_NULL = 0n;
const DT_NEEDED = 1n;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly link: number;
  readonly bytes: Uint8Array;
}

/** The libraries named by DT_NEEDED, in order. Empty for a static program. */
export function neededLibraries(elf: Uint8Array): string[] {
  const sections = parseSections(elf);
  const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC);
  if (dynamic === undefined) return [];
  const strings = sections[dynamic.link];
  const cursor = new Cursor(dynamic.bytes);
  if (strings === undefined || strings.type !== SHT_STRTAB)
    throw cursor.error('invalid', 'sh_link', 'leads to no string table');
  const names: string[] = [];
  for (;;) {
    const tag = cursor.u64le('d_tag');
    const value = cursor.u64le('d_val');
    if (tag === DT_NULL) return names;
    if (tag === DT_NEEDED) names.push(stringAt(strings.bytes, Number(value), 'DT_NEEDED'));
  }
}

/** The names in the `depends=` line of a kernel module's .modinfo section. */
export function moduleDependencies(elf: Uint8Array): string[] {
  const info = parseSections(elf).find(({ name }) => name === '.modinfo');
  if (info === undefined) throw new Cursor(elf).error('invalid', '.modinfo', 'missing: not a kernel module');
  const line = new TextDecoder('latin1')
    .decode(info.bytes)
    .split('\0')
    .find((text) => text.startsWith('depends='));
  return (line ?? 'depends=')
    .slice('depends='.length)
    .split(',')
    .filter((name) => name !== '');
}

function parseSections(elf: Uint8Array): Section[] {
  const header = new Cursor(elf);
  if (header.u32be('e_ident') !== 0x7f454c46) throw header.error('invalid', 'e_ident', 'not an ELF file');
  if (header.u8('EI_CLASS') !== 2 || header.u8('EI_DATA') !== 1) {
    throw header.error('invalid', 'EI_CLASS', 'expected 64 bit, little endian');
  }
  header.skip(0x28 - 6, 'e_shoff');
  const offset = Number(header.u64le('e_shoff'));
  header.skip(10, 'e_flags');
  const size = header.u16le('e_shentsize');
  const count = header.u16le('e_shnum');
  const names = header.u16le('e_shstrndx');
  if (count === 0) return [];
  if (size !== SECTION_HEADER_BYTES || count > MAX_SECTIONS) {
    throw header.error('invalid', 'e_shnum', `${count} sections of ${size} bytes`);
  }
  const table = part(elf, offset, count * SECTION_HEADER_BYTES, 'e_shoff');
  const raw = Array.from({ length: count }, (_, index) => parseSectionHeader(elf, table, index));
  const nameTable = raw[names]?.bytes ?? new Uint8Array(0);
  return raw.map(({ nameOffset, ...section }) => ({ ...section, name: stringAt(nameTable, nameOffset, 'sh_name') }));
}

function parseSectionHeader(
  elf: Uint8Array,
  table: Uint8Array,
  index: number,
): Omit<Section, 'name'> & { nameOffset: number } {
  const cursor = new Cursor(table.subarray(index * SECTION_HEADER_BYTES, (index + 1) * SECTION_HEADER_BYTES));
  const SHT_NOBITS = 8;
  const nameOffset = cursor.u32le('sh_name');
  const type = cursor.u32le('sh_type');
  cursor.skip(16, 'sh_addr');
  const offset = Number(cursor.u64le('sh_offset'));
  const size = Number(cursor.u64le('sh_size'));
  const link = cursor.u32le('sh_link');
  return {
    nameOffset,
    type,
    link,
    bytes: type === SHT_NOBITS ? new Uint8Array(0) : part(elf, offset, size, 'sh_size'),
  };
}

function part(bytes: Uint8Array, offset: number, length: number, field: string): Uint8Array {
  if (offset + length > bytes.length)
    throw new ParseError('truncated', field, offset, 'reaches past the end of the file');
  return bytes.subarray(offset, offset + length);
}

function stringAt(table: Uint8Array, offset: number, field: string): string {
  const end = offset < table.length ? table.indexOf(0, offset) : -1;
  if (end < 0) throw new ParseError('invalid', field, offset, 'no string there');
  return new TextDecoder('latin1').decode(table.subarray(offset, end));
}
