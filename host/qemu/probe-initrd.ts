// The probe guest's whole userland: an archive with one program that writes a marker to the console and ends. As it is init, the
// kernel then panics, reboots, and QEMU ends.
import { writeCpio } from '../guestimage/cpio.ts';
import { staticProgram } from '../guestimage/static-program.ts';

export const PROBE_MARKER = 'ringwall probe';

const MESSAGE = `\n${PROBE_MARKER}\n`;

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
  return staticProgram(code, message);
}
