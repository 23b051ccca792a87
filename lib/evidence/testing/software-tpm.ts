// A TPM for tests, as far as attestation goes: it makes the structures and signs them, and does as it is told where a
// real one would refuse. So a test can sign what no TPM would, and see that it is the named check that refuses.
import { concatBytes, Writer } from '@ringwall/bytes';
import {
  AK_ATTRIBUTES,
  BOOT_KEY_ATTRIBUTES,
  encodePcrSelection,
  policyPcrDigest,
  TPM_ALG,
  TPM_ECC,
  TPM_GENERATED_VALUE,
  TPM_RH,
} from '@ringwall/tpm';
import { qualifyingData, type Challenge, type VtpmEvidence } from '../src/index.ts';
import { encodeLog, replay, sha256, type TestEvent } from './event-log.ts';
import { ecKeys } from './vtpm-ca.ts';

const DEMANDED: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
const ATTEST_CERTIFY = 0x8017;
const ATTEST_QUOTE = 0x8018;

export interface SoftwareTpm {
  readonly ek: CryptoKeyPair;
  readonly ak: CryptoKeyPair;
  readonly bootKey: CryptoKeyPair;
}

/** What a test may have otherwise than an honest TPM has it. */
export interface Lies {
  readonly events?: readonly TestEvent[];
  readonly eventLog?: Uint8Array;
  /** PCR values beside those that the events lead to. */
  readonly pcrValues?: ReadonlyMap<number, Uint8Array>;
  readonly pcrs?: readonly number[];
  /** The whole TPML_PCR_SELECTION of the quote. */
  readonly selection?: Uint8Array;
  readonly akAttributes?: number;
  readonly akScheme?: readonly [scheme: number, hash: number];
  readonly bootAttributes?: number;
  readonly bootPolicy?: Uint8Array;
  readonly bootScheme?: number;
  readonly bootHierarchy?: number;
  readonly akHierarchy?: number;
  readonly nameAlg?: number;
  readonly magic?: number;
  readonly quoteType?: number;
  readonly certifyType?: number;
  readonly quoteExtraData?: Uint8Array;
  readonly certifyExtraData?: Uint8Array;
  readonly certifiedName?: Uint8Array;
  readonly quoteSigner?: Uint8Array;
  readonly certifySigner?: Uint8Array;
  readonly certifyResetCount?: number;
  readonly certifyRestartCount?: number;
  readonly certifyFirmware?: bigint;
  readonly trailing?: Uint8Array;
  /** Signs in place of the AK. */
  readonly signer?: CryptoKey;
  readonly certifySignerKey?: CryptoKey;
}

export async function makeSoftwareTpm(): Promise<SoftwareTpm> {
  return { ek: await ecKeys(), ak: await ecKeys(), bootKey: await ecKeys() };
}

/** Evidence for `challenge`; without lies, such as a guest of ours would send. */
export async function attest(
  tpm: SoftwareTpm,
  ekCertificate: Uint8Array,
  challenge: Challenge,
  lies: Lies & { readonly events: readonly TestEvent[] },
): Promise<VtpmEvidence> {
  const pcrs = lies.pcrs ?? DEMANDED;
  const values = new Map([...replay(lies.events), ...(lies.pcrValues ?? [])]);
  const pcrDigest = sha256(...pcrs.map((pcr) => values.get(pcr) ?? new Uint8Array(32)));

  const akPublic = await publicArea(tpm.ak.publicKey, {
    attributes: lies.akAttributes ?? AK_ATTRIBUTES,
    policy: new Uint8Array(),
    scheme: lies.akScheme ?? [TPM_ALG.ECDSA, TPM_ALG.SHA256],
  });
  const bootPublic = await publicArea(tpm.bootKey.publicKey, {
    attributes: lies.bootAttributes ?? BOOT_KEY_ATTRIBUTES,
    policy: lies.bootPolicy ?? (await policyPcrDigest(pcrs, pcrDigest)),
    scheme: lies.bootScheme === undefined ? [TPM_ALG.NULL, 0] : [lies.bootScheme, TPM_ALG.SHA256],
    ...(lies.nameAlg === undefined ? {} : { nameAlg: lies.nameAlg }),
  });
  const akName = name(akPublic);
  const bootName = name(bootPublic);
  const signer = qualified(lies.akHierarchy ?? TPM_RH.ENDORSEMENT, akName);
  const extraData = await qualifyingData(challenge, bootName);

  const quote = concatBytes(
    attestHeader({
      magic: lies.magic ?? TPM_GENERATED_VALUE,
      type: lies.quoteType ?? ATTEST_QUOTE,
      signer: lies.quoteSigner ?? signer,
      extraData: lies.quoteExtraData ?? extraData,
    }),
    lies.selection ?? encodePcrSelection(TPM_ALG.SHA256, pcrs),
    new Writer().sized16be((inner) => inner.bytes(pcrDigest)).finish(),
    lies.trailing ?? new Uint8Array(),
  );
  const certify = concatBytes(
    attestHeader({
      magic: lies.magic ?? TPM_GENERATED_VALUE,
      type: lies.certifyType ?? ATTEST_CERTIFY,
      signer: lies.certifySigner ?? signer,
      extraData: lies.certifyExtraData ?? extraData,
      resetCount: lies.certifyResetCount ?? 3,
      restartCount: lies.certifyRestartCount ?? 1,
      firmware: lies.certifyFirmware ?? 0x2019_1023n,
    }),
    new Writer()
      .sized16be((inner) => inner.bytes(lies.certifiedName ?? bootName))
      .sized16be((inner) => inner.bytes(qualified(lies.bootHierarchy ?? TPM_RH.NULL, bootName)))
      .finish(),
    lies.trailing ?? new Uint8Array(),
  );
  const key = lies.signer ?? tpm.ak.privateKey;
  return {
    kind: 'vtpm',
    ekCertificate,
    akPublic,
    bootPublic,
    certify,
    certifySignature: await sign(lies.certifySignerKey ?? key, certify),
    quote,
    quoteSignature: await sign(key, quote),
    eventLog: lies.eventLog ?? encodeLog(lies.events),
  };
}

/** TPMT_SIGNATURE: ECDSA with SHA-256. */
export async function sign(key: CryptoKey, message: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const rs = new Uint8Array(await crypto.subtle.sign(algorithm, key, new Uint8Array(message)));
  return new Writer()
    .u16be(TPM_ALG.ECDSA)
    .u16be(TPM_ALG.SHA256)
    .sized16be((inner) => inner.bytes(rs.subarray(0, 32)))
    .sized16be((inner) => inner.bytes(rs.subarray(32)))
    .finish();
}

function attestHeader(fields: {
  readonly magic: number;
  readonly type: number;
  readonly signer: Uint8Array;
  readonly extraData: Uint8Array;
  readonly resetCount?: number;
  readonly restartCount?: number;
  readonly firmware?: bigint;
}): Uint8Array {
  return new Writer()
    .u32be(fields.magic)
    .u16be(fields.type)
    .sized16be((inner) => inner.bytes(fields.signer))
    .sized16be((inner) => inner.bytes(fields.extraData))
    .u64be(4242n)
    .u32be(fields.resetCount ?? 3)
    .u32be(fields.restartCount ?? 1)
    .u8(1)
    .u64be(fields.firmware ?? 0x2019_1023n)
    .finish();
}

async function publicArea(
  key: CryptoKey,
  fields: {
    readonly attributes: number;
    readonly policy: Uint8Array;
    readonly scheme: readonly [scheme: number, hash: number];
    readonly nameAlg?: number;
  },
): Promise<Uint8Array> {
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', key));
  const [scheme, hash] = fields.scheme;
  const writer = new Writer()
    .u16be(TPM_ALG.ECC)
    .u16be(fields.nameAlg ?? TPM_ALG.SHA256)
    .u32be(fields.attributes)
    .sized16be((inner) => inner.bytes(fields.policy))
    .u16be(TPM_ALG.NULL)
    .u16be(scheme);
  if (scheme !== TPM_ALG.NULL) writer.u16be(hash);
  return writer
    .u16be(TPM_ECC.NIST_P256)
    .u16be(TPM_ALG.NULL)
    .sized16be((inner) => inner.bytes(point.subarray(1, 33)))
    .sized16be((inner) => inner.bytes(point.subarray(33)))
    .finish();
}

function name(area: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(0, TPM_ALG.SHA256), sha256(area));
}

function qualified(hierarchy: number, objectName: Uint8Array): Uint8Array {
  const handle = new Writer().u32be(hierarchy).finish();
  return concatBytes(Uint8Array.of(0, TPM_ALG.SHA256), sha256(handle, objectName));
}
