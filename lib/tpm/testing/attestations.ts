// One attestation of each type, as a real swtpm made it: lib/tpm/fixtures/swtpm-attestations.json.

import { fromHex } from '@ringwall/bytes';
import { readFixture } from './vectors.ts';

export const ATTESTATION_TYPES = [
  'quote',
  'certify',
  'creation',
  'time',
  'nv',
  'nv-digest',
  'session-audit',
  'command-audit',
] as const;

type AttestationType = (typeof ATTESTATION_TYPES)[number];

interface RealAttestations {
  readonly akPublic: Uint8Array;
  readonly creationData: Uint8Array;
  readonly of: Readonly<Record<AttestationType, { readonly attestation: Uint8Array; readonly signature: Uint8Array }>>;
}

interface Fixture extends Readonly<
  Record<AttestationType, { readonly attestation: string; readonly signature: string }>
> {
  readonly akPublic: string;
  readonly creationData: string;
}

export function readRealAttestations(): RealAttestations {
  const json: Fixture = JSON.parse(new TextDecoder().decode(readFixture('swtpm-attestations.json')));
  const one = (type: AttestationType): { readonly attestation: Uint8Array; readonly signature: Uint8Array } => ({
    attestation: fromHex(json[type].attestation),
    signature: fromHex(json[type].signature),
  });
  return {
    akPublic: fromHex(json.akPublic),
    creationData: fromHex(json.creationData),
    of: {
      quote: one('quote'),
      certify: one('certify'),
      creation: one('creation'),
      time: one('time'),
      nv: one('nv'),
      'nv-digest': one('nv-digest'),
      'session-audit': one('session-audit'),
      'command-audit': one('command-audit'),
    },
  };
}
