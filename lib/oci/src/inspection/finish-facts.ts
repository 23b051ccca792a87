// What programs of the host add to facts, and what must not be kept of them: the last step before facts are kept or judged.
import type { LayerContents } from './inspect-layer.ts';
import type { Fact, FactFinisher, Inspector } from './inspector.ts';

/** Under which ids facts are kept: with another of them, they would be others. */
export function idsOf(inspectors: readonly Inspector[], finishers: readonly FactFinisher[]): readonly string[] {
  return [...inspectors, ...finishers].map(({ id }) => id).toSorted();
}

/** Throws what a finisher throws. */
export async function finishFacts(
  { entries, facts }: LayerContents,
  inspectors: readonly Inspector[],
  finishers: readonly FactFinisher[],
): Promise<LayerContents> {
  const byInspector = Map.groupBy(facts, ({ inspector }) => inspector);
  for (const finisher of finishers) {
    const own = byInspector.get(finisher.inspector);
    // oxlint-disable-next-line no-await-in-loop -- programs that try passwords take all cores each
    if (own !== undefined) byInspector.set(finisher.inspector, [...(await finisher.finish(own))]);
  }
  const redactions = new Map(inspectors.map(({ id, redact }) => [id, redact]));
  const redacted = (fact: Fact): Fact => {
    const redact = redactions.get(fact.inspector);
    return redact === undefined ? fact : { ...fact, value: redact(fact.value) };
  };
  return { entries, facts: [...byInspector.values()].flat().map(redacted) };
}
