// A program of ELF with nothing but the sections that a test names: 64 bits, little-endian.
import { concatBytes, Writer } from '@ringwall/bytes';

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;

export function makeElf(sections: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const named = [...Object.entries(sections), ['.shstrtab', new Uint8Array()] as const];
  const names = new TextEncoder().encode(`\0${named.map(([name]) => name).join('\0')}\0`);
  const contents = named.map(([name, content]) => (name === '.shstrtab' ? names : content));
  const table = new Writer().bytes(new Uint8Array(SECTION_BYTES));
  let [nameAt, offset] = [1, HEADER_BYTES];
  for (const [at, [name]] of named.entries()) {
    const size = contents[at]?.length ?? 0;
    table.u32le(nameAt).u32le(1).u64le(0n).u64le(0n).u64le(BigInt(offset)).u64le(BigInt(size));
    table.bytes(new Uint8Array(SECTION_BYTES - 40));
    nameAt += name.length + 1;
    offset += size;
  }
  const head = new Writer().bytes(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)).bytes(new Uint8Array(9));
  head.u16le(2).u16le(62).u32le(1).u64le(0n).u64le(0n).u64le(BigInt(offset)).u32le(0);
  head
    .u16le(HEADER_BYTES)
    .u16le(56)
    .u16le(0)
    .u16le(SECTION_BYTES)
    .u16le(named.length + 1)
    .u16le(named.length);
  return concatBytes(head.finish(), ...contents, table.finish());
}
