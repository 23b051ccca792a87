// Other keys for the same object: its envelope is exchanged, and nothing behind it is read or written.
import { openEnvelope, renderEnvelope, type Opener, type Recipient } from './envelope.ts';
import { ByteReader, type ByteStream } from './byte-reader.ts';
import { readHead, renderHead } from './layout.ts';
import { bindingOf, parseManifest, type Manifest } from './manifest.ts';

/** What an object begins with, up to its first record. */
export interface ObjectHead {
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  /** As it lies there: what every record is bound to. */
  readonly manifestBytes: Uint8Array;
}

/** Reads no further. Nothing in it is believed before a key has opened it. Throws SealError. */
export async function readObjectHead(sealed: ByteStream): Promise<ObjectHead> {
  const reader = new ByteReader(sealed);
  try {
    const { envelope, manifest } = await readHead(reader);
    return {
      bytes: renderHead({ envelope, manifest }),
      manifest: parseManifest(manifest),
      manifestBytes: manifest,
    };
  } finally {
    await reader.close();
  }
}

export interface Rewrapped {
  /** In place of as many bytes of the object, or of `before` where the lengths differ. */
  readonly head: Uint8Array;
  /** Bytes of the head that it replaces. */
  readonly before: number;
}

/**
 * Throws SealError. The old key opens copies that were made before: what is to be forgotten is wrapped anew *and* its copies are
 * destroyed.
 */
export async function rewrap(
  sealed: ByteStream,
  { openers, recipients }: { readonly openers: readonly Opener[]; readonly recipients: readonly Recipient[] },
): Promise<Rewrapped> {
  const reader = new ByteReader(sealed);
  try {
    const { envelope, manifest } = await readHead(reader);
    parseManifest(manifest);
    const binding = await bindingOf(manifest);
    const dataKey = await openEnvelope(envelope, openers, binding);
    const head = renderHead({ envelope: await renderEnvelope(dataKey, recipients, binding), manifest });
    return { head, before: reader.offset };
  } finally {
    await reader.close();
  }
}
