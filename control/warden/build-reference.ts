// What machines of an image and a size will measure, before any of them starts.
import type { WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { referenceJson } from '@ringwall/evidence';
import type { WardenContext } from './context.ts';
import { notBuilt } from './images.ts';

export async function buildReference(
  { parts }: WardenContext,
  { image, ...boot }: WardenRequest & { readonly op: 'build-reference' },
): Promise<WardenResponse<'build-reference'>> {
  const prediction = await parts.images.predict(image, boot);
  if (prediction === undefined) throw notBuilt(image);
  return { reference: referenceJson(await parts.images.sign(prediction.reference)) };
}
