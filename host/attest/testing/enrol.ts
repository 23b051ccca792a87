// A host that was enrolled, for tests: what its owner signs of it, and a policy that demands it, of a TPM whose maker is known.
import { toHex } from '@ringwall/bytes';
import {
  expectedOfLog,
  hostEkKey,
  hostIdOf,
  signHostReference,
  type HostFile,
  type HostPolicy,
  type HostReference,
} from '@ringwall/evidence';
import { nameOf } from '@ringwall/tpm';
import { makeSigner } from '../../../lib/evidence/testing/proofs.ts';

export interface EnrolledHost {
  readonly reference: HostReference;
  readonly policy: HostPolicy;
}

export async function enrolHost(given: {
  /** DER. */
  readonly vtpmCa: Uint8Array;
  readonly makerOfTpm: Uint8Array;
  readonly akPublic: Uint8Array;
  readonly ekCertificate: Uint8Array;
  readonly eventLog: Uint8Array;
  readonly files: readonly HostFile[];
  readonly pcrs: readonly number[];
}): Promise<EnrolledHost> {
  const owner = await makeSigner();
  const ekKey = await hostEkKey(given.ekCertificate);
  const reference = await signHostReference(
    {
      host: await hostIdOf(given.vtpmCa),
      tpm: { akName: toHex(await nameOf(given.akPublic)), ...(ekKey === undefined ? {} : { ekKey }) },
      events: expectedOfLog(given.eventLog),
      files: given.files,
      by: 'whoever saw its first boot',
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 86_400_000),
    },
    owner,
  );
  const certificate = Buffer.from(given.makerOfTpm).toString('base64');
  const policy: HostPolicy = {
    version: 1,
    kind: 'host-tpm',
    pcrs: given.pcrs,
    signers: [toHex(owner.publicKey)],
    ekRoots: [{ certificate, reason: 'the maker of its TPM' }],
    rules: [],
    others: 'show',
    maxAgeSeconds: 60,
    exceptions: [],
  };
  return { reference, policy };
}
