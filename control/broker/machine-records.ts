// What the store keeps of a machine and of its boots, and how their rows are read: each column is what the broker writes, or the file
// is damaged.
import { MACHINE_ID, type BootId, type Clones, type MachineId } from '@ringwall/api';
import { fromHex, toHex } from '@ringwall/bytes';
import type { ReleaseMode } from '@ringwall/evidence';
import { asObject, blob, damaged, textOf, texts, type Row } from './rows.ts';
import { asTpmStart, type TpmStart } from './tpm-start.ts';

const RELEASE_MODES: readonly ReleaseMode[] = (['open', 'format', 'rotate'] as const).flatMap(
  (mode) => [mode, `${mode}-authenticated`] as const,
);

/** Whether the disk was ever unlocked: until then a guest may format a blank one. */
export type DiskState = 'format' | 'open';

/** What its sectors are protected by: a cipher, or a cipher and a tag for each. */
export type DiskKind = 'encrypted' | 'authenticated';

export interface MachineRecord {
  readonly id: MachineId;
  readonly name: string;
  readonly ekCertificate: Uint8Array;
  readonly vtpmCa: readonly Uint8Array[];
  readonly keyVersion: number;
  readonly wrappedKey: Uint8Array;
  /** The wrapped key of the next version, until a guest says that it has taken the place of this one. */
  readonly nextKey: Uint8Array | undefined;
  readonly disk: DiskState;
  readonly diskKind: DiskKind;
  /** Whether its disk may be copied to another machine. */
  readonly clones: Clones;
  /** The snapshot that its own disk was copied from. */
  readonly clonedFrom: string | undefined;
  /** The boot that may attest; earlier ones may not. */
  readonly currentBoot: BootId | undefined;
  readonly unlockedAt: TpmStart | undefined;
  /** The Name of the attestation key that its TPM has shown to be its own; bound for good with the first unlocking. */
  readonly akName: Uint8Array | undefined;
  /** Its last start that evidence signed by that key has shown, whatever came of it. */
  readonly seenAt: TpmStart | undefined;
}

/** A release that was sent, as far as the guest's report of it is judged by it. No part of a key is in it. */
export interface SentRelease {
  /** What the guest must answer to show that its TPM opened the credential. */
  readonly activation: Uint8Array;
  readonly mode: ReleaseMode;
  readonly tpmStart: TpmStart;
}

export type BootState = 'pending' | 'accepted' | 'unlocked' | 'refused' | 'failed';

export interface BootRecord {
  readonly boot: BootId;
  /** JSON of a SignedReference, as the host proposed it. */
  readonly reference: string;
  readonly state: BootState;
  readonly reasons: readonly string[];
  readonly proven: readonly string[];
  readonly at: string | undefined;
  /** Kept in the store, so that a broker that was restarted still understands the guest's report. */
  readonly release: SentRelease | undefined;
}

export function asMachineId(text: string): MachineId {
  if (!isMachineId(text)) throw damaged('machine.id');
  return text;
}

function isMachineId(text: string): text is MachineId {
  return MACHINE_ID.test(text);
}

export function asMachine(id: MachineId, row: Row): MachineRecord {
  const disk = textOf(row, 'disk');
  const currentBoot = row['current_boot'];
  const tpmStart = row['tpm_start'];
  const akName = row['ak_name'];
  const seenAt = row['released_at'];
  const clonedFrom = row['cloned_from'];
  return {
    id,
    name: textOf(row, 'name'),
    ekCertificate: blob(row, 'ek_certificate'),
    vtpmCa: texts(row, 'vtpm_ca').map((base64) => new Uint8Array(Buffer.from(base64, 'base64'))),
    keyVersion: Number(row['key_version']),
    wrappedKey: blob(row, 'wrapped_key'),
    nextKey: row['next_key'] === null ? undefined : blob(row, 'next_key'),
    diskKind: textOf(row, 'disk_kind') === 'authenticated' ? 'authenticated' : 'encrypted',
    disk: disk === 'open' ? 'open' : 'format',
    clones: row['clones'] === 'allow' ? 'allow' : 'deny',
    clonedFrom: typeof clonedFrom === 'string' ? clonedFrom : undefined,
    currentBoot: typeof currentBoot === 'string' ? currentBoot : undefined,
    unlockedAt: typeof tpmStart === 'string' ? asTpmStart(parseJson(tpmStart), 'machine.tpm_start') : undefined,
    akName: akName instanceof Uint8Array ? akName : undefined,
    seenAt: typeof seenAt === 'string' ? asTpmStart(parseJson(seenAt), 'machine.released_at') : undefined,
  };
}

export function asBoot(row: Row): BootRecord {
  const at = row['at'];
  const release = row['release'];
  return {
    boot: textOf(row, 'boot'),
    reference: textOf(row, 'reference'),
    state: asBootState(textOf(row, 'state')),
    reasons: texts(row, 'reasons'),
    proven: texts(row, 'proven'),
    at: typeof at === 'string' ? at : undefined,
    release: typeof release === 'string' ? asRelease(release) : undefined,
  };
}

function asBootState(value: string): BootState {
  const state = (['pending', 'accepted', 'unlocked', 'refused', 'failed'] as const).find((known) => known === value);
  if (state === undefined) throw damaged('boot.state');
  return state;
}

export function releaseText({ activation, mode, tpmStart }: SentRelease): string {
  return JSON.stringify({ activation: toHex(activation), mode, tpmStart });
}

function asRelease(json: string): SentRelease {
  const { activation, mode, tpmStart } = asObject(parseJson(json), 'boot.release');
  if (typeof activation !== 'string') throw damaged('boot.release');
  const known = RELEASE_MODES.find((each) => each === mode);
  if (known === undefined) throw damaged('boot.release');
  return { activation: fromHex(activation), mode: known, tpmStart: asTpmStart(tpmStart, 'boot.release') };
}

function parseJson(json: string): unknown {
  return JSON.parse(json);
}
