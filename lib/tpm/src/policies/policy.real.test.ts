// Every policy digest against what a real TPM computes in a trial session.

import { concatBytes, utf8 } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import {
  akTemplate,
  digest,
  handleName,
  pcrDigest,
  policy,
  policyAuthorize,
  policyAuthorizeNv,
  policyAuthValue,
  policyCommandCode,
  policyCounterTimer,
  policyCpHash,
  policyDigest,
  policyDuplicationSelect,
  policyLocality,
  policyNameHash,
  policyNv,
  policyNvWritten,
  policyOr,
  policyPcr,
  policyPhysicalPresence,
  policySecret,
  policySigned,
  policyTemplate,
  TPM_ALG,
  TPM_CC,
  TPM_EO,
  TPM_RH,
  TPMA_NV,
  tpmOver,
  type ComputableHash,
  type Policy,
  type Tpm,
  type TPMT_SIGNATURE,
} from '../index.ts';

const NV_INDEX = 0x0150_0001;
const REF = utf8('reference');
const EVEN_IN_TRIAL: TPMT_SIGNATURE = {
  sigAlg: TPM_ALG.ECDSA,
  hash: TPM_ALG.SHA256,
  signatureR: new Uint8Array(32).fill(1),
  signatureS: new Uint8Array(32).fill(1),
};
const HASHES: readonly (readonly [ComputableHash, number])[] = [
  ['sha1', TPM_ALG.SHA1],
  ['sha256', TPM_ALG.SHA256],
  ['sha384', TPM_ALG.SHA384],
  ['sha512', TPM_ALG.SHA512],
];

describe.skipIf(!SWTPM_PRESENT)(`policyDigest() is what TPM2_PolicyGetDigest says${NEEDS_SWTPM}`, () => {
  let swtpm: PlainTpm;
  let tpm: Tpm;
  let key: { readonly handle: number; readonly name: Uint8Array };
  let nvName: Uint8Array;

  beforeAll(async () => {
    swtpm = await PlainTpm.fresh();
    tpm = tpmOver(swtpm);
    const made = await tpm.createPrimary(TPM_RH.ENDORSEMENT, akTemplate());
    key = { handle: made.objectHandle, name: made.name };
    const attributes = TPMA_NV.OWNERWRITE | TPMA_NV.AUTHREAD | TPMA_NV.OWNERREAD | TPMA_NV.NO_DA;
    const index = { nvIndex: NV_INDEX, authHandle: TPM_RH.OWNER };
    await tpm.nvDefineSpace({ ...index, attributes, dataSize: 34 });
    const held = concatBytes(Uint8Array.of(0, TPM_ALG.SHA256), new Uint8Array(32).fill(9));
    await tpm.nvWrite({ ...index, data: held, offset: 0 });
    nvName = (await tpm.nvReadPublic(NV_INDEX)).nvName;
  });

  afterAll(async () => {
    await swtpm[Symbol.asyncDispose]();
  });

  interface Case {
    readonly name: string;
    readonly tree: (hash: ComputableHash, alg: number) => Promise<Policy>;
    readonly send: (session: number, hash: ComputableHash, alg: number) => Promise<unknown>;
  }

  const plain = (name: string, tree: () => Policy, send: (session: number) => Promise<unknown>): Case => {
    return { name, tree: async () => tree(), send };
  };
  const comparison = { operandB: Uint8Array.of(9), offset: 2, operation: TPM_EO.EQ };
  const timer = { operandB: new Uint8Array(8), offset: 0, operation: TPM_EO.UNSIGNED_GE };
  const as = (hash: ComputableHash, text: string): Promise<Uint8Array> => digest(hash, utf8(text));

  const CASES: readonly Case[] = [
    plain(
      'no step at all',
      () => policy(),
      async () => undefined,
    ),
    {
      name: 'PolicyPCR of two banks',
      tree: async (hash) => {
        // Two PCRs of 20 bytes, then one of 32, all of them zeros in a TPM that measured nothing.
        const both = await digest(hash, new Uint8Array(20 + 20 + 32));
        const pcrs = [
          { hash: TPM_ALG.SHA1, pcrs: [0, 23] },
          { hash: TPM_ALG.SHA256, pcrs: [7] },
        ];
        return policy(policyPcr(pcrs, both));
      },
      send: (session) =>
        tpm.policyPcr(session, [
          { hash: TPM_ALG.SHA1, pcrs: [0, 23] },
          { hash: TPM_ALG.SHA256, pcrs: [7] },
        ]),
    },
    {
      name: 'PolicyPCR of the SHA-256 bank with pcrDigest()',
      tree: async (hash) => {
        const values = new Map([0, 1, 7].map((pcr) => [pcr, new Uint8Array(32)]));
        const pcrs = [{ hash: TPM_ALG.SHA256, pcrs: [0, 1, 7] }];
        return policy(policyPcr(pcrs, await pcrDigest(values, [0, 1, 7], { bank: 'sha256', digest: hash })));
      },
      send: (session) => tpm.policyPcr(session, [0, 1, 7]),
    },
    plain(
      'PolicySigned with a reference',
      () => policy(policySigned(key.name, REF)),
      (policySession) =>
        tpm.policySigned({ authObject: key.handle, policySession, policyRef: REF, auth: EVEN_IN_TRIAL }),
    ),
    plain(
      'PolicySigned without',
      () => policy(policySigned(key.name)),
      (policySession) => tpm.policySigned({ authObject: key.handle, policySession, auth: EVEN_IN_TRIAL }),
    ),
    plain(
      'PolicySecret of a hierarchy',
      () => policy(policySecret(handleName(TPM_RH.ENDORSEMENT))),
      (session) => tpm.policySecret(TPM_RH.ENDORSEMENT, session),
    ),
    plain(
      'PolicySecret of a key with a reference',
      () => policy(policySecret(key.name, REF)),
      (session) => tpm.policySecret(key.handle, session, { policyRef: REF }),
    ),
    plain(
      'PolicySecret of an NV index',
      () => policy(policySecret(nvName)),
      (session) => tpm.policySecret(NV_INDEX, session),
    ),
    plain(
      'PolicyAuthorize after another step',
      () => policy(policyAuthValue(), policyAuthorize(key.name, REF)),
      async (policySession) => {
        await tpm.policyAuthValue(policySession);
        const { policyDigest: approvedPolicy } = await tpm.policyGetDigest(policySession);
        await tpm.policyAuthorize({ policySession, approvedPolicy, keySign: key.name, policyRef: REF });
      },
    ),
    plain(
      'PolicyAuthorizeNV',
      () => policy(policyAuthValue(), policyAuthorizeNv(nvName)),
      async (policySession) => {
        await tpm.policyAuthValue(policySession);
        await tpm.policyAuthorizeNv({ nvIndex: NV_INDEX, policySession });
      },
    ),
    plain(
      'PolicyNV',
      () => policy(policyNv(nvName, comparison)),
      (policySession) => tpm.policyNv({ nvIndex: NV_INDEX, policySession, ...comparison }),
    ),
    plain(
      'PolicyCounterTimer',
      () => policy(policyCounterTimer(timer)),
      (session) => tpm.policyCounterTimer(session, timer),
    ),
    plain(
      'PolicyCommandCode',
      () => policy(policyCommandCode(TPM_CC.Duplicate)),
      (session) => tpm.policyCommandCode(session, TPM_CC.Duplicate),
    ),
    plain(
      'PolicyLocality',
      () => policy(policyLocality(0b1_0010)),
      (session) => tpm.policyLocality(session, 0b1_0010),
    ),
    plain(
      'PolicyAuthValue',
      () => policy(policyAuthValue()),
      (session) => tpm.policyAuthValue(session),
    ),
    plain(
      'PolicyPassword',
      () => policy(policyAuthValue()),
      (session) => tpm.policyPassword(session),
    ),
    plain(
      'PolicyPhysicalPresence',
      () => policy(policyPhysicalPresence()),
      (session) => tpm.policyPhysicalPresence(session),
    ),
    plain(
      'PolicyNvWritten',
      () => policy(policyNvWritten(false)),
      (session) => tpm.policyNvWritten(session, false),
    ),
    plain(
      'PolicyNvWritten of a written index',
      () => policy(policyNvWritten(true)),
      (session) => tpm.policyNvWritten(session, true),
    ),
    {
      name: 'PolicyCpHash',
      tree: async (hash) => policy(policyCpHash(await as(hash, 'command'))),
      send: async (session, hash) => tpm.policyCpHash(session, await as(hash, 'command')),
    },
    {
      name: 'PolicyNameHash',
      tree: async (hash) => policy(policyNameHash(await as(hash, 'names'))),
      send: async (session, hash) => tpm.policyNameHash(session, await as(hash, 'names')),
    },
    {
      name: 'PolicyTemplate',
      tree: async (hash) => policy(policyTemplate(await as(hash, 'template'))),
      send: async (session, hash) => tpm.policyTemplate(session, await as(hash, 'template')),
    },
    plain(
      'PolicyDuplicationSelect of any object',
      () => policy(policyDuplicationSelect({ newParentName: key.name })),
      (session) =>
        tpm.policyDuplicationSelect(session, { newParentName: key.name, objectName: nvName, includeObject: false }),
    ),
    plain(
      'PolicyDuplicationSelect of one object',
      () => policy(policyDuplicationSelect({ newParentName: key.name, objectName: nvName })),
      (session) =>
        tpm.policyDuplicationSelect(session, { newParentName: key.name, objectName: nvName, includeObject: true }),
    ),
    {
      name: 'PolicyOR of trees and digests after another step, and a step behind it',
      tree: async (hash) =>
        policy(
          policyCommandCode(TPM_CC.Unseal),
          policyOr(policy(policyCommandCode(TPM_CC.Unseal)), policy(policyAuthValue()), await as(hash, 'third')),
          policyNvWritten(true),
        ),
      send: async (session, hash) => {
        await tpm.policyAuthValue(session);
        const { policyDigest: second } = await tpm.policyGetDigest(session);
        await tpm.policyRestart(session);
        await tpm.policyCommandCode(session, TPM_CC.Unseal);
        const { policyDigest: first } = await tpm.policyGetDigest(session);
        await tpm.policyOr(session, [first, second, await as(hash, 'third')]);
        await tpm.policyNvWritten(session, true);
      },
    },
  ];

  test.each(CASES)('$name', async ({ tree, send }) => {
    for (const [hash, alg] of HASHES) {
      const { sessionHandle } = await tpm.startAuthSession('trial', alg);
      try {
        await send(sessionHandle, hash, alg);
        const { policyDigest: said } = await tpm.policyGetDigest(sessionHandle);
        expect(await policyDigest(await tree(hash, alg), hash), hash).toEqual(said);
      } finally {
        await tpm.flushContext(sessionHandle);
      }
    }
  });

  test('a policy session that satisfies a tree opens a key with its digest, and one that does not is refused', async () => {
    const secret = policy(policySecret(handleName(TPM_RH.OWNER)));
    const never = policy(policyCommandCode(TPM_CC.Duplicate));
    const digests = await Promise.all([policyDigest(secret), policyDigest(never)]);
    const authPolicy = await policyDigest(policy(policyOr(secret, never)));
    const attributes = TPMA_NV.POLICYREAD | TPMA_NV.OWNERWRITE | TPMA_NV.NO_DA;
    const index = { nvIndex: NV_INDEX + 1, authHandle: TPM_RH.OWNER };
    await tpm.nvDefineSpace({ ...index, attributes, dataSize: 4, authPolicy });
    await tpm.nvWrite({ ...index, data: utf8('open'), offset: 0 });
    const { sessionHandle: policySession } = await tpm.startAuthSession('policy');
    const read = { nvIndex: NV_INDEX + 1, size: 4, offset: 0, authorization: { policySession } };
    await expect(tpm.nvRead(read)).rejects.toMatchObject({ code: 'policy' });
    await tpm.policySecret(TPM_RH.OWNER, policySession);
    await tpm.policyOr(policySession, digests);
    expect((await tpm.nvRead(read)).data).toEqual(utf8('open'));
  });
});
