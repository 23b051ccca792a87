// The guest's TPM done by a real swtpm, with exactly the commands that the initrd's script sends.
import { createHash } from 'node:crypto';
import { Cursor } from '@ringwall/bytes';
import {
  bodyOf,
  commands,
  DEMANDED_PCRS,
  EK_HANDLE,
  ekTemplate,
  parseFields,
  pcrDigest,
  policyPcrDigest,
  readSignature,
  TPM_RH,
  TpmError,
} from '@ringwall/tpm';
import { PlainTpm } from '../../../testkit/plain-tpm.ts';
import { replay, sha256, type BootEvent } from './boot-log.ts';
import type { Attested, GuestTpm } from './guest-tpm.ts';

export class SwtpmGuest implements GuestTpm, AsyncDisposable {
  readonly ekPublic: Uint8Array;
  readonly #tpm: PlainTpm;
  #ak = new Uint8Array();
  #bootKey = new Uint8Array();

  private constructor(tpm: PlainTpm, ekPublic: Uint8Array) {
    this.#tpm = tpm;
    this.ekPublic = ekPublic;
  }

  static async start(): Promise<SwtpmGuest> {
    const tpm = await PlainTpm.fresh();
    const made = parseFields('createPrimary', await tpm.run(commands.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate())));
    const objectHandle = new Cursor(made.objectHandle).u32be('objectHandle');
    const persist = { authHandle: TPM_RH.OWNER, objectHandle, persistentHandle: EK_HANDLE };
    bodyOf(await tpm.run(commands.evictControl(persist)));
    bodyOf(await tpm.run(commands.flushContext(objectHandle)));
    return new SwtpmGuest(tpm, new Uint8Array(made.outPublic));
  }

  /** For attacks that the script would not try. */
  get raw(): PlainTpm {
    return this.#tpm;
  }

  async boot(events: readonly BootEvent[]): Promise<{ akPublic: Uint8Array; bootPublic: Uint8Array }> {
    for (const { pcr, measured } of events) bodyOf(await this.#tpm.run(commands.pcrExtend(pcr, sha256(measured))));
    const ak = parseFields('createPrimary', await this.#tpm.guest('createAk'));
    this.#ak = new Uint8Array(ak.objectHandle);
    const trial = parseFields('startAuthSession', await this.#tpm.guest('startTrial')).sessionHandle;
    bodyOf(await this.#tpm.guest('policyPcr', { session: trial }));
    const { policyDigest } = parseFields(
      'policyGetDigest',
      await this.#tpm.guest('policyGetDigest', { session: trial }),
    );
    bodyOf(await this.#tpm.guest('flushContext', { handle: trial }));
    const predicted = await policyPcrDigest(DEMANDED_PCRS, await pcrDigest(replay(events), DEMANDED_PCRS));
    if (Buffer.compare(policyDigest, predicted) !== 0) throw new Error('the TPM measured something else');
    const values = { auth_policy: policyDigest, unique_x: random(), unique_y: random() };
    const boot = parseFields('createPrimary', await this.#tpm.guest('createBootKey', values));
    this.#bootKey = new Uint8Array(boot.objectHandle);
    return { akPublic: new Uint8Array(ak.outPublic), bootPublic: new Uint8Array(boot.outPublic) };
  }

  async certify(qualifying: Uint8Array): Promise<Attested> {
    const values = { ak: this.#ak, boot_key: this.#bootKey, qualifying };
    const answer = parseFields('certify', await this.#tpm.guest('certify', values));
    return { attest: answer.certifyInfo, signature: signatureOf(answer.signatureAndAuthorization) };
  }

  async quote(qualifying: Uint8Array): Promise<Attested> {
    const answer = parseFields('quote', await this.#tpm.guest('quote', { ak: this.#ak, qualifying }));
    return { attest: answer.quoted, signature: signatureOf(answer.signatureAndAuthorization) };
  }

  async activate(idObject: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    const session = parseFields('startAuthSession', await this.#tpm.guest('startPolicy')).sessionHandle;
    bodyOf(await this.#tpm.guest('policySecret', { session }));
    const values = { ak: this.#ak, session, id_object: idObject, encrypted_secret: encryptedSecret };
    return parseFields('activateCredential', await this.#tpm.guest('activateCredential', values)).certInfo;
  }

  async zGen(point: Uint8Array): Promise<Uint8Array> {
    const session = parseFields('startAuthSession', await this.#tpm.guest('startPolicy')).sessionHandle;
    bodyOf(await this.#tpm.guest('policyPcr', { session }));
    const halves = { point_x: point.slice(0, 32), point_y: point.slice(32) };
    return parseFields('ecdhZGen', await this.#tpm.guest('ecdhZGen', { boot_key: this.#bootKey, session, ...halves }))
      .x;
  }

  async verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    const key = { broker_x: publicKey.slice(0, 32), broker_y: publicKey.slice(32) };
    const { objectHandle: handle } = parseFields('loadExternal', await this.#tpm.guest('loadBrokerKey', key));
    const digest = new Uint8Array(createHash('sha256').update(message).digest());
    const signed = { digest, sig_r: signature.slice(0, 32), sig_s: signature.slice(32) };
    try {
      parseFields('verifySignature', await this.#tpm.guest('verifyRelease', { broker_key: handle, ...signed }));
      return true;
    } catch (error) {
      if (error instanceof TpmError) return false;
      throw error;
    } finally {
      bodyOf(await this.#tpm.guest('flushContext', { handle }));
    }
  }

  async extendUnlocked(digest: Uint8Array): Promise<void> {
    bodyOf(await this.#tpm.guest('extendUnlocked', { digest }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#tpm[Symbol.asyncDispose]();
  }
}

/** The TPMT_SIGNATURE alone, without the authorizations behind it. */
function signatureOf(bytes: Uint8Array): Uint8Array {
  const { r, s } = asEcdsa(readSignature(new Cursor(bytes)));
  return bytes.slice(0, 2 + 2 + 2 + r + 2 + s);
}

function asEcdsa(signature: ReturnType<typeof readSignature>): { r: number; s: number } {
  if (!('signatureR' in signature)) throw new Error('the AK signs with something else than ECDSA');
  return { r: signature.signatureR.length, s: signature.signatureS.length };
}

function random(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}
