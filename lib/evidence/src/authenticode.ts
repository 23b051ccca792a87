// The Authenticode digest of a PE/COFF image, as UEFI firmware measures it before it starts the image.
// "Windows Authenticode Portable Executable Signature Format" (2008), "Calculating the PE Image Hash", which TCG PC
// Client Platform Firmware Profile 1.05 names for EV_EFI_BOOT_SERVICES_APPLICATION (section 10.4.1). Where that text
// leaves room, this follows EDK II: a section without raw data is passed over, and what follows the sections is hashed
// up to the certificate table.
import { Cursor, ParseError, unshared } from '@ringwall/bytes';
import { EvidenceError } from './errors.ts';

/** A distribution's kernel has 8 to 16 MiB; a unified kernel image with its initrd may have some hundred. */
export const MAX_PE_BYTES: number = 512 * 1024 * 1024;
/** EDK II refuses an image with more sections than a SizeOfHeaders of 4 KiB can describe; the format allows 96. */
const MAX_SECTIONS = 96;

const DOS_NEW_HEADER_OFFSET = 0x3c;
const PE32 = 0x10b;
const PE32_PLUS = 0x20b;
const CHECKSUM_OFFSET = 64;
const CHECKSUM_BYTES = 4;
const DATA_DIRECTORY_BYTES = 8;
const CERTIFICATE_TABLE_INDEX = 4;
const SECTION_HEADER_BYTES = 40;

/** A run of bytes of the file that goes into the digest. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** SHA-256 over what Authenticode covers. Throws EvidenceError `image-invalid`. */
export async function authenticodeDigest(image: Uint8Array): Promise<Uint8Array> {
  if (image.length > MAX_PE_BYTES) {
    throw new EvidenceError('too-large', `PE image has ${image.length} bytes, at most ${MAX_PE_BYTES}`);
  }
  const ranges = authenticodeRanges(image, image.length);
  // WebCrypto has no incremental digest, so the covered bytes are laid out once.
  const covered = new Uint8Array(ranges.reduce((total, range) => total + range.end - range.start, 0));
  let at = 0;
  for (const range of ranges) {
    covered.set(image.subarray(range.start, range.end), at);
    at += range.end - range.start;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(covered)));
}

/**
 * What Authenticode covers of an image of `imageBytes`, in the order in which it is digested: for those who need not
 * hold all of it. `headers` is at least the image up to the end of its section table. Throws EvidenceError
 * `image-invalid`.
 */
export function authenticodeRanges(headers: Uint8Array, imageBytes: number): readonly ByteRange[] {
  try {
    return readRanges(headers, imageBytes);
  } catch (error) {
    if (error instanceof ParseError) {
      throw new EvidenceError('image-invalid', `PE image: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

function readRanges(image: Uint8Array, imageBytes: number): readonly ByteRange[] {
  const peOffset = cursorAt(image, DOS_NEW_HEADER_OFFSET).u32le('e_lfanew');
  const coff = cursorAt(image, peOffset);
  if (coff.u32le('Signature') !== 0x4550) throw coff.error('invalid', 'Signature', 'is not PE\\0\\0');
  coff.skip(2, 'Machine');
  const sectionCount = coff.u16le('NumberOfSections');
  if (sectionCount > MAX_SECTIONS) {
    throw coff.error('limit', 'NumberOfSections', `${sectionCount}, expected at most ${MAX_SECTIONS}`);
  }
  coff.skip(12, 'TimeDateStamp to NumberOfSymbols');
  const optionalBytes = coff.u16le('SizeOfOptionalHeader');
  coff.skip(2, 'Characteristics');
  const optionalOffset = coff.offset;

  const optional = cursorAt(image, optionalOffset).sub(optionalBytes, 'OptionalHeader');
  const magic = optional.u16le('Magic');
  if (magic !== PE32 && magic !== PE32_PLUS) throw optional.error('invalid', 'Magic', `${magic} is not PE32 or PE32+`);
  optional.skip(58, 'MajorLinkerVersion to SizeOfImage');
  const headerBytes = optional.u32le('SizeOfHeaders');
  const checksum = optionalOffset + CHECKSUM_OFFSET;
  optional.skip(magic === PE32 ? 28 : 44, 'CheckSum to LoaderFlags');
  const directories = optional.u32le('NumberOfRvaAndSizes');
  const directory = optional.offset + CERTIFICATE_TABLE_INDEX * DATA_DIRECTORY_BYTES;
  const hasCertificates = directories > CERTIFICATE_TABLE_INDEX;
  if (hasCertificates) optional.skip(CERTIFICATE_TABLE_INDEX * DATA_DIRECTORY_BYTES + 4, 'DataDirectory');
  const certificateBytes = hasCertificates ? optional.u32le('certificate table size') : 0;
  const sectionTable = optionalOffset + optionalBytes;
  if (headerBytes > imageBytes || headerBytes < sectionTable + sectionCount * SECTION_HEADER_BYTES) {
    throw optional.error('invalid', 'SizeOfHeaders', `${headerBytes} does not hold the section table`);
  }

  const ranges: ByteRange[] = [{ start: 0, end: checksum }];
  if (hasCertificates) {
    ranges.push({ start: checksum + CHECKSUM_BYTES, end: directory });
    ranges.push({ start: directory + DATA_DIRECTORY_BYTES, end: headerBytes });
  } else {
    ranges.push({ start: checksum + CHECKSUM_BYTES, end: headerBytes });
  }
  const sections = readSections(image, sectionTable, sectionCount, imageBytes);
  ranges.push(...sections);

  const hashed = headerBytes + sections.reduce((total, range) => total + range.end - range.start, 0);
  const end = imageBytes - certificateBytes;
  if (end < hashed) throw optional.error('invalid', 'certificate table size', `${certificateBytes} overlaps a section`);
  if (end > hashed) ranges.push({ start: hashed, end });
  return ranges;
}

function readSections(image: Uint8Array, tableOffset: number, count: number, imageBytes: number): ByteRange[] {
  const table = cursorAt(image, tableOffset);
  const sections: ByteRange[] = [];
  for (let index = 0; index < count; index += 1) {
    table.skip(16, 'Name to VirtualAddress');
    const rawBytes = table.u32le('SizeOfRawData');
    const start = table.u32le('PointerToRawData');
    table.skip(16, 'PointerToRelocations to Characteristics');
    if (rawBytes === 0) continue;
    if (start + rawBytes > imageBytes) {
      throw table.error('truncated', 'PointerToRawData', `${start} + ${rawBytes} is beyond the end`);
    }
    sections.push({ start, end: start + rawBytes });
  }
  return sections.toSorted((left, right) => left.start - right.start);
}

function cursorAt(image: Uint8Array, offset: number): Cursor {
  const cursor = new Cursor(image);
  cursor.skip(offset, 'offset');
  return cursor;
}
