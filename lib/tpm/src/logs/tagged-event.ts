// EV_EVENT_TAG: TCG_PCClientTaggedEvent, PC Client Platform Firmware Profile 1.06 section 10.4.2.1: a number, a length,
// data. Linux and systemd-stub name with it what they measured; Windows (SIPA) nests tags in tags.

import { Cursor } from '@ringwall/bytes';
import { utf16Text, utf8Text } from './event-text.ts';

/** Windows nests three deep. */
export const MAX_TAG_DEPTH = 6;
/** Windows writes some hundred in one event. */
export const MAX_TAGS = 4096;
/** SIPAEVENTTYPE_AGGREGATION: the data are tags again. */
const AGGREGATION = 0x4000_0000;

/** Linux drivers/firmware/efi/libstub/efistub.h, and systemd src/boot/measure.h. */
const TAG_NAMES: ReadonlyMap<number, string> = new Map([
  [0x8f3b22ec, 'initrd'],
  [0x8f3b22ed, 'load-options'],
  [0xf5bc582a, 'loader.conf'],
  [0x6c46f751, 'devicetree-addon'],
  [0x49dffe0f, 'initrd-addon'],
  [0xdac08e1a, 'microcode-addon'],
  [0x13aed6db, 'uki-profile'],
]);

export interface Tag {
  readonly id: number;
  /** What Linux or systemd call it; undefined for others. */
  readonly name: string | undefined;
  /** The data as text, where it is text. */
  readonly text: string | undefined;
  readonly data: Uint8Array;
  /** Of an aggregation of Windows. */
  readonly children: readonly Tag[];
}

export interface TaggedEvent {
  readonly kind: 'tagged';
  readonly tags: readonly Tag[];
}

/** One or more tags that fill `data`; throws `ParseError`. */
export function parseTaggedEvent(data: Uint8Array, offset: number): TaggedEvent {
  const cursor = new Cursor(data, offset);
  const tags = readTags(cursor, 0, { left: MAX_TAGS });
  if (tags.length === 0) throw cursor.error('truncated', 'taggedEventID', 'is missing, expected one tag or more');
  return { kind: 'tagged', tags };
}

function readTags(cursor: Cursor, depth: number, budget: { left: number }): readonly Tag[] {
  if (depth > MAX_TAG_DEPTH) throw cursor.error('limit', 'tags', `nest deeper than ${MAX_TAG_DEPTH}`);
  const tags: Tag[] = [];
  while (cursor.remaining > 0) {
    budget.left -= 1;
    if (budget.left < 0) throw cursor.error('limit', 'tags', `${MAX_TAGS} and more, expected at most`);
    tags.push(readTag(cursor, depth, budget));
  }
  return tags;
}

function readTag(cursor: Cursor, depth: number, budget: { left: number }): Tag {
  const id = cursor.u32le('taggedEventID');
  const size = cursor.u32le('taggedEventDataSize');
  const inner = cursor.offset;
  const data = cursor.take(size, 'taggedEventData');
  const name = TAG_NAMES.get(id);
  const nests = name === undefined && (id & AGGREGATION) !== 0 && (id & 0x8000_0000) === 0;
  const children = nests ? readTags(new Cursor(data, inner), depth + 1, budget) : [];
  return { id, name, text: nests ? undefined : (utf16Text(data) ?? utf8Text(data)), data, children };
}
