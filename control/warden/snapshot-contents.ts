// What a snapshot holds (docs/snapshots.md, "Contents"): a sealed object of four parts, of which the first says what the machine is.
import type { FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { vmSpecSchema } from '@ringwall/api/warden';
import { openSealed, type Opener } from '@ringwall/seal';
import { z } from 'zod';

/** `about` first: it is read, and believed, before the rest is touched. */
export const PARTS = { about: 'about', devices: 'devices', memory: 'memory', disk: 'disk' } as const;
/** A specification and some digests. */
const MAX_ABOUT_BYTES = 64 * 1024;
const READ_BYTES: number = 64 * 1024;

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
});
export type SnapshotAbout = z.infer<typeof aboutSchema>;
export type Platform = SnapshotAbout['platform'];

export interface OpenedAbout {
  readonly about: SnapshotAbout;
  /** Of machine and snapshot, as the object itself says in clear; it is bound to every byte of it. */
  readonly named: { readonly machine: unknown; readonly snapshot: unknown };
  readonly devicesBytes: number;
  readonly diskBytes: number;
}

export function renderAbout(about: SnapshotAbout): Uint8Array {
  return Buffer.from(JSON.stringify(about));
}

/** Reads the first part alone, and nothing behind it. Throws SealError. */
export async function readAbout(object: FileHandle, openers: readonly Opener[]): Promise<OpenedAbout> {
  const { manifest, contents } = await openSealed(readFrom(object), { openers });
  const part = manifest.parts[0];
  const bytesOf = (wanted: string): number => manifest.parts.find(({ name }) => name === wanted)?.bytes ?? 0;
  const [devicesBytes, diskBytes] = [bytesOf(PARTS.devices), bytesOf(PARTS.disk)];
  if (part?.name !== PARTS.about || part.bytes > MAX_ABOUT_BYTES || devicesBytes === 0 || diskBytes === 0) {
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
  const { machine, snapshot } = manifest.about;
  return { about: about.data, named: { machine, snapshot }, devicesBytes, diskBytes };
}

async function* readFrom(object: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const { buffer, bytesRead } = await object.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
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
