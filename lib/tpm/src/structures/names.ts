// Names, TPM 2.0 Part 1 section 16: what a TPM calls an entity, so that nobody can put another in its place.

import { concatBytes, Writer } from '@ringwall/bytes';
import { TPM_HT } from '../constants.ts';
import { computableHash, digest } from '../hash.ts';
import { TpmError } from '../tpm-error.ts';
import { parseNvPublic } from './nv-public.ts';
import { parsePublic } from './public-area.ts';

/** The entities whose Name is their handle: they have no public area. */
const NAMED_BY_HANDLE: ReadonlySet<number> = new Set([
  TPM_HT.PCR,
  TPM_HT.HMAC_SESSION,
  TPM_HT.POLICY_SESSION,
  TPM_HT.PERMANENT,
]);

/** The Name of an object: nameAlg and the digest of the TPMT_PUBLIC. */
export async function nameOf(publicAreaBytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const { nameAlg, bytes } = parsePublic(publicAreaBytes);
  return nameWith(nameAlg, bytes);
}

/**
 * The Name of an NV index: nameAlg and the digest of the TPMS_NV_PUBLIC. It changes with the first write, which sets
 * TPMA_NV_WRITTEN, and with each lock.
 */
export async function nvNameOf(nvPublicBytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const { nameAlg, bytes } = parseNvPublic(nvPublicBytes);
  return nameWith(nameAlg, bytes);
}

/** The Name of a PCR, a session or a permanent entity such as TPM_RH_ENDORSEMENT: its handle. Others are refused. */
export function handleName(handle: number): Uint8Array<ArrayBuffer> {
  if (!NAMED_BY_HANDLE.has(handle >>> 24)) {
    throw new TpmError('parameter', `handle 0x${handle.toString(16)} has a public area, expected to be named by it`);
  }
  return new Writer().u32be(handle).finish();
}

/**
 * The qualified Name of an object: it covers its whole ancestry. `parentQualifiedName` is the hierarchy's `handleName`
 * for a primary object. The hash is that of the object's own Name.
 */
export async function qualifiedNameOf(
  parentQualifiedName: Uint8Array,
  name: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const nameAlg = ((name[0] ?? 0) << 8) | (name[1] ?? 0);
  return nameWith(nameAlg, concatBytes(parentQualifiedName, name));
}

async function nameWith(nameAlg: number, bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return concatBytes(new Writer().u16be(nameAlg).finish(), await digest(computableHash(nameAlg), bytes));
}
