// What a snapshot holds (docs/snapshots.md, "Contents"): a sealed object of parts, of which the first says what the machine is.
import type { FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { FOREIGN_IMAGE } from '@ringwall/api/ids';
import { macSchema } from '@ringwall/api/networks';
import { vmSpecSchema } from '@ringwall/api/warden';
import { MAX_SAVED_WITNESS_BYTES } from '@ringwall/host/witness';
import { openSealed, readObjectHead, type ObjectHead, type Opener, type Parent, type Part } from '@ringwall/seal';
import { z } from 'zod';

/** `about` first: it is read, and believed, before the rest is touched. */
export const PARTS = {
  ...{ about: 'about', memory: 'memory', disk: 'disk', devices: 'devices' },
  /** Of a machine whose TPM is behind a witness. */
  witness: 'witness',
} as const;
/** They lie at the end, and not where they lie in another: each is whole in every snapshot. */
const ALWAYS_WHOLE: ReadonlySet<string> = new Set([PARTS.about, PARTS.devices, PARTS.witness]);

/** Of the disk at this index: the machine's own, then the imported ones in the order of its specification. */
export function diskPart(index: number): string {
  return index === 0 ? PARTS.disk : `${PARTS.disk}-${String(index)}`;
}

/** A specification and some digests. */
const MAX_ABOUT_BYTES = 64 * 1024;
const READ_BYTES: number = 64 * 1024;
const MIB = 2 ** 20;
/** Held in memory: devices are less than a megabyte, the firmware's variables and a TPM's state come on top. */
export const MAX_DEVICES_BYTES: number = 64 * MIB;

const aboutSchema = z.strictObject({
  version: z.literal(1),
  takenAt: z.iso.datetime(),
  spec: vmSpecSchema,
  /** Without which its state cannot be loaded, or would not run as it did. */
  platform: z.strictObject({
    accelerator: z.enum(['kvm', 'tcg']),
    qemu: z.string(),
    /** SHA-256. */
    firmware: z.string(),
    /** SHA-256 of the image's files. */
    image: z.string(),
    /** Under KVM: model and features of the host's processors. */
    cpu: z.string(),
  }),
  /** A device that is in it or not: one that was plugged in while the machine ran. */
  card: z.strictObject({ mac: macSchema }).optional(),
});
export type SnapshotAbout = z.infer<typeof aboutSchema>;
export type Platform = SnapshotAbout['platform'];

/** What an object says of itself in clear. It is bound to every byte of it: as true as its root. */
export interface ClearAbout {
  readonly named: { readonly machine: unknown; readonly snapshot: unknown };
  /** Its own name, and what it continues. */
  readonly object: string;
  readonly parent: Parent | null;
  /** Where memory and disks lie in it: at the same place in all that continue one another. */
  readonly places: readonly Part[];
}

export interface OpenedAbout extends ClearAbout {
  readonly about: SnapshotAbout;
  readonly devicesBytes: number;
  /** 0 where there is none: as the image has it. */
  readonly witnessBytes: number;
  /** As `about` has it of the machine's own disk; then of the files of those that were imported. */
  readonly diskBytes: readonly [own: number, ...imported: number[]];
}

export function renderAbout(about: SnapshotAbout): Uint8Array {
  return Buffer.from(JSON.stringify(about));
}

/** Reads the first part alone, and nothing behind it. Throws SealError. */
export async function readAbout(file: FileHandle, openers: readonly Opener[]): Promise<OpenedAbout> {
  const { manifest, contents } = await openSealed(readFrom(file), { openers });
  const part = manifest.parts[0];
  if (part?.name !== PARTS.about || part.offset !== 0 || part.bytes > MAX_ABOUT_BYTES) {
    throw malformed('is none of a machine');
  }
  const text = Buffer.alloc(part.bytes);
  let filled = 0;
  for await (const piece of contents) {
    if (piece.kind !== 'data') throw malformed('does not say what it is of');
    filled += Buffer.from(piece.bytes).copy(text, filled);
    if (filled >= text.length) break;
  }
  const about = aboutSchema.safeParse(parseJson(text));
  if (!about.success) throw malformed('does not say what it is of');
  const bytesOf = (wanted: string): number => manifest.parts.find(({ name }) => name === wanted)?.bytes ?? 0;
  const [devicesBytes, ownBytes] = [bytesOf(PARTS.devices), bytesOf(PARTS.disk)];
  const witnessBytes = bytesOf(PARTS.witness);
  const { image, memoryMiB, diskMiB, disks = [] } = about.data.spec;
  const areAsSaid = bytesOf(PARTS.memory) === memoryMiB * MIB && ownBytes === diskMiB * MIB;
  if (!areAsSaid || devicesBytes === 0 || devicesBytes > MAX_DEVICES_BYTES) {
    throw malformed('has other sizes than a machine like the one it is of');
  }
  if (witnessBytes > 0 !== (image === FOREIGN_IMAGE) || witnessBytes > MAX_SAVED_WITNESS_BYTES) {
    throw malformed(`has ${String(witnessBytes)} bytes of a witness, and is of the image ${image}`);
  }
  const importedBytes = disks.map((_, index) => bytesOf(diskPart(index + 1)));
  return {
    ...{ about: about.data, ...clearAboutOf(manifest) },
    ...{ devicesBytes, witnessBytes, diskBytes: [ownBytes, ...importedBytes] },
  };
}

/** Without a key: for an object whose root is known to be the right one. Throws SealError. */
export async function readClearAbout(file: FileHandle): Promise<ClearAbout> {
  return clearAboutOf((await readObjectHead(readFrom(file))).manifest);
}

/** From its first byte; it may be left at any. */
export async function* readFrom(object: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const { buffer, bytesRead } = await object.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

function clearAboutOf({ about, parts, object, parent }: ObjectHead['manifest']): ClearAbout {
  const { machine, snapshot } = about;
  return { named: { machine, snapshot }, object, parent, places: parts.filter(({ name }) => !ALWAYS_WHOLE.has(name)) };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

function malformed(what: string): RingwallError {
  return new RingwallError('proof-invalid', `the snapshot ${what}`, {
    hint: 'it was sealed by a ringwall that writes another format, or by none',
  });
}
