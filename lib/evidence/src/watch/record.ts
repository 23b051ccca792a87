// All that is kept of a boot that is watched, as values and as the JSON of the broker's store.
import { fromHex, toHex } from '@ringwall/bytes';
import { IMA_START, MAX_IMA_ENTRIES, PCR_COUNT, WATCHED_PCRS, type ImaState } from '@ringwall/tpm';
import { EvidenceError } from '../errors.ts';
import { EVIDENCE_LIMITS_BYTES } from '../evidence.ts';
import { ClosedObject, type Refuse } from '../json.ts';
import { SHA256_HEX } from '../reference.ts';
import { PCR_BYTES, type WatchBaseline } from './baseline.ts';

/** Of what ran and should not have: enough to act on, and bounded for a guest that runs a million. */
export const MAX_KEPT_STRAYS = 32;
/** Of a path that the guest chose, as it is kept and shown. */
export const MAX_SHOWN_PATH_CHARACTERS = 200;
const SHA1_BYTES = 20;
const MAX_COUNTER = 0xffff_ffff;

/** An entry of the list that is not of the image. */
export interface Stray {
  /** Printable, and cut; whoever made the file chose it. */
  readonly path: string;
  /** Empty where the entry has no SHA-256 digest of a file. */
  readonly sha256: string;
  /** `changed`: the file was changed while it was measured, so that nobody knows what ran. */
  readonly kind: 'unknown' | 'changed';
  /** Position in the list, from 0. */
  readonly index: number;
}

/** What the list has shown up to a place in it. */
export interface WatchProgress {
  readonly ima: ImaState;
  /** The first `MAX_KEPT_STRAYS`. */
  readonly strays: readonly Stray[];
  readonly strayCount: number;
}

export interface WatchRecord {
  readonly baseline: WatchBaseline;
  /** Up to where a quote has spoken for the list. */
  readonly proven: WatchProgress;
  /** Up to where a longer list was read since, while no quote has spoken for that yet. */
  readonly pending: WatchProgress | undefined;
  /** The TPM's clock in the last quote that was accepted. */
  readonly clock: bigint;
}

export function startWatch(baseline: WatchBaseline): WatchRecord {
  const proven = { ima: IMA_START, strays: [], strayCount: 0 };
  return { baseline, proven, pending: undefined, clock: baseline.clock };
}

export function renderWatchRecord({ baseline, proven, pending, clock }: WatchRecord): string {
  return JSON.stringify({
    version: 1,
    machine: baseline.machine,
    boot: baseline.boot,
    akPublic: toHex(baseline.akPublic),
    pcrs: baseline.pcrs.map((pcr) => toHex(pcr)),
    resetCount: baseline.resetCount,
    restartCount: baseline.restartCount,
    bootClock: `${baseline.clock}`,
    clock: `${clock}`,
    proven: progressJson(proven),
    pending: pending === undefined ? [] : [progressJson(pending)],
  });
}

/** Throws EvidenceError `record-invalid`. A record that cannot be read is none: its machine is not known to be well. */
export function parseWatchRecord(text: string): WatchRecord {
  const refuse = (message: string): never => {
    throw new EvidenceError('record-invalid', message);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('the record is not JSON');
  }
  const object = new ClosedObject(value, 'record', refuse);
  object.oneOf('version', [1]);
  const baseline: WatchBaseline = {
    machine: object.matching('machine', /^[a-z][a-z0-9_-]{0,62}$/, 'a machine id'),
    boot: object.matching('boot', /^[0-9a-f]{32}$/, 'a boot id'),
    akPublic: hexField(object, 'akPublic', 1, EVIDENCE_LIMITS_BYTES.akPublic),
    pcrs: object.array('pcrs', PCR_COUNT, (item, path) => pcrValue(item, path, refuse)),
    resetCount: object.integer('resetCount', 0, MAX_COUNTER),
    restartCount: object.integer('restartCount', 0, MAX_COUNTER),
    clock: clockField(object, 'bootClock'),
  };
  if (baseline.pcrs.length !== WATCHED_PCRS.length) refuse(`record.pcrs has ${baseline.pcrs.length} values`);
  const clock = clockField(object, 'clock');
  const proven = readProgress(object.object('proven'), refuse);
  const [pending] = object.array('pending', 1, (item, path) =>
    readProgress(new ClosedObject(item, path, refuse), refuse),
  );
  object.end();
  return { baseline, proven, pending, clock };
}

function progressJson({ ima, strays, strayCount }: WatchProgress): object {
  const { entries, bytes, violations } = ima;
  return { entries, bytes, violations, sha1: toHex(ima.sha1), sha256: toHex(ima.sha256), strays, strayCount };
}

function readProgress(object: ClosedObject, refuse: Refuse): WatchProgress {
  const ima: ImaState = {
    entries: object.integer('entries', 0, MAX_IMA_ENTRIES),
    bytes: object.integer('bytes', 0, Number.MAX_SAFE_INTEGER),
    violations: object.integer('violations', 0, MAX_IMA_ENTRIES),
    sha1: hexField(object, 'sha1', SHA1_BYTES, SHA1_BYTES),
    sha256: hexField(object, 'sha256', PCR_BYTES, PCR_BYTES),
  };
  const strays = object.array('strays', MAX_KEPT_STRAYS, (item, path) => readStray(item, path, refuse));
  const strayCount = object.integer('strayCount', strays.length, MAX_IMA_ENTRIES);
  object.end();
  return { ima, strays, strayCount };
}

function readStray(item: unknown, path: string, refuse: Refuse): Stray {
  const object = new ClosedObject(item, path, refuse);
  const stray = {
    path: object.string('path', MAX_SHOWN_PATH_CHARACTERS),
    sha256: object.matching('sha256', /^([0-9a-f]{64})?$/, 'a SHA-256 digest or nothing'),
    kind: object.oneOf('kind', ['unknown', 'changed']),
    index: object.integer('index', 0, MAX_IMA_ENTRIES),
  };
  object.end();
  return stray;
}

function pcrValue(item: unknown, path: string, refuse: Refuse): Uint8Array {
  if (typeof item !== 'string' || !SHA256_HEX.test(item)) return refuse(`${path} is not a SHA-256 PCR`);
  return fromHex(item);
}

function hexField(object: ClosedObject, key: string, minBytes: number, maxBytes: number): Uint8Array {
  return fromHex(object.matching(key, new RegExp(`^(?:[0-9a-f]{2}){${minBytes},${maxBytes}}$`), 'hexadecimal'));
}

function clockField(object: ClosedObject, key: string): bigint {
  return BigInt(object.matching(key, /^\d{1,20}$/, 'a number of milliseconds'));
}
