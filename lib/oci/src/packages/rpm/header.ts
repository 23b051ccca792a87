// The header of an RPM package as its databases keep it: an index of tags and a store of their values, without lead and
// magic. RPM documentation, "Package format", section "Header" (V4), and "RPM tags".
import { Cursor, ParseError } from '@ringwall/bytes';
import { languageFilesOf } from '../language-files.ts';
import { makePackage, type PackageFact } from '../package-fact.ts';

/** Both as in rpm itself (`hdrchkTags`, `hdrchkData`). */
const MAX_TAGS = 65_535;
const MAX_STORE_BYTES: number = 256 * 1024 * 1024;
const INDEX_ENTRY_BYTES = 16;
/** Of one package: linux-firmware has 5,000, a texlive of everything 150,000. */
const MAX_FILES = 500_000;

const TAGS = {
  1000: 'name',
  1001: 'version',
  1002: 'release',
  1003: 'epoch',
  1014: 'licence',
  1022: 'architecture',
  1044: 'sourceRpm',
  1116: 'folderIndexes',
  1117: 'baseNames',
  1118: 'folderNames',
  5096: 'module',
} as const;
type TagName = (typeof TAGS)[keyof typeof TAGS];

const INT32 = 4;
const STRING = 6;
const STRING_ARRAY = 8;
const I18N_STRING = 9;

/** A header without name or version, and the public keys that rpm keeps as packages, are undefined. Throws ParseError. */
export function parseRpmHeader(bytes: Uint8Array): PackageFact | undefined {
  const cursor = new Cursor(bytes);
  const tagCount = cursor.u32be('index length');
  const storeBytes = cursor.u32be('data length');
  if (tagCount > MAX_TAGS) throw cursor.error('limit', 'index length', `${tagCount}, at most ${MAX_TAGS}`);
  if (storeBytes > MAX_STORE_BYTES)
    throw cursor.error('limit', 'data length', `${storeBytes}, at most ${MAX_STORE_BYTES}`);
  const index = cursor.sub(tagCount * INDEX_ENTRY_BYTES, 'index');
  const storeAt = cursor.offset;
  cursor.skip(storeBytes, 'data');
  const store = bytes.subarray(storeAt, storeAt + storeBytes);
  const texts = new Map<TagName, readonly string[]>();
  const numbers = new Map<TagName, readonly number[]>();
  for (let each = 0; each < tagCount; each += 1) {
    const [tag, type] = [index.u32be('tag'), index.u32be('type')];
    const [offset, count] = [index.u32be('offset'), index.u32be('count')];
    const name = nameOfTag(tag);
    if (name === undefined) continue;
    if (offset > store.length) throw new ParseError('invalid', name, storeAt, `at ${offset} of ${store.length} bytes`);
    if (count > MAX_FILES) throw new ParseError('limit', name, storeAt, `${count} values, at most ${MAX_FILES}`);
    if (type === INT32) numbers.set(name, numbersAt(store, offset, count, name));
    else if (type === STRING || type === STRING_ARRAY || type === I18N_STRING) {
      texts.set(name, textsAt(store, offset, type === STRING ? 1 : count, name));
    }
  }
  return packageOf(texts, numbers);
}

function nameOfTag(tag: number): TagName | undefined {
  const names: Readonly<Record<number, TagName>> = TAGS;
  return names[tag];
}

function numbersAt(store: Uint8Array, offset: number, count: number, name: string): readonly number[] {
  const cursor = new Cursor(store.subarray(offset), offset);
  return Array.from({ length: count }, () => cursor.u32be(name));
}

function textsAt(store: Uint8Array, offset: number, count: number, name: string): readonly string[] {
  const decoder = new TextDecoder();
  const found: string[] = [];
  for (let at = offset; found.length < count;) {
    const end = store.indexOf(0, at);
    if (end < 0) throw new ParseError('truncated', name, at, 'does not end in a zero');
    found.push(decoder.decode(store.subarray(at, end)));
    at = end + 1;
  }
  return found;
}

function packageOf(
  texts: ReadonlyMap<TagName, readonly string[]>,
  numbers: ReadonlyMap<TagName, readonly number[]>,
): PackageFact | undefined {
  const text = (name: TagName): string => texts.get(name)?.[0] ?? '';
  const name = text('name');
  if (name === 'gpg-pubkey' || text('version') === '') return undefined;
  const epoch = numbers.get('epoch')?.[0];
  const release = text('release');
  const withoutEpoch = release === '' ? text('version') : `${text('version')}-${release}`;
  const version = epoch === undefined || epoch === 0 ? withoutEpoch : `${epoch}:${withoutEpoch}`;
  const source = sourceOf(text('sourceRpm'));
  return makePackage(
    'rpm',
    {
      name,
      version,
      architecture: text('architecture'),
      source: source.name,
      sourceVersion: source.version,
      licence: text('licence'),
      module: text('module'),
    },
    languageFilesOf(filesOf(texts, numbers)),
  );
}

/** `openssl-3.0.7-27.el9.src.rpm`: neither version nor release has a hyphen. */
function sourceOf(file: string): { readonly name: string; readonly version: string } {
  const [, name = '', version = ''] = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(file) ?? [];
  return { name, version };
}

function* filesOf(
  texts: ReadonlyMap<TagName, readonly string[]>,
  numbers: ReadonlyMap<TagName, readonly number[]>,
): Generator<string> {
  const [folders = [], indexes = []] = [texts.get('folderNames'), numbers.get('folderIndexes')];
  for (const [at, name] of (texts.get('baseNames') ?? []).entries()) yield `${folders[indexes[at] ?? -1] ?? ''}${name}`;
}
