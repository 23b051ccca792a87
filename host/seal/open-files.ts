// Opens an object into files with all cores, each chunk straight to its place.
import { fstatSync, ftruncateSync } from 'node:fs';
import { SealError, type Manifest, type Opener, type Parent } from '@ringwall/seal';
import {
  altered,
  ByteReader,
  DIGEST_BYTES,
  END_BYTES,
  judgeEnd,
  openHead,
  RECORD_HEADER_BYTES,
  TAG_BYTES,
  type ObjectKeys,
} from '@ringwall/seal/engine';
import type { OpenJob, Region } from './jobs.ts';
import type { Place } from './place.ts';
import { RecordMemory } from './record-memory.ts';
import { Relay } from './relay.ts';
import { runLanes, type LaneOptions } from './run-lanes.ts';
import { readAt } from './whole-io.ts';

/** Of the head at a time: an envelope for a few, and a manifest of some lines. */
const HEAD_PIECE_BYTES = 8192;

export interface OpenTarget {
  /** Which part goes there; all of the contents where none is named. */
  readonly part?: string;
  /** Empty but where it has what the parent has. */
  readonly place: Place;
}

export interface OpenFilesOptions extends LaneOptions {
  readonly openers: readonly Opener[];
  /** Where the caller has kept it: any other object is refused. */
  readonly root?: Uint8Array;
  /** The object that has been opened into the same targets before: what has not changed since is left. */
  readonly over?: Parent;
}

export interface OpenedFiles {
  readonly manifest: Manifest;
  /** Of the contents. */
  readonly bytes: number;
}

/**
 * `targets` says where what goes, of a manifest that is authentic; it throws where nothing is to be touched. Until this is fulfilled,
 * what the targets have is nothing to believe. Throws SealError, what node:fs and `targets` throw, or the signal's reason.
 */
export async function openFiles(
  object: number,
  targets: (manifest: Manifest) => readonly OpenTarget[],
  options: OpenFilesOptions,
): Promise<OpenedFiles> {
  const reader = new ByteReader(headOf(object));
  const keys = await openHead(reader, options.openers);
  const { manifest } = keys;
  checkParent(manifest, options.over);
  const chosen = targets(manifest);
  const regions = chosen.map((target) => regionOf(target, manifest));
  const objectBytes = fstatSync(object).size;
  const relay = Relay.begin(reader.offset, keys.headLeaf);
  const job: OpenJob = {
    ...{ kind: 'open', keys, relay, object, regions, objectBytes },
    ...{ checksDigests: options.root !== undefined, writesZeros: options.over !== undefined },
  };
  await runLanes(job, options);
  const total = readEnd(job, options.root);
  for (const { place, bytes } of regions) if (typeof place === 'number') ftruncateSync(place, Math.min(bytes, total));
  return { manifest, bytes: total };
}

function checkParent({ parent }: Manifest, over: Parent | undefined): void {
  if (parent?.object === over?.object && parent?.root === over?.root) return;
  const what = parent === null ? 'continues none' : `continues object ${parent.object}`;
  throw new SealError(
    'needs-parent',
    `it ${what}, and ${over === undefined ? 'none' : `object ${over.object}`} is there`,
  );
}

/** Throws SealError `altered` for what the manifest has not. */
function regionOf({ part, place }: OpenTarget, { parts }: Manifest): Region {
  if (part === undefined) return { place, offset: 0, bytes: Number.MAX_SAFE_INTEGER };
  const found = parts.find(({ name }) => name === part);
  if (found === undefined) throw new SealError('altered', `it has no part ${part}`);
  return { place, offset: found.offset, bytes: found.bytes };
}

/** When all lanes are done. Gives how long the contents are. */
function readEnd(job: OpenJob, expectedRoot: Uint8Array | undefined): number {
  const { manifest } = job.keys;
  const relay = new Relay(job.relay);
  const [offset, index] = [relay.get('endAt'), relay.get('chunk')];
  const bytes = RECORD_HEADER_BYTES + DIGEST_BYTES + END_BYTES + TAG_BYTES;
  const record = new Uint8Array(bytes);
  if (readAt(job.object, record, offset) < bytes) throw new SealError('truncated', 'its end is cut', { offset });
  if (readAt(job.object, new Uint8Array(1), offset + bytes) > 0) {
    throw new SealError('altered', 'something was put behind its end', { offset: offset + bytes });
  }
  const headerBytes = record.subarray(0, RECORD_HEADER_BYTES);
  const digest = record.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + DIGEST_BYTES);
  const ciphertext = record.subarray(RECORD_HEADER_BYTES + DIGEST_BYTES);
  const header = { type: 'end', chunks: 0, bytes: ciphertext.length } as const;
  const end = { offset, index, header, headerBytes, ciphertext, digest };
  const owes = relay.get('emptyKind') > 0;
  const { short } = relay;
  if (short !== undefined && short.chunk !== index - 1) throw altered(end, 'follows a chunk that was the last');
  const last = owes ? 0 : (short?.bytes ?? manifest.chunkBytes);
  const given = index === 0 ? 0 : (index - 1) * manifest.chunkBytes + last;
  const plaintext = openEnd(job.keys, end);
  return judgeEnd(end, { manifest, plaintext, root: relay.root(), expectedRoot, given, owes }).total;
}

function openEnd(
  keys: ObjectKeys,
  end: {
    readonly headerBytes: Uint8Array;
    readonly index: number;
    readonly ciphertext: Uint8Array;
    readonly digest: Uint8Array;
  },
): Uint8Array | undefined {
  const memory = new RecordMemory(keys, END_BYTES);
  memory.room(end.ciphertext.length).set(end.ciphertext);
  const opened = memory.open(end.headerBytes, end.index, end.ciphertext.length, end.digest);
  return opened && Buffer.concat(opened);
}

function* headOf(object: number): Generator<Uint8Array> {
  for (let at = 0; ;) {
    const piece = new Uint8Array(HEAD_PIECE_BYTES);
    const count = readAt(object, piece, at);
    if (count === 0) return;
    yield piece.subarray(0, count);
    at += count;
  }
}
