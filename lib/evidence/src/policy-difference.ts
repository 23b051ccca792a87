// What another policy would change, as sentences.
import { canonicalJson, type JsonValue } from './canonical-json.ts';
import { policyJson, rulesOf, type Policy } from './policy.ts';
import type { EventRule } from './rules.ts';

/** A list of digests is for whoever reads the file. */
const MAX_VALUE_CHARACTERS = 160;

export function comparePolicies(before: Policy, after: Policy): readonly string[] {
  const [was, is] = [policyJson(before), policyJson(after)];
  const keys = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((key) => key !== 'rules');
  const sentences = keys.flatMap((key) => {
    const [old, fresh] = [show(was[key]), show(is[key])];
    return old === fresh ? [] : [`${key}: ${fresh}, before ${old}`];
  });
  const [oldRules, freshRules] = [rulesOf(before), rulesOf(after)];
  const isIn = (rules: readonly EventRule[], rule: EventRule): boolean =>
    rules.some((other) => canonicalJson({ ...other }) === canonicalJson({ ...rule }));
  for (const rule of freshRules) if (!isIn(oldRules, rule)) sentences.push(`a new rule: ${describe(rule)}`);
  for (const rule of oldRules) if (!isIn(freshRules, rule)) sentences.push(`no longer a rule: ${describe(rule)}`);
  return sentences.length === 0 ? ['nothing changes'] : sentences;
}

function describe(rule: EventRule): string {
  const what = rule.effect === 'allow' ? `allow ${rule.type}` : 'deny events';
  const which = rule.digests === 'any' ? 'with any digest' : `with ${rule.digests.length} digest(s)`;
  return `${what} in PCR ${rule.pcr} ${which}, because ${rule.reason}`;
}

function show(value: JsonValue | undefined): string {
  if (value === undefined) return 'not said';
  const text = canonicalJson(value);
  return text.length <= MAX_VALUE_CHARACTERS ? text : `${text.slice(0, MAX_VALUE_CHARACTERS - 1)}…`;
}
