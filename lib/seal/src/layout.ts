// What a sealed object begins with: magic, envelope, manifest. docs/sealed-format.md, "Layout".
import { concatBytes, equalBytes, Writer, Cursor } from '@ringwall/bytes';
import type { ByteReader } from './byte-reader.ts';
import { MAX_ENVELOPE_BYTES } from './envelope.ts';
import { MAX_MANIFEST_BYTES } from './manifest.ts';
import { SealError } from './seal-error.ts';

/** Not text, so that no mail server changes it, with the number of the layout at its end. */
export const MAGIC: Uint8Array<ArrayBuffer> = Uint8Array.of(0xd5, 0x52, 0x57, 0x53, 0x45, 0x41, 0x4c, 1);
const LENGTH_BYTES = 4;

export interface Head {
  readonly envelope: Uint8Array;
  readonly manifest: Uint8Array;
}

export function renderHead({ envelope, manifest }: Head): Uint8Array<ArrayBuffer> {
  return concatBytes(MAGIC, lengthOf(envelope), envelope, lengthOf(manifest), manifest);
}

/** The leaf that comes first: what does not change when keys are wrapped anew. */
export function headLeafOf(manifest: Uint8Array): readonly Uint8Array[] {
  return [MAGIC, lengthOf(manifest), manifest];
}

/** Throws SealError `not-sealed`, `truncated`, `limit`. */
export async function readHead(reader: ByteReader): Promise<Head> {
  const magic = await reader.upTo(MAGIC.length);
  if (!equalBytes(magic, MAGIC))
    throw new SealError('not-sealed', 'it does not begin like a sealed object', { offset: 0 });
  const envelope = await readCounted(reader, 'envelope', MAX_ENVELOPE_BYTES);
  return { envelope, manifest: await readCounted(reader, 'manifest', MAX_MANIFEST_BYTES) };
}

async function readCounted(reader: ByteReader, what: string, most: number): Promise<Uint8Array> {
  const { offset } = reader;
  const length = new Cursor(await reader.exactly(LENGTH_BYTES, what)).u32be(what);
  if (length > most) throw new SealError('limit', `its ${what} says ${length} bytes, at most ${most}`, { offset });
  return reader.exactly(length, what);
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  return new Writer().u32be(bytes.length).finish();
}
