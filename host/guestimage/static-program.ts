// Writes a program of a few system calls as a static ELF executable (ELF-64 Object File Format, version 1.5), byte by byte: what a
// guest needs and no package has.
import { concatBytes } from '@ringwall/bytes';

/** Where the program is loaded, and how much of it comes before its code: ELF header and one program header. */
const LOAD_ADDRESS = 0x400000;
const HEADERS_BYTES = 64 + 56;

/** x86-64: `code` is entered at its first byte, and `data` lies behind it. Both are read and run, and not written. */
export function staticProgram(code: Uint8Array, data: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = HEADERS_BYTES + code.length + data.length;
  const header = new Uint8Array(HEADERS_BYTES);
  const view = new DataView(header.buffer);
  // Elf64_Ehdr
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(LOAD_ADDRESS + HEADERS_BYTES), true); // e_entry
  view.setBigUint64(32, 64n, true); // e_phoff
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  // Elf64_Phdr: PT_LOAD, readable and executable
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  view.setBigUint64(80, BigInt(LOAD_ADDRESS), true);
  view.setBigUint64(88, BigInt(LOAD_ADDRESS), true);
  view.setBigUint64(96, BigInt(bytes), true);
  view.setBigUint64(104, BigInt(bytes), true);
  view.setBigUint64(112, 0x1000n, true);
  return concatBytes(header, code, data);
}
