// systemd's log of what user space measured, /run/log/systemd/tpm2-measure.log: a JSON text sequence (RFC 7464) of
// records near TCG's CEL-JSON, written by tpm2_userspace_log() in src/shared/tpm2-util.c. Whatever ran may have written
// it: a record stands where the replay agrees with a quote, and its words where their hash is the digest.

import { concatBytes, equalBytes, fromHex, ParseError, utf8 } from '@ringwall/bytes';
import { PCR_COUNT } from '../constants.ts';
import { digest, hashBytes, isComputable, type ComputableHash } from '../hash.ts';

/** A boot writes some ten records of 500 bytes. */
export const MAX_SYSTEMD_LOG_BYTES: number = 1024 * 1024;
export const MAX_SYSTEMD_RECORDS = 4096;
/** A record is three deep; JSON.parse follows any depth that its stack bears. */
const MAX_JSON_DEPTH = 16;
const MAX_DIGESTS = 8;
const RECORD_SEPARATOR = '\u001e';

export interface SystemdRecord {
  readonly index: number;
  /** Undefined where an NV index was extended. */
  readonly pcr: number | undefined;
  readonly nvIndex: number | undefined;
  readonly digests: ReadonlyMap<ComputableHash, Uint8Array>;
  /** `phase`, `machine-id`, `filesystem`, …; what systemd says of its own record. */
  readonly eventType: string;
  /** What was measured, where it is no secret: a volume key is measured and not logged. */
  readonly text: string | undefined;
  readonly bootId: string | undefined;
}

/** A whole log; throws `ParseError`. Keys that are not known are passed over, for systemd adds some from time to time. */
export function parseSystemdLog(bytes: Uint8Array): readonly SystemdRecord[] {
  if (bytes.length > MAX_SYSTEMD_LOG_BYTES) {
    throw fault('limit', 'systemd log', 0, `has ${bytes.length} bytes, expected at most ${MAX_SYSTEMD_LOG_BYTES}`);
  }
  if (bytes.length === 0) return [];
  const [before = '', ...texts] = decode(bytes).split(RECORD_SEPARATOR);
  if (before !== '') throw fault('invalid', 'systemd log', 0, 'begins without a record separator, expected 0x1e');
  if (texts.length > MAX_SYSTEMD_RECORDS) {
    throw fault('limit', 'records', 0, `${texts.length}, expected at most ${MAX_SYSTEMD_RECORDS}`);
  }
  return texts.map((text, index) => parseRecord(text, index));
}

/** `start` as the records extend it; PCRs that `start` lacks begin as zeros. Throws `ParseError` for a missing bank. */
export async function replaySystemdLog(
  records: readonly SystemdRecord[],
  bank: ComputableHash,
  start: ReadonlyMap<number, Uint8Array> = new Map(),
): Promise<Map<number, Uint8Array>> {
  const pcrs = new Map(start);
  for (const { index, pcr, digests } of records) {
    if (pcr === undefined) continue;
    const measured = digests.get(bank);
    if (measured === undefined) throw fault('invalid', 'record', index, `${index} has no ${bank} digest, expected one`);
    const before = pcrs.get(pcr) ?? new Uint8Array(hashBytes(bank));
    pcrs.set(pcr, await digest(bank, concatBytes(before, measured)));
  }
  return pcrs;
}

/** Whether `text` is what was measured. It need not be: the digest of a volume key has only its name beside it. */
export async function isMeasuredText(record: SystemdRecord, bank: ComputableHash): Promise<boolean> {
  const measured = record.digests.get(bank);
  if (measured === undefined || record.text === undefined) return false;
  return equalBytes(await digest(bank, utf8(record.text)), measured);
}

function parseRecord(text: string, index: number): SystemdRecord {
  if (!text.endsWith('\n')) throw fault('truncated', 'record', index, `${index} has no line feed at its end`);
  const record = asObject(parseJson(text, index), 'record', index);
  const pcr = optionalNumber(record, 'pcr', PCR_COUNT - 1, index);
  const nvIndex = optionalNumber(record, 'nv_index', 0xffff_ffff, index);
  if ((pcr === undefined) === (nvIndex === undefined)) {
    throw fault('invalid', 'pcr', index, `of record ${index}, expected it or nv_index`);
  }
  const contentType = optionalString(record, 'content_type', index);
  if (contentType !== 'systemd') {
    throw fault('unsupported', 'content_type', index, `${JSON.stringify(contentType)}, expected "systemd"`);
  }
  const content = asObject(record['content'], 'content', index);
  return {
    index,
    pcr,
    nvIndex,
    digests: parseDigests(record['digests'], index),
    eventType: optionalString(content, 'eventType', index) ?? '',
    text: optionalString(content, 'string', index),
    bootId: optionalString(content, 'bootId', index),
  };
}

function parseDigests(value: unknown, index: number): ReadonlyMap<ComputableHash, Uint8Array> {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_DIGESTS) {
    throw fault('invalid', 'digests', index, `of record ${index}, expected a list of 1 to ${MAX_DIGESTS}`);
  }
  const digests = new Map<ComputableHash, Uint8Array>();
  for (const item of value) {
    const entry = asObject(item, 'digests', index);
    const name = optionalString(entry, 'hashAlg', index) ?? '';
    const bytes = fromHex(optionalString(entry, 'digest', index) ?? '', 'digest');
    // A bank of a hash that is not known here cannot be replayed, and need not be.
    if (!isComputable(name)) continue;
    if (bytes.length !== hashBytes(name)) {
      throw fault('invalid', 'digest', index, `has ${bytes.length} bytes, expected ${hashBytes(name)} for ${name}`);
    }
    if (digests.has(name)) throw fault('invalid', 'hashAlg', index, `${name} twice, expected once`);
    digests.set(name, bytes);
  }
  return digests;
}

function parseJson(text: string, index: number): unknown {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === '{' || character === '[') deepest = Math.max(deepest, (depth += 1));
    else if (character === '}' || character === ']') depth -= 1;
  }
  // Brackets within strings count too: a bound that is too strict by those does no harm.
  if (deepest > MAX_JSON_DEPTH) throw fault('limit', 'record', index, `${index} nests deeper than ${MAX_JSON_DEPTH}`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault('invalid', 'record', index, `${index} is no JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

function asObject(value: unknown, field: string, index: number): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault('invalid', field, index, `of record ${index}, expected an object`);
  }
  return { ...value };
}

function optionalNumber(
  object: Readonly<Record<string, unknown>>,
  key: string,
  maximum: number,
  index: number,
): number | undefined {
  const value = object[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > maximum) {
    throw fault('invalid', key, index, `of record ${index}, expected a whole number up to ${maximum}`);
  }
  return value;
}

function optionalString(object: Readonly<Record<string, unknown>>, key: string, index: number): string | undefined {
  const value = object[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw fault('invalid', key, index, `of record ${index}, expected a text`);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fault('invalid', 'systemd log', 0, 'is no UTF-8');
  }
}

/** `offset` of these errors is the number of the record. */
function fault(
  code: 'limit' | 'invalid' | 'truncated' | 'unsupported',
  field: string,
  at: number,
  detail: string,
): ParseError {
  return new ParseError(code, field, at, detail);
}
