// An image for tests that is no image: what may run in it, and the parts that its digest is made of.
import { createHash } from 'node:crypto';
import { toHex, utf8 } from '@ringwall/bytes';
import { imageText, renderRuntimeFiles, type ImageParts } from '@ringwall/evidence';
import { sha } from '../../../lib/tpm/testing/ima-list.ts';

/** files.json of an image with these files, each of whose content is its own path; and its digest. */
export function imageFiles(...paths: readonly string[]): { readonly text: string; readonly sha256: string } {
  const text = renderRuntimeFiles({
    image: 'hello',
    files: paths.map((path) => ({
      path,
      sha256: toHex(sha('sha256', utf8(path))),
      package: { name: 'busybox-static', version: '1:1.35.0-4' },
    })),
  });
  return { text, sha256: createHash('sha256').update(text).digest('hex') };
}

export const FILES: ReturnType<typeof imageFiles> = imageFiles('/bin/busybox', '/lib/modules/dm-mod.ko');

/** `version`: a byte that names the version of the image. */
export function imageParts(version = '11', files: string = FILES.sha256): ImageParts {
  const of = (byte: string): string => byte.repeat(32);
  return { kernel: of('01'), initrd: of('02'), system: of(version), files, verityRootHash: of('05'), hashOffset: 4096 };
}

export function imageDigest(version?: string): string {
  return createHash('sha256')
    .update(imageText('hello', imageParts(version)))
    .digest('hex');
}
