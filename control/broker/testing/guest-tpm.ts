// What the guest's script asks of its TPM, so that a test can have it done by software in microseconds or by a real
// swtpm; and the software one, which can also lie in ways that a real one would not.
import { createDecipheriv } from 'node:crypto';
import { concatBytes, Cursor, equalBytes, Writer } from '@ringwall/bytes';
import {
  akTemplate,
  bootKeyTemplate,
  DEMANDED_PCRS,
  ekTemplate,
  encodePcrSelection,
  fillTemplate,
  hmac,
  kdfa,
  kdfe,
  nameOf,
  pcrDigest,
  policyPcrDigest,
  TPM_ALG,
  TPM_GENERATED_VALUE,
  TPM_RH,
  TPM_ST,
  WATCHED_PCRS,
  type TPMS_CLOCK_INFO,
} from '@ringwall/tpm';
import { replay, sha256, type BootEvent } from './boot-log.ts';

export interface Attested {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

/** The TPM of a guest, as its script sees it. Public areas are TPMT_PUBLIC. */
export interface GuestTpm {
  readonly ekPublic: Uint8Array;
  /** Called at each start of the machine: what was measured, with an AK and a new boot key. */
  boot(events: readonly BootEvent[]): Promise<{ akPublic: Uint8Array; bootPublic: Uint8Array }>;
  certify(qualifying: Uint8Array): Promise<Attested>;
  quote(qualifying: Uint8Array): Promise<Attested>;
  /** Throws where the credential is not for this EK and AK. */
  activate(idObject: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array>;
  /** The shared x of an ephemeral point (X and Y) and the boot key. */
  zGen(point: Uint8Array): Promise<Uint8Array>;
  /** ECDSA with SHA-256 over `message`, as the TPM checks it: `signature` is r and s. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  extendUnlocked(digest: Uint8Array): Promise<void>;
}

const ECDH = { name: 'ECDH', namedCurve: 'P-256' } as const;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;
const UNLOCKED_PCR = 15;
const IMA_PCR = 10;

export class SoftwareTpm implements GuestTpm {
  readonly ekPublic: Uint8Array;
  /** A test may turn it back, as a restored copy of the state would. */
  clockInfo: TPMS_CLOCK_INFO = { clock: 1000n, resetCount: 0, restartCount: 0, safe: true };
  readonly #ek: CryptoKeyPair;
  readonly #ak: CryptoKeyPair;
  readonly #akPublic: Uint8Array;
  #bootKey: { pair: CryptoKeyPair; public: Uint8Array } | undefined;
  #pcrs = new Map<number, Uint8Array>();

  private constructor(ek: CryptoKeyPair, ekPublic: Uint8Array, ak: CryptoKeyPair, akPublic: Uint8Array) {
    this.#ek = ek;
    this.ekPublic = ekPublic;
    this.#ak = ak;
    this.#akPublic = akPublic;
  }

  static async make(): Promise<SoftwareTpm> {
    const ek = await crypto.subtle.generateKey(ECDH, true, ['deriveBits']);
    const ekTail = 2 * (2 + 32);
    const ekPublic = concatBytes(ekTemplate().slice(0, -ekTail), await sizedPoint(ek.publicKey));
    const ak = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
    const akPublic = concatBytes(akTemplate().slice(0, -4), await sizedPoint(ak.publicKey));
    return new SoftwareTpm(ek, ekPublic, ak, akPublic);
  }

  async boot(events: readonly BootEvent[]): Promise<{ akPublic: Uint8Array; bootPublic: Uint8Array }> {
    this.#pcrs = replay(events);
    const { clock, resetCount } = this.clockInfo;
    this.clockInfo = { clock: clock + 5000n, resetCount: resetCount + 1, restartCount: 0, safe: true };
    const pair = await crypto.subtle.generateKey(ECDH, true, ['deriveBits']);
    const raw = await rawPoint(pair.publicKey);
    const policy = await policyPcrDigest(DEMANDED_PCRS, await pcrDigest(this.#pcrs, DEMANDED_PCRS));
    const area = bootKeyTemplate(policy, { x: raw.slice(0, 32), y: raw.slice(32) });
    const bootPublic = fillTemplate(area);
    this.#bootKey = { pair, public: bootPublic };
    return { akPublic: this.#akPublic, bootPublic };
  }

  async certify(qualifying: Uint8Array): Promise<Attested> {
    const { public: bootPublic } = this.#requireBootKey();
    const name = await nameOf(bootPublic);
    const attested = new Writer()
      .sized16be((part) => part.bytes(name))
      .sized16be((part) => part.bytes(qualifiedName(TPM_RH.NULL, name)))
      .finish();
    return this.#attest(TPM_ST.ATTEST_CERTIFY, qualifying, attested);
  }

  quote(qualifying: Uint8Array): Promise<Attested> {
    return this.#quote(qualifying, DEMANDED_PCRS);
  }

  /** As the watcher has it made: with the PCR that Linux's measurements have led to. */
  quoteWatched(qualifying: Uint8Array, imaPcr: Uint8Array): Promise<Attested> {
    this.#pcrs.set(IMA_PCR, imaPcr);
    return this.#quote(qualifying, WATCHED_PCRS);
  }

  pcr(index: number): Uint8Array {
    return this.#pcrs.get(index) ?? new Uint8Array(32);
  }

  async #quote(qualifying: Uint8Array, pcrs: readonly number[]): Promise<Attested> {
    const digest = await pcrDigest(this.#pcrs, pcrs);
    const attested = new Writer()
      .bytes(encodePcrSelection(TPM_ALG.SHA256, pcrs))
      .sized16be((part) => part.bytes(digest))
      .finish();
    return this.#attest(TPM_ST.ATTEST_QUOTE, qualifying, attested);
  }

  /** TPM 2.0 Part 1 section 24, undone. */
  async activate(idObject: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    const secret = new Cursor(encryptedSecret);
    const x = secret.take(secret.u16be('x.size'), 'x');
    const y = secret.take(secret.u16be('y.size'), 'y');
    const z = await derive(this.#ek.privateKey, concatBytes(x, y));
    const ekX = (await rawPoint(this.#ek.publicKey)).slice(0, 32);
    const seed = await kdfe('sha256', z, 'IDENTITY', x, ekX, 256);
    const akName = await nameOf(this.#akPublic);
    const none = new Uint8Array();
    const object = new Cursor(idObject);
    const integrity = object.take(object.u16be('integrity.size'), 'integrity');
    const encrypted = idObject.slice(2 + integrity.length);
    const macKey = await kdfa('sha256', seed, 'INTEGRITY', none, none, 256);
    if (!equalBytes(await hmac('sha256', macKey, concatBytes(encrypted, akName)), integrity)) {
      throw new Error('TPM_RC_INTEGRITY');
    }
    const key = await kdfa('sha256', seed, 'STORAGE', akName, none, 128);
    const decipher = createDecipheriv('aes-128-cfb', key, new Uint8Array(16));
    return new Uint8Array(decipher.update(encrypted).subarray(2));
  }

  async zGen(point: Uint8Array): Promise<Uint8Array> {
    if (!equalBytes(this.#pcrs.get(UNLOCKED_PCR) ?? new Uint8Array(), new Uint8Array(32))) {
      throw new Error('TPM_RC_POLICY_FAIL');
    }
    return derive(this.#requireBootKey().pair.privateKey, point);
  }

  async verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    const point = concatBytes(Uint8Array.of(4), publicKey);
    const key = await crypto.subtle.importKey('raw', point, ECDSA, false, ['verify']);
    return crypto.subtle.verify(ECDSA_SHA256, key, new Uint8Array(signature), new Uint8Array(message));
  }

  extendUnlocked(digest: Uint8Array): Promise<void> {
    this.#pcrs.set(UNLOCKED_PCR, sha256(concatBytes(this.#pcrs.get(UNLOCKED_PCR) ?? new Uint8Array(32), digest)));
    return Promise.resolve();
  }

  async #attest(type: number, qualifying: Uint8Array, attested: Uint8Array): Promise<Attested> {
    this.clockInfo = { ...this.clockInfo, clock: this.clockInfo.clock + 10n };
    const { clock, resetCount, restartCount, safe } = this.clockInfo;
    const signer = qualifiedName(TPM_RH.ENDORSEMENT, await nameOf(this.#akPublic));
    const attest = new Writer()
      .u32be(TPM_GENERATED_VALUE)
      .u16be(type)
      .sized16be((part) => part.bytes(signer))
      .sized16be((part) => part.bytes(qualifying))
      .u64be(clock)
      .u32be(resetCount)
      .u32be(restartCount)
      .u8(safe ? 1 : 0)
      .u64be(0x2019_1023_0016_3636n)
      .bytes(attested)
      .finish();
    const signed = new Uint8Array(await crypto.subtle.sign(ECDSA_SHA256, this.#ak.privateKey, attest));
    const signature = new Writer()
      .u16be(TPM_ALG.ECDSA)
      .u16be(TPM_ALG.SHA256)
      .sized16be((part) => part.bytes(signed.slice(0, 32)))
      .sized16be((part) => part.bytes(signed.slice(32)))
      .finish();
    return { attest, signature };
  }

  #requireBootKey(): { pair: CryptoKeyPair; public: Uint8Array } {
    if (this.#bootKey === undefined) throw new Error('the machine has not booted');
    return this.#bootKey;
  }
}

/** The Qualified Name of a primary object, Part 1 section 16. */
function qualifiedName(hierarchy: number, name: Uint8Array): Uint8Array {
  const parent = new Writer().u32be(hierarchy).finish();
  return concatBytes(new Writer().u16be(TPM_ALG.SHA256).finish(), sha256(concatBytes(parent, name)));
}

async function rawPoint(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('raw', key)).slice(1);
}

async function sizedPoint(key: CryptoKey): Promise<Uint8Array> {
  const raw = await rawPoint(key);
  return new Writer()
    .sized16be((x) => x.bytes(raw.slice(0, 32)))
    .sized16be((y) => y.bytes(raw.slice(32)))
    .finish();
}

async function derive(privateKey: CryptoKey, point: Uint8Array): Promise<Uint8Array> {
  const theirs = await crypto.subtle.importKey('raw', concatBytes(Uint8Array.of(4), point), ECDH, false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, privateKey, 256));
}
