// Layers that were inspected each on its own, put upon each other and judged.
import { openLayerTree, type ImageFile, type LayerTree } from '../layers/layer-tree.ts';
import { OciError } from '../oci-error.ts';
import { FINDING_SEVERITIES, type Finding } from './finding.ts';
import type { LayerContents } from './inspect-layer.ts';
import { checkBudget } from './inspection-budget.ts';
import type { ImageConfig, ImageRule, InspectedImage, InspectedLayer, PlacedFact } from './inspected-image.ts';

/** OCI and Docker allow more; overlayfs does not, and no image is built with so many. */
export const MAX_LAYERS = 512;

/** `layers` and `contents` from the base on, one of each. Throws OciError. */
export function inspectImage(
  config: ImageConfig,
  layers: readonly InspectedLayer[],
  contents: readonly LayerContents[],
): InspectedImage {
  if (layers.length !== contents.length) {
    throw new OciError('malformed', `${contents.length} layers were read, and ${layers.length} are named`);
  }
  if (layers.length > MAX_LAYERS) throw new OciError('limit', `image has more than ${MAX_LAYERS} layers`);
  checkBudget(
    contents.reduce((files, { entries }) => files + entries.length, 0),
    0,
  );
  const tree = openLayerTree();
  for (const [layer, { entries }] of contents.entries()) for (const entry of entries) tree.add(layer, entry);
  const visible = tree.visible();
  const hidden = tree.hidden();
  const facts = placeFacts(contents, hidden);
  return { config, layers, visible, hidden, facts: (inspector) => facts.get(inspector) ?? [] };
}

/** The worst first; within a severity as the rules told them. */
export function judgeImage(image: InspectedImage, rules: readonly ImageRule[]): readonly Finding[] {
  return sortFindings(rules.flatMap((rule) => rule(image)));
}

/** The worst first; else as they come. */
export function sortFindings(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted(
    (one, other) => FINDING_SEVERITIES.indexOf(one.severity) - FINDING_SEVERITIES.indexOf(other.severity),
  );
}

function placeFacts(
  contents: readonly LayerContents[],
  hidden: ReturnType<LayerTree['hidden']>,
): ReadonlyMap<string, readonly PlacedFact[]> {
  const hiddenBy = hidersByPath(contents, hidden);
  const placed = new Map<string, PlacedFact[]>();
  for (const [layer, { facts }] of contents.entries()) {
    for (const fact of facts) {
      const list = placed.get(fact.inspector) ?? [];
      list.push({ ...fact, layer, hiddenBy: hiddenBy[layer]?.get(fact.path) });
      placed.set(fact.inspector, list);
    }
  }
  return placed;
}

/** Only of paths that facts are about: an image may hide hundreds of thousands of files. */
function hidersByPath(
  contents: readonly LayerContents[],
  hidden: readonly ImageFile[],
): readonly ReadonlyMap<string, number>[] {
  const wanted = contents.map(({ facts }) => new Set(facts.map(({ path }) => path)));
  const found = contents.map(() => new Map<string, number>());
  for (const { entry, layer, hiddenBy } of hidden) {
    // What its own layer says twice is the same file: the facts cannot be told apart.
    if (hiddenBy !== undefined && hiddenBy !== layer && wanted[layer]?.has(entry.path) === true)
      found[layer]?.set(entry.path, hiddenBy);
  }
  return found;
}
