// Checklist: 1 (magic, type, no trailing bytes) over every type of attestation.

import { ParseError, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { ATTESTATION_TYPES, readRealAttestations } from '../../testing/attestations.ts';
import { attempt, flipBit } from '../../testing/attempt.ts';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { TPM_ALG, TPM_RH } from '../constants.ts';
import { digest } from '../hash.ts';
import { parseAttest } from './attest.ts';
import { parseCreationData } from './creation-data.ts';
import { handleName, nameOf, qualifiedNameOf } from './names.ts';
import { parsePublic } from './public-area.ts';
import { parseSignature, verifySignature } from './signature.ts';

const real = readRealAttestations();
const ak = parsePublic(real.akPublic);

describe('checklist 1: an attestation has its magic, a known type and no trailing bytes', () => {
  test.each(ATTESTATION_TYPES)('%s verifies, and is read as what it is', async (type) => {
    const { attestation, signature } = real.of[type];
    expect(await verifySignature(ak, parseSignature(signature), attestation)).toBe(true);
    const attest = parseAttest(attestation);
    expect(attest).toMatchObject({ type, magic: 0xff54_4347, extraData: utf8('nonce'), clockInfo: { safe: true } });
    const qualifiedSigner = await qualifiedNameOf(handleName(TPM_RH.ENDORSEMENT), await nameOf(real.akPublic));
    expect(attest.qualifiedSigner).toEqual(qualifiedSigner);
  });

  test.each(ATTESTATION_TYPES)('%s: every truncation, a byte more, another magic are refused', (type) => {
    const { attestation } = real.of[type];
    for (let length = 0; length < attestation.length; length += 1) {
      expect(() => parseAttest(attestation.subarray(0, length))).toThrow(ParseError);
    }
    expect(() => parseAttest(Uint8Array.of(...attestation, 0))).toThrow('TPMS_ATTEST has 1 bytes after its end');
    for (let bit = 0; bit < 32; bit += 1) expect(() => parseAttest(flipBit(attestation, bit))).toThrow('magic');
  });

  test.each(ATTESTATION_TYPES)('%s: every flipped bit is refused or read, and none throws another error', (type) => {
    const { attestation } = real.of[type];
    for (let bit = 0; bit < attestation.length * 8; bit += 1) {
      expect(attempt(() => parseAttest(flipBit(attestation, bit)))).toBeDefined();
    }
  });

  test.each(ATTESTATION_TYPES)('%s: no flipped bit verifies', async (type) => {
    const { attestation, signature } = real.of[type];
    for (let bit = 3; bit < attestation.length * 8; bit += 37) {
      expect(await verifySignature(ak, parseSignature(signature), flipBit(attestation, bit))).toBe(false);
    }
  });
});

describe('parseCreationData()', () => {
  test('reads what the attested digest is over', async () => {
    const attest = parseAttest(real.of.creation.attestation);
    expect(attest).toMatchObject({ attested: { creationHash: await digest('sha256', real.creationData) } });
    expect(parseCreationData(real.creationData)).toMatchObject({
      pcrSelect: [{ hash: TPM_ALG.SHA256, pcrs: [0, 7] }],
      parentName: handleName(TPM_RH.ENDORSEMENT),
      outsideInfo: utf8('outside'),
    });
  });

  test('refuses every truncation and a byte more; flipped bits throw only ParseError', () => {
    for (let length = 0; length < real.creationData.length; length += 1) {
      expect(() => parseCreationData(real.creationData.subarray(0, length))).toThrow(ParseError);
    }
    expect(() => parseCreationData(Uint8Array.of(...real.creationData, 0))).toThrow(ParseError);
    for (let bit = 0; bit < real.creationData.length * 8; bit += 1) {
      expect(attempt(() => parseCreationData(flipBit(real.creationData, bit)))).toBeDefined();
    }
  });
});

describe.skipIf(!VECTORS_PRESENT)(`a Windows guest’s attestation key${NEEDS_VECTORS}`, () => {
  const json: WindowsKey = VECTORS_PRESENT
    ? JSON.parse(new TextDecoder().decode(readVector('eventlog/go-attestation/windows_gcp_shielded_vm.json')))
    : { AK: { Public: '', CreateData: '', CreateAttestation: '', CreateSignature: '' } };

  test('was certified at its creation, by itself, over its creation data', async () => {
    const key = parsePublic(base64(json.AK.Public));
    const attestation = base64(json.AK.CreateAttestation);
    expect(await verifySignature(key, parseSignature(base64(json.AK.CreateSignature)), attestation)).toBe(true);
    const data = base64(json.AK.CreateData);
    expect(parseAttest(attestation)).toMatchObject({
      type: 'creation',
      attested: { objectName: await nameOf(base64(json.AK.Public)), creationHash: await digest('sha256', data) },
    });
    expect(parseCreationData(data)).toMatchObject({ pcrSelect: [], parentNameAlg: TPM_ALG.SHA256 });
  });
});

interface WindowsKey {
  readonly AK: {
    readonly Public: string;
    readonly CreateData: string;
    readonly CreateAttestation: string;
    readonly CreateSignature: string;
  };
}

function base64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
