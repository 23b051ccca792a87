// A kernel that is none, for tests: QEMU loads it, firmware refuses it, nothing in it runs.

/** A setup header of the Linux boot protocol 2.15 (Documentation/arch/x86/boot.rst) with nothing behind it. */
export function emptyKernel(): Uint8Array {
  const kernel = new Uint8Array(64 * 1024);
  const view = new DataView(kernel.buffer);
  view.setUint8(0x1f1, 4); // setup_sects
  view.setUint16(0x1fe, 0xaa55, true);
  kernel.set(new TextEncoder().encode('HdrS'), 0x202);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1); // loadflags: loaded high
  view.setUint32(0x22c, 0x7fffffff, true); // initrd_addr_max
  return kernel;
}
