// The whole command sequence of a guest against a real swtpm: the proof that the templates are right.

import { Cursor, equalBytes, toHex, utf8 } from '@ringwall/bytes';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import { writeFixture } from '../../testing/vectors.ts';
import {
  attributesOf,
  bodyOf,
  commands,
  DEMANDED_PCRS,
  WATCHED_PCRS,
  digest,
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  ekTemplate,
  fillTemplate,
  guestCommands,
  makeCredential,
  maskWithPoint,
  MAX_EK_CERTIFICATE_BYTES,
  nameOf,
  parseAttest,
  parseFields,
  parsePublic,
  pcrDigest,
  policyPcrDigest,
  publicKeyOf,
  readSignature,
  TPM_ALG,
  TPM_RH,
  TpmError,
  tpmOver,
  verifySignature,
  wrapToEccKey,
  type TPMT_PUBLIC_ECC,
} from '../index.ts';

/** Part 1 section 36.3: NV holds the clock in steps of 2^12 ms (NV_CLOCK_UPDATE_INTERVAL of libtpms). */
const CLOCK_STEP_MS = 4_096;

describe.skipIf(!SWTPM_PRESENT)(`a guest's commands on swtpm${NEEDS_SWTPM}`, () => {
  let tpm: PlainTpm;
  const certificate = crypto.getRandomValues(new Uint8Array(700));
  const ek = { public: new Uint8Array(0) };
  const ak = { handle: new Uint8Array(0), public: new Uint8Array(0), name: new Uint8Array(0) };
  const boot = { handle: new Uint8Array(0), public: new Uint8Array(0), name: new Uint8Array(0) };
  /** What the unit tests read as fixtures/swtpm-evidence.json; RINGWALL_WRITE_FIXTURES=1 makes that file anew. */
  const kept: Record<string, Uint8Array> = {};
  const qualifying = crypto.getRandomValues(new Uint8Array(32));

  beforeAll(async () => {
    tpm = await PlainTpm.fresh();
    const made = parseFields('createPrimary', await tpm.run(commands.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate())));
    ek.public = new Uint8Array(made.outPublic);
    const objectHandle = new Cursor(made.objectHandle).u32be('objectHandle');
    bodyOf(
      await tpm.run(commands.evictControl({ authHandle: TPM_RH.OWNER, objectHandle, persistentHandle: EK_HANDLE })),
    );
    bodyOf(await tpm.run(commands.flushContext(objectHandle)));
    const nvIndex = EK_CERTIFICATE_NV_INDEX;
    const dataSize = certificate.length;
    bodyOf(await tpm.run(commands.nvDefineSpace({ nvIndex, attributes: EK_CERTIFICATE_NV_ATTRIBUTES, dataSize })));
    bodyOf(await tpm.run(commands.nvWrite({ nvIndex, data: certificate, offset: 0 })));
    bodyOf(await tpm.run(commands.nvWriteLock(nvIndex)));
  });

  afterAll(async () => {
    await tpm[Symbol.asyncDispose]();
    if (process.env['RINGWALL_WRITE_FIXTURES'] === '1') {
      const bytes = { ...kept, ekPublic: ek.public, akPublic: ak.public, bootPublic: boot.public, qualifying };
      const hex = Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, toHex(value)]));
      writeFixture('swtpm-evidence.json', `${JSON.stringify(hex, undefined, 2)}\n`);
    }
  });

  test('the EK certificate is read back at the size that its index has', async () => {
    const { dataSize } = parseFields('nvReadPublic', await tpm.guest('nvReadPublic'));
    expect(dataSize).toEqual(Uint8Array.of(700 >> 8, 700 & 255));
    const { data } = parseFields('nvRead', await tpm.guest('nvRead', { size: dataSize }));
    expect(equalBytes(data, certificate)).toBe(true);
    expect(certificate.length).toBeLessThanOrEqual(MAX_EK_CERTIFICATE_BYTES);
  });

  test('the locked EK certificate cannot be written again', async () => {
    const again = commands.nvWrite({ nvIndex: EK_CERTIFICATE_NV_INDEX, data: certificate, offset: 0 });
    expect(refusal(await tpm.run(again))).toMatchObject({ code: 'refused', responseCode: 0x148 });
  });

  test('the EK, and so its key, is the same when it is made again', async () => {
    const made = parseFields('readPublic', await tpm.run(commands.readPublic(EK_HANDLE)));
    expect(equalBytes(made.outPublic, ek.public)).toBe(true);
    expect(equalBytes(made.name, await nameOf(ek.public))).toBe(true);
    expect(attributesOf(parsePublic(ek.public))).toMatchObject({ restricted: true, decrypt: true, sign: false });
  });

  test('the AK is restricted, bound to this TPM, and the same each time', async () => {
    const first = parseFields('createPrimary', await tpm.guest('createAk'));
    bodyOf(await tpm.guest('flushContext', { handle: first.objectHandle }));
    const second = parseFields('createPrimary', await tpm.guest('createAk'));
    expect(equalBytes(first.outPublic, second.outPublic)).toBe(true);
    expect(equalBytes(second.name, await nameOf(second.outPublic))).toBe(true);
    expect(attributesOf(parsePublic(second.outPublic))).toMatchObject({
      fixedTPM: true,
      fixedParent: true,
      sensitiveDataOrigin: true,
      restricted: true,
      sign: true,
      decrypt: false,
    });
    ak.handle = new Uint8Array(second.objectHandle);
    ak.public = new Uint8Array(second.outPublic);
    ak.name = new Uint8Array(second.name);
  });

  test('the boot key has the policy that policyPcrDigest predicts', async () => {
    const { sessionHandle } = parseFields('startAuthSession', await tpm.guest('startTrial'));
    bodyOf(await tpm.guest('policyPcr', { session: sessionHandle }));
    const { policyDigest } = parseFields(
      'policyGetDigest',
      await tpm.guest('policyGetDigest', { session: sessionHandle }),
    );
    bodyOf(await tpm.guest('flushContext', { handle: sessionHandle }));
    const zeros = new Map(DEMANDED_PCRS.map((pcr) => [pcr, new Uint8Array(32)]));
    const predicted = await policyPcrDigest(DEMANDED_PCRS, await pcrDigest(zeros, DEMANDED_PCRS));
    expect(equalBytes(policyDigest, predicted)).toBe(true);

    const unique = crypto.getRandomValues(new Uint8Array(64));
    const values = { auth_policy: policyDigest, unique_x: unique.slice(0, 32), unique_y: unique.slice(32) };
    const made = parseFields('createPrimary', await tpm.guest('createBootKey', values));
    const publicArea = parsePublic(made.outPublic);
    expect(equalBytes(publicArea.authPolicy, predicted)).toBe(true);
    expect(attributesOf(publicArea)).toMatchObject({ decrypt: true, userWithAuth: false, adminWithPolicy: false });
    boot.handle = new Uint8Array(made.objectHandle);
    boot.public = new Uint8Array(made.outPublic);
    boot.name = new Uint8Array(made.name);
  });

  test('a quote verifies with the AK and carries the demanded PCRs and the qualifying data', async () => {
    const answer = parseFields('quote', await tpm.guest('quote', { ak: ak.handle, qualifying }));
    const signature = readSignature(new Cursor(answer.signatureAndAuthorization));
    const attest = parseAttest(answer.quoted);
    expect(attest).toMatchObject({
      type: 'quote',
      extraData: qualifying,
      attested: { pcrSelect: [{ hash: TPM_ALG.SHA256, pcrs: DEMANDED_PCRS }] },
    });
    expect(await verifySignature(parsePublic(ak.public), signature, answer.quoted)).toBe(true);
    kept['quote'] = answer.quoted;
    kept['quoteSignature'] = signatureOf(answer.signatureAndAuthorization);
    const changed = new Uint8Array(answer.quoted);
    changed[20] = (changed[20] ?? 0) ^ 1;
    expect(await verifySignature(parsePublic(ak.public), signature, changed)).toBe(false);
  });

  test('a quote of the watch covers PCR 10 too', async () => {
    const answer = parseFields('quote', await tpm.guest('watchQuote', { ak: ak.handle, qualifying }));
    expect(parseAttest(answer.quoted)).toMatchObject({
      extraData: qualifying,
      attested: { pcrSelect: [{ hash: TPM_ALG.SHA256, pcrs: WATCHED_PCRS }] },
    });
    const signature = readSignature(new Cursor(answer.signatureAndAuthorization));
    expect(await verifySignature(parsePublic(ak.public), signature, answer.quoted)).toBe(true);
  });

  test('a certification names the boot key and verifies with the AK', async () => {
    const answer = parseFields(
      'certify',
      await tpm.guest('certify', { ak: ak.handle, boot_key: boot.handle, qualifying }),
    );
    const signature = readSignature(new Cursor(answer.signatureAndAuthorization));
    const attest = parseAttest(answer.certifyInfo);
    expect(attest).toMatchObject({ type: 'certify', extraData: qualifying, attested: { name: boot.name } });
    expect(equalBytes(await nameOf(boot.public), boot.name)).toBe(true);
    expect(await verifySignature(parsePublic(ak.public), signature, answer.certifyInfo)).toBe(true);
    kept['certify'] = answer.certifyInfo;
    kept['certifySignature'] = signatureOf(answer.signatureAndAuthorization);
  });

  test('ActivateCredential gives back what makeCredential hid', async () => {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const credential = await makeCredential({ ekPublic: parsePublic(ek.public), akName: ak.name, secret });
    const answer = await activate(tpm, ak.handle, credential.idObject, credential.encryptedSecret);
    expect(equalBytes(parseFields('activateCredential', answer).certInfo, secret)).toBe(true);
  });

  test('ActivateCredential refuses a credential for another key', async () => {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const credential = await makeCredential({ ekPublic: parsePublic(ek.public), akName: boot.name, secret });
    const answer = await activate(tpm, ak.handle, credential.idObject, credential.encryptedSecret);
    expect(refusal(answer)).toMatchObject({ code: 'signature' });
  });

  test('an ECDSA signature of WebCrypto verifies in the TPM, and a changed one does not', async () => {
    const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    const text = utf8('ringwall-release 1\n');
    const signed = new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, text));
    const loaded = parseFields(
      'loadExternal',
      await tpm.guest('loadBrokerKey', { broker_x: point.slice(1, 33), broker_y: point.slice(33) }),
    );
    const values = {
      broker_key: loaded.objectHandle,
      digest: await digest('sha256', text),
      sig_r: signed.slice(0, 32),
      sig_s: signed.slice(32),
    };
    parseFields('verifySignature', await tpm.guest('verifyRelease', values));
    const other = await digest('sha256', utf8('ringwall-release 2\n'));
    expect(refusal(await tpm.guest('verifyRelease', { ...values, digest: other }))).toMatchObject({
      code: 'signature',
    });
    bodyOf(await tpm.guest('flushContext', { handle: loaded.objectHandle }));
  });

  test('ECDH_ZGen opens what wrapToEccKey masked, until PCR 15 was extended', async () => {
    const secret32 = crypto.getRandomValues(new Uint8Array(32));
    const key = eccKey(boot.public);
    const wrapped = await wrapToEccKey({ public: key, secret: secret32 });
    const { x: z } = parseFields('ecdhZGen', await zGen(tpm, boot.handle, wrapped.ephemeral));
    const ephemeralX = wrapped.ephemeral.slice(0, 32);
    expect(equalBytes(await maskWithPoint({ masked: wrapped.masked, z, ephemeralX, key }), secret32)).toBe(true);

    const { sessionHandle } = parseFields('startAuthSession', await tpm.guest('startPolicy'));
    bodyOf(await tpm.guest('policyPcr', { session: sessionHandle }));
    bodyOf(await tpm.guest('extendUnlocked', { digest: await digest('sha256', utf8('ringwall unlocked 0\n')) }));
    // A session that satisfied the policy before the PCR changed is of no use either.
    const point = { point_x: wrapped.ephemeral.slice(0, 32), point_y: wrapped.ephemeral.slice(32) };
    const early = await tpm.guest('ecdhZGen', { boot_key: boot.handle, session: sessionHandle, ...point });
    expect(refusal(early)).toMatchObject({ code: 'policy' });
    bodyOf(await tpm.guest('flushContext', { handle: sessionHandle }));
    expect(refusal(await zGen(tpm, boot.handle, wrapped.ephemeral))).toMatchObject({ code: 'policy' });
  });

  test('the boot key does not decrypt by its empty password', async () => {
    const point = (await wrapToEccKey({ public: parsePublic(boot.public), secret: new Uint8Array(32) })).ephemeral;
    const filled = fillTemplate(guestCommands.ecdhZGen, {
      boot_key: boot.handle,
      session: Uint8Array.of(0x40, 0, 0, 9),
      point_x: point.slice(0, 32),
      point_y: point.slice(32),
    });
    expect(refusal(await tpm.send(filled))).toMatchObject({ code: 'authorization' });
  });

  test('a clock that was noted is not forgotten by a power cut', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ringwall-tpm-'));
    try {
      {
        // swtpm is ended without TPM2_Shutdown.
        await using cut = await PlainTpm.start(directory);
        expect(refusal(await cut.guest('noteState'))).toMatchObject({ code: 'not-found' });
        bodyOf(await cut.guest('defineNote'));
        await sleep(CLOCK_STEP_MS);
        bodyOf(await cut.guest('noteState'));
      }
      await using later = await PlainTpm.start(directory);
      const { resetCount, clock } = (await tpmOver(later).readClock()).currentTime.clockInfo;
      expect(resetCount).toBeGreaterThan(0);
      expect(clock).toBeGreaterThanOrEqual(BigInt(CLOCK_STEP_MS));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  test('the keys that this library imports are those that the TPM signs with', async () => {
    const key = await publicKeyOf(parsePublic(ak.public));
    expect((await crypto.subtle.exportKey('spki', key)).byteLength).toBe(91);
  });
});

async function activate(
  tpm: PlainTpm,
  ak: Uint8Array,
  idObject: Uint8Array,
  encryptedSecret: Uint8Array,
): Promise<Uint8Array> {
  const { sessionHandle: session } = parseFields('startAuthSession', await tpm.guest('startPolicy'));
  bodyOf(await tpm.guest('policySecret', { session }));
  const values = { ak, session, id_object: idObject, encrypted_secret: encryptedSecret };
  const answer = await tpm.guest('activateCredential', values);
  await flushFailed(tpm, session, answer);
  return answer;
}

async function zGen(tpm: PlainTpm, bootKey: Uint8Array, ephemeral: Uint8Array): Promise<Uint8Array> {
  const { sessionHandle: session } = parseFields('startAuthSession', await tpm.guest('startPolicy'));
  bodyOf(await tpm.guest('policyPcr', { session }));
  const values = { boot_key: bootKey, session, point_x: ephemeral.slice(0, 32), point_y: ephemeral.slice(32) };
  const answer = await tpm.guest('ecdhZGen', values);
  await flushFailed(tpm, session, answer);
  return answer;
}

/** A policy session goes away with the command that it authorized, unless that command failed. */
async function flushFailed(tpm: PlainTpm, session: Uint8Array, answer: Uint8Array): Promise<void> {
  const flushed = await tpm.guest('flushContext', { handle: session });
  const failed = new Cursor(answer.slice(6)).u32be('responseCode') !== 0;
  expect(new Cursor(flushed.slice(6)).u32be('responseCode') === 0).toBe(failed);
}

/** The TPMT_SIGNATURE before the session area. */
function signatureOf(signatureAndAuthorization: Uint8Array): Uint8Array {
  const cursor = new Cursor(signatureAndAuthorization);
  readSignature(cursor);
  return signatureAndAuthorization.subarray(0, cursor.offset);
}

function refusal(answer: Uint8Array): TpmError {
  try {
    bodyOf(answer);
  } catch (error) {
    if (error instanceof TpmError) return error;
    throw error;
  }
  throw new Error('the TPM accepted what it should refuse');
}

function eccKey(bytes: Uint8Array): TPMT_PUBLIC_ECC {
  const key = parsePublic(bytes);
  if (key.type !== TPM_ALG.ECC) throw new Error('expected an ECC key');
  return key;
}
