// What QEMU writes into the setup header of a Linux kernel that it is given with -kernel, before the firmware sees it.
// The firmware measures the bytes after this change, so a prediction must make it too: the kernel's measurement depends
// on the size of the initrd and on the machine's memory. Linux Documentation/arch/x86/boot.rst ("The Real-Mode Kernel
// Header") names the fields; the values are those of x86_load_linux() in QEMU's hw/i386/x86.c, 7.2 to 9.2.
import { EvidenceError } from './errors.ts';

/** `HdrS`, little endian. */
const HEADER_MAGIC = 0x5372_6448;
/** 2.12 has xloadflags, which decides where the initrd may lie; all kernels since 3.8 have it. */
const OLDEST_PROTOCOL = 0x020c;
const XLF_CAN_BE_LOADED_ABOVE_4G = 0x02;
const LOADED_HIGH = 0x01;

const LOADER_TYPE_QEMU = 0xb0;
const CAN_USE_HEAP = 0x80;
const REAL_MODE_ADDRESS = 0x1_0000;
const COMMAND_LINE_ADDRESS = 0x2_0000;
/** What QEMU keeps free below the end of low memory for ACPI tables: PCMachineClass.acpi_data_size. */
const ACPI_DATA_BYTES = 0x2_8000;
const PAGE_BYTES = 4096;
/** From this much memory on, q35 puts only the first 2 GiB below 4 GiB; with less, all of it (pc_q35_init()). */
const Q35_SPLIT_BYTES = 0xb000_0000;
const Q35_LOW_BYTES = 0x8000_0000;
const FOUR_GIB = 0x1_0000_0000;

export interface QemuBoot {
  readonly initrdBytes: number;
  /** What the machine was given with -m. */
  readonly memoryBytes: number;
}

/** A copy of `kernel` as the firmware finds it. Throws EvidenceError `image-invalid`. */
export function patchKernelAsQemu(kernel: Uint8Array, boot: QemuBoot): Uint8Array<ArrayBuffer> {
  const patched = new Uint8Array(kernel);
  const view = new DataView(patched.buffer);
  if (patched.length < 0x260 || view.getUint32(0x202, true) !== HEADER_MAGIC) {
    throw new EvidenceError('image-invalid', 'kernel has no Linux setup header');
  }
  const protocol = view.getUint16(0x206, true);
  if (protocol < OLDEST_PROTOCOL) {
    throw new EvidenceError('image-invalid', `kernel boot protocol ${protocol}, expected ${OLDEST_PROTOCOL} or newer`);
  }
  if ((view.getUint8(0x211) & LOADED_HIGH) === 0) {
    throw new EvidenceError('image-invalid', 'kernel is one that is loaded low');
  }
  view.setUint8(0x210, LOADER_TYPE_QEMU);
  view.setUint8(0x211, view.getUint8(0x211) | CAN_USE_HEAP);
  view.setUint32(0x218, initrdAddress(view, boot), true);
  view.setUint32(0x21c, boot.initrdBytes, true);
  view.setUint16(0x224, COMMAND_LINE_ADDRESS - REAL_MODE_ADDRESS - 0x200, true);
  view.setUint32(0x228, COMMAND_LINE_ADDRESS, true);
  return patched;
}

function initrdAddress(view: DataView, boot: QemuBoot): number {
  if (!Number.isSafeInteger(boot.memoryBytes) || boot.memoryBytes <= 0) {
    throw new EvidenceError('image-invalid', `memory of ${boot.memoryBytes} bytes is none`);
  }
  const aboveIsFine = (view.getUint16(0x236, true) & XLF_CAN_BE_LOADED_ABOVE_4G) !== 0;
  const kernelMaximum = aboveIsFine ? FOUR_GIB - 1 : view.getUint32(0x22c, true);
  const low = boot.memoryBytes >= Q35_SPLIT_BYTES ? Q35_LOW_BYTES : boot.memoryBytes;
  const maximum = Math.min(kernelMaximum, low - ACPI_DATA_BYTES - 1);
  const address = maximum - boot.initrdBytes;
  if (address < 0) throw new EvidenceError('image-invalid', 'initrd does not fit into the memory of the machine');
  return address - (address % PAGE_BYTES);
}
