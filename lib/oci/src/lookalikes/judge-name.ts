// The judgement of a name before anything is pulled: is it known, does it imitate one that is, and which was meant. Each
// part is scored on its own; the strongest decides, and a second one makes it stronger.
import { canonicalName, familiarReference, parseReference, type Reference } from '../references/reference.ts';
import { describeStanding, type PartFinding } from './finding.ts';
import { judgeOwner } from './judge-owner.ts';
import { judgeRepository } from './judge-repository.ts';
import { judgeTag } from './judge-tag.ts';
import { compileKnownNames, isKnownOwner, partsOf, type KnownNames, type NameLists } from './known-names.ts';
import { asAscii } from './shapes.ts';

/** From here on a person is asked. */
export const ASK_FROM = 0.5;
/** From here on nothing is pulled. */
export const BLOCK_FROM = 0.8;
/** What a finding in a second part adds. */
const SECOND_PART_BONUS = 0.1;
/** On a private registry that has been used only its owner publishes: a slip there finds nothing, or a sibling. */
const OWN_REGISTRY_FACTOR = 0.65;

export interface NameVerdict {
  readonly verdict: 'allow' | 'ask' | 'block';
  /** The strongest, from 0 to 1. */
  readonly score: number;
  /** The name that was probably meant, as people write it; none where this one is as good as any. */
  readonly intended: string | undefined;
  /** A sentence, lower case, without full stop. */
  readonly reason: string;
  /** The strongest finding of each part, the strongest part first. */
  readonly parts: readonly PartFinding[];
}

/** Holds written names against the tenant's own. */
export interface Lookalikes {
  /** Throws OciError `reference` where the text is no reference and looks like none either. */
  readonly judge: (text: string) => NameVerdict;
}

/** Compile once, judge often. Throws OciError `reference` where an entry of a list is none. */
export function compileLookalikes(lists: NameLists): Lookalikes {
  const known = compileKnownNames(lists);
  return { judge: (text) => judgeText(known, text) };
}

function judgeText(known: KnownNames, text: string): NameVerdict {
  try {
    return judgeReference(known, parseReference(text));
  } catch (error) {
    // Letters of another alphabet are in no reference; where they draw one, somebody meant it to be taken for that.
    const ascii = asAscii(text);
    if (ascii === undefined || ascii === text) throw error;
    const meant = parseReference(ascii);
    const foreign = Array.from(text).find((letter) => /\P{ASCII}/u.test(letter)) ?? '';
    const codePoint = (foreign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    const intended = judgeReference(known, meant).intended ?? familiarReference(meant);
    const reason = `the name is written with the foreign letter U+${codePoint} and looks like “${familiarReference(meant)}”`;
    return {
      verdict: 'block',
      score: 1,
      intended,
      reason,
      parts: [{ part: 'repository', score: 1, intended, reason }],
    };
  }
}

function judgeReference(known: KnownNames, reference: Reference): NameVerdict {
  const name = canonicalName(reference);
  const exact = known.byCanonicalName.get(name);
  if (exact?.standing === 'allowed' || known.allowedPrefixes.some((prefix) => name.startsWith(prefix))) {
    return allowed('the name is on the allow-list');
  }
  const parts = strongestOfEach(findingsOf(known, reference, exact !== undefined));
  const [first, second] = parts;
  if (first === undefined) {
    return allowed(
      exact === undefined ? 'the name is like no other' : `the name is ${describeStanding(exact.standing)}`,
    );
  }
  const bonus = second !== undefined && second.score >= ASK_FROM ? SECOND_PART_BONUS : 0;
  const score = Math.min(1, first.score + bonus);
  if (score < ASK_FROM) return { ...allowed('the name is like no other'), score, parts };
  return {
    verdict: score >= BLOCK_FROM ? 'block' : 'ask',
    score,
    intended: first.intended,
    reason: first.reason,
    parts,
  };
}

function findingsOf(known: KnownNames, reference: Reference, exact: boolean): readonly PartFinding[] {
  const tag = judgeTag(reference, known.tags.get(canonicalName(reference)) ?? new Set());
  const tagFindings = tag === undefined ? [] : [tag];
  if (exact) return tagFindings;
  const parts = partsOf(reference);
  const host = known.hosts.judge(parts.domain);
  if (host !== undefined) {
    const intended = familiarReference({ ...reference, domain: host.intended });
    return [{ part: 'host', score: host.score, intended, reason: host.reason }, ...tagFindings];
  }
  const ownRegistry =
    known.hosts.has(parts.domain) && !known.hosts.isPublic(parts.domain) && !isKnownOwner(known, parts);
  return [...judgeOwner(known, parts), ...judgeRepository(known, parts)]
    .map((finding) => (ownRegistry ? { ...finding, score: finding.score * OWN_REGISTRY_FACTOR } : finding))
    .concat(tagFindings);
}

function strongestOfEach(findings: readonly PartFinding[]): readonly PartFinding[] {
  const sorted = findings.toSorted((one, other) => other.score - one.score);
  return [...new Map(sorted.toReversed().map((finding) => [finding.part, finding])).values()].toSorted(
    (one, other) => other.score - one.score,
  );
}

function allowed(reason: string): NameVerdict {
  return { verdict: 'allow', score: 0, intended: undefined, reason, parts: [] };
}
