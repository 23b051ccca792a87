// Small PE32+ images for tests: the headers that Authenticode looks at, and sections whose order in the table is not
// their order in the file.
import { Writer, concatBytes } from '@ringwall/bytes';

export interface PeImage {
  readonly image: Uint8Array;
  readonly checksum: number;
  readonly certificateEntry: number;
  readonly headers: number;
  readonly sectionsInFileOrder: readonly Uint8Array[];
  readonly trailing: Uint8Array;
  readonly certificateBytes: number;
}

const PE_OFFSET = 0x40;
const OPTIONAL_OFFSET = PE_OFFSET + 24;
const OPTIONAL_BYTES = 112 + 16 * 8;
const HEADERS_BYTES = 512;
const SECTION_BYTES = 64;

export function makePe(options: { trailingBytes?: number; certificateBytes?: number } = {}): PeImage {
  const { trailingBytes = 16, certificateBytes = 24 } = options;
  const first = new Uint8Array(SECTION_BYTES).fill(0x11);
  const second = new Uint8Array(SECTION_BYTES).fill(0x22);
  const trailing = new Uint8Array(trailingBytes).fill(0x33);
  const certificates = new Uint8Array(certificateBytes).fill(0x44);
  const bodyEnd = HEADERS_BYTES + 2 * SECTION_BYTES + trailingBytes;
  const headers = new Writer()
    .bytes(new Uint8Array(0x3c))
    .u32le(PE_OFFSET)
    .u32le(0x4550)
    .u16le(0x8664)
    .u16le(3)
    .bytes(new Uint8Array(12))
    .u16le(OPTIONAL_BYTES)
    .u16le(0x0206)
    .u16le(0x20b)
    .bytes(new Uint8Array(58).fill(0x55))
    .u32le(HEADERS_BYTES)
    .u32le(0xdeadbeef)
    .bytes(new Uint8Array(40).fill(0x66))
    .u32le(16)
    .bytes(new Uint8Array(4 * 8))
    .u32le(certificateBytes === 0 ? 0 : bodyEnd)
    .u32le(certificateBytes)
    .bytes(new Uint8Array(11 * 8));
  // The table names the second section first, and one that has no bytes in the file.
  for (const [bytes, start] of [
    [SECTION_BYTES, HEADERS_BYTES + SECTION_BYTES],
    [0, 0x7fff_ffff],
    [SECTION_BYTES, HEADERS_BYTES],
  ] as const) {
    headers.bytes(new Uint8Array(16)).u32le(bytes).u32le(start).bytes(new Uint8Array(16));
  }
  const padding = new Uint8Array(HEADERS_BYTES - headers.length);
  return {
    image: concatBytes(headers.finish(), padding, first, second, trailing, certificates),
    checksum: OPTIONAL_OFFSET + 64,
    certificateEntry: OPTIONAL_OFFSET + 112 + 4 * 8,
    headers: HEADERS_BYTES,
    sectionsInFileOrder: [first, second],
    trailing,
    certificateBytes,
  };
}

/** What looks like a Linux kernel of boot protocol 2.15 to whoever fills its setup header. */
export function makeKernel(): Uint8Array {
  const kernel = new Uint8Array(4096).fill(0x77);
  const view = new DataView(kernel.buffer);
  view.setUint32(0x202, 0x5372_6448, true);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 0x01);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint16(0x236, 0x007f, true);
  return kernel;
}
