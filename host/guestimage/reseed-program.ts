// The program with which a guest has its kernel make new keys for its random numbers at once: `reseed </dev/urandom`. What is written
// to that device is taken in, but used only with the next reseeding, which may be a minute away; no tool of Debian 12 asks for it
// (random(4), RNDRESEEDCRNG).
import { staticProgram } from './static-program.ts';

/** ioctl(0, RNDRESEEDCRNG, 0); exit(the errno of it, 0 where there was none). */
export function reseedProgram(): Uint8Array {
  return staticProgram(
    Uint8Array.of(
      ...[0xb8, 16, 0, 0, 0], // mov eax, 16 (ioctl)
      ...[0x31, 0xff], // xor edi, edi: standard input
      ...[0xbe, 0x07, 0x52, 0, 0], // mov esi, _IO('R', 7)
      ...[0x31, 0xd2], // xor edx, edx
      ...[0x0f, 0x05], // syscall
      ...[0x89, 0xc7], // mov edi, eax
      ...[0xf7, 0xdf], // neg edi
      ...[0xb8, 60, 0, 0, 0], // mov eax, 60 (exit)
      ...[0x0f, 0x05], // syscall
    ),
  );
}
