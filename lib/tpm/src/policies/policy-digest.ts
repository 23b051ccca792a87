// The authPolicy that a tree of steps leads to: the same extends that a TPM makes on a policy session (TPM 2.0 Part 1
// section 19.7.2, Part 3 section 23).

import { concatBytes, Writer } from '@ringwall/bytes';
import * as TPM_CC from '../commands/command-codes.ts';
import { digest, hashBytes, type ComputableHash } from '../hash.ts';
import { TpmError } from '../tpm-error.ts';
import type { Comparison, Policy, PolicyStep } from './policy.ts';
import { updatePolicy, updatePolicyPcr } from './policy-update.ts';

/** Branches within branches: more than any policy in use, and far below the stack. */
const MAX_POLICY_DEPTH = 16;

/** The authPolicy of `tree` for an object whose nameAlg is `hash`. */
export async function policyDigest(tree: Policy, hash: ComputableHash = 'sha256'): Promise<Uint8Array<ArrayBuffer>> {
  return digestOf(tree, hash, 0);
}

async function digestOf(tree: Policy, hash: ComputableHash, depth: number): Promise<Uint8Array<ArrayBuffer>> {
  if (depth > MAX_POLICY_DEPTH) {
    throw new TpmError('parameter', `policy is nested more than ${MAX_POLICY_DEPTH} deep`);
  }
  let value = new Uint8Array(hashBytes(hash));
  for (const step of tree.steps) value = await extend(value, step, hash, depth);
  return value;
}

async function extend(
  old: Uint8Array,
  step: PolicyStep,
  hash: ComputableHash,
  depth: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const zeros = new Uint8Array(hashBytes(hash));
  const update = async (from: Uint8Array, commandCode: number, ...parts: readonly Uint8Array[]) =>
    updatePolicy(hash, from, commandCode, ...parts);
  // PolicyUpdate() of Part 3 section 23.2.3: policyRef goes into a second digest, also where it is empty.
  const updateWithRef = async (from: Uint8Array, commandCode: number, name: Uint8Array, policyRef: Uint8Array) =>
    digest(hash, concatBytes(await update(from, commandCode, name), policyRef));

  switch (step.step) {
    case 'pcr':
      return updatePolicyPcr(hash, old, step.pcrs, step.pcrDigest);
    case 'signed':
      return updateWithRef(old, TPM_CC.PolicySigned, step.keyName, step.policyRef);
    case 'secret':
      return updateWithRef(old, TPM_CC.PolicySecret, step.entityName, step.policyRef);
    case 'authorize':
      return updateWithRef(zeros, TPM_CC.PolicyAuthorize, step.keyName, step.policyRef);
    case 'authorizeNv':
      return update(zeros, TPM_CC.PolicyAuthorizeNV, step.nvName);
    case 'nv':
      return update(old, TPM_CC.PolicyNV, await digest(hash, encodeComparison(step.comparison)), step.nvName);
    case 'counterTimer':
      return update(old, TPM_CC.PolicyCounterTimer, await digest(hash, encodeComparison(step.comparison)));
    case 'commandCode':
      return update(old, TPM_CC.PolicyCommandCode, u32(step.commandCode));
    case 'locality':
      return update(old, TPM_CC.PolicyLocality, Uint8Array.of(step.locality));
    case 'authValue':
      return update(old, TPM_CC.PolicyAuthValue);
    case 'physicalPresence':
      return update(old, TPM_CC.PolicyPhysicalPresence);
    case 'nvWritten':
      return update(old, TPM_CC.PolicyNvWritten, Uint8Array.of(step.written ? 1 : 0));
    case 'cpHash':
      return update(old, TPM_CC.PolicyCpHash, step.cpHash);
    case 'nameHash':
      return update(old, TPM_CC.PolicyNameHash, step.nameHash);
    case 'template':
      return update(old, TPM_CC.PolicyTemplate, step.templateHash);
    case 'duplicationSelect': {
      const names = [step.objectName ?? new Uint8Array(0), step.newParentName];
      return update(
        old,
        TPM_CC.PolicyDuplicationSelect,
        ...names,
        Uint8Array.of(step.objectName === undefined ? 0 : 1),
      );
    }
    case 'or': {
      const branches = await Promise.all(
        step.branches.map(async (branch) =>
          branch instanceof Uint8Array ? branch : digestOf(branch, hash, depth + 1),
        ),
      );
      return update(zeros, TPM_CC.PolicyOR, ...branches);
    }
    default:
      return step satisfies never;
  }
}

function encodeComparison({ operandB, offset, operation }: Comparison): Uint8Array {
  return new Writer().bytes(operandB).u16be(offset).u16be(operation).finish();
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
