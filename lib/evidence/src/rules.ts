// Rules of a policy for single events: what may be measured although no reference expects it, and what never may. A rule
// goes by PCR and digest, which a quote covers. The type in a log is nobody's word but the log's: in a rule that allows,
// it only narrows, and a rule that denies does not ask for it.
import type { ClosedObject, Refuse } from './json.ts';
import type { JudgedEvent } from './verdict.ts';

/** A policy is read by people: more rules than this are no longer a decision. */
const MAX_RULES = 64;
const MAX_DIGESTS = 256;
const MAX_REASON_CHARACTERS = 200;
const SHA256_HEX = /^[0-9a-f]{64}$/;
const EVENT_TYPE = /^EV_[A-Z0-9_]{1,60}$/;

/**
 * PCRs of code: firmware, option ROMs, what the firmware starts, and what the kernel's stub measures (PC Client Platform
 * Firmware Profile 3.3.4). "Anything" in one of them would let any program run before all that is judged.
 */
export const CODE_PCRS: readonly number[] = [0, 2, 4, 8, 9, 11];

export type EventRule = AllowRule | DenyRule;

/** Lets a difference from the reference pass. */
export interface AllowRule {
  readonly effect: 'allow';
  readonly pcr: number;
  readonly type: string;
  /** SHA-256, hexadecimal; `any` is refused for PCRs of code. */
  readonly digests: readonly string[] | 'any';
  /** It may also be missing where a reference expects it. */
  readonly mayBeMissing: boolean;
  readonly reason: string;
}

/** Refuses, even where a reference expects it: a boot loader that was revoked, say. */
export interface DenyRule {
  readonly effect: 'deny';
  readonly pcr: number;
  readonly digests: readonly string[];
  readonly reason: string;
}

/** Reads `rules` of a policy; `refuse` throws. */
export function parseRules(
  policy: ClosedObject,
  demanded: { readonly pcrs: readonly number[]; readonly untouchedPcrs: readonly number[] },
  refuse: Refuse,
): readonly EventRule[] {
  return policy.array('rules', MAX_RULES, (item, path) => {
    const object = policy.inner(item, path);
    const rule = object.oneOf('effect', ['allow', 'deny']) === 'allow' ? readAllow(object) : readDeny(object);
    object.end();
    if (rule.reason.trim() === '') refuse(`${path}.reason does not say why`);
    if (!demanded.pcrs.includes(rule.pcr)) refuse(`${path}.pcr is ${rule.pcr}, which is not quoted`);
    if (rule.effect === 'deny') return rule;
    if (demanded.untouchedPcrs.includes(rule.pcr)) {
      refuse(`${path} allows an event in PCR ${rule.pcr}, which must be untouched`);
    }
    if (rule.digests === 'any' && CODE_PCRS.includes(rule.pcr)) {
      refuse(`${path} allows anything in PCR ${rule.pcr}, which holds code: name the digests`);
    }
    return rule;
  });
}

/** The events as the rules leave them. Denials come last, so that no allowance undoes one. */
export function applyRules(events: readonly JudgedEvent[], rules: readonly EventRule[]): readonly JudgedEvent[] {
  if (rules.length === 0) return events;
  const allows = rules.filter((rule): rule is AllowRule => rule.effect === 'allow');
  const denies = rules.filter((rule): rule is DenyRule => rule.effect === 'deny');
  return events.map((event) => {
    if (event.status === 'not-measured') return event;
    const denied = denies.find((rule) => isDenied(event, rule));
    if (denied !== undefined) {
      const sentence = `${nameOf(event)}: the policy never allows it: ${denied.reason}`;
      return { ...event, status: 'denied', sentence };
    }
    if (event.status === 'expected') return event;
    const allowed = allows.find((rule) => isAllowed(event, rule));
    if (allowed === undefined) return event;
    return { ...event, status: 'allowed', sentence: `${event.sentence}; the policy allows it: ${allowed.reason}` };
  });
}

function readAllow(object: ClosedObject): AllowRule {
  const digests = object.isText('digests') ? object.oneOf('digests', ['any']) : readDigests(object);
  return {
    effect: 'allow',
    pcr: object.integer('pcr', 0, 23),
    type: object.matching('type', EVENT_TYPE, 'the name of an event type'),
    digests,
    mayBeMissing: object.has('mayBeMissing') ? object.boolean('mayBeMissing') : false,
    reason: object.string('reason', MAX_REASON_CHARACTERS),
  };
}

function readDeny(object: ClosedObject): DenyRule {
  return {
    effect: 'deny',
    pcr: object.integer('pcr', 0, 23),
    digests: readDigests(object),
    reason: object.string('reason', MAX_REASON_CHARACTERS),
  };
}

function readDigests(object: ClosedObject): readonly string[] {
  const digests = object.array('digests', MAX_DIGESTS, (item, path) =>
    object.textMatching(item, path, SHA256_HEX, 'a SHA-256 digest in lower-case hexadecimal'),
  );
  if (digests.length === 0) object.refuse('digests', 'names no digest');
  return digests;
}

function isDenied(event: JudgedEvent, rule: DenyRule): boolean {
  return event.pcr === rule.pcr && event.measured !== undefined && rule.digests.includes(event.measured);
}

function isAllowed(event: JudgedEvent, rule: AllowRule): boolean {
  if (event.pcr !== rule.pcr) return false;
  if (event.status === 'missing') {
    // What is missing was expected under this type by the reference, not by the log.
    return rule.mayBeMissing && event.type === rule.type && matches(rule, event.expected);
  }
  return event.type === rule.type && matches(rule, event.measured);
}

function matches(rule: AllowRule, digest: string | undefined): boolean {
  return digest !== undefined && (rule.digests === 'any' || rule.digests.includes(digest));
}

function nameOf(event: JudgedEvent): string {
  const what = event.what === '' ? 'an event' : event.what;
  return `${what} (PCR ${event.pcr}, ${event.type})`;
}
