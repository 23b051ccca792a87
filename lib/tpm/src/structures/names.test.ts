// Checklist: 4 (the Name is recomputed, never taken).

import { fromHex, ParseError, toHex } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt, flipBit } from '../../testing/attempt.ts';
import { policyIndexName } from '../../testing/ek-policy.ts';
import { readSwtpmEvidence } from '../../testing/evidence.ts';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { ekTemplateOf } from '../commands/ek-templates.ts';
import { TPM_ALG, TPM_NT, TPM_RH, TPMA_NV, TPMA_OBJECT } from '../constants.ts';
import { TpmError } from '../tpm-error.ts';
import { handleName, nameOf, nvNameOf, qualifiedNameOf } from './names.ts';
import { encodeNvPublic, nvAttributesOf, nvTypeOf, parseNvPublic } from './nv-public.ts';
import { attributesOf, parsePublic } from './public-area.ts';

const INDEX = {
  nvIndex: 0x01c0_000a,
  nameAlg: TPM_ALG.SHA256,
  attributes: TPMA_NV.OWNERWRITE | TPM_NT.COUNTER,
  authPolicy: new Uint8Array(32).fill(5),
  dataSize: 8,
};

describe('checklist 4: the Name is recomputed from the public area', () => {
  const { akPublic } = readSwtpmEvidence();

  test('each attribute of a key changes its Name', async () => {
    const before = toHex(await nameOf(akPublic));
    for (const [name, bit] of Object.entries(TPMA_OBJECT)) {
      const changed = new Uint8Array(akPublic);
      const view = new DataView(changed.buffer);
      view.setUint32(4, view.getUint32(4) ^ bit);
      expect(toHex(await nameOf(changed)), name).not.toBe(before);
      const [then, now] = [attributesOf(parsePublic(akPublic)), attributesOf(parsePublic(changed))];
      expect({ ...then, [name]: !Object.entries(then).some(([key, on]) => key === name && on) }).toEqual(now);
    }
  });

  test.skipIf(!VECTORS_PRESENT)(`ak.name is the Name of ak.pub, and of no other byte${NEEDS_VECTORS}`, async () => {
    const area = readVector('quote/keylime/ak.pub').subarray(2);
    const name = readVector('quote/keylime/ak.name');
    expect(await nameOf(area)).toEqual(name);
    for (let bit = 0; bit < area.length * 8; bit += 11) {
      const changed = flipBit(area, bit);
      if (attempt(() => parsePublic(changed)) instanceof ParseError) continue;
      expect(await nameOf(changed).catch((error: unknown) => error)).not.toEqual(name);
    }
  });

  test('a nameAlg that WebCrypto lacks is a TpmError', async () => {
    const changed = new Uint8Array(akPublic);
    changed[3] = TPM_ALG.SM3_256;
    await expect(nameOf(changed)).rejects.toThrow(TpmError);
  });

  test('the Names of the Policy Indices are those of the TCG EK Credential Profile', async () => {
    expect(toHex(await policyIndexName('sha256'))).toBe(
      '000b0c9d717e9c3fe69fda41769450bb145957f8b3610e084dbf65591a5d11ecd83f',
    );
  });

  test('handleName() names only what has no public area', () => {
    expect(handleName(TPM_RH.ENDORSEMENT)).toEqual(fromHex('4000000b'));
    expect(handleName(7)).toEqual(fromHex('00000007'));
    expect(handleName(0x0300_0001)).toEqual(fromHex('03000001'));
    for (const handle of [0x8000_0000, 0x8101_0001, 0x0150_0000]) expect(() => handleName(handle)).toThrow(TpmError);
  });

  test('qualifiedNameOf() refuses a Name without a hash algorithm', async () => {
    await expect(qualifiedNameOf(handleName(TPM_RH.NULL), fromHex('4000000b'))).rejects.toThrow(TpmError);
    await expect(qualifiedNameOf(handleName(TPM_RH.NULL), new Uint8Array(0))).rejects.toThrow(TpmError);
  });
});

describe('parseNvPublic()', () => {
  const bytes = encodeNvPublic(INDEX);

  test('reads what encodeNvPublic() wrote', () => {
    expect(parseNvPublic(bytes)).toEqual({ ...INDEX, bytes });
    expect(nvTypeOf(INDEX.attributes)).toBe('COUNTER');
    const set = Object.entries(nvAttributesOf(INDEX)).filter(([, on]) => on);
    expect(set.map(([name]) => name)).toEqual(['OWNERWRITE']);
  });

  test('the highest bit is an attribute like others', () => {
    const area = parseNvPublic(encodeNvPublic({ ...INDEX, attributes: TPMA_NV.READ_STCLEAR }));
    expect(nvAttributesOf(area).READ_STCLEAR).toBe(true);
  });

  test('refuses every truncation and a byte more; flipped bits throw only ParseError', async () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => parseNvPublic(bytes.subarray(0, length))).toThrow(ParseError);
    }
    expect(() => parseNvPublic(Uint8Array.of(...bytes, 0))).toThrow(ParseError);
    const name = await nvNameOf(bytes);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = attempt(() => parseNvPublic(flipBit(bytes, bit)));
      if (changed instanceof ParseError) continue;
      expect(await nvNameOf(changed.bytes).catch(() => 'refused')).not.toEqual(name);
    }
  });

  test.each<[string, string, string]>([
    ['a handle of another kind', '81', 'nvIndex 0x81c0000a, expected 0x01000000 to 0x01ffffff'],
    ['a nameAlg that is no hash', '01c0000a0010', 'nameAlg 0x10, expected a hash algorithm'],
    ['reserved bits', '01c0000a000b00000100', 'attributes has reserved bits 0x100, expected 0'],
    ['a reserved TPM_NT', '01c0000a000b00000030', 'attributes has TPM_NT 0x3'],
    ['a policy longer than a digest', '01c0000a000b000000000041', 'authPolicy.size 65'],
  ])('refuses %s', (_, head, message) => {
    const changed = Uint8Array.of(...fromHex(head), ...bytes.subarray(head.length / 2));
    expect(() => parseNvPublic(changed)).toThrow(message);
  });
});

test('every EK template is a public area that reads back', () => {
  for (const name of ['L-1', 'L-2', 'H-1', 'H-2', 'H-3', 'H-4', 'H-6', 'H-7'] as const) {
    const template = ekTemplateOf(name);
    expect(parsePublic(template).bytes).toEqual(template);
    expect(attributesOf(parsePublic(template))).toMatchObject({ restricted: true, decrypt: true, sign: false });
  }
});
