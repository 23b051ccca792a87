// Three changes to what a machine boots, each small enough that a plain VM boots it and nobody sees a difference.
import { writeCpio } from '@ringwall/host/guestimage';

/** boot/header.S of Linux: at 0x20e stands where, after the first 512 bytes, the version text of the kernel is. */
const KERNEL_VERSION_POINTER = 0x20e;
const SETUP_BYTES = 0x200;
const ALIGNMENT_BYTES = 512;

/** Changes one letter of the version text: the kernel runs as before, its digest is another. */
export function alterKernel(kernel: Uint8Array): Uint8Array {
  const changed = new Uint8Array(kernel);
  const view = new DataView(changed.buffer, changed.byteOffset, changed.byteLength);
  const at = view.getUint16(KERNEL_VERSION_POINTER, true) + SETUP_BYTES;
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

/** Appends a second archive with one more file: the kernel unpacks both. A real attacker would replace /init. */
export function alterInitrd(initrd: Uint8Array): Uint8Array {
  const archive = writeCpio([{ kind: 'file', path: 'tampered', mode: 0o644, content: Buffer.from('harmless\n') }]);
  const start = Math.ceil(initrd.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const changed = new Uint8Array(start + archive.length);
  changed.set(initrd);
  changed.set(archive, start);
  return changed;
}
