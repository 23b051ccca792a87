// The probe guest's whole userland: an archive with one static ELF program (ELF-64 Object File Format, version 1.5), made
// byte by byte, that writes a marker to the console and ends. As it is init, the kernel then panics, reboots, and QEMU
// ends.
import { concatBytes } from '@ringwall/bytes';
import { writeCpio } from '../guestimage/cpio.ts';

export const PROBE_MARKER = 'ringwall probe';

const MESSAGE = `\n${PROBE_MARKER}\n`;
/** Where the program is loaded, and how much of it comes before its code: ELF header and one program header. */
const LOAD_ADDRESS = 0x400000;
const HEADERS_BYTES = 64 + 56;

export function probeInitrd(): Uint8Array {
  return writeCpio([{ kind: 'file', path: 'init', mode: 0o755, content: probeProgram() }]);
}

/** write(1, message, length); exit(0). */
export function probeProgram(): Uint8Array {
  const message = new TextEncoder().encode(MESSAGE);
  const code = Uint8Array.of(
    ...[0xb8, 1, 0, 0, 0], // mov eax, 1 (write)
    ...[0xbf, 1, 0, 0, 0], // mov edi, 1
    ...[0x48, 0x8d, 0x35, 16, 0, 0, 0], // lea rsi, [rip + 16]: behind the code
    ...[0xba, message.length, 0, 0, 0], // mov edx, length
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 60, 0, 0, 0], // mov eax, 60 (exit)
    ...[0x31, 0xff], // xor edi, edi
    ...[0x0f, 0x05], // syscall
  );
  const bytes = HEADERS_BYTES + code.length + message.length;
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
  return concatBytes(header, code, message);
}
