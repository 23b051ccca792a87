// The anti-forensic splitter of LUKS (TKS1, section 2.4; LUKS On-Disk Format 1.2.3, section 2.4): a key spread over thousands
// of stripes, all of which are needed to have it back, so that losing one destroys it.
import { digestBytes } from './hash-name.ts';
import { nodeCrypto } from './node-crypto.ts';

/** The key of `keyBytes` that `stripes` stripes in `material` hold; `hash` passed `hashName`. */
export function mergeStripes(material: Uint8Array, keyBytes: number, stripes: number, hash: string): Uint8Array {
  let merged: Uint8Array = new Uint8Array(keyBytes);
  for (let stripe = 0; stripe < stripes; stripe += 1) {
    const bytes = material.subarray(stripe * keyBytes, (stripe + 1) * keyBytes);
    for (let at = 0; at < keyBytes; at += 1) merged[at] = (merged[at] ?? 0) ^ (bytes[at] ?? 0);
    if (stripe < stripes - 1) merged = diffuse(merged, hash);
  }
  return merged;
}

/** The stripes that `mergeStripes` makes `key` of: all but the last are random. */
export function splitStripes(key: Uint8Array, stripes: number, hash: string): Uint8Array {
  const material = new Uint8Array(key.length * stripes);
  const last = key.length * (stripes - 1);
  nodeCrypto().randomFillSync(material, 0, last);
  material.set(mergeStripes(material, key.length, stripes, hash), last);
  for (let at = 0; at < key.length; at += 1) material[last + at] = (material[last + at] ?? 0) ^ (key[at] ?? 0);
  return material;
}

/** Each piece of a digest's length becomes the digest of its number and itself. */
function diffuse(bytes: Uint8Array, hash: string): Uint8Array {
  const size = digestBytes(hash);
  const diffused = new Uint8Array(bytes.length);
  for (let piece = 0; piece * size < bytes.length; piece += 1) {
    const part = bytes.subarray(piece * size, (piece + 1) * size);
    const input = new Uint8Array(4 + part.length);
    new DataView(input.buffer).setUint32(0, piece);
    input.set(part, 4);
    diffused.set(nodeCrypto().hash(hash, input, 'buffer').subarray(0, part.length), piece * size);
  }
  return diffused;
}
