// Enhanced authorization policies as a small readonly tree (TPM 2.0 Part 1 section 19.7, Part 3 section 23). A tree says
// nothing about one hash or one TPM: `policyDigest` computes the authPolicy that it leads to.

import type { TPMS_PCR_SELECTION } from '../structures/pcr-selection.ts';
import { TpmError } from '../tpm-error.ts';

/** Steps in the order in which a TPM is to be sent them. No step at all is the empty policy, which nothing satisfies. */
export interface Policy {
  readonly steps: readonly PolicyStep[];
}

/** One command on a policy session. Names are those of `nameOf`, `nvNameOf` and `handleName`. */
export type PolicyStep =
  | { readonly step: 'pcr'; readonly pcrs: readonly TPMS_PCR_SELECTION[]; readonly pcrDigest: Uint8Array }
  | { readonly step: 'signed'; readonly keyName: Uint8Array; readonly policyRef: Uint8Array }
  | { readonly step: 'secret'; readonly entityName: Uint8Array; readonly policyRef: Uint8Array }
  | { readonly step: 'authorize'; readonly keyName: Uint8Array; readonly policyRef: Uint8Array }
  | { readonly step: 'authorizeNv'; readonly nvName: Uint8Array }
  | { readonly step: 'nv'; readonly nvName: Uint8Array; readonly comparison: Comparison }
  | { readonly step: 'counterTimer'; readonly comparison: Comparison }
  | { readonly step: 'commandCode'; readonly commandCode: number }
  | { readonly step: 'locality'; readonly locality: number }
  | { readonly step: 'authValue' }
  | { readonly step: 'physicalPresence' }
  | { readonly step: 'nvWritten'; readonly written: boolean }
  | { readonly step: 'cpHash'; readonly cpHash: Uint8Array }
  | { readonly step: 'nameHash'; readonly nameHash: Uint8Array }
  | { readonly step: 'template'; readonly templateHash: Uint8Array }
  | {
      readonly step: 'duplicationSelect';
      readonly newParentName: Uint8Array;
      readonly objectName: Uint8Array | undefined;
    }
  | { readonly step: 'or'; readonly branches: readonly (Policy | Uint8Array)[] };

/** What PolicyNV and PolicyCounterTimer compare with: `operation` is a TPM_EO, `offset` counts bytes. */
export interface Comparison {
  readonly operandB: Uint8Array;
  readonly offset: number;
  readonly operation: number;
}

const EMPTY = new Uint8Array(0);
/** TPML_DIGEST of TPM2_PolicyOR, Part 3 section 23.6: 2 to 8 branches. */
const MIN_OR_BRANCHES = 2;
const MAX_OR_BRANCHES = 8;

/** `policy(policyPcr(…), policyOr(policy(…), policy(…)))` */
export function policy(...steps: readonly PolicyStep[]): Policy {
  return { steps };
}

/** TPM2_PolicyPCR, Part 3 section 23.7. `pcrDigest` is over the values in the policy's own hash: see `pcrDigest()`. */
export function policyPcr(pcrs: readonly TPMS_PCR_SELECTION[], pcrDigest: Uint8Array): PolicyStep {
  return { step: 'pcr', pcrs, pcrDigest };
}

/** TPM2_PolicySigned, Part 3 section 23.3: the holder of this key signs each use. */
export function policySigned(keyName: Uint8Array, policyRef: Uint8Array = EMPTY): PolicyStep {
  return { step: 'signed', keyName, policyRef };
}

/** TPM2_PolicySecret, Part 3 section 23.4: whoever knows the authorization value of this entity. */
export function policySecret(entityName: Uint8Array, policyRef: Uint8Array = EMPTY): PolicyStep {
  return { step: 'secret', entityName, policyRef };
}

/** TPM2_PolicyAuthorize, Part 3 section 23.16: any policy that the holder of this key has signed. Steps before it vanish. */
export function policyAuthorize(keyName: Uint8Array, policyRef: Uint8Array = EMPTY): PolicyStep {
  return { step: 'authorize', keyName, policyRef };
}

/** TPM2_PolicyAuthorizeNV, Part 3 section 23.22: the policy that this NV index holds. Steps before it vanish. */
export function policyAuthorizeNv(nvName: Uint8Array): PolicyStep {
  return { step: 'authorizeNv', nvName };
}

/** TPM2_PolicyNV, Part 3 section 23.9: the content of an NV index compares so. The Name is that of a written index. */
export function policyNv(nvName: Uint8Array, comparison: Comparison): PolicyStep {
  return { step: 'nv', nvName, comparison };
}

/** TPM2_PolicyCounterTimer, Part 3 section 23.10: the TPMS_TIME_INFO compares so. */
export function policyCounterTimer(comparison: Comparison): PolicyStep {
  return { step: 'counterTimer', comparison };
}

/** TPM2_PolicyCommandCode, Part 3 section 23.11. `commandCode` is a TPM_CC. */
export function policyCommandCode(commandCode: number): PolicyStep {
  return { step: 'commandCode', commandCode };
}

/** TPM2_PolicyLocality, Part 3 section 23.8. `locality` is a TPMA_LOCALITY: bit n for locality n below 5. */
export function policyLocality(locality: number): PolicyStep {
  if (!Number.isInteger(locality) || locality < 1 || locality > 0xff) {
    throw new TpmError('parameter', `locality ${locality}, expected a TPMA_LOCALITY of 1 to 255`);
  }
  return { step: 'locality', locality };
}

/** TPM2_PolicyAuthValue and TPM2_PolicyPassword, Part 3 sections 23.17 and 23.18: one digest for both. */
export function policyAuthValue(): PolicyStep {
  return { step: 'authValue' };
}

/** TPM2_PolicyPhysicalPresence, Part 3 section 23.12. */
export function policyPhysicalPresence(): PolicyStep {
  return { step: 'physicalPresence' };
}

/** TPM2_PolicyNvWritten, Part 3 section 23.20: the index of the command was written, or was not. */
export function policyNvWritten(written: boolean): PolicyStep {
  return { step: 'nvWritten', written };
}

/** TPM2_PolicyCpHash, Part 3 section 23.13: one command with its parameters alone. */
export function policyCpHash(cpHash: Uint8Array): PolicyStep {
  return { step: 'cpHash', cpHash };
}

/** TPM2_PolicyNameHash, Part 3 section 23.14: these entities alone. */
export function policyNameHash(nameHash: Uint8Array): PolicyStep {
  return { step: 'nameHash', nameHash };
}

/** TPM2_PolicyTemplate, Part 3 section 23.21: objects of one template alone. */
export function policyTemplate(templateHash: Uint8Array): PolicyStep {
  return { step: 'template', templateHash };
}

/** TPM2_PolicyDuplicationSelect, Part 3 section 23.15: duplication to this parent alone, of this object or of any. */
export function policyDuplicationSelect(input: {
  readonly newParentName: Uint8Array;
  readonly objectName?: Uint8Array;
}): PolicyStep {
  return { step: 'duplicationSelect', newParentName: input.newParentName, objectName: input.objectName };
}

/** TPM2_PolicyOR, Part 3 section 23.6: 2 to 8 branches, trees or digests. Steps before it vanish: put them into each. */
export function policyOr(...branches: readonly (Policy | Uint8Array)[]): PolicyStep {
  if (branches.length < MIN_OR_BRANCHES || branches.length > MAX_OR_BRANCHES) {
    throw new TpmError('parameter', `policy or of ${branches.length} branches, expected 2 to 8`);
  }
  return { step: 'or', branches };
}
