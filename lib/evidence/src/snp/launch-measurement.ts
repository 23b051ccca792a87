// What a SEV-SNP guest that QEMU starts will measure, known before its first start: the launch digest of AMD 56860, section
// 8.17.2 (PAGE_INFO), over the firmware’s pages, the pages that its metadata asks for, and the first state of each processor.
// The same computation as virtee/sev-snp-measure’s, for QEMU with KVM.
import { concatBytes, fromHex, unshared, utf8, Writer } from '@ringwall/bytes';
import { EvidenceError } from '../errors.ts';
import { readSevFirmware, type SevFirmware } from './sev-firmware.ts';

/** KVM’s own limit of processors of one guest is lower on every build that runs SEV-SNP. */
const MAX_PROCESSORS = 1024;
const PAGE_BYTES = 4096;
const DIGEST_BYTES = 48;
const NO_CONTENT = new Uint8Array(DIGEST_BYTES);
const FOUR_GIB = 0x1_0000_0000;
/** The reset vector of the first processor. */
const RESET_EIP = 0xffff_fff0;
/** Where VMSA pages are said to be: the highest page, with the bits above 51 cleared. */
const VMSA_GPA = 0xffff_ffff_f000n;
const PAGE_INFO_BYTES = 0x70;

const PAGE_TYPE = { normal: 1, vmsa: 2, zero: 3, secrets: 5, cpuid: 6 } as const;
/** Section types of OVMF’s SEV metadata: edk2 OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm. */
const SECTION = { memory: 1, secrets: 2, cpuid: 3, svsmCallingArea: 4, kernelHashes: 0x10 } as const;

/** GUIDs of QEMU’s table of hashes, target/i386/sev.c, as their bytes are written there. */
const HASH_TABLE = fromHex('06d63894224fc94cb479a793d411fd21');
const KERNEL_ENTRY = fromHex('3794e74dd2ab7f42b835d5b172d2045b');
const INITRD_ENTRY = fromHex('31f7ba442f3ad74b9af141e29169781d');
const COMMAND_LINE_ENTRY = fromHex('d82dd09720bd944caa78e7714d36ab2a');
const HASH_ENTRY_BYTES = 16 + 2 + 32;
const HASH_TABLE_BYTES = 16 + 2 + 3 * HASH_ENTRY_BYTES;

export interface SnpLaunch {
  /** The firmware’s file: one that QEMU maps below 4 GiB. */
  readonly firmware: Uint8Array;
  /** With QEMU’s `kernel-hashes=on`. A guest without an initrd has an empty one. */
  readonly kernel?:
    | { readonly kernel: Uint8Array; readonly initrd: Uint8Array; readonly commandLine: string }
    | undefined;
  readonly processors: number;
  /** CPUID leaf 1 EAX of the guest’s processor: family, model and stepping. */
  readonly processorSignature: number;
  /** SEV_FEATURES of the VMSA: bit 0 is SNP; KVM of today sets no other unless asked. */
  readonly features: bigint;
}

/** MEASUREMENT of the report, 48 bytes. Throws EvidenceError `firmware-invalid`. */
export async function predictSnpMeasurement(launch: SnpLaunch): Promise<Uint8Array> {
  const { firmware: file, kernel, processors } = launch;
  if (!Number.isInteger(processors) || processors < 1 || processors > MAX_PROCESSORS) {
    throw new EvidenceError('firmware-invalid', `${processors} processors, expected 1..${MAX_PROCESSORS}`);
  }
  const firmware = readSevFirmware(file);
  const digest = new LaunchDigest();
  await digest.addPages(BigInt(FOUR_GIB - file.length), file);
  const hashes = kernel === undefined ? undefined : await kernelHashesPage(firmware, kernel);
  for (const { gpa, size, type } of firmware.sections) {
    if (type === SECTION.memory || type === SECTION.svsmCallingArea) await digest.addZeros(gpa, size);
    else if (type === SECTION.secrets) await digest.add(PAGE_TYPE.secrets, BigInt(gpa), NO_CONTENT);
    else if (type === SECTION.cpuid) await digest.add(PAGE_TYPE.cpuid, BigInt(gpa), NO_CONTENT);
    else if (type !== SECTION.kernelHashes) {
      throw new EvidenceError('firmware-invalid', `the firmware asks for memory of unknown type ${type}`);
    } else if (hashes === undefined) await digest.addZeros(gpa, size);
    else await digest.addPages(BigInt(gpa), hashes);
  }
  if (kernel !== undefined && !firmware.sections.some(({ type }) => type === SECTION.kernelHashes)) {
    throw new EvidenceError('firmware-invalid', 'the firmware has no place for the hashes of a kernel');
  }
  const boot = await sha384(vmsaPage(RESET_EIP, launch));
  await digest.add(PAGE_TYPE.vmsa, VMSA_GPA, boot);
  if (processors > 1) {
    const other = await sha384(vmsaPage(firmware.resetEip, launch));
    for (let count = 1; count < processors; count += 1) await digest.add(PAGE_TYPE.vmsa, VMSA_GPA, other);
  }
  return digest.value;
}

/** LD of the guest’s context, extended page by page. */
class LaunchDigest {
  #value: Uint8Array = new Uint8Array(DIGEST_BYTES);

  get value(): Uint8Array {
    return this.#value;
  }

  async add(type: number, gpa: bigint, content: Uint8Array): Promise<void> {
    const info = new Writer()
      .bytes(this.#value)
      .bytes(content)
      .u16le(PAGE_INFO_BYTES)
      .u8(type)
      .u8(0) // no initial migration image
      .u32le(0) // no permissions for VMPL 1 to 3
      .u64le(gpa)
      .finish();
    this.#value = await sha384(info);
  }

  async addPages(gpa: bigint, pages: Uint8Array): Promise<void> {
    for (let at = 0; at < pages.length; at += PAGE_BYTES) {
      await this.add(PAGE_TYPE.normal, gpa + BigInt(at), await sha384(pages.subarray(at, at + PAGE_BYTES)));
    }
  }

  async addZeros(gpa: number, size: number): Promise<void> {
    for (let at = 0; at < size; at += PAGE_BYTES) await this.add(PAGE_TYPE.zero, BigInt(gpa + at), NO_CONTENT);
  }
}

/** The page into which QEMU writes the hashes; the command line is hashed with the zero that ends it. */
async function kernelHashesPage(firmware: SevFirmware, kernel: NonNullable<SnpLaunch['kernel']>): Promise<Uint8Array> {
  if (firmware.hashTableGpa === undefined) {
    throw new EvidenceError('firmware-invalid', 'the firmware has no table for the hashes of a kernel');
  }
  const entry = async (guid: Uint8Array, content: Uint8Array): Promise<Uint8Array> =>
    new Writer()
      .bytes(guid)
      .u16le(HASH_ENTRY_BYTES)
      .bytes(await sha256(content))
      .finish();
  const table = new Writer()
    .bytes(HASH_TABLE)
    .u16le(HASH_TABLE_BYTES)
    .bytes(await entry(COMMAND_LINE_ENTRY, concatBytes(utf8(kernel.commandLine), Uint8Array.of(0))))
    .bytes(await entry(INITRD_ENTRY, kernel.initrd))
    .bytes(await entry(KERNEL_ENTRY, kernel.kernel))
    .finish();
  const page = new Uint8Array(PAGE_BYTES);
  const offset = firmware.hashTableGpa % PAGE_BYTES;
  if (offset + table.length > PAGE_BYTES) {
    throw new EvidenceError('firmware-invalid', 'the firmware’s table of hashes does not fit its page');
  }
  page.set(table, offset);
  return page;
}

/** The first state of a processor: AMD64 Architecture Programmer’s Manual volume 2, table B-4, as QEMU and KVM set it. */
function vmsaPage(eip: number, { processorSignature, features }: SnpLaunch): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  const segment = (at: number, selector: number, attributes: number, base = 0): void => {
    view.setUint16(at, selector, true);
    view.setUint16(at + 2, attributes, true);
    view.setUint32(at + 4, 0xffff, true);
    view.setBigUint64(at + 8, BigInt(base), true);
  };
  const data = 0x93;
  segment(0x00, 0, data); // ES
  segment(0x10, 0xf000, 0x9b, eip - (eip % 0x1_0000)); // CS
  for (const at of [0x20, 0x30, 0x40, 0x50]) segment(at, 0, data); // SS, DS, FS, GS
  segment(0x60, 0, 0); // GDTR
  segment(0x70, 0, 0x82); // LDTR
  segment(0x80, 0, 0); // IDTR
  segment(0x90, 0, 0x8b); // TR
  const registers: readonly (readonly [at: number, value: bigint])[] = [
    [0x0d0, 0x1000n], // EFER: SVME
    [0x148, 0x40n], // CR4: MCE
    [0x158, 0x10n], // CR0: ET
    [0x160, 0x400n], // DR7
    [0x168, 0xffff_0ff0n], // DR6
    [0x170, 0x2n], // RFLAGS
    [0x178, BigInt(eip % 0x1_0000)], // RIP
    [0x268, 0x0007_0406_0007_0406n], // PAT
    [0x310, BigInt(processorSignature)], // RDX
    [0x3b0, features], // SEV_FEATURES
    [0x3e8, 0x1n], // XCR0
  ];
  for (const [at, value] of registers) view.setBigUint64(at, value, true);
  view.setUint32(0x408, 0x1f80, true); // MXCSR
  view.setUint16(0x410, 0x37f, true); // x87 control word
  return page;
}

async function sha384(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-384', unshared(bytes)));
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(bytes)));
}
