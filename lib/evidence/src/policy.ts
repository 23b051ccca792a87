// What evidence must show at least: a small declarative object. Empty, partial or unreadable, it refuses everything.
// policy.schema.json beside this package's README is the same as JSON Schema; what only code can say is said here.
import type { JsonValue } from './canonical-json.ts';
import { fails, holds, type Answer } from './checks.ts';
import { ClosedObject, checkInteger, deepFreeze, type Refuse } from './json.ts';
import { EvidenceError } from './errors.ts';
import { parseHostPolicy, type HostPolicy } from './host/policy.ts';
import { parseRules, type EventRule } from './rules.ts';
import { parseSnpPolicy, type SnpPolicy } from './snp/policy.ts';
import { parseTdxPolicy, type TdxPolicy } from './tdx/policy.ts';

/** PCRs that a PC Client platform has (PC Client Platform TPM Profile, 4.6): 0 to 23. */
export const PCR_COUNT = 24;

/** Kinds of roots that evidence can have. */
export const EVIDENCE_KINDS = ['vtpm', 'host-tpm', 'sev-snp', 'tdx'] as const;
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];

/** More than a year is no freshness. */
const MAX_AGE_SECONDS = 366 * 24 * 3600;
/** Clocks of broker and verifier differ; what is from further ahead was not made by an honest clock. */
export const CLOCK_SKEW_SECONDS: number = 5 * 60;
/** A quote costs a TPM a fraction of a second, and the machine as much of its TPM. */
const MIN_WATCH_SECONDS = 5;
/** An organisation has a few; a policy that lists hundreds is not reviewed by anybody. */
const MAX_SIGNERS = 16;
const MAX_REFERENCES = 64;

/** As it was at first: which PCRs count, and nothing else. */
export interface PolicyV1 {
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

export interface PolicyV2 extends Pick<PolicyV1, 'bank' | 'pcrs' | 'untouchedPcrs'> {
  readonly version: 2;
  /** All of these must be there and hold. `vtpm` is always one of them: it is what the disk key is released to. */
  readonly evidence: readonly EvidenceKind[];
  /** Who may say what is expected: the signer of the reference values, or exactly these. */
  readonly references?: {
    /** P-256 keys, X and Y in hexadecimal. */
    readonly signers: readonly string[];
    readonly ids: readonly string[];
  };
  /** What may differ from the reference, and what must never be there; each says why. */
  readonly rules: readonly EventRule[];
  readonly freshness?: Freshness;
  /** TPMS_ATTEST.firmwareVersion that the TPM must have at least, 16 hexadecimal digits. */
  readonly minimumTpmFirmware?: string;
  /** Each is there exactly where `evidence` demands its kind. */
  readonly sevSnp?: SnpPolicy;
  readonly tdx?: TdxPolicy;
  readonly hostTpm?: HostPolicy;
}

export interface Freshness {
  /** A verdict that is older is none: `unknown`. */
  readonly maxAgeSeconds: number;
  /** How often a running machine is asked again. Less than the age, so that one answer may come late. */
  readonly watchSeconds: number;
}

export type Policy = PolicyV1 | PolicyV2;

/** PCRs of the firmware (0–7), of boot loader and kernel (8, 9), and those that must still be zero when a key is asked for. */
export const defaultPolicy: PolicyV1 = {
  version: 1,
  kind: 'vtpm',
  bank: 'sha256',
  pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15],
  // 11 to 15 are the guest's own (UAPI Group, Linux TPM PCR Registry); unlocking extends 15, so a second asking is refused.
  untouchedPcrs: [11, 12, 13, 14, 15],
};

/** A policy from JSON or from a caller that might be wrong. Throws EvidenceError `policy-invalid`. */
export function parsePolicy(value: unknown): Policy {
  const object = new ClosedObject(value, 'policy', refuse);
  const version = object.oneOf('version', [1, 2]);
  const policy = version === 1 ? readV1(object) : readV2(object);
  object.end();
  PARSED.add(deepFreeze(policy));
  return policy;
}

/** Policies that came out of the parser, frozen: they need not be read again. */
const PARSED = new WeakSet<Policy>();

/** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
export function parsedPolicy(given: Policy): Policy {
  return PARSED.has(given) ? given : parsePolicy(given);
}

/** With the keys that `parsePolicy` reads and no other. */
export function policyJson(policy: Policy): { readonly [key: string]: JsonValue } {
  const { bank, pcrs, untouchedPcrs } = policy;
  if (policy.version === 1) return { version: 1, kind: policy.kind, bank, pcrs, untouchedPcrs };
  const { evidence, references, rules, freshness, minimumTpmFirmware, sevSnp, tdx, hostTpm } = policy;
  return {
    version: 2,
    evidence,
    bank,
    pcrs,
    untouchedPcrs,
    ...(references === undefined ? {} : { references: { signers: references.signers, ids: references.ids } }),
    rules: rules.map((rule) => ({ ...rule })),
    ...(freshness === undefined ? {} : { freshness: { ...freshness } }),
    ...(minimumTpmFirmware === undefined ? {} : { minimumTpmFirmware }),
    // The parsers of all three return data of this very form.
    ...(sevSnp === undefined ? {} : { sevSnp: plain(sevSnp) }),
    ...(tdx === undefined ? {} : { tdx: plain(tdx) }),
    ...(hostTpm === undefined ? {} : { hostTpm: plain(hostTpm) }),
  };
}

export function rulesOf(policy: Policy): readonly EventRule[] {
  return policy.version === 1 ? [] : policy.rules;
}

/** The kinds of evidence that must be there beside the vTPM's. */
export function demandedBesides(policy: Policy): readonly EvidenceKind[] {
  return policy.version === 1 ? [] : policy.evidence.filter((kind) => kind !== 'vtpm');
}

/** Whether a verdict of `at` still counts at `now`. One from the future counts for nothing. */
export function checkAge(policy: Policy, at: Date, now: Date): Answer {
  const ageSeconds = Math.floor((now.getTime() - at.getTime()) / 1000);
  if (policy.version === 1 || policy.freshness === undefined) return holds('the policy sets no age');
  const { maxAgeSeconds } = policy.freshness;
  if (!Number.isFinite(ageSeconds)) return fails('the time of the verdict cannot be read');
  if (ageSeconds < -CLOCK_SKEW_SECONDS) return fails(`the verdict is from ${-ageSeconds} s in the future`);
  if (ageSeconds <= maxAgeSeconds) return holds(`${ageSeconds} s old, at most ${maxAgeSeconds} s are allowed`);
  return fails(`the verdict is ${ageSeconds} s old, the policy allows ${maxAgeSeconds} s`);
}

function readV1(object: ClosedObject): PolicyV1 {
  return { version: 1, kind: object.oneOf('kind', ['vtpm']), ...readPcrs(object) };
}

function readV2(object: ClosedObject): PolicyV2 {
  const evidence = object.array('evidence', EVIDENCE_KINDS.length, (item, path) => {
    const kind = EVIDENCE_KINDS.find((known) => known === item);
    return kind ?? refuse(`${path} is not ${EVIDENCE_KINDS.join(' or ')}`);
  });
  if (new Set(evidence).size !== evidence.length) refuse('policy.evidence names a kind twice');
  if (!evidence.includes('vtpm')) refuse('policy.evidence does not demand a vTPM');
  const pcrs = readPcrs(object);
  return {
    version: 2,
    evidence,
    ...pcrs,
    ...(object.has('references') ? { references: readReferences(object.object('references')) } : {}),
    rules: parseRules(object, pcrs, refuse),
    ...(object.has('freshness') ? { freshness: readFreshness(object.object('freshness')) } : {}),
    ...(object.has('minimumTpmFirmware')
      ? { minimumTpmFirmware: object.matching('minimumTpmFirmware', /^[0-9a-f]{16}$/, '16 hexadecimal digits') }
      : {}),
    ...readKinds(object, evidence),
  };
}

/** A kind that is demanded without rules for it could be anything, and rules for a kind that is not demanded are dead. */
function readKinds(
  object: ClosedObject,
  evidence: readonly EvidenceKind[],
): Pick<PolicyV2, 'sevSnp' | 'tdx' | 'hostTpm'> {
  for (const [key, kind] of [
    ['sevSnp', 'sev-snp'],
    ['tdx', 'tdx'],
    ['hostTpm', 'host-tpm'],
  ] as const) {
    if (object.has(key) === evidence.includes(kind)) continue;
    refuse(
      evidence.includes(kind)
        ? `policy.${key} is missing: ${kind} is demanded`
        : `policy.evidence does not demand ${kind}`,
    );
  }
  return {
    ...(object.has('sevSnp') ? { sevSnp: parseSnpPolicy(object.value('sevSnp')) } : {}),
    ...(object.has('tdx') ? { tdx: parseTdxPolicy(object.value('tdx')) } : {}),
    ...(object.has('hostTpm') ? { hostTpm: parseHostPolicy(object.value('hostTpm')) } : {}),
  };
}

function readPcrs(object: ClosedObject): Pick<PolicyV1, 'bank' | 'pcrs' | 'untouchedPcrs'> {
  const pcr = (item: unknown, path: string): number => checkInteger(item, path, 0, PCR_COUNT - 1, refuse);
  const bank = object.oneOf('bank', ['sha256']);
  const pcrs = object.array('pcrs', PCR_COUNT, pcr);
  const untouchedPcrs = object.array('untouchedPcrs', PCR_COUNT, pcr);
  if (pcrs.length === 0) refuse('policy.pcrs demands no PCR');
  if (!isAscending(pcrs)) refuse('policy.pcrs is not ascending');
  if (!isAscending(untouchedPcrs)) refuse('policy.untouchedPcrs is not ascending');
  const stray = untouchedPcrs.find((index) => !pcrs.includes(index));
  if (stray !== undefined) refuse(`policy.untouchedPcrs has PCR ${stray}, which is not quoted`);
  return { bank, pcrs, untouchedPcrs };
}

function readReferences(object: ClosedObject): {
  readonly signers: readonly string[];
  readonly ids: readonly string[];
} {
  const listed = (key: string, limit: number, pattern: RegExp, form: string): readonly string[] =>
    object.array(key, limit, (item, path) => object.textMatching(item, path, pattern, form));
  const references = {
    signers: listed('signers', MAX_SIGNERS, /^[0-9a-f]{128}$/, 'a P-256 key, X and Y in hexadecimal'),
    ids: listed('ids', MAX_REFERENCES, /^ref_[0-9a-f]{64}$/, 'the id of reference values'),
  };
  object.end();
  if (references.signers.length + references.ids.length === 0)
    refuse('policy.references lets nobody say what is expected');
  return references;
}

function readFreshness(object: ClosedObject): Freshness {
  const freshness = {
    maxAgeSeconds: object.integer('maxAgeSeconds', MIN_WATCH_SECONDS, MAX_AGE_SECONDS),
    watchSeconds: object.integer('watchSeconds', MIN_WATCH_SECONDS, MAX_AGE_SECONDS),
  };
  object.end();
  if (freshness.watchSeconds >= freshness.maxAgeSeconds) {
    refuse('policy.freshness.watchSeconds is not less than maxAgeSeconds: every verdict would be overdue');
  }
  return freshness;
}

function plain(policy: SnpPolicy | TdxPolicy | HostPolicy): JsonValue {
  const value: JsonValue = JSON.parse(JSON.stringify(policy));
  return value;
}

const refuse: Refuse = (message) => {
  throw new EvidenceError('policy-invalid', message);
};

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? number));
}
