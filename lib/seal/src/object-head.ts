// Both sides' first step: a new object with its keys and its head, or the head of one that is there, with the key that it gave.
import { toHex } from '@ringwall/bytes';
import type { ByteReader } from './byte-reader.ts';
import { derive, KEY_BYTES, openEnvelope, renderEnvelope, type Opener, type Recipient } from './envelope.ts';
import { headLeafOf, readHead, renderHead } from './layout.ts';
import {
  bindingOf,
  DEFAULT_CHUNK_BYTES,
  parseManifest,
  renderManifest,
  type Cipher,
  type Compression,
  type JsonValue,
  type Manifest,
  type Parent,
  type Part,
} from './manifest.ts';
import { leafOf } from './merkle-tree.ts';

const OBJECT_ID_BYTES = 16;

export interface ObjectOptions {
  readonly recipients: readonly Recipient[];
  /** Of the contents, where it is known: then it is bound to every record, and a stream of another length is refused. */
  readonly bytes?: number;
  /** Where some of the contents are as they were in another object. */
  readonly parent?: Parent;
  /** Needs `bytes`. */
  readonly parts?: readonly Part[];
  readonly about?: { readonly [key: string]: JsonValue };
  readonly cipher?: Cipher;
  /** Whole pages of 4 KiB, to 16 MiB. */
  readonly chunkBytes?: number;
}

/** What all records of an object are made with. */
export interface ObjectKeys {
  readonly manifest: Manifest;
  readonly binding: Uint8Array<ArrayBuffer>;
  /** 32 bytes: the key of the records. A secret. */
  readonly contentKey: Uint8Array<ArrayBuffer>;
  /** The first of the tree. */
  readonly headLeaf: Uint8Array;
}

/** Throws SealError `limit`, `altered` for what no manifest says. */
export async function beginObject(
  options: ObjectOptions,
  compression: Compression,
): Promise<ObjectKeys & { readonly head: Uint8Array<ArrayBuffer> }> {
  const { recipients, bytes = null, parent = null, parts = [], about = {}, cipher = 'aes-256-gcm' } = options;
  const object = toHex(crypto.getRandomValues(new Uint8Array(OBJECT_ID_BYTES)));
  const chunkBytes = options.chunkBytes ?? DEFAULT_CHUNK_BYTES;
  const rendered = renderManifest({
    ...{ object, counter: 0, cipher, digest: 'blake3', chunkBytes, compression, bytes, parent, parts, about },
  });
  const binding = await bindingOf(rendered);
  const dataKey = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const envelope = await renderEnvelope(dataKey, recipients, binding);
  return {
    manifest: parseManifest(rendered),
    binding,
    contentKey: await derive(dataKey, 'content', binding),
    headLeaf: leafOf(headLeafOf(rendered)),
    head: renderHead({ envelope, manifest: rendered }),
  };
}

/** The reader stands at the first record then. Throws SealError. */
export async function openHead(reader: ByteReader, openers: readonly Opener[]): Promise<ObjectKeys> {
  const { envelope, manifest: rendered } = await readHead(reader);
  const binding = await bindingOf(rendered);
  const manifest = parseManifest(rendered);
  const dataKey = await openEnvelope(envelope, openers, binding);
  const contentKey = await derive(dataKey, 'content', binding);
  return { manifest, binding, contentKey, headLeaf: leafOf(headLeafOf(rendered)) };
}
