// A disk to fill images with.

/** Not a multiple of any cluster size. */
export const DISK_BYTES: number = 9 * 2 ** 20 + 3 * 512;

/** A disk with data of every kind: incompressible, compressible, zeros written, nothing, at odd places. */
export function patternedDisk(size: number = DISK_BYTES): Buffer {
  const disk = Buffer.alloc(size);
  let state = 0x9e3779b9;
  const random = (): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    return (state ^ (state >>> 13)) >>> 0;
  };
  for (let at = 0; at < size;) {
    const length = Math.min(size - at, 512 * (1 + (random() % 700)));
    const kind = random() % 4;
    if (kind === 0) for (let index = 0; index + 4 <= length; index += 4) disk.writeUInt32LE(random(), at + index);
    if (kind === 1) disk.fill(`block ${random() % 1000} of text `, at, at + length);
    if (kind === 2) disk.fill(random() & 0xff, at, at + length);
    at += length;
  }
  return disk;
}
