// What TDX evidence must show at least: a small declarative object. Empty, partial or unreadable, it refuses everything.
import { ClosedObject } from '../json.ts';
import {
  readAllowed,
  readExceptions,
  readReason,
  readValues,
  refusePolicy,
  type Allowed,
  type AllowedValue,
  type PolicyException,
} from '../hardware/policy-parts.ts';
import type { TdAttribute } from './td-report.ts';
import type { EvaluatedStatus } from './tcb-evaluation.ts';

/** `unsigned-tail`: bytes that are not zero follow the quote in its buffer; they are never looked at. */
const EXCEPTIONS = ['debug', 'migratable', 'sept-ve', 'missing-crl', 'unsigned-tail'] as const;
export type TdxException = (typeof EXCEPTIONS)[number];

/** Attributes that a policy may leave to the guest. SEPT_VE_DISABLE is always demanded, unless there is an exception. */
export const ORDINARY_ATTRIBUTES = ['icssd', 'lass', 'pks', 'key-locker', 'tpa', 'perfmon'] as const;
export type OrdinaryAttribute = Extract<TdAttribute, (typeof ORDINARY_ATTRIBUTES)[number]>;

/** No reason makes revoked firmware good. */
const STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const;
export type AcceptableStatus = Exclude<EvaluatedStatus, 'Revoked'>;

const MAX_NUMBER = 0xffff_ffff;

export interface TdxPolicy {
  readonly version: 1;
  readonly kind: 'tdx';
  /** Which results of Intel’s evaluation are good enough. */
  readonly statuses: readonly { readonly status: AcceptableStatus; readonly reason: string }[];
  /** The lowest of each of the 16 parts of TEE_TCB_SVN, hexadecimal. */
  readonly minimumTeeTcbSvn: string;
  /** Which publication of Intel’s collateral is new enough: an older one can still be within its time. */
  readonly minimumEvaluationDataNumber: number;
  readonly fmspcs: Allowed;
  readonly attributes: {
    readonly required: readonly OrdinaryAttribute[];
    readonly allowed: readonly OrdinaryAttribute[];
  };
  /** Processor features, as masks of 64 bits, hexadecimal with the highest first. */
  readonly xfam: { readonly required: string; readonly allowed: string };
  readonly mrSeam: Allowed;
  /** What the guest began as. There is no `any`: a quote about anything is a quote about nothing. */
  readonly mrTd: readonly AllowedValue[];
  readonly rtmr0: Allowed;
  readonly rtmr1: Allowed;
  readonly rtmr2: Allowed;
  readonly rtmr3: Allowed;
  readonly mrConfigId: Allowed;
  readonly mrOwner: Allowed;
  readonly mrOwnerConfig: Allowed;
  /** TDs that may act for the guest, of TD report 1.5; 48 zero bytes are none, and always allowed. */
  readonly mrServiceTd: Allowed;
  readonly exceptions: readonly PolicyException<TdxException>[];
}

/** A policy from JSON or from a caller that might be wrong. Throws EvidenceError `policy-invalid`. */
export function parseTdxPolicy(value: unknown): TdxPolicy {
  const object = new ClosedObject(value, 'policy', refusePolicy);
  const digests = (key: string): Allowed => readAllowed(object, key, 48);
  const policy: TdxPolicy = {
    version: object.oneOf('version', [1]),
    kind: object.oneOf('kind', ['tdx']),
    statuses: object.array('statuses', STATUSES.length, readStatus),
    minimumTeeTcbSvn: object.matching('minimumTeeTcbSvn', /^[0-9a-f]{32}$/, '16 bytes in lower-case hexadecimal'),
    minimumEvaluationDataNumber: object.integer('minimumEvaluationDataNumber', 0, MAX_NUMBER),
    fmspcs: readAllowed(object, 'fmspcs', 6),
    attributes: readAttributes(object.object('attributes')),
    xfam: readXfam(object.object('xfam')),
    mrSeam: digests('mrSeam'),
    mrTd: readValues(object, 'mrTd', 48),
    rtmr0: digests('rtmr0'),
    rtmr1: digests('rtmr1'),
    rtmr2: digests('rtmr2'),
    rtmr3: digests('rtmr3'),
    mrConfigId: digests('mrConfigId'),
    mrOwner: digests('mrOwner'),
    mrOwnerConfig: digests('mrOwnerConfig'),
    mrServiceTd: digests('mrServiceTd'),
    exceptions: readExceptions(object, EXCEPTIONS),
  };
  object.end();
  if (policy.statuses.length === 0) refusePolicy('policy.statuses allows nothing');
  return policy;
}

function readStatus(item: unknown, path: string): { readonly status: AcceptableStatus; readonly reason: string } {
  const object = new ClosedObject(item, path, refusePolicy);
  const status = { status: object.oneOf('status', STATUSES), reason: readReason(object) };
  object.end();
  return status;
}

function readAttributes(object: ClosedObject): TdxPolicy['attributes'] {
  const names = (key: string): OrdinaryAttribute[] =>
    object.array(
      key,
      ORDINARY_ATTRIBUTES.length,
      (item, path) =>
        ORDINARY_ATTRIBUTES.find((name) => name === item) ??
        refusePolicy(`${path} is not one of ${ORDINARY_ATTRIBUTES.join(', ')}`),
    );
  const attributes = { required: names('required'), allowed: names('allowed') };
  object.end();
  return attributes;
}

function readXfam(object: ClosedObject): TdxPolicy['xfam'] {
  const mask = (key: string): string => object.matching(key, /^[0-9a-f]{16}$/, '64 bits in lower-case hexadecimal');
  const xfam = { required: mask('required'), allowed: mask('allowed') };
  object.end();
  return xfam;
}
