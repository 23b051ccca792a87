// What OVMF measures of itself, computed from its code file: two firmware volumes lie compressed in it (UEFI Platform
// Initialization, volume 3: GUIDed section 3.2.5.7, firmware volume image section 3.2.5.10). DXEFV is measured as it is.
// PEIFV is measured out of memory, where PlatformPei has by then written down what machine it is in; so the same words are
// written here.
import { createHash } from 'node:crypto';
import { concatBytes, Cursor, ParseError } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { runChecked, type Run } from '../exec/index.ts';

/** The virtual machine, as far as PlatformPei looks at it. */
export interface PlatformShape {
  readonly cpus: number;
}

/** Where PlatformPei of one build keeps its variables, as offsets in PEIFV; all numbers are 32 bits, little-endian. */
export interface PlatformInfoLayout {
  /** What it writes in every machine that Ringwall makes (q35, no SMM, no suspend): learned from a reference boot. */
  readonly constants: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  /** How many processors there are, and how many there can be. */
  readonly cpus: readonly number[];
}

export interface FirmwareVolumes {
  readonly pei: Uint8Array;
  /** SHA-256 of DXEFV, hexadecimal. */
  readonly dxeDigest: string;
}

const XZ = '/usr/bin/xz';
/** Of the builds of 4 MiB it has 896 KiB. */
const PEI_LIMIT_BYTES = 8 * 1024 * 1024;
/** OVMF of 4 MiB unpacks to 13 MiB. */
const UNPACKED_LIMIT_BYTES = 64 * 1024 * 1024;
const UNPACK_TIMEOUT_MS = 30_000;
/** EE4E5898-3914-4259-9D6E-DC7BD79403CF, LzmaCustomDecompress, as it stands in the file. */
const LZMA_GUID: readonly number[] = [
  0x98, 0x58, 0x4e, 0xee, 0x14, 0x39, 0x59, 0x42, 0x9d, 0x6e, 0xdc, 0x7b, 0xd7, 0x94, 0x03, 0xcf,
];
const SECTION_HEADER_BYTES = 4;
const SECTION_GUID_DEFINED = 0x02;
const SECTION_FIRMWARE_VOLUME_IMAGE = 0x17;
const SECTION_ALIGNMENT_BYTES = 4;

/** Unpacks the two volumes of a code file. Throws `host-lacks` for a file that is laid out otherwise. */
export async function unpackVolumes(code: Uint8Array, run: Run): Promise<FirmwareVolumes> {
  try {
    const packed = lzmaSection(code);
    const volumes = new VolumeReader();
    await runChecked(run, [XZ, '--format=lzma', '--decompress', '--stdout'], {
      input: packed,
      maxOutputBytes: UNPACKED_LIMIT_BYTES,
      timeoutMs: UNPACK_TIMEOUT_MS,
      onOutput: (chunk) => volumes.push(chunk),
    });
    return volumes.end();
  } catch (cause) {
    throw new RingwallError('host-lacks', 'the firmware file is not laid out as OVMF is', {
      hint: 'apt-get install --reinstall ovmf xz-utils',
      cause,
    });
  }
}

/** PEIFV as it stands in memory when it is measured. Pure. */
export function initializePei(pei: Uint8Array, layout: PlatformInfoLayout, shape: PlatformShape): Uint8Array {
  const memory = new Uint8Array(pei);
  const view = new DataView(memory.buffer);
  for (const { offset, bytes } of layout.constants) memory.set(bytes, offset);
  for (const offset of layout.cpus) view.setUint32(offset, shape.cpus, true);
  return memory;
}

function lzmaSection(code: Uint8Array): Uint8Array {
  const guidAt = Buffer.from(code.buffer, code.byteOffset, code.byteLength).indexOf(Uint8Array.from(LZMA_GUID));
  if (guidAt < SECTION_HEADER_BYTES) throw new Error('no LZMA section');
  const start = guidAt - SECTION_HEADER_BYTES;
  const header = new Cursor(code.slice(start, start + 24), start);
  const size = readSize(header, 'section.size');
  const type = header.take(1, 'section.type')[0];
  if (type !== SECTION_GUID_DEFINED) throw new Error('the LZMA section is of another type');
  header.skip(LZMA_GUID.length, 'section.guid');
  const dataOffset = header.u16le('section.dataOffset');
  return new Cursor(code.slice(start), start).take(size, 'section').slice(dataOffset);
}

/** Takes sections as they come out of the unpacker: keeps the first volume, and of the second only the digest. */
class VolumeReader {
  readonly #pei: Uint8Array[] = [];
  readonly #dxe = createHash('sha256');
  #volumes = 0;
  /** Of a header or of the space before one, until it is whole. */
  #pending: Uint8Array = new Uint8Array();
  #paddingBytes = 0;
  #section: { readonly type: number; leftBytes: number } | undefined;
  #offset = 0;

  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#section !== undefined) rest = this.#takeBody(this.#section, rest);
      else if (this.#paddingBytes > 0) rest = this.#skipPadding(rest);
      else rest = this.#takeHeader(rest);
    }
  }

  end(): FirmwareVolumes {
    if (this.#section !== undefined || this.#volumes !== 2) throw new Error('expected two firmware volumes');
    return { pei: Uint8Array.from(Buffer.concat(this.#pei)), dxeDigest: this.#dxe.digest('hex') };
  }

  #takeHeader(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, SECTION_HEADER_BYTES - this.#pending.length);
    this.#pending = concatBytes(this.#pending, taken);
    if (this.#pending.length === SECTION_HEADER_BYTES) {
      const header = new Cursor(this.#pending, this.#offset);
      const size = readSize(header, 'section.size');
      if (size < SECTION_HEADER_BYTES) throw header.error('invalid', 'section.size', String(size));
      const type = header.take(1, 'section.type')[0] ?? 0;
      if (type === SECTION_FIRMWARE_VOLUME_IMAGE) this.#volumes += 1;
      if (this.#volumes === 1 && size > PEI_LIMIT_BYTES) throw header.error('limit', 'PEIFV', `${size} bytes`);
      this.#section = { type, leftBytes: size - SECTION_HEADER_BYTES };
      this.#paddingBytes = (SECTION_ALIGNMENT_BYTES - (size % SECTION_ALIGNMENT_BYTES)) % SECTION_ALIGNMENT_BYTES;
      this.#pending = new Uint8Array();
      this.#offset += size + this.#paddingBytes;
      if (this.#section.leftBytes === 0) this.#section = undefined;
    }
    return bytes.subarray(taken.length);
  }

  #takeBody(section: { readonly type: number; leftBytes: number }, bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, section.leftBytes);
    section.leftBytes -= taken.length;
    if (section.type === SECTION_FIRMWARE_VOLUME_IMAGE) {
      if (this.#volumes === 1) this.#pei.push(taken.slice());
      else this.#dxe.update(taken);
    }
    if (section.leftBytes === 0) this.#section = undefined;
    return bytes.subarray(taken.length);
  }

  #skipPadding(bytes: Uint8Array): Uint8Array {
    const skipped = Math.min(bytes.length, this.#paddingBytes);
    this.#paddingBytes -= skipped;
    return bytes.subarray(skipped);
  }
}

/** 24 bits; all ones would say that a longer size follows, which OVMF's sections do not need. */
function readSize(header: Cursor, field: string): number {
  const [low = 0, middle = 0, high = 0] = header.take(3, field);
  const size = low | (middle << 8) | (high << 16);
  if (size === 0xffffff) throw new ParseError('unsupported', field, 0, 'of an extended section');
  return size;
}
