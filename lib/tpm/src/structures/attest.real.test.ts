// Every type of attestation, made by a real TPM, verified and read.

import { toHex, utf8 } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import { writeFixture } from '../../testing/vectors.ts';
import {
  AK_ATTRIBUTES,
  akTemplate,
  commands,
  digest,
  encodePublic,
  encodeSignature,
  fillTemplate,
  handleName,
  nameOf,
  parseAttest,
  parseCreationData,
  pcrDigest,
  qualifiedNameOf,
  readAnswer,
  answers,
  TPM_ALG,
  TPM_CC,
  TPM_ECC,
  TPM_RH,
  TPMA_NV,
  TPMA_SESSION,
  tpmOver,
  verifySignature,
  type CreationAnswer,
  type SignedAttestation,
  type Tpm,
  type TPMS_ATTEST,
} from '../index.ts';

const NV_INDEX = 0x0150_0002;
const CONTENT = utf8('what the index holds');
const qualifyingData = utf8('nonce');

const EMPTY = new Uint8Array(0);
const NONE = { algorithm: TPM_ALG.NULL, keyBits: 0, mode: 0 };
const eccAk = (curveID: number, hashAlg: number): Uint8Array =>
  encodePublic({
    type: TPM_ALG.ECC,
    nameAlg: hashAlg,
    objectAttributes: AK_ATTRIBUTES,
    authPolicy: EMPTY,
    parameters: {
      symmetric: NONE,
      scheme: { scheme: TPM_ALG.ECDSA, hashAlg },
      curveID,
      kdf: { scheme: TPM_ALG.NULL, hashAlg: 0 },
    },
    unique: { x: EMPTY, y: EMPTY },
  });
const rsaAk = (scheme: number, hashAlg: number): Uint8Array =>
  encodePublic({
    type: TPM_ALG.RSA,
    nameAlg: TPM_ALG.SHA256,
    objectAttributes: AK_ATTRIBUTES,
    authPolicy: EMPTY,
    parameters: { symmetric: NONE, scheme: { scheme, hashAlg }, keyBits: 2048, exponent: 65_537 },
    unique: EMPTY,
  });

describe.skipIf(!SWTPM_PRESENT)(`attestations of a real TPM${NEEDS_SWTPM}`, () => {
  let swtpm: PlainTpm;
  let tpm: Tpm;
  /** What the unit tests read as fixtures/swtpm-attestations.json; RINGWALL_WRITE_FIXTURES=1 makes that file anew. */
  const kept: Record<string, { readonly attestation: string; readonly signature: string }> = {};
  let ak: CreationAnswer & { readonly objectHandle: number; readonly name: Uint8Array };

  beforeAll(async () => {
    swtpm = await PlainTpm.fresh();
    tpm = tpmOver(swtpm);
    const outsideInfo = utf8('outside');
    const creationPcrs = [{ hash: TPM_ALG.SHA256, pcrs: [0, 7] }];
    ak = await tpm.createPrimary(TPM_RH.ENDORSEMENT, akTemplate(), { outsideInfo, creationPcrs });
    const attributes = TPMA_NV.OWNERWRITE | TPMA_NV.AUTHREAD | TPMA_NV.OWNERREAD | TPMA_NV.NO_DA;
    const index = { nvIndex: NV_INDEX, authHandle: TPM_RH.OWNER };
    await tpm.nvDefineSpace({ ...index, attributes, dataSize: CONTENT.length });
    await tpm.nvWrite({ ...index, data: CONTENT, offset: 0 });
  });

  afterAll(async () => {
    await swtpm[Symbol.asyncDispose]();
    if (process.env['RINGWALL_WRITE_FIXTURES'] === '1') {
      const hex = (bytes: Uint8Array): string => toHex(bytes);
      const all = { akPublic: hex(ak.outPublic.bytes), creationData: hex(ak.creationData), ...kept };
      writeFixture('swtpm-attestations.json', `${JSON.stringify(all, undefined, 2)}\n`);
    }
  });

  /** The attestation, once its signature held, and held for no other byte. */
  async function verified({ attestation, signature }: SignedAttestation): Promise<TPMS_ATTEST> {
    expect(await verifySignature(ak.outPublic, signature, attestation)).toBe(true);
    const changed = attestation.map((byte, index) => (index === attestation.length - 1 ? byte ^ 1 : byte));
    expect(await verifySignature(ak.outPublic, signature, changed)).toBe(false);
    const attest = parseAttest(attestation);
    kept[attest.type] = { attestation: toHex(attestation), signature: toHex(encodeSignature(signature)) };
    expect(attest.extraData).toEqual(qualifyingData);
    expect(attest.qualifiedSigner).toEqual(await qualifiedNameOf(handleName(TPM_RH.ENDORSEMENT), ak.name));
    return attest;
  }

  test('TPM2_Quote of two banks', async () => {
    const pcrs = [
      { hash: TPM_ALG.SHA1, pcrs: [0] },
      { hash: TPM_ALG.SHA384, pcrs: [1, 23] },
    ];
    const attest = await verified(await tpm.quote({ signHandle: ak.objectHandle, qualifyingData, pcrs }));
    const pcrDigestOfZeros = await digest('sha256', new Uint8Array(20 + 48 + 48));
    expect(attest).toMatchObject({ type: 'quote', attested: { pcrSelect: pcrs, pcrDigest: pcrDigestOfZeros } });
  });

  test('TPM2_Certify', async () => {
    const { objectHandle } = ak;
    const attest = await verified(await tpm.certify({ signHandle: objectHandle, objectHandle, qualifyingData }));
    const { qualifiedName } = await tpm.readPublic(objectHandle);
    expect(attest).toMatchObject({ type: 'certify', attested: { name: ak.name, qualifiedName } });
  });

  test('TPM2_CertifyCreation, whose digest is that of the TPMS_CREATION_DATA', async () => {
    const { objectHandle, creationHash, creationTicket } = ak;
    const input = { signHandle: objectHandle, objectHandle, qualifyingData, creationHash, creationTicket };
    const attest = await verified(await tpm.certifyCreation(input));
    expect(attest).toMatchObject({
      type: 'creation',
      attested: { objectName: ak.name, creationHash: await digest('sha256', ak.creationData) },
    });
    const zeros = new Map([0, 7].map((pcr) => [pcr, new Uint8Array(32)]));
    expect(parseCreationData(ak.creationData)).toEqual({
      pcrSelect: [{ hash: TPM_ALG.SHA256, pcrs: [0, 7] }],
      pcrDigest: await pcrDigest(zeros, [0, 7]),
      locality: 1,
      parentNameAlg: TPM_ALG.NULL,
      parentName: handleName(TPM_RH.ENDORSEMENT),
      parentQualifiedName: handleName(TPM_RH.ENDORSEMENT),
      outsideInfo: utf8('outside'),
    });
  });

  test('TPM2_GetTime', async () => {
    const attest = await verified(await tpm.getTime({ signHandle: ak.objectHandle, qualifyingData }));
    const { currentTime } = await tpm.readClock();
    expect(attest).toMatchObject({
      type: 'time',
      attested: { time: { clockInfo: { resetCount: currentTime.clockInfo.resetCount } } },
    });
    expect(attest.type === 'time' && attest.attested.time.time <= currentTime.time).toBe(true);
  });

  test('TPM2_NV_Certify', async () => {
    const input = { signHandle: ak.objectHandle, qualifyingData, nvIndex: NV_INDEX, size: 4, offset: 5 };
    const attest = await verified(await tpm.nvCertify(input));
    const { nvName } = await tpm.nvReadPublic(NV_INDEX);
    expect(attest).toMatchObject({
      type: 'nv',
      attested: { indexName: nvName, offset: 5, nvContents: CONTENT.slice(5, 9) },
    });
  });

  test('TPM2_NV_Certify of the digest of an index', async () => {
    const input = { signHandle: ak.objectHandle, qualifyingData, nvIndex: NV_INDEX, size: 0, offset: 0 };
    const attest = await verified(await tpm.nvCertify(input));
    const { nvName } = await tpm.nvReadPublic(NV_INDEX);
    expect(attest).toMatchObject({
      type: 'nv-digest',
      attested: { indexName: nvName, nvDigest: await digest('sha256', CONTENT) },
    });
  });

  test('TPM2_GetSessionAuditDigest, whose digest is over command and answer', async () => {
    const { sessionHandle } = await tpm.startAuthSession('hmac');
    const audit = TPMA_SESSION.continueSession | TPMA_SESSION.audit;
    const read = commands.nvRead({
      nvIndex: NV_INDEX,
      size: 4,
      offset: 0,
      authorization: { session: sessionHandle, attributes: audit },
    });
    const { data } = readAnswer(answers.nvRead, await swtpm.send(fillTemplate(read)));
    const attest = await verified(
      await tpm.getSessionAuditDigest({ signHandle: ak.objectHandle, qualifyingData, sessionHandle }),
    );
    await tpm.flushContext(sessionHandle);
    // Part 1 section 18.7 and 31: cpHash over code, Names and parameters, rpHash over answer and code.
    const { nvName } = await tpm.nvReadPublic(NV_INDEX);
    const code = Uint8Array.of(0, 0, 1, 0x4e);
    const cpHash = await digest('sha256', Uint8Array.of(...code, ...nvName, ...nvName, 0, 4, 0, 0));
    const rpHash = await digest('sha256', Uint8Array.of(0, 0, 0, 0, ...code, 0, 4, ...data));
    const sessionDigest = await digest('sha256', Uint8Array.of(...new Uint8Array(32), ...cpHash, ...rpHash));
    expect(attest).toMatchObject({ type: 'session-audit', attested: { exclusiveSession: true, sessionDigest } });
  });

  test('TPM2_GetCommandAuditDigest', async () => {
    await tpm.setCommandCodeAuditStatus({ auditAlg: TPM_ALG.SHA256, setList: [], clearList: [] });
    await tpm.setCommandCodeAuditStatus({ auditAlg: TPM_ALG.NULL, setList: [TPM_CC.GetRandom], clearList: [] });
    await tpm.getRandom(4);
    const attest = await verified(await tpm.getCommandAuditDigest({ signHandle: ak.objectHandle, qualifyingData }));
    expect(attest).toMatchObject({ type: 'command-audit', attested: { digestAlg: TPM_ALG.SHA256 } });
    const audited = attest.type === 'command-audit' ? attest.attested : undefined;
    expect(audited?.auditDigest).toHaveLength(32);
    expect(audited?.commandDigest).toHaveLength(32);
  });

  test.each<[string, Uint8Array]>([
    ['ECDSA P-256 with SHA-256', eccAk(TPM_ECC.NIST_P256, TPM_ALG.SHA256)],
    ['ECDSA P-384 with SHA-384', eccAk(TPM_ECC.NIST_P384, TPM_ALG.SHA384)],
    ['ECDSA P-521 with SHA-512', eccAk(TPM_ECC.NIST_P521, TPM_ALG.SHA512)],
    ['RSASSA with SHA-256', rsaAk(TPM_ALG.RSASSA, TPM_ALG.SHA256)],
    ['RSASSA with SHA-384', rsaAk(TPM_ALG.RSASSA, TPM_ALG.SHA384)],
    ['RSAPSS with SHA-256', rsaAk(TPM_ALG.RSAPSS, TPM_ALG.SHA256)],
    ['RSAPSS with SHA-512', rsaAk(TPM_ALG.RSAPSS, TPM_ALG.SHA512)],
  ])('a key with %s: its Name is the TPM’s, and its quote verifies', async (_, template) => {
    const made = await tpm.createPrimary(TPM_RH.OWNER, template);
    expect(await nameOf(made.outPublic.bytes)).toEqual(made.name);
    const { qualifiedName } = await tpm.readPublic(made.objectHandle);
    expect(await qualifiedNameOf(handleName(TPM_RH.OWNER), made.name)).toEqual(qualifiedName);
    const { attestation, signature } = await tpm.quote({ signHandle: made.objectHandle, qualifyingData, pcrs: [0] });
    expect(await verifySignature(made.outPublic, signature, attestation)).toBe(true);
    expect(await verifySignature(made.outPublic, signature, attestation.subarray(1))).toBe(false);
    expect(await verifySignature(ak.outPublic, signature, attestation)).toBe(false);
    await tpm.flushContext(made.objectHandle);
  });
});
