// What is kept of a layer as text, column by column: small, and read in milliseconds. Cache files and worker threads carry it. What
// most entries share (type, mode and owner) is written once for all that have it; links and attributes beside those that have any.
import type { EntryType, Hazard, TarEntry } from '../layers/tar-entry.ts';
import { isObject } from '../manifests/json.ts';
import { OciError } from '../oci-error.ts';
import type { LayerContents } from './inspect-layer.ts';
import type { Fact, FactValue } from './inspector.ts';

/** Stands beside inspectors' ids where facts are kept: it changes with the meaning of what is written here. */
export const RECORD_FORMAT = 'layer-record/2';

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

/** In this order. Those of `links` and `attributes` begin with the number of their entry. */
const COLUMNS = ['kinds', 'kindOf', 'paths', 'bytes', 'modified', 'links', 'attributes', 'facts'] as const;

/** What a thread hands to another: of arrays, numbers and texts alone. */
export type LayerColumns = Readonly<Record<(typeof COLUMNS)[number], readonly unknown[]>>;

export function columnsOf({ entries, facts }: LayerContents): LayerColumns {
  const numbers = new Map<string, number>();
  const kinds: unknown[] = [];
  return {
    kinds,
    kindOf: entries.map((entry) => {
      const row = rowOf(entry);
      const key = JSON.stringify(row);
      const known = numbers.get(key) ?? numbers.size;
      if (known === numbers.size) {
        numbers.set(key, known);
        kinds.push(row);
      }
      return known;
    }),
    paths: entries.map(({ path }) => path),
    bytes: entries.map(({ bytes }) => bytes),
    modified: entries.map(({ modified }) => modified),
    links: entries.flatMap(({ target }, at) => (target === '' ? [] : [[at, target]])),
    attributes: entries.flatMap(({ attributes }, at) => (attributes.size === 0 ? [] : [[at, ...attributes].flat()])),
    facts: facts.map(({ inspector, path, value }) => [inspector, path, value]),
  };
}

/** Throws OciError `malformed`. */
export function contentsOf(columns: LayerColumns): LayerContents {
  const { kindOf, bytes, modified } = columns;
  const kinds = columns.kinds.map(kindOfRow);
  const targets = new Map(columns.links.map((row) => [number(list(row)[0]), text(list(row)[1])]));
  const attributed = new Map(columns.attributes.map((row) => [number(list(row)[0]), attributesOf(list(row).slice(1))]));
  return {
    entries: columns.paths.map((path, at) => {
      const kind = kinds[number(kindOf[at])] ?? broken();
      return {
        path: text(path),
        type: kind.type,
        mode: kind.mode,
        uid: kind.uid,
        gid: kind.gid,
        userName: kind.userName,
        groupName: kind.groupName,
        bytes: number(bytes[at]),
        modified: number(modified[at]),
        target: targets.get(at) ?? '',
        attributes: attributed.get(at) ?? NO_ATTRIBUTES,
        isSparse: kind.isSparse,
        hazards: kind.hazards,
      };
    }),
    facts: columns.facts.map(factOf),
  };
}

/** A line for each column. */
export function encodeLayer(contents: LayerContents): string {
  const columns = columnsOf(contents);
  return COLUMNS.map((name) => JSON.stringify(columns[name])).join('\n');
}

/** Throws OciError `malformed`: a file of a cache may hold anything. */
export function decodeLayer(record: string): LayerContents {
  const lines = record.split('\n');
  const [kinds = [], kindOf = [], paths = [], bytes = [], modified = [], links = [], attributes = [], facts = []] =
    COLUMNS.map((_, at) => columnOf(lines[at] ?? ''));
  return contentsOf({ kinds, kindOf, paths, bytes, modified, links, attributes, facts });
}

type Kind = Pick<TarEntry, 'type' | 'mode' | 'uid' | 'gid' | 'userName' | 'groupName' | 'isSparse' | 'hazards'>;

function rowOf({ type, mode, uid, gid, userName, groupName, isSparse, hazards }: Kind): unknown {
  const numbered = hazards.map((hazard) => HAZARDS.indexOf(hazard));
  return [TYPES.indexOf(type), mode, uid, gid, userName, groupName, isSparse ? 1 : 0, numbered];
}

function kindOfRow(row: unknown): Kind {
  const [type, mode, uid, gid, userName, groupName, isSparse, hazards] = list(row);
  return {
    type: TYPES[number(type)] ?? broken(),
    mode: number(mode),
    uid: number(uid),
    gid: number(gid),
    userName: text(userName),
    groupName: text(groupName),
    isSparse: isSparse === 1,
    hazards: list(hazards).map((hazard) => HAZARDS[number(hazard)] ?? broken()),
  };
}

function columnOf(line: string): readonly unknown[] {
  try {
    const column: unknown = JSON.parse(line);
    if (Array.isArray(column)) return column;
  } catch {
    // Said below.
  }
  return broken();
}

const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function attributesOf(flat: readonly unknown[]): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (let at = 0; at < flat.length; at += 2) attributes.set(text(flat[at]), text(flat[at + 1]));
  return attributes;
}

function factOf(row: unknown): Fact {
  const [inspector, path, value] = list(row);
  if (!isFactValue(value)) broken();
  return { inspector: text(inspector), path: text(path), value };
}

/** All that JSON carries. */
function isFactValue(value: unknown): value is FactValue {
  return (
    value === null || ['string', 'number', 'boolean'].includes(typeof value) || Array.isArray(value) || isObject(value)
  );
}

function text(value: unknown): string {
  if (typeof value !== 'string') broken();
  return value;
}

function number(value: unknown): number {
  if (typeof value !== 'number') broken();
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) broken();
  return value;
}

function broken(): never {
  throw new OciError('malformed', 'what was kept of a layer is damaged');
}
