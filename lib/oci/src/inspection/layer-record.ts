// What is kept of a layer as text, one line of entries and one of facts: small, and read in milliseconds. Cache files and worker
// threads carry it. Entries are lists of values in the order of `entryOf`.
import type { EntryType, Hazard, TarEntry } from '../layers/tar-reader.ts';
import { isObject } from '../manifests/json.ts';
import { OciError } from '../oci-error.ts';
import type { LayerContents } from './inspect-layer.ts';
import type { Fact, FactValue } from './inspector.ts';

/** Stands beside inspectors' ids where facts are kept: it changes with the meaning of what is written here. */
export const RECORD_FORMAT = 'layer-record/1';

const TYPES: readonly EntryType[] = [
  'file',
  'directory',
  'symlink',
  'hardlink',
  'character-device',
  'block-device',
  'fifo',
  'other',
];
const HAZARDS: readonly Hazard[] = ['outside', 'link-outside', 'device'];

export function encodeLayer({ entries, facts }: LayerContents): string {
  const rows = entries.map((entry) => [
    entry.path,
    TYPES.indexOf(entry.type),
    entry.mode,
    entry.uid,
    entry.gid,
    entry.userName,
    entry.groupName,
    entry.bytes,
    entry.modified,
    entry.target,
    entry.isSparse ? 1 : 0,
    entry.hazards.map((hazard) => HAZARDS.indexOf(hazard)),
    [...entry.attributes].flat(),
  ]);
  return `${JSON.stringify(rows)}\n${JSON.stringify(facts.map(({ inspector, path, value }) => [inspector, path, value]))}`;
}

/** Throws OciError `malformed`: a file of a cache may hold anything. */
export function decodeLayer(record: string): LayerContents {
  const newline = record.indexOf('\n');
  return {
    entries: rowsOf(record.slice(0, newline)).map(entryOf),
    facts: rowsOf(record.slice(newline + 1)).map(factOf),
  };
}

function rowsOf(line: string): readonly unknown[] {
  try {
    const rows: unknown = JSON.parse(line);
    if (Array.isArray(rows)) return rows;
  } catch {
    // Said below.
  }
  throw broken();
}

function entryOf(row: unknown): TarEntry {
  if (!Array.isArray(row)) throw broken();
  const values: readonly unknown[] = row;
  const [path, type, mode, uid, gid, userName, groupName, bytes, modified, target, isSparse, hazards, attributes] =
    values;
  return {
    path: text(path),
    type: TYPES[number(type)] ?? 'other',
    mode: number(mode),
    uid: number(uid),
    gid: number(gid),
    userName: text(userName),
    groupName: text(groupName),
    bytes: number(bytes),
    modified: number(modified),
    target: text(target),
    isSparse: isSparse === 1,
    hazards: list(hazards).flatMap((hazard) => HAZARDS[number(hazard)] ?? []),
    attributes: attributesOf(list(attributes)),
  };
}

const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function attributesOf(flat: readonly unknown[]): ReadonlyMap<string, string> {
  if (flat.length === 0) return NO_ATTRIBUTES;
  const attributes = new Map<string, string>();
  for (let at = 0; at < flat.length; at += 2) attributes.set(text(flat[at]), text(flat[at + 1]));
  return attributes;
}

function factOf(row: unknown): Fact {
  const [inspector, path, value] = list(row);
  if (!isFactValue(value)) throw broken();
  return { inspector: text(inspector), path: text(path), value };
}

/** All that JSON carries. */
function isFactValue(value: unknown): value is FactValue {
  return (
    value === null || ['string', 'number', 'boolean'].includes(typeof value) || Array.isArray(value) || isObject(value)
  );
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw broken();
  return value;
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw broken();
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw broken();
  return value;
}

function broken(): OciError {
  return new OciError('malformed', 'what was kept of a layer is damaged');
}
