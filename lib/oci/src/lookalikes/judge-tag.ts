// Tags that imitate a known one: `latets`, `1.2.O`. Whoever owns the repository owns its tags, so that a tag alone is
// never more than a question.
import { familiarName, type Reference } from '../references/reference.ts';
import { sentence, type PartFinding } from './finding.ts';
import { compileNames, type NameIndex } from './near-names.ts';
import { shapeOf } from './shapes.ts';

const TAG_FACTOR = 0.78;
/** Below it a tag is another one: `local` is not `focal`. */
const MIN_LIKENESS = 0.65;
const MIN_WORD_CHARACTERS = 5;
const USUAL_WORDS: NameIndex = compileNames(
  `latest stable alpine slim bookworm bullseye buster trixie jammy noble focal debian ubuntu nightly mainline develop
  release production staging master nonroot debug rootless unprivileged minimal`
    .trim()
    .split(/\s+/),
);

/** `used` are the tags of this repository that the tenant has run. */
export function judgeTag(reference: Reference, used: ReadonlySet<string>): PartFinding | undefined {
  const { tag } = reference;
  if (tag === undefined || used.has(tag)) return undefined;
  const asked = (intended: string, reason: string, score: number): PartFinding => ({
    part: 'tag',
    score: score * TAG_FACTOR,
    intended: `${familiarName(reference)}:${intended}`,
    reason,
  });
  const shape = shapeOf(tag.toLowerCase());
  const same = [...used].find((other) => shapeOf(other.toLowerCase()) === shape);
  if (same !== undefined) return asked(same, sentence(tag, 'same-shape', same, 'a tag that has been used here'), 1);
  // The likeness of tags with digits says nothing: 1.26 and 1.27 are both there.
  for (const word of tag.toLowerCase().split(/[-_.]/)) {
    const near = word.length < MIN_WORD_CHARACTERS ? undefined : USUAL_WORDS.nearest(word);
    if (near === undefined || near.score < MIN_LIKENESS) continue;
    const intended = tag.toLowerCase().replace(word, near.known);
    return asked(intended, sentence(word, near.likeness, near.known, 'a usual word in tags'), near.score);
  }
  return undefined;
}
