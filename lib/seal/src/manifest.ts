// What a sealed object says of itself in clear, and what everything in it is bound to: docs/sealed-format.md, "Manifest". Sizes,
// times and names in it are for all to read; whoever seals decides what goes in.
import { equalBytes, unshared, utf8 } from '@ringwall/bytes';
import { PAGE_BYTES } from './pages.ts';
import { SealError } from './seal-error.ts';

export const FORMAT = 'ringwall-sealed/1';
/** A list of disks and devices takes some kilobytes. */
export const MAX_MANIFEST_BYTES: number = 1024 * 1024;
/** Whole pages. Below, records cost more than a percent; above, a reader of one byte waits. */
export const MIN_CHUNK_BYTES: number = 4096;
export const MAX_CHUNK_BYTES: number = 16 * 1024 * 1024;
export const DEFAULT_CHUNK_BYTES: number = 1024 * 1024;
/** Chunk numbers are 32 bits in a record. */
export const MAX_CHUNKS: number = 2 ** 32 - 1;
/** Of arrays and objects in one another, far more than anybody says of a machine: who prints them, or hands them to a thread, goes as deep. */
const MAX_JSON_DEPTH = 64;
/** Memory, devices, a TPM, and more disks than a machine has. */
export const MAX_PARTS = 256;

/** AES where processors have it in hardware; ChaCha20 where they do not, and in engines that know it. */
export const CIPHERS = ['aes-256-gcm', 'chacha20-poly1305'] as const;
export type Cipher = (typeof CIPHERS)[number];
/** Of the tree. */
export const DIGESTS = ['blake3'] as const;
export type Digest = (typeof DIGESTS)[number];
export const COMPRESSIONS = ['none', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The object that this one continues: what has not changed since lies there. */
export interface Parent {
  /** As in its manifest. */
  readonly object: string;
  /** Of its tree, in hexadecimal: of all that it is. */
  readonly root: string;
}

/** A piece of the contents that has a name: memory, the state of devices, a disk. Between parts are zeros. */
export interface Part {
  /** Small letters, digits, `.`, `_` and `-`; at most 100. */
  readonly name: string;
  /** In the contents; a whole number of chunks. */
  readonly offset: number;
  readonly bytes: number;
}

export interface Manifest {
  /** 16 random bytes, in hexadecimal: no two objects have the same. */
  readonly object: string;
  /** Of objects that one data key seals; 0 where each has a key of its own, as everything here does. 32 bits. */
  readonly counter: number;
  readonly cipher: Cipher;
  readonly digest: Digest;
  readonly chunkBytes: number;
  readonly compression: Compression;
  /** Of the contents; null where they come from a pipe. */
  readonly bytes: number | null;
  readonly parent: Parent | null;
  /** In the order of their offsets; none where the contents are one. */
  readonly parts: readonly Part[];
  /** Of whoever seals: machine, sequence number, configuration … */
  readonly about: { readonly [key: string]: JsonValue };
}

export function renderManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const rendered = utf8(`${textBeforeAbout(manifest)}${JSON.stringify(manifest.about)}}`);
  if (rendered.length > MAX_MANIFEST_BYTES) {
    throw new SealError(
      'limit',
      `a manifest of ${rendered.length} bytes, at most ${MAX_MANIFEST_BYTES}: say less in it`,
    );
  }
  parseManifest(rendered);
  return rendered;
}

/** Throws SealError: nobody has vouched for these bytes yet, so each field is looked at. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const value = parseJson(bytes, 'manifest');
  const { format, object, counter, cipher, digest, chunkBytes, compression, bytes: size, parent, parts, about } = value;
  if (format !== FORMAT) throw new SealError('not-sealed', `of format ${shown(format)}, expected ${FORMAT}`);
  const isRight =
    typeof object === 'string' &&
    OBJECT.test(object) &&
    isWhole(counter, 2 ** 32 - 1) &&
    isWhole(chunkBytes, MAX_CHUNK_BYTES) &&
    chunkBytes >= MIN_CHUNK_BYTES &&
    chunkBytes % PAGE_BYTES === 0 &&
    (size === null || isWhole(size, Number.MAX_SAFE_INTEGER)) &&
    (parent === null || isParent(parent)) &&
    isObject(about);
  const knownCipher = CIPHERS.find((each) => each === cipher);
  const knownDigest = DIGESTS.find((each) => each === digest);
  const knownCompression = COMPRESSIONS.find((each) => each === compression);
  if (!isRight || knownCipher === undefined || knownDigest === undefined || knownCompression === undefined) {
    throw new SealError('altered', `the manifest says what no manifest says: ${shown(value)}`);
  }
  if (size !== null && Math.ceil(size / chunkBytes) > MAX_CHUNKS) {
    throw new SealError('limit', `${size} bytes in chunks of ${chunkBytes} are more than ${MAX_CHUNKS} chunks`);
  }
  const known = { cipher: knownCipher, digest: knownDigest, compression: knownCompression };
  const manifest = {
    object,
    counter,
    ...known,
    chunkBytes,
    bytes: size,
    parent,
    parts: partsOf(parts, size, chunkBytes),
    about,
  };
  if (!isWrittenAs(manifest, bytes)) throw new SealError('altered', 'the manifest is not written as one is');
  return manifest;
}

/** What the parser passes over (another field, one that comes twice) another reader might believe: one text for one manifest. */
function isWrittenAs(manifest: Manifest, bytes: Uint8Array): boolean {
  const before = utf8(textBeforeAbout(manifest));
  const about = bytes.subarray(before.length, -1);
  return equalBytes(bytes.subarray(0, before.length), before) && isObject(tryJson(about));
}

/** Its fields in the order of the format, and nothing else that came with them. */
function textBeforeAbout({ parent, parts, ...manifest }: Omit<Manifest, 'about'>): string {
  const { object, counter, cipher, digest, chunkBytes, compression, bytes } = manifest;
  const fields = {
    ...{ format: FORMAT, object, counter, cipher, digest, chunkBytes, compression, bytes },
    parent: parent && { object: parent.object, root: parent.root },
    parts: parts.map((part) => ({ name: part.name, offset: part.offset, bytes: part.bytes })),
  };
  return `${JSON.stringify(fields).slice(0, -1)},"about":`;
}

/** What each key and each record is bound to. */
export async function bindingOf(manifest: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(manifest)));
}

/** An object of JSON, or SealError. */
export function parseJson(bytes: Uint8Array, what: string): Readonly<Record<string, JsonValue>> {
  if (isDeeperThan(MAX_JSON_DEPTH, bytes)) {
    throw new SealError('limit', `the ${what} is nested deeper than ${MAX_JSON_DEPTH}`);
  }
  const value = tryJson(bytes);
  if (isObject(value)) return value;
  throw new SealError('altered', `the ${what} is no JSON object in UTF-8`);
}

function tryJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    if (!(cause instanceof SyntaxError) && !(cause instanceof TypeError)) throw cause;
    return undefined;
  }
}

/** Before anything is parsed. In UTF-8 these bytes are in no other character. */
function isDeeperThan(most: number, json: Uint8Array): boolean {
  const [quote, backslash] = [0x22, 0x5c];
  let [depth, isText] = [0, false];
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === quote) isText = !isText;
    else if (isText) at += byte === backslash ? 1 : 0;
    else if (byte === 0x5b || byte === 0x7b) depth += 1;
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
    if (depth > most) return true;
  }
  return false;
}

export function isObject(value: unknown): value is Readonly<Record<string, JsonValue>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const OBJECT = /^[0-9a-f]{32}$/;
const ROOT = /^[0-9a-f]{64}$/;
const PART_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

function isParent(value: JsonValue | undefined): value is JsonValue & Parent {
  if (!isObject(value)) return false;
  const { object, root } = value;
  return typeof object === 'string' && OBJECT.test(object) && typeof root === 'string' && ROOT.test(root);
}

/** Each begins behind the one before, at a chunk, and ends within the contents. */
function partsOf(value: JsonValue | undefined, size: number | null, chunkBytes: number): readonly Part[] {
  const parts: readonly JsonValue[] = Array.isArray(value) ? value : [null];
  if (parts.length > MAX_PARTS) throw new SealError('limit', `${parts.length} parts, at most ${MAX_PARTS}`);
  const names = new Set<string>();
  let end = 0;
  return parts.map((part) => {
    const { name, offset, bytes } = isObject(part) ? part : {};
    const isRight =
      typeof name === 'string' &&
      PART_NAME.test(name) &&
      !names.has(name) &&
      isWhole(offset, size ?? 0) &&
      isWhole(bytes, (size ?? 0) - offset) &&
      offset >= end &&
      offset % chunkBytes === 0;
    if (!isRight) throw new SealError('altered', `the manifest has a part that is none: ${shown(part)}`);
    names.add(name);
    end = offset + bytes;
    return { name, offset, bytes };
  });
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max;
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? 'nothing';
}
