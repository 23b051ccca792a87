// A sealed object whose last part is another object's, record by record: what is in clear in both is enough for that
// (docs/sealed-format.md, Layout, Manifest, Records).
import { z } from 'zod';

const MAGIC_BYTES = 8;
const HEADER_BYTES = 12;
/** Of a leaf; of the root, in the end. */
const DIGEST_BYTES = 32;
const END = 127;

const manifestSchema = z.object({
  chunkBytes: z.int().positive(),
  parts: z.array(z.object({ name: z.string(), offset: z.int().nonnegative() })).min(1),
});

/** As large as the devices of a machine are, its TPM among them. */
export function withLastPartOf(object: Buffer, other: Buffer): Buffer {
  const [into, from] = [lastPartOf(object), lastPartOf(other)];
  return Buffer.concat([
    object.subarray(0, into.start),
    other.subarray(from.start, from.end),
    object.subarray(into.end),
  ]);
}

/** Where its records begin, and where the end does. */
function lastPartOf(object: Buffer): { readonly start: number; readonly end: number } {
  const envelopeEnd = MAGIC_BYTES + 4 + object.readUInt32BE(MAGIC_BYTES);
  const manifestEnd = envelopeEnd + 4 + object.readUInt32BE(envelopeEnd);
  const manifest = object.toString('utf8', envelopeEnd + 4, manifestEnd);
  const { chunkBytes, parts } = manifestSchema.parse(JSON.parse(manifest));
  const firstChunk = (parts.at(-1)?.offset ?? 0) / chunkBytes;
  let start: number | undefined;
  for (let at = manifestEnd, index = 0; ;) {
    if (index === firstChunk) start ??= at;
    if (object.readUInt32BE(at) === END) {
      if (start === undefined) throw new Error('no record begins where the last part does');
      return { start, end: at };
    }
    index += object.readUInt32BE(at + 4);
    at += HEADER_BYTES + object.readUInt32BE(at + 8) + DIGEST_BYTES;
  }
}
