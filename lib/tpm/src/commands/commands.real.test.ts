// The commands that make and mind a TPM, and an RSA endorsement key, against a real swtpm.

import { Cursor, equalBytes, Writer } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import {
  AK_ATTRIBUTES,
  akTemplate,
  bodyOf,
  commands,
  EK_ATTRIBUTES,
  ekTemplate,
  makeCredential,
  parseFields,
  parsePublic,
  parseResponse,
  pcrDigest,
  readSignature,
  TPM_ALG,
  TPM_RH,
  verifySignature,
} from '../index.ts';

describe.skipIf(!SWTPM_PRESENT)(`commands on swtpm${NEEDS_SWTPM}`, () => {
  let tpm: PlainTpm;

  beforeAll(async () => {
    tpm = await PlainTpm.fresh();
  });

  afterAll(async () => {
    await tpm[Symbol.asyncDispose]();
  });

  test('selfTest and getRandom answer', async () => {
    bodyOf(await tpm.run(commands.selfTest()));
    const { randomBytes } = parseFields('getRandom', await tpm.run(commands.getRandom(32)));
    expect(randomBytes).toHaveLength(32);
    expect(equalBytes(randomBytes, new Uint8Array(32))).toBe(false);
  });

  test('a second Startup is refused with the name of its code', async () => {
    expect(parseResponse(await tpm.run(commands.startup()))).toMatchObject({
      ok: false,
      error: { code: 'not-started', message: 'tpm answered TPM_RC_INITIALIZE (0x100)' },
    });
  });

  test('pcrRead gives what pcrExtend made', async () => {
    bodyOf(await tpm.run(commands.pcrExtend(9, new Uint8Array(32).fill(1))));
    const { selectionsAndDigests } = parseFields('pcrRead', await tpm.run(commands.pcrRead([9])));
    const cursor = new Cursor(selectionsAndDigests);
    cursor.skip(10, 'selections');
    expect(cursor.u32be('count')).toBe(1);
    const value = cursor.take(cursor.u16be('size'), 'digest');
    cursor.end('pcrRead');
    const chained = new Uint8Array(64);
    chained.fill(1, 32);
    expect(value).toEqual(new Uint8Array(await crypto.subtle.digest('SHA-256', chained)));
    expect(await pcrDigest(new Map([[9, value]]), [9])).toHaveLength(32);
  });

  test('pcrAllocate leaves only the SHA-256 bank', async () => {
    const all = Array.from({ length: 24 }, (_, pcr) => pcr);
    const banks = [
      { hash: TPM_ALG.SHA1, pcrs: [] },
      { hash: TPM_ALG.SHA256, pcrs: all },
      { hash: TPM_ALG.SHA384, pcrs: [] },
      { hash: TPM_ALG.SHA512, pcrs: [] },
    ];
    const cursor = new Cursor(bodyOf(await tpm.run(commands.pcrAllocate(banks))));
    expect([cursor.u32be('parameterSize'), cursor.u8('allocationSuccess')]).toEqual([13, 1]);
  });

  test('an RSA EK of template L-1 gives back what makeCredential hid', async () => {
    const made = parseFields('createPrimary', await tpm.run(commands.createPrimary(TPM_RH.ENDORSEMENT, rsaEk())));
    const ak = parseFields('createPrimary', await tpm.run(commands.createPrimary(TPM_RH.ENDORSEMENT, akTemplate())));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const ekPublic = parsePublic(made.outPublic);
    const credential = await makeCredential({ ekPublic, akName: ak.name, secret });
    expect(credential.encryptedSecret).toHaveLength(256);
    const { sessionHandle } = parseFields('startAuthSession', await tpm.run(commands.startAuthSession('policy')));
    const policySession = handle(sessionHandle);
    bodyOf(await tpm.run(commands.policySecret(TPM_RH.ENDORSEMENT, policySession)));
    const answer = await tpm.run(
      commands.activateCredential({
        activateHandle: handle(ak.objectHandle),
        keyHandle: handle(made.objectHandle),
        policySession,
        credentialBlob: credential.idObject,
        secret: credential.encryptedSecret,
      }),
    );
    expect(equalBytes(parseFields('activateCredential', answer).certInfo, secret)).toBe(true);
    bodyOf(await tpm.run(commands.flushContext(handle(made.objectHandle))));
    bodyOf(await tpm.run(commands.flushContext(handle(ak.objectHandle))));
  });

  test.each([
    ['RSASSA', TPM_ALG.RSASSA],
    ['RSAPSS', TPM_ALG.RSAPSS],
  ])('a quote by an RSA AK with %s verifies, and not over other bytes', async (_, scheme) => {
    const made = parseFields('createPrimary', await tpm.run(commands.createPrimary(TPM_RH.ENDORSEMENT, rsaAk(scheme))));
    const signHandle = handle(made.objectHandle);
    const quote = commands.quote({ signHandle, qualifyingData: new Uint8Array(32), pcrs: [0, 23] });
    const { quoted, signatureAndAuthorization } = parseFields('quote', await tpm.run(quote));
    const signature = readSignature(new Cursor(signatureAndAuthorization));
    expect(await verifySignature(parsePublic(made.outPublic), signature, quoted)).toBe(true);
    expect(await verifySignature(parsePublic(made.outPublic), signature, quoted.subarray(1))).toBe(false);
    bodyOf(await tpm.run(commands.flushContext(signHandle)));
  });

  test('hierarchyControl closes the endorsement hierarchy', async () => {
    const close = { authHandle: TPM_RH.ENDORSEMENT, enable: TPM_RH.ENDORSEMENT, state: false };
    bodyOf(await tpm.run(commands.hierarchyControl(close)));
    const made = await tpm.run(commands.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate()));
    expect(parseResponse(made)).toMatchObject({ ok: false, error: { code: 'parameter' } });
  });

  test('shutdown is accepted', async () => {
    expect(parseResponse(await tpm.run(commands.shutdown()))).toMatchObject({ ok: true, sessions: false });
  });
});

function handle(bytes: Uint8Array): number {
  return new Cursor(bytes).u32be('handle');
}

/** The RSA 2048 EK: TCG EK Credential Profile 2.5 section B.3.3, template L-1. */
function rsaEk(): Uint8Array {
  const policy = ekTemplate().subarray(10, 42);
  return new Writer()
    .u16be(TPM_ALG.RSA)
    .u16be(TPM_ALG.SHA256)
    .u32be(EK_ATTRIBUTES)
    .sized16be((part) => part.bytes(policy))
    .u16be(TPM_ALG.AES)
    .u16be(128)
    .u16be(TPM_ALG.CFB)
    .u16be(TPM_ALG.NULL)
    .u16be(2048)
    .u32be(0)
    .sized16be((part) => part.bytes(new Uint8Array(256)))
    .finish();
}

function rsaAk(scheme: number): Uint8Array {
  return new Writer()
    .u16be(TPM_ALG.RSA)
    .u16be(TPM_ALG.SHA256)
    .u32be(AK_ATTRIBUTES)
    .u16be(0)
    .u16be(TPM_ALG.NULL)
    .u16be(scheme)
    .u16be(TPM_ALG.SHA256)
    .u16be(2048)
    .u32be(0)
    .u16be(0)
    .finish();
}
