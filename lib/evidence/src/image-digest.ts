// What names an image: one digest over all that decides what boots and what may run then, so that whoever knows the image
// that was expected knows its list of files, too.
import { toHex, utf8 } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';

/** SHA-256 of each part, hexadecimal; the system image also by its dm-verity. */
export interface ImageParts {
  readonly kernel: string;
  readonly initrd: string;
  readonly system: string;
  /** Of files.json. */
  readonly files: string;
  readonly verityRootHash: string;
  /** Bytes of the system's file system, behind which its hash tree begins. */
  readonly hashOffset: number;
}

/** The text whose SHA-256 is the image's digest. */
export function imageText(name: string, parts: ImageParts): string {
  const lines = [
    'ringwall-image 2',
    name,
    `kernel ${parts.kernel}`,
    `initrd ${parts.initrd}`,
    `system.img ${parts.system}`,
    `files.json ${parts.files}`,
    `verity ${parts.verityRootHash} ${parts.hashOffset}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** SHA-256 of `imageText`, hexadecimal: as a reference names the image. */
export async function imageDigestOf(name: string, parts: ImageParts): Promise<string> {
  return toHex(await digest('sha256', utf8(imageText(name, parts))));
}
