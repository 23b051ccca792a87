// What a boot will measure, computed from the boot set before the first boot: OVMF on q35 with a direct kernel boot,
// without a network card, from a pristine variable store, or with the Secure Boot variables that a caller names.
// Events and their data follow TCG PC Client Platform Firmware Profile 1.05 ("PFP"; each is cited below), the two of
// the kernel's EFI stub follow Linux drivers/firmware/efi/libstub (efi_measure_tagged_event, since 6.3 and in Debian's
// 6.1). A test compares the result with the log of a real boot, event by event.
import { Writer, fromHex, toHex, unshared, utf8 } from '@ringwall/bytes';
import { authenticodeDigest } from './authenticode.ts';
import { EvidenceError } from './errors.ts';
import { parseFirmwareManifest, type FirmwareManifest } from './firmware.ts';
import { patchKernelAsQemu } from './qemu-kernel.ts';
import type { ExpectedEvent, ReferenceValues } from './reference.ts';
import { authorityEvents, PRISTINE_SECURE_BOOT, secureBootEvents, type SecureBoot } from './secure-boot.ts';

export interface BootSet {
  readonly firmware: FirmwareManifest;
  /** The kernel file, as it lies on disk. */
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  /** What is given to `-append`. */
  readonly commandLine: string;
  /** What the machine was given with `-m`: QEMU writes an address that depends on it into the kernel. */
  readonly memoryBytes: number;
  readonly image: { readonly name: string; readonly digest: string };
  /** The firmware's variables; pristine ones where nobody says otherwise. */
  readonly secureBoot?: SecureBoot | undefined;
}

/** The kernel's limit (COMMAND_LINE_SIZE of x86), with its NUL. */
const MAX_COMMAND_LINE_BYTES = 2048;
/** OVMF hands the initrd to the EFI stub under this name, as an argument after all others. */
const INITRD_ARGUMENT = ' initrd=initrd';

/** The same for a caller that has the two digests already. */
export interface BootSetDigests extends Pick<BootSet, 'firmware' | 'commandLine' | 'image' | 'secureBoot'> {
  /** Authenticode SHA-256 of the kernel as QEMU changes it for this initrd and memory. */
  readonly kernelDigest: Uint8Array;
  /** SHA-256 of the initrd. */
  readonly initrdDigest: Uint8Array;
}

/** The measurements that this boot set will make. Throws EvidenceError. */
export async function predictBoot(boot: BootSet): Promise<ReferenceValues> {
  const kernel = patchKernelAsQemu(boot.kernel, { initrdBytes: boot.initrd.length, memoryBytes: boot.memoryBytes });
  return predictFromDigests({
    firmware: boot.firmware,
    commandLine: boot.commandLine,
    image: boot.image,
    secureBoot: boot.secureBoot,
    kernelDigest: await authenticodeDigest(kernel),
    initrdDigest: fromHex(await hashed(boot.initrd)),
  });
}

/** What `predictBoot` does once kernel and initrd are digested. Throws EvidenceError. */
export async function predictFromDigests(boot: BootSetDigests): Promise<ReferenceValues> {
  const firmware = parseFirmwareManifest(boot.firmware);
  const secureBoot = boot.secureBoot ?? PRISTINE_SECURE_BOOT;
  const separator = await hashed(EVENT_SEPARATOR);
  const events: ExpectedEvent[] = [
    // PFP 3.3.4.1: PCR 0 holds the version of the CRTM, then the firmware's code.
    {
      pcr: 0,
      type: 'EV_S_CRTM_VERSION',
      digest: await hashed(fromHex(firmware.crtmVersion)),
      what: 'firmware version',
    },
    ...firmware.volumes.map((volume) => ({
      pcr: 0,
      type: 'EV_EFI_PLATFORM_FIRMWARE_BLOB',
      digest: volume.digest,
      what: `firmware volume ${volume.name}`,
    })),
    ...(await secureBootEvents(secureBoot)),
    { pcr: 7, type: 'EV_SEPARATOR', digest: separator, what: 'separator' },
    ...(await authorityEvents(secureBoot)),
    // PFP 3.3.4.5: PCR 4 holds the boot manager's code, here the kernel itself: it is an EFI application.
    {
      pcr: 4,
      type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
      digest: toHex(boot.kernelDigest),
      what: 'kernel',
    },
    ...(await bootVariableEvents(firmware)),
    // PFP 10.4.3: the strings of EV_EFI_ACTION, without a NUL.
    {
      pcr: 4,
      type: 'EV_EFI_ACTION',
      digest: await hashed(utf8('Calling EFI Application from Boot Option')),
      what: 'boot attempt',
    },
    // PFP 3.3.4: a separator in each of PCR 0 to 6 marks the end of the firmware's own time (PCR 7 has had its own).
    ...[0, 1, 2, 3, 4, 5, 6].map((pcr) => ({ pcr, type: 'EV_SEPARATOR', digest: separator, what: 'separator' })),
    // Linux: LoadOptions as the stub was given them, then the initrd as it was loaded.
    await commandLineEvent(boot.commandLine),
    { pcr: 9, type: 'EV_EVENT_TAG', digest: toHex(boot.initrdDigest), what: 'initrd' },
    // PFP 3.3.4.6 and 10.4.3: leaving boot services.
    {
      pcr: 5,
      type: 'EV_EFI_ACTION',
      digest: await hashed(utf8('Exit Boot Services Invocation')),
      what: 'leaving the firmware',
    },
    {
      pcr: 5,
      type: 'EV_EFI_ACTION',
      digest: await hashed(utf8('Exit Boot Services Returned with Success')),
      what: 'firmware left',
    },
  ];
  return {
    version: 1,
    image: { name: boot.image.name, digest: boot.image.digest },
    firmware: { name: firmware.name, digest: firmware.digest },
    events,
  };
}

/** What the firmware measures of itself, whatever it boots: the same without kernel, initrd and command line. */
export async function predictFirmware(boot: Pick<BootSet, 'firmware' | 'image'>): Promise<ReferenceValues> {
  const nothing = new Uint8Array(32);
  const whole = await predictFromDigests({ ...boot, commandLine: '-', kernelDigest: nothing, initrdDigest: nothing });
  const given: readonly string[] = ['kernel', 'command line', 'initrd'];
  return { ...whole, events: whole.events.filter(({ what }) => !given.includes(what)) };
}

/** The event by which the kernel's EFI stub measures its command line, for callers that predict only that. */
export async function commandLineEvent(commandLine: string): Promise<ExpectedEvent> {
  return { pcr: 9, type: 'EV_EVENT_TAG', digest: await hashed(loadOptions(commandLine)), what: 'command line' };
}

/** PFP 10.4.1, EV_SEPARATOR: four zero bytes where nothing went wrong. */
const EVENT_SEPARATOR = new Uint8Array(4);

/** LoadOptions of the loaded image: UTF-16LE, as OVMF's QemuLoadImageLib writes them, NUL included. */
function loadOptions(commandLine: string): Uint8Array {
  if (!/^[\x20-\x7e]+$/.test(commandLine) || commandLine.length >= MAX_COMMAND_LINE_BYTES) {
    throw new EvidenceError('image-invalid', 'command line is empty, too long or has characters outside ASCII');
  }
  // QEMU reads this one itself and writes it into the kernel's header, which would change the kernel's measurement.
  if (commandLine.includes('vga=')) throw new EvidenceError('image-invalid', 'command line has vga=, which QEMU takes');
  return utf16(`${commandLine}${INITRD_ARGUMENT}\0`);
}

/** PFP 3.3.4.2: BootOrder, then each option of it. EV_EFI_VARIABLE_BOOT hashes the variable's data alone (10.4.1). */
async function bootVariableEvents(firmware: FirmwareManifest): Promise<ExpectedEvent[]> {
  if (firmware.bootOptions.length === 0) return [];
  const order = new Writer();
  for (const index of firmware.bootOptions.keys()) order.u16le(index);
  const variables = [
    { name: 'BootOrder', data: order.finish() },
    ...firmware.bootOptions.map((option, index) => ({
      name: `Boot${index.toString(16).toUpperCase().padStart(4, '0')}`,
      data: fromHex(option),
    })),
  ];
  return Promise.all(
    variables.map(async ({ name, data }) => ({
      pcr: 1,
      type: 'EV_EFI_VARIABLE_BOOT',
      digest: await hashed(data),
      what: `UEFI variable ${name}`,
    })),
  );
}

function utf16(text: string): Uint8Array {
  const writer = new Writer();
  for (let index = 0; index < text.length; index += 1) writer.u16le(text.charCodeAt(index));
  return writer.finish();
}

async function hashed(data: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(data))));
}
