// Sections and segments of a program, as far as what compilers write into them of their own packages needs. System V ABI, "Object
// files" (ELF); 32 and 64 bits, either byte order.
import { Cursor, ParseError } from '@ringwall/bytes';

const MAGIC = 0x7f454c46;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const NO_BITS = 8;
/** Programs of Go have some 40; debuggers' files some thousand. */
const MAX_SECTIONS = 10_000;
const LOAD = 1;

export interface Elf {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  /** Undefined where there is none of the name. */
  readonly section: (name: string) => Uint8Array | undefined;
  /** What lies at an address once it is loaded; undefined where nothing of the file does. */
  readonly memory: (address: number, length: number) => Uint8Array | undefined;
}

interface Section {
  readonly name: number;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

interface Segment {
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 64 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === MAGIC;
}

/** Throws ParseError. */
export function parseElf(bytes: Uint8Array): Elf {
  if (!isElf(bytes)) throw new ParseError('invalid', 'magic', 0, 'is not that of ELF');
  const is64 = bytes[4] === CLASS_64;
  const littleEndian = bytes[5] === LITTLE_ENDIAN;
  const reader = (at: number): Fields => new Fields(bytes, at, is64, littleEndian);
  const head = reader(24);
  head.word('entry');
  const [segmentsAt, sectionsAt] = [head.word('program headers'), head.word('section headers')];
  head.u32('flags');
  head.u16('header size');
  const [segmentBytes, segmentCount] = [head.u16('program header size'), head.u16('program headers')];
  const [sectionBytes, sectionCount] = [head.u16('section header size'), head.u16('section headers')];
  const namesIndex = head.u16('section names');
  if (sectionCount > MAX_SECTIONS)
    throw new ParseError('limit', 'sections', 0, `${sectionCount}, at most ${MAX_SECTIONS}`);
  const sections = Array.from({ length: sectionCount }, (_, each) =>
    readSection(reader(sectionsAt + each * sectionBytes)),
  );
  const segments = Array.from({ length: segmentCount }, (_, each) =>
    readSegment(reader(segmentsAt + each * segmentBytes), is64),
  );
  const names = sections[namesIndex];
  const nameOf = ({ name }: Section): string => {
    const start = (names?.offset ?? 0) + name;
    const end = bytes.indexOf(0, start);
    return new TextDecoder().decode(bytes.subarray(start, Math.min(end, start + 64)));
  };
  return {
    is64,
    littleEndian,
    section: (wanted) => {
      const found = sections.find((section) => section.type !== NO_BITS && nameOf(section) === wanted);
      return found === undefined ? undefined : bytes.subarray(found.offset, found.offset + found.size);
    },
    memory: (address, length) => {
      const segment = segments.find(
        (each) => address >= each.address && address + length <= each.address + each.fileBytes,
      );
      if (segment === undefined) return undefined;
      const start = segment.offset + address - segment.address;
      return start + length > bytes.length ? undefined : bytes.subarray(start, start + length);
    },
  };
}

function readSection(fields: Fields): Section {
  const [name, type] = [fields.u32('section name'), fields.u32('section type')];
  fields.word('section flags');
  fields.word('section address');
  return { name, type, offset: fields.word('section offset'), size: fields.word('section size') };
}

function readSegment(fields: Fields, is64: boolean): Segment {
  const type = fields.u32('segment type');
  if (is64) fields.u32('segment flags');
  const [offset, address] = [fields.word('segment offset'), fields.word('segment address')];
  fields.word('physical address');
  const fileBytes = fields.word('segment size');
  return { offset, address, fileBytes: type === LOAD ? fileBytes : 0 };
}

class Fields {
  readonly #cursor: Cursor;
  readonly #is64: boolean;
  readonly #littleEndian: boolean;

  constructor(bytes: Uint8Array, at: number, is64: boolean, littleEndian: boolean) {
    this.#cursor = new Cursor(bytes.subarray(Math.min(at, bytes.length)), at);
    this.#is64 = is64;
    this.#littleEndian = littleEndian;
  }

  u16(field: string): number {
    return this.#littleEndian ? this.#cursor.u16le(field) : this.#cursor.u16be(field);
  }

  u32(field: string): number {
    return this.#littleEndian ? this.#cursor.u32le(field) : this.#cursor.u32be(field);
  }

  /** Of 32 or 64 bits; no file reaches beyond 2^53. */
  word(field: string): number {
    if (!this.#is64) return this.u32(field);
    return Number(this.#littleEndian ? this.#cursor.u64le(field) : this.#cursor.u64be(field));
  }
}
