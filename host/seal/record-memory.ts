// One record in memory, as it lies in the object, and the work upon it: encrypted, digested and written, or the other way. Each lane has
// one, and holds no more than that.
import {
  DIGEST_BYTES,
  LEAF,
  RECORD_HEADER_BYTES,
  RecordFrame,
  renderHeader,
  TAG_BYTES,
  type ObjectKeys,
  type RecordHeader,
} from '@ringwall/seal/engine';
import { openingCipher, sealingCipher } from './aead.ts';
import { makeDigester, type Digester } from './digest.ts';
import { release } from './release.ts';

/** What OpenSSL gets at a time: what it gives back then still lies in a core's own cache. */
const PIECE_BYTES: number = 64 * 1024;
/** Aligned, for the digest's vectors; before it the header, and before that what a leaf begins with. */
const TEXT_AT = 64;
const HEADER_AT: number = TEXT_AT - RECORD_HEADER_BYTES;
const LEAF_AT: number = HEADER_AT - LEAF.length;

export interface SealedRecord {
  /** As it lies in the object, with its digest. */
  readonly record: Uint8Array;
  readonly leaf: Uint8Array;
}

export class RecordMemory {
  readonly #keys: ObjectKeys;
  readonly #frame: RecordFrame;
  readonly #digester: Digester;
  readonly #memory: Uint8Array<ArrayBuffer>;

  /** For plaintexts up to so many bytes. */
  constructor(keys: ObjectKeys, mostBytes: number) {
    const most = TEXT_AT + mostBytes + TAG_BYTES;
    this.#keys = keys;
    this.#frame = new RecordFrame(keys.manifest, keys.binding);
    this.#digester = makeDigester(most, most + DIGEST_BYTES);
    this.#memory = this.#digester.memory;
  }

  /** Until the next. */
  seal(
    type: RecordHeader['type'],
    { chunks, index, plaintext }: { readonly chunks: number; readonly index: number; readonly plaintext: Uint8Array },
  ): SealedRecord {
    const header = renderHeader({ type, chunks, bytes: plaintext.length + TAG_BYTES });
    this.#memory.set(header, HEADER_AT);
    const cipher = sealingCipher(this.#keys, this.#frame.parametersOf(header, index));
    let end = TEXT_AT;
    for (const piece of inPieces(plaintext)) {
      const text = cipher.update(piece);
      this.#memory.set(text, end);
      release(text);
      end += piece.length;
    }
    cipher.final();
    this.#memory.set(cipher.getAuthTag(), end);
    end += TAG_BYTES;
    const leaf = this.#leaf(end);
    this.#memory.set(leaf, end);
    return { record: this.#memory.subarray(HEADER_AT, end + DIGEST_BYTES), leaf };
  }

  /** Where a record of so many bytes is to be read to: its ciphertext, and the digest behind it. */
  room(bytes: number): Uint8Array {
    return this.#memory.subarray(TEXT_AT, TEXT_AT + bytes + DIGEST_BYTES);
  }

  /** Of what was read to `room`; undefined where it is not what was sealed there. `root`: of the tree, at the end. */
  open(header: Uint8Array, index: number, bytes: number, root?: Uint8Array): readonly Uint8Array[] | undefined {
    const end = TEXT_AT + bytes - TAG_BYTES;
    const tag = this.#memory.subarray(end, end + TAG_BYTES);
    const decipher = openingCipher(this.#keys, this.#frame.parametersOf(header, index, root), tag);
    const opened = Array.from(inPieces(this.#memory.subarray(TEXT_AT, end)), (piece) => decipher.update(piece));
    try {
      decipher.final();
    } catch {
      // OpenSSL has one answer to all that is wrong with a tag.
      return undefined;
    }
    return opened;
  }

  /** Of what was read to `room`, as the tree has it. */
  leafOf(header: Uint8Array, bytes: number): Uint8Array {
    this.#memory.set(header, HEADER_AT);
    return this.#leaf(TEXT_AT + bytes);
  }

  #leaf(end: number): Uint8Array {
    this.#memory.set(LEAF, LEAF_AT);
    return this.#digester.digest(this.#memory.subarray(LEAF_AT, end));
  }
}

function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
