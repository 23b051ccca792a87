// What evidence must show at least: a small declarative object. Empty, partial or unreadable, it refuses everything.
import { ClosedObject, checkInteger } from './json.ts';
import { EvidenceError } from './errors.ts';

/** PCRs that a PC Client platform has (PC Client Platform TPM Profile, 4.6): 0 to 23. */
export const PCR_COUNT = 24;

export interface Policy {
  readonly version: 1;
  /** What kind of root the evidence must have. */
  readonly kind: 'vtpm';
  /** The one bank that may be quoted; SHA-1 cannot be asked for. */
  readonly bank: 'sha256';
  /** Exactly the PCRs that must be quoted, ascending. */
  readonly pcrs: readonly number[];
  /** Those of them that nothing may have extended. */
  readonly untouchedPcrs: readonly number[];
}

/** PCRs of the firmware (0–7), of boot loader and kernel (8, 9), and those that must still be zero when a key is asked for. */
export const defaultPolicy: Policy = {
  version: 1,
  kind: 'vtpm',
  bank: 'sha256',
  pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15],
  // 11 to 15 are the guest's own (UAPI Group, Linux TPM PCR Registry); unlocking extends 15, so a second asking is refused.
  untouchedPcrs: [11, 12, 13, 14, 15],
};

/** A policy from JSON or from a caller that might be wrong. Throws EvidenceError `policy-invalid`. */
export function parsePolicy(value: unknown): Policy {
  const refuse = (message: string): never => {
    throw new EvidenceError('policy-invalid', message);
  };
  const object = new ClosedObject(value, 'policy', refuse);
  const pcr = (item: unknown, path: string): number => checkInteger(item, path, 0, PCR_COUNT - 1, refuse);
  const policy: Policy = {
    version: object.oneOf('version', [1]),
    kind: object.oneOf('kind', ['vtpm']),
    bank: object.oneOf('bank', ['sha256']),
    pcrs: object.array('pcrs', PCR_COUNT, pcr),
    untouchedPcrs: object.array('untouchedPcrs', PCR_COUNT, pcr),
  };
  object.end();
  if (policy.pcrs.length === 0) refuse('policy.pcrs demands no PCR');
  if (!isAscending(policy.pcrs)) refuse('policy.pcrs is not ascending');
  if (!isAscending(policy.untouchedPcrs)) refuse('policy.untouchedPcrs is not ascending');
  const stray = policy.untouchedPcrs.find((index) => !policy.pcrs.includes(index));
  if (stray !== undefined) refuse(`policy.untouchedPcrs has PCR ${stray}, which is not quoted`);
  return policy;
}

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? number));
}
