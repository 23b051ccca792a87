// The release of a disk key, in two halves that are both worthless alone: one goes through TPM2_MakeCredential and comes
// out only in the TPM that holds EK and AK, one is masked for the boot key and comes out only in this boot and in this
// PCR state. Signed, so that nobody on the way can put another key in its place.
import { concatBytes, equalBytes, toHex, utf8 } from '@ringwall/bytes';
import {
  activationDigest,
  nextKeyHalf,
  qualifyingData,
  releaseTargets,
  releaseText,
  type Challenge,
  type Release,
  type Verified,
  type VtpmEvidence,
} from '@ringwall/evidence';
import { CREDENTIAL_BYTES, makeCredential, wrapToEccKey } from '@ringwall/tpm';
import { Secret, type SigningKey } from '../keys/index.ts';
import type { OpenedKeys } from './disk-keys.ts';
import type { SentRelease } from './machine-records.ts';

/** What the guest says that it did with its disk. */
export type UnlockedHow = 'opened' | 'formatted' | 'rotated';

export interface KeyRelease {
  /** The `release` line, with its line feed. */
  readonly line: string;
  /** What the guest must answer to show that its TPM opened the credential. */
  readonly activation: Uint8Array;
}

/**
 * Takes only evidence that judgeVtpm has accepted: there is no other way to make a Verified, and `releaseTargets` asks
 * again at run time.
 */
export async function releaseKey(
  evidence: Verified<VtpmEvidence>,
  input: {
    readonly challenge: Challenge;
    readonly keys: OpenedKeys;
    readonly signer: SigningKey;
  },
): Promise<KeyRelease> {
  const { ekPublic, akName, bootPublic, bootKeyName } = await releaseTargets(evidence);
  using first = Secret.random(CREDENTIAL_BYTES.secret);
  using second = await secondHalves(input.keys, first);
  const { idObject, encryptedSecret } = await makeCredential({
    ekPublic,
    akName,
    secret: first.expose(),
  });
  const { ephemeral, masked } = await wrapToEccKey({
    public: bootPublic,
    secret: second.expose(),
  });
  const qualifying = await qualifyingData(input.challenge, bootKeyName);
  const release: Release = {
    qualifyingData: qualifying,
    mode: input.keys.mode,
    idObject,
    encryptedSecret,
    ephemeral,
    masked,
  };
  const signature = await input.signer.sign(utf8(releaseText(release)));
  const values = [idObject, encryptedSecret, ephemeral, masked, signature.subarray(0, 32), signature.subarray(32)];
  return {
    line: `release ${release.mode} ${values.map((value) => toHex(value)).join(' ')}\n`,
    activation: await activationDigest(qualifying, first.expose()),
  };
}

/** Of the key; and of the next one, whose first half is made of the same secret. */
async function secondHalves({ current, next }: OpenedKeys, first: Secret): Promise<Secret> {
  using second = current.xor(first);
  if (next === undefined) return Secret.take(concatBytes(second.expose()));
  using firstOfNext = Secret.take(await nextKeyHalf(first.expose()));
  using secondOfNext = next.xor(firstOfNext);
  return Secret.take(concatBytes(second.expose(), secondOfNext.expose()));
}

/** What the guest's report cannot be, if it is true. */
export function unlockedLie(how: UnlockedHow, activation: Uint8Array, release: SentRelease): string | undefined {
  if (!equalBytes(activation, release.activation)) {
    return 'the guest could not show that its TPM opened the credential: its attestation key is not in the TPM of the EK';
  }
  if (how === 'formatted' && !release.mode.startsWith('format')) {
    return 'the guest says that it formatted a disk that it was told to open';
  }
  if ((how === 'rotated') !== release.mode.startsWith('rotate')) {
    return how === 'rotated'
      ? 'the guest says that it gave its disk a key that it was not sent'
      : 'the guest was to give its disk another key, and does not say that it did';
  }
  return undefined;
}
