// The records of a sealed object as they lie there, one after the other, with nothing believed but their shape.
import type { ByteReader } from './byte-reader.ts';
import type { Manifest } from './manifest.ts';
import { DIGEST_BYTES } from './merkle-tree.ts';
import { parseHeader, RECORD_HEADER_BYTES, type RecordHeader } from './records.ts';
import { SealError } from './seal-error.ts';

export interface StoredRecord {
  /** Of its first byte in the object. */
  readonly offset: number;
  /** Of its first chunk in the contents; at the end, the number of chunks. */
  readonly index: number;
  readonly header: RecordHeader;
  readonly headerBytes: Uint8Array;
  readonly ciphertext: Uint8Array;
  /** The digest that is stored for it; at the end, the root of the tree. */
  readonly digest: Uint8Array;
}

/** Ends after the end, or throws SealError `altered`, `truncated`. */
export async function* readRecords(reader: ByteReader, manifest: Manifest): AsyncGenerator<StoredRecord> {
  for (let index = 0; ;) {
    const { offset } = reader;
    const headerBytes = await reader.exactly(RECORD_HEADER_BYTES, 'next record');
    const header = parseHeader(headerBytes, manifest, { offset, index });
    const isEnd = header.type === 'end';
    const root = isEnd ? await reader.exactly(DIGEST_BYTES, 'end') : undefined;
    const ciphertext = await reader.exactly(header.bytes, `record of chunk ${index}`);
    const digest = root ?? (await reader.exactly(DIGEST_BYTES, `record of chunk ${index}`));
    if (isEnd && (await reader.hasMore())) {
      throw new SealError('altered', 'something was put behind its end', { offset: reader.offset });
    }
    yield { offset, index, header, headerBytes, ciphertext, digest };
    if (isEnd) return;
    index += header.chunks;
  }
}

export function altered({ offset, index, header }: StoredRecord, why: string): SealError {
  const what = header.type === 'end' ? 'the end' : `the record of chunk ${index}`;
  return new SealError('altered', `${what}, at byte ${offset}, ${why}`, { offset });
}
