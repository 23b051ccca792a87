// Bad input, over every structure that this package reads: all truncations and thousands of mutations of real bytes end in
// a value, or in a ParseError; what follows from a value ends in a value, or in a TpmError.

import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { ATTESTATION_TYPES, readRealAttestations } from '../testing/attestations.ts';
import { attempt } from '../testing/attempt.ts';
import { readSwtpmEvidence } from '../testing/evidence.ts';
import { readVector, VECTORS_PRESENT } from '../testing/vectors.ts';
import {
  answers,
  cipherKeyObject,
  decodeResponseCode,
  encodeNvPublic,
  encodePublic,
  encodeSensitive,
  encodeSignature,
  encodeTpm2b,
  hmacKeyObject,
  makeCredential,
  nameOf,
  parseAttest,
  parseCreationData,
  parseNvPublic,
  parsePublic,
  parseSensitive,
  parseSignature,
  parseTpm2b,
  publicKeyOf,
  readAnswer,
  sealedObject,
  TPM_ALG,
  TPMA_NV,
  TpmError,
  verifySignature,
} from './index.ts';

const real = readRealAttestations();
const evidence = readSwtpmEvidence();
const sealed = await sealedObject(new Uint8Array(16).fill(1));
const hmacKey = await hmacKeyObject(new Uint8Array(32).fill(1), TPM_ALG.SHA256);
const cipherKey = await cipherKeyObject(new Uint8Array(16).fill(1), TPM_ALG.CFB);
const hmacSignature = encodeSignature({ sigAlg: TPM_ALG.HMAC, hash: TPM_ALG.SHA256, digest: new Uint8Array(32) });
const nvPublic = encodeNvPublic({
  nvIndex: 0x0180_0000,
  nameAlg: TPM_ALG.SHA256,
  attributes: TPMA_NV.AUTHREAD,
  authPolicy: new Uint8Array(32),
  dataSize: 4,
});

type Structure = readonly [name: string, bytes: Uint8Array, parse: (bytes: Uint8Array) => unknown];

const STRUCTURES: readonly Structure[] = [
  ...ATTESTATION_TYPES.map((type): Structure => [`TPMS_ATTEST ${type}`, real.of[type].attestation, parseAttest]),
  ['TPMT_SIGNATURE', real.of.quote.signature, parseSignature],
  ['TPMT_SIGNATURE with HMAC', hmacSignature, parseSignature],
  ['TPMT_PUBLIC of an AK', evidence.akPublic, parsePublic],
  ['TPMT_PUBLIC of an EK', evidence.ekPublic, parsePublic],
  ['TPMT_PUBLIC of sealed data', sealed.publicArea, parsePublic],
  ['TPMT_PUBLIC of an HMAC key', hmacKey.publicArea, parsePublic],
  ['TPMT_PUBLIC of a cipher key', cipherKey.publicArea, parsePublic],
  ['TPMT_SENSITIVE', encodeSensitive(sealed.sensitive), parseSensitive],
  ['TPMS_NV_PUBLIC', nvPublic, parseNvPublic],
  ['TPMS_CREATION_DATA', real.creationData, parseCreationData],
  ['TPM2B', encodeTpm2b(evidence.akPublic), parseTpm2b],
  ...(VECTORS_PRESENT
    ? ([
        ['keylime’s quote', readVector('quote/keylime/quote.out'), parseAttest],
        ['keylime’s signature', readVector('quote/keylime/quotesig.out'), parseSignature],
        ['keylime’s AK', readVector('quote/keylime/ak.pub').subarray(2), parsePublic],
        ['keylime’s EK', readVector('quote/keylime/ek.pub').subarray(2), parsePublic],
      ] satisfies Structure[])
    : []),
];

describe('bad input', () => {
  test.each(STRUCTURES)('%s: every truncation is a ParseError, and so is a byte more', (_, bytes, parse) => {
    expect(attempt(() => parse(bytes))).not.toBeInstanceOf(ParseError);
    const refused = Array.from(bytes, (_byte, length) => attempt(() => parse(bytes.subarray(0, length))));
    expect(refused.filter((result) => !(result instanceof ParseError))).toEqual([]);
    expect(attempt(() => parse(Uint8Array.of(...bytes, 0)))).toMatchObject({ code: 'trailing' });
  });

  test.each(STRUCTURES)('%s: 4,000 mutations throw nothing but ParseError', (_, bytes, parse) => {
    const random = generator(bytes.length);
    for (let round = 0; round < 4000; round += 1) {
      const changed = mutate(bytes, random);
      expect(attempt(() => parse(changed))).toBeDefined();
    }
  });

  test('a public area that parses makes a key, a Name and a credential, or a TpmError', async () => {
    const random = generator(7);
    const odd: unknown[] = [];
    for (let round = 0; round < 600; round += 1) {
      const area = attempt(() => parsePublic(mutate(round % 2 === 0 ? evidence.ekPublic : evidence.akPublic, random)));
      if (area instanceof ParseError) continue;
      const use = [
        () => publicKeyOf(area),
        () => nameOf(area.bytes),
        () => makeCredential({ ekPublic: area, akName: new Uint8Array(34), secret: new Uint8Array(16) }),
        () => verifySignature(area, parseSignature(real.of.quote.signature), real.of.quote.attestation),
      ];
      for (const one of use) await one().catch((error: unknown) => error instanceof TpmError || odd.push(error));
    }
    expect(odd).toEqual([]);
  });

  test('RSA keys of any size and exponent verify nothing, and throw nothing but TpmError', async () => {
    const odd: unknown[] = [];
    const verdicts = new Set<boolean>();
    for (const bytes of [0, 1, 2, 16, 33, 64, 128, 512]) {
      for (const exponent of [1, 2, 3, 65_537, 0xffff_ffff]) {
        for (const sigAlg of [TPM_ALG.RSASSA, TPM_ALG.RSAPSS] as const) {
          const parameters = {
            symmetric: { algorithm: TPM_ALG.NULL, keyBits: 0, mode: 0 },
            scheme: { scheme: TPM_ALG.NULL, hashAlg: 0 },
            keyBits: bytes * 8,
            exponent,
          };
          const unique = new Uint8Array(bytes).fill(0xff);
          const common = { nameAlg: TPM_ALG.SHA256, objectAttributes: 0, authPolicy: new Uint8Array(0) };
          const key = parsePublic(encodePublic({ type: TPM_ALG.RSA, ...common, parameters, unique }));
          const sig = { sigAlg, hash: TPM_ALG.SHA512, sig: new Uint8Array(bytes).fill(1) } as const;
          await verifySignature(key, sig, new Uint8Array(8)).then(
            (verdict) => verdicts.add(verdict),
            (error: unknown) => error instanceof TpmError || odd.push(error),
          );
        }
      }
    }
    expect(odd).toEqual([]);
    expect([...verdicts]).toEqual([false]);
  });

  test('the answer of every command: 300 mutations of no more than a response end in a ParseError or TpmError', () => {
    const random = generator(11);
    for (const reader of Object.values(answers)) {
      for (let round = 0; round < 300; round += 1) {
        const body = Uint8Array.from({ length: random() % 120 }, () => (random() % 3 === 0 ? random() : 0));
        expect(isOurs(() => readAnswer<unknown>(reader, framed(body, random())))).toBe(true);
      }
    }
  });

  test('every response code is decoded, each place counted from 1', () => {
    for (let code = 1; code <= 0xffff; code += 1) {
      const { name, at } = decodeResponseCode(code);
      if (name.length < 5 || (at !== undefined && (at.number < 1 || at.number > 15))) throw new Error(`${code}`);
    }
    expect(decodeResponseCode(0x9a2)).toMatchObject({ name: 'TPM_RC_BAD_AUTH', at: { part: 'session', number: 1 } });
    expect(decodeResponseCode(0x3d5)).toMatchObject({ name: 'TPM_RC_SIZE', at: { part: 'parameter', number: 3 } });
    expect(decodeResponseCode(0x28b)).toMatchObject({ name: 'TPM_RC_HANDLE', at: { part: 'handle', number: 2 } });
    expect(decodeResponseCode(0x922)).toMatchObject({ name: 'TPM_RC_RETRY', at: undefined, warning: true });
  });
});

/** True where `read` gave a value or threw what it may throw. */
function isOurs(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    return error instanceof ParseError || error instanceof TpmError;
  }
}

/** A response around `body`, with sessions or without. */
function framed(body: Uint8Array, choice: number): Uint8Array {
  const header = Uint8Array.of(0x80, 1 + (choice & 1), 0, 0, 0, 10 + body.length, 0, 0, 0, 0);
  return Uint8Array.of(...header, ...body);
}

/** One to three changes: a byte, a bit, a length of extremes, a piece left out or doubled. */
function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let changed = new Uint8Array(bytes);
  for (let left = 1 + (random() % 3); left > 0; left -= 1) {
    const at = random() % changed.length;
    const kind = random() % 5;
    if (kind === 0) changed[at] = random();
    else if (kind === 1) changed[at] = (changed[at] ?? 0) ^ (1 << (random() % 8));
    else if (kind === 2) changed.set(random() % 2 === 0 ? [0xff, 0xff] : [0, 0], Math.min(at, changed.length - 2));
    else if (kind === 3)
      changed = Uint8Array.of(...changed.subarray(0, at), ...changed.subarray(at + 1 + (random() % 8)));
    else changed = Uint8Array.of(...changed.subarray(0, at), ...changed.subarray(at - (random() % (at + 1))));
    if (changed.length < 2) return changed;
  }
  return changed;
}

/** The same numbers each time for one seed: xorshift32. */
function generator(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
