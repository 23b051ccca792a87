// The Policy Indices of the TCG EK Credential Profile 2.5 section B.6: what PolicyC, and so PolicyB, is about.

import {
  encodeNvPublic,
  handleName,
  hashBytes,
  nvNameOf,
  policy,
  policyDigest,
  policySecret,
  TPM_ALG,
  TPM_RH,
  type ComputableHash,
} from '../src/index.ts';

/** POLICYWRITE, WRITEALL, PPREAD, OWNERREAD, AUTHREAD, POLICYREAD, NO_DA and WRITTEN. */
const POLICY_INDEX_ATTRIBUTES = 0x220f_1008;

const INDICES: Readonly<Record<ComputableHash, readonly [nvIndex: number, nameAlg: number]>> = {
  sha1: [0, 0],
  sha256: [0x01c0_7f01, TPM_ALG.SHA256],
  sha384: [0x01c0_7f02, TPM_ALG.SHA384],
  sha512: [0x01c0_7f03, TPM_ALG.SHA512],
};

/** The Name of the written Policy Index whose policy has this hash. */
export async function policyIndexName(hash: ComputableHash): Promise<Uint8Array<ArrayBuffer>> {
  const [nvIndex, nameAlg] = INDICES[hash];
  const authPolicy = await policyDigest(policy(policySecret(handleName(TPM_RH.ENDORSEMENT))), hash);
  const dataSize = 2 + hashBytes(hash);
  return nvNameOf(encodeNvPublic({ nvIndex, nameAlg, attributes: POLICY_INDEX_ATTRIBUTES, authPolicy, dataSize }));
}
