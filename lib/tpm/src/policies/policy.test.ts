import { fromHex, toHex } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { policyIndexName } from '../../testing/ek-policy.ts';
import { ekTemplateOf } from '../commands/ek-templates.ts';
import { TPM_RH } from '../constants.ts';
import type { ComputableHash } from '../hash.ts';
import { handleName } from '../structures/names.ts';
import { parsePublic } from '../structures/public-area.ts';
import { TpmError } from '../tpm-error.ts';
import { pcrDigest } from './pcr-policy.ts';
import { policyDigest } from './policy-digest.ts';
import {
  policy,
  policyAuthorize,
  policyAuthorizeNv,
  policyAuthValue,
  policyCommandCode,
  policyDuplicationSelect,
  policyLocality,
  policyNvWritten,
  policyOr,
  policySecret,
  policySigned,
  type Policy,
} from './policy.ts';

const ENDORSEMENT = policy(policySecret(handleName(TPM_RH.ENDORSEMENT)));

describe('policyDigest()', () => {
  test.each([
    ['sha256', 'H-1'],
    ['sha384', 'H-3'],
    ['sha512', 'H-4'],
  ] as const)('PolicyB of the TCG EK Credential Profile with %s is that of template %s', async (hash, template) => {
    const policyB = policy(policyOr(ENDORSEMENT, policy(policyAuthorizeNv(await policyIndexName(hash)))));
    expect(await policyDigest(policyB, hash)).toEqual(parsePublic(ekTemplateOf(template)).authPolicy);
  });

  test('PolicyA is that of the low range', async () => {
    expect(await policyDigest(ENDORSEMENT)).toEqual(parsePublic(ekTemplateOf('L-1')).authPolicy);
  });

  test('a policy without steps is zeros, as long as the hash', async () => {
    expect(await policyDigest(policy())).toEqual(new Uint8Array(32));
    expect(await policyDigest(policy(), 'sha512')).toEqual(new Uint8Array(64));
  });

  test('what stands before an authorization, or before an or, has no part in it', async () => {
    const name = fromHex('4000000b');
    const branches = [policy(policyAuthValue()), policy(policyNvWritten(true))];
    for (const last of [policyAuthorize(name), policyAuthorizeNv(name), policyOr(...branches)]) {
      const alone = await policyDigest(policy(last));
      expect(await policyDigest(policy(policyCommandCode(1), policyAuthValue(), last))).toEqual(alone);
    }
  });

  test('order, reference, Name and kind of a step all count', async () => {
    const [a, b] = [fromHex('4000000b'), fromHex('40000001')];
    const trees: Policy[] = [
      policy(policySigned(a), policyAuthValue()),
      policy(policyAuthValue(), policySigned(a)),
      policy(policyAuthValue(), policySigned(b)),
      policy(policyAuthValue(), policySigned(a, b)),
      policy(policyAuthValue(), policySecret(a, b)),
      policy(policyAuthValue(), policyDuplicationSelect({ newParentName: a })),
      policy(policyAuthValue(), policyDuplicationSelect({ newParentName: b, objectName: a })),
      policy(policyAuthValue(), policyDuplicationSelect({ newParentName: a, objectName: new Uint8Array(0) })),
    ];
    const digests = await Promise.all(trees.map(async (tree) => toHex(await policyDigest(tree))));
    expect(new Set(digests).size).toBe(trees.length);
  });

  test('nesting is bounded', async () => {
    let tree = policy(policyAuthValue());
    for (let depth = 0; depth < 40; depth += 1) tree = policy(policyOr(tree, policy(policyNvWritten(true))));
    await expect(policyDigest(tree)).rejects.toThrow('policy is nested more than 16 deep');
  });

  test.each([[[]], [[ENDORSEMENT]], [Array.from({ length: 9 }, () => ENDORSEMENT)]])(
    'policyOr() refuses a number of branches that a TPM refuses',
    (branches) => {
      expect(() => policyOr(...branches)).toThrow(TpmError);
    },
  );

  test.each([0, 256, 1.5, -1])('policyLocality() refuses %d', (locality) => {
    expect(() => policyLocality(locality)).toThrow(TpmError);
  });
});

describe('pcrDigest()', () => {
  test.each<[ComputableHash, number]>([
    ['sha1', 20],
    ['sha384', 48],
    ['sha512', 64],
  ])('takes values of the %s bank, and the digest in the hash of the signature', async (bank, bytes) => {
    const values = new Map([[3, new Uint8Array(bytes)]]);
    const hashes = { bank, digest: 'sha256' } as const;
    expect(await pcrDigest(values, [3], hashes)).toEqual(
      new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))),
    );
    const short = new Map([[3, new Uint8Array(bytes - 1)]]);
    await expect(pcrDigest(short, [3], hashes)).rejects.toThrow('pcr 3 has no SHA-');
  });
});
