// Predicts what a boot of an image measures, before the first boot: the exact command line and the reference values.
// It goes by what was recorded when the image was built, not by what lies in its directory now.
import { fromHex } from '@ringwall/bytes';
import {
  predictFromDigests,
  type FirmwareManifest,
  type ReferenceContent,
  type ReferenceValues,
} from '@ringwall/evidence';
import { commandLine } from './command-line.ts';
import { readFirmware } from './firmware.ts';
import type { Image } from './image.ts';
import { kernelDigest } from './kernel-digest.ts';
import { referenceContent } from './reference-content.ts';

export interface PredictOptions {
  /** The broker's P-256 public key, X and Y, hexadecimal. */
  readonly brokerKey: string;
  /** What the machine is given with `-m`: QEMU writes an address that depends on it into the kernel. */
  readonly memoryMiB: number;
  /** `-smp`: the firmware writes it down in itself before it measures itself. */
  readonly cpus: number;
  /** Of this host, if not given. */
  readonly firmware?: FirmwareManifest;
}

export interface PredictedBoot {
  readonly commandLine: string;
  readonly reference: ReferenceValues;
  /** The same, with where each measurement comes from. */
  readonly content: ReferenceContent;
}

export async function predictImage(image: Image, options: PredictOptions): Promise<PredictedBoot> {
  const { name, digest, verityRootHash, hashOffset, files } = image.manifest;
  const line = commandLine({ image: name, verityRootHash, hashOffset, brokerKey: options.brokerKey });
  const reference = await predictFromDigests({
    firmware: options.firmware ?? (await readFirmware(options)),
    commandLine: line,
    image: { name, digest },
    kernelDigest: await kernelDigest(image, options.memoryMiB),
    initrdDigest: fromHex(files.initrd.sha256),
  });
  return { commandLine: line, reference, content: referenceContent(image.manifest, reference) };
}
