// A `Packages.db` as rpm's own ndb backend lays it out: Debian's rpm cannot write it. The reader was held against one of a
// SUSE image, too.
import { concatBytes, Writer } from '@ringwall/bytes';

const PAGE_BYTES = 4096;
const BLOCK_BYTES = 16;

export function makeNdb(headers: readonly Uint8Array[]): Uint8Array {
  const slots = new Writer();
  slots.bytes(new TextEncoder().encode('RpmP'));
  for (const value of [0, 1, 1, headers.length + 1, 0, 0, 0]) slots.u32le(value);
  const blobs: Uint8Array[] = [];
  let block = PAGE_BYTES / BLOCK_BYTES;
  for (const [at, header] of headers.entries()) {
    const blocks = Math.ceil((header.length + 28) / BLOCK_BYTES);
    slots.bytes(new TextEncoder().encode('Slot'));
    for (const value of [at + 1, block, blocks]) slots.u32le(value);
    const blob = new Writer();
    blob.bytes(new TextEncoder().encode('BlbS'));
    for (const value of [at + 1, 1, header.length]) blob.u32le(value);
    blob.bytes(header);
    blobs.push(padded(blob.finish(), blocks * BLOCK_BYTES));
    block += blocks;
  }
  const empty = PAGE_BYTES / BLOCK_BYTES - 2 - headers.length;
  for (let each = 0; each < empty; each += 1) {
    slots.bytes(new TextEncoder().encode('Slot'));
    for (const value of [0, 0, 0]) slots.u32le(value);
  }
  return concatBytes(slots.finish(), ...blobs);
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = new Uint8Array(length);
  whole.set(bytes);
  return whole;
}
