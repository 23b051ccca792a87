// What a witness is when it is saved, as bytes: the extensions that it has seen, and the TPM that they led to. The two belong together:
// a witness that goes on from it holds them against each other before anything runs. docs/snapshots.md, "Contents".
import { Cursor, Writer } from '@ringwall/bytes';
import { MAX_TPM_BLOB_BYTES, type TpmState } from '../swtpm/control-channel.ts';
import { MAX_EXTENSIONS } from './boot-record.ts';
import type { Extension } from './extensions.ts';

const MAGIC = Uint8Array.of(0xd5, 0x52, 0x57, 0x57, 0x54, 0x4e, 0x53, 1);
const DIGEST_BYTES = 32;
/** Of PCRs in a TPM of a PC. */
const PCR_COUNT = 24;

/** All extensions that are judged, and both parts of a TPM. */
export const MAX_SAVED_WITNESS_BYTES: number =
  MAGIC.length + 2 + MAX_EXTENSIONS * (1 + DIGEST_BYTES) + 2 * (4 + MAX_TPM_BLOB_BYTES);

export interface SavedWitness {
  readonly extensions: readonly Extension[];
  readonly tpm: TpmState;
}

export function encodeSavedWitness({ extensions, tpm }: SavedWitness): Uint8Array {
  const writer = new Writer().bytes(MAGIC).u16be(extensions.length);
  for (const { pcr, digest } of extensions) writer.u8(pcr).bytes(digest);
  for (const blob of [tpm.permanent, tpm.volatile]) writer.u32be(blob.length).bytes(blob);
  return writer.finish();
}

/** Throws ParseError. */
export function parseSavedWitness(bytes: Uint8Array): SavedWitness {
  const cursor = new Cursor(bytes);
  if (Buffer.compare(cursor.take(MAGIC.length, 'magic'), MAGIC) !== 0) {
    throw cursor.error('unsupported', 'magic', 'is none of a witness');
  }
  const count = cursor.u16be('count');
  if (count > MAX_EXTENSIONS) throw cursor.error('limit', 'count', `${count}, expected at most ${MAX_EXTENSIONS}`);
  const extensions = Array.from({ length: count }, () => {
    const pcr = cursor.u8('pcr');
    if (pcr >= PCR_COUNT) throw cursor.error('limit', 'pcr', `${pcr}, expected less than ${PCR_COUNT}`);
    return { pcr, digest: cursor.take(DIGEST_BYTES, 'digest') };
  });
  const tpm = { permanent: takeBlob(cursor, 'permanent'), volatile: takeBlob(cursor, 'volatile') };
  cursor.end('saved witness');
  return { extensions, tpm };
}

function takeBlob(cursor: Cursor, field: string): Uint8Array {
  const bytes = cursor.u32be(`${field}.size`);
  if (bytes > MAX_TPM_BLOB_BYTES) {
    throw cursor.error('limit', `${field}.size`, `${bytes}, expected at most ${MAX_TPM_BLOB_BYTES}`);
  }
  return cursor.take(bytes, field);
}
