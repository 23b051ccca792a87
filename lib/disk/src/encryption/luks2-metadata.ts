// The JSON of a LUKS2 header (LUKS2 On-Disk Format Specification 1.1.1, section 3), every field that is used checked: the
// checksum over it protects from accidents, not from whoever wrote the disk.
import { ParseError } from '@ringwall/bytes';
import { tryCipherSpec } from './cipher-spec.ts';
import { hashName } from './hash-name.ts';
import { JsonField } from './json-field.ts';
import type { KeyDerivation } from './key-derivation.ts';
import { MAX_KEY_BYTES, MAX_STRIPES, type LuksDigest, type LuksSegment, type LuksSlot } from './luks-header.ts';

/** LUKS2_KEYSLOTS_MAX and its like in cryptsetup. */
const MAX_OBJECTS = 32;
const SECTOR_SIZES: readonly number[] = [512, 1024, 2048, 4096];
const MIN_SALT_BYTES = 8;
const MAX_SALT_BYTES = 256;
const MAX_DIGEST_BYTES = 64;
/** cryptsetup uses at most 4. */
const MAX_LANES = 64;
/** RFC 9106, section 3.1. */
const MIN_KIB_OF_LANE = 8;
const MAX_COUNT = 2 ** 32 - 1;

export interface Luks2Metadata {
  readonly slots: readonly LuksSlot[];
  readonly tokens: readonly string[];
  readonly digests: readonly LuksDigest[];
  readonly segment: LuksSegment;
}

/** Values of any kind in the JSON: the 4 MiB that it may have could say two million, of some hundred bytes of memory each. */
const MAX_VALUES = 2 ** 16;
const BEFORE_VALUES = new Set(Array.from('[{,:', (character) => character.charCodeAt(0)));

/** The metadata in `json`, which lies at `offset` and ends with zeros. */
export function parseLuks2Metadata(json: Uint8Array, offset: number): Luks2Metadata {
  const root = parseJson(json, offset);
  // The slot of a re-encryption holds no key, only room.
  const slots = objectsOf(root.field('keyslots'))
    .filter(([, slot]) => slot.field('type').oneOf('luks2', 'reencrypt') === 'luks2')
    .map(([number, slot]) => slotOf(number, slot));
  const segments = objectsOf(root.field('segments'));
  const current = segments.filter(([, segment]) => !isBackup(segment));
  const [first] = current;
  if (first === undefined) throw root.field('segments').refuse('has no segment, expected one');
  const [segmentNumber, segment] = first;
  const digests = objectsOf(root.field('digests'))
    .map(([, digest]) => digest)
    .filter((digest) => numbersOf(digest.field('segments')).includes(segmentNumber))
    .map((digest) => digestOf(digest));
  const volumeKeyBytes = slots.find(({ number }) => digests.some((digest) => digest.slots.includes(number)))?.keyBytes;
  return {
    slots,
    tokens: objectsOf(root.optional('tokens')).map(([, token]) => token.field('type').text()),
    digests,
    segment: segmentOf(segment, volumeKeyBytes, requirementsRefusal(root) ?? manyRefusal(current.length)),
  };
}

function parseJson(json: Uint8Array, offset: number): JsonField {
  const end = json.indexOf(0);
  const text = end === -1 ? json : json.subarray(0, end);
  if (end !== -1 && json.subarray(end).some((byte) => byte !== 0)) {
    throw new ParseError('trailing', 'JSON area', offset + end, 'goes on behind its end, expected zeros');
  }
  let values = 0;
  for (const byte of text) if (BEFORE_VALUES.has(byte)) values += 1;
  if (values > MAX_VALUES) {
    throw new ParseError('limit', 'JSON area', offset, `holds ${values} values, expected at most ${MAX_VALUES}`);
  }
  try {
    return new JsonField(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)), 'JSON area', offset);
  } catch (error) {
    if (error instanceof ParseError) throw error;
    throw new ParseError('invalid', 'JSON area', offset, 'is no JSON');
  }
}

function slotOf(number: number, slot: JsonField): LuksSlot {
  const keyBytes = slot.field('key_size').integer(1, MAX_KEY_BYTES);
  const area = slot.field('area');
  area.field('type').oneOf('raw');
  const af = slot.field('af');
  af.field('type').oneOf('luks1');
  const encryption = area.field('encryption');
  const areaKeyBytes = area.field('key_size').integer(1, MAX_KEY_BYTES);
  return {
    number,
    keyBytes,
    derivation: derivationOf(slot.field('kdf')),
    cipher: tryCipherSpec(encryption.text(), areaKeyBytes, encryption.path, encryption.offset).cipher,
    stripes: af.field('stripes').integer(1, MAX_STRIPES),
    stripeHash: hashOf(af.field('hash')),
    offset: area.field('offset').decimal(),
  };
}

function derivationOf(kdf: JsonField): KeyDerivation {
  const kind = kdf.field('type').oneOf('pbkdf2', 'argon2i', 'argon2id');
  const salt = kdf.field('salt').base64(MIN_SALT_BYTES, MAX_SALT_BYTES);
  if (kind === 'pbkdf2') {
    return { kind, hash: hashOf(kdf.field('hash')), iterations: kdf.field('iterations').integer(1, MAX_COUNT), salt };
  }
  const lanes = kdf.field('cpus').integer(1, MAX_LANES);
  const passes = kdf.field('time').integer(1, MAX_COUNT);
  return { kind, passes, memoryKib: kdf.field('memory').integer(MIN_KIB_OF_LANE * lanes, MAX_COUNT), lanes, salt };
}

function digestOf(digest: JsonField): LuksDigest {
  digest.field('type').oneOf('pbkdf2');
  return {
    slots: numbersOf(digest.field('keyslots')),
    derivation: {
      kind: 'pbkdf2',
      hash: hashOf(digest.field('hash')),
      iterations: digest.field('iterations').integer(1, MAX_COUNT),
      salt: digest.field('salt').base64(MIN_SALT_BYTES, MAX_SALT_BYTES),
    },
    digest: digest.field('digest').base64(1, MAX_DIGEST_BYTES),
  };
}

function segmentOf(segment: JsonField, keyBytes: number | undefined, refused: string | undefined): LuksSegment {
  const offset = segment.field('offset').decimal();
  const size = segment.field('size').text();
  const length = size === 'dynamic' ? undefined : segment.field('size').decimal();
  const type = segment.field('type').oneOf('crypt', 'linear');
  if (type === 'linear') {
    const refusal = 'a linear segment is not encrypted: a re-encryption has not begun, or is over';
    return {
      offset,
      length,
      encryption: 'none',
      cipher: undefined,
      refusal,
      sectorBytes: 512,
      firstSector: 0,
      integrity: undefined,
    };
  }
  const field = segment.field('encryption');
  const encryption = field.text();
  const sectorBytes = segment.field('sector_size').integer(512, 4096);
  if (!SECTOR_SIZES.includes(sectorBytes)) throw segment.refuse(`sector_size ${sectorBytes}, expected a power of two`);
  const integrity = segment.optional('integrity')?.field('type').text();
  const spec = tryCipherSpec(encryption, keyBytes ?? 0, field.path, field.offset);
  const refusal =
    refused ??
    (integrity === undefined
      ? undefined
      : `sectors are authenticated with ${integrity} (dm-integrity), which is not read`) ??
    (keyBytes === undefined ? 'no key slot leads to the data' : spec.refusal);
  return {
    offset,
    length,
    encryption,
    cipher: refusal === '' ? spec.cipher : undefined,
    refusal,
    sectorBytes,
    firstSector: segment.field('iv_tweak').decimal(),
    integrity,
  };
}

function requirementsRefusal(root: JsonField): string | undefined {
  const mandatory = root.field('config').optional('requirements')?.optional('mandatory')?.list() ?? [];
  const names = mandatory.map((field) => field.text());
  return names.length === 0 ? undefined : `the header requires ${names.join(', ')}, which is not read`;
}

function manyRefusal(segments: number): string | undefined {
  return segments > 1 ? `the data lie in ${segments} segments: a re-encryption has not ended` : undefined;
}

function isBackup(segment: JsonField): boolean {
  return (segment.optional('flags')?.list() ?? []).some((flag) => flag.text().startsWith('backup-'));
}

function objectsOf(field: JsonField | undefined): (readonly [number: number, value: JsonField])[] {
  if (field === undefined) return [];
  const entries = field.entries();
  if (entries.length > MAX_OBJECTS)
    throw field.refuse(`has ${entries.length} objects, expected at most ${MAX_OBJECTS}`);
  return entries.map(([name, value]) => [numberOf(name, value), value]);
}

function numbersOf(list: JsonField): number[] {
  return list.list().map((field) => numberOf(field.text(), field));
}

function numberOf(name: string, field: JsonField): number {
  if (!/^(0|[1-9]\d{0,3})$/.test(name)) throw field.refuse(`is called ${JSON.stringify(name)}, expected a number`);
  return Number(name);
}

function hashOf(field: JsonField): string {
  return hashName(field.text(), field.path, field.offset);
}
