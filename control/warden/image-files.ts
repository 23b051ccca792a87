// The list of what may run in an image, for the broker: from the warden's own copy, made when the image was put in place,
// so that whoever changes the image's directory does not change what is expected of its machines.
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { WARDEN_IMAGE_FILES_PART_BYTES, type WardenResponse } from '@ringwall/api/warden';
import type { WardenContext } from './context.ts';
import { requireKnownImage } from './images.ts';

/** With an offset also a part of it from there on. */
export async function readImageFiles(
  context: WardenContext,
  name: string,
  offset: number | undefined,
): Promise<WardenResponse<'read-image-files'>> {
  requireKnownImage(context, name);
  const recorded = await context.parts.images.files(name);
  if (recorded === undefined) {
    throw new RingwallError('not-found', `the image ${name} has no list of what may run in it`, {
      hint: `build it again: ringwall images build ${name} --rebuild`,
    });
  }
  const { list, parts } = recorded;
  const sha256 = createHash('sha256').update(list).digest('hex');
  if (offset === undefined) return { sha256, bytes: list.length, parts };
  const part = list.subarray(offset, offset + WARDEN_IMAGE_FILES_PART_BYTES);
  return { sha256, bytes: list.length, part: Buffer.from(part).toString('base64') };
}
