// From which images an image was built: those that are known, by the layers that both begin with; what its annotations claim
// (OCI Image Specification 1.1, "Pre-Defined Annotation Keys"); and what its history lets one guess.
import type { ImageConfig, InspectedLayer } from '../inspection/inspected-image.ts';

const BASE_NAME = 'org.opencontainers.image.base.name';
const BASE_DIGEST = 'org.opencontainers.image.base.digest';

/** An image of the local catalogue. */
export interface KnownImage {
  readonly name: string;
  /** Of its manifest, '' where it had none. */
  readonly digest: string;
  /** From the base on; these are what ties an image to its ancestors. */
  readonly diffIds: readonly string[];
  /** As its configuration says, ISO 8601. */
  readonly created: string;
  /** Ids of what was found in it. */
  readonly findings: readonly string[];
}

/** `layers`: a known image, layer by layer. `claim`: only its own word. `history`: a guess. */
export type AncestorBasis = 'layers' | 'claim' | 'history';

export interface Ancestor {
  readonly name: string;
  readonly basis: AncestorBasis;
  /** How many of the image's layers are it. */
  readonly layers: number;
}

export interface Ancestry {
  /** The oldest first; each has more layers than the one before. */
  readonly ancestors: readonly Ancestor[];
  /** A claim that its layers disprove, or that nothing is known about, in a sentence. */
  readonly doubts: readonly string[];
}

export interface Descendant {
  readonly layers: readonly Pick<InspectedLayer, 'diffId'>[];
  readonly config: Pick<ImageConfig, 'history' | 'labels'>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function findAncestors(image: Descendant, known: readonly KnownImage[]): Ancestry {
  const proven = knownAncestors(image, known);
  const doubts = doubtsOf(image, known);
  const guessed = guessFromHistory(image);
  const beyond = guessed.filter(({ layers }) => !proven.some((ancestor) => ancestor.layers >= layers));
  return { ancestors: [...proven, ...beyond].toSorted((one, other) => one.layers - other.layers), doubts };
}

/** The ancestor that brought a layer: the oldest that has it. */
export function originOf(layer: number, { ancestors }: Ancestry): Ancestor | undefined {
  return ancestors.find(({ layers }) => layer < layers);
}

export interface NewerImage {
  readonly name: string;
  /** Of the findings that are inherited, those that it has not. */
  readonly fixes: number;
}

/** Other images of one repository that came later, those that fix most first. */
export function newerOf(
  ancestor: string,
  inherited: readonly string[],
  known: readonly KnownImage[],
): readonly NewerImage[] {
  const now = known.find(({ name }) => name === ancestor);
  if (now === undefined) return [];
  return known
    .filter(({ name, created }) => repositoryOf(name) === repositoryOf(ancestor) && created > now.created)
    .map(({ name, findings }) => {
      const left = new Set(findings);
      return { name, fixes: inherited.filter((id) => !left.has(id)).length };
    })
    .filter(({ fixes }) => fixes > 0)
    .toSorted((one, other) => other.fixes - one.fixes);
}

function knownAncestors({ layers }: Descendant, known: readonly KnownImage[]): Ancestor[] {
  const byLength = new Map<number, Ancestor>();
  for (const { name, diffIds } of known) {
    // An image is no ancestor of itself, and one without layers is everybody's.
    if (diffIds.length === 0 || diffIds.length >= layers.length) continue;
    if (diffIds.some((diffId, at) => diffId !== layers[at]?.diffId)) continue;
    if (!byLength.has(diffIds.length)) byLength.set(diffIds.length, { name, basis: 'layers', layers: diffIds.length });
  }
  return [...byLength.values()];
}

function doubtsOf(image: Descendant, known: readonly KnownImage[]): string[] {
  const name = image.annotations[BASE_NAME] ?? image.config.labels[BASE_NAME] ?? '';
  const digest = image.annotations[BASE_DIGEST] ?? image.config.labels[BASE_DIGEST] ?? '';
  if (name === '' && digest === '') return [];
  const claimed = digest === '' ? name : `${name}@${digest}`;
  const base = known.find((each) => (digest === '' ? each.name === name : each.digest === digest));
  if (base === undefined) return [`it says that it is built on ${claimed}, which the catalogue does not know`];
  const isTrue = base.diffIds.every((diffId, at) => diffId === image.layers[at]?.diffId);
  return isTrue ? [] : [`it says that it is built on ${claimed}, and its layers are not those of it`];
}

/** Base images end by saying what runs in them; whoever builds on one goes on after that. */
function guessFromHistory({ config: { history } }: Descendant): Ancestor[] {
  const ancestors: Ancestor[] = [];
  let layers = 0;
  let distribution = '';
  for (const [at, { createdBy, emptyLayer }] of history.entries()) {
    distribution ||= distributionOf(createdBy);
    if (!emptyLayer) layers += 1;
    const more = history.slice(at + 1).some((later) => !later.emptyLayer);
    if (emptyLayer && layers > 0 && more && /^(?:\/bin\/sh -c #\(nop\)\s+)?CMD\b/.test(createdBy)) {
      const name = distribution === '' ? `a base of ${layers === 1 ? '1 layer' : `${layers} layers`}` : distribution;
      if (ancestors.every((known) => known.layers !== layers))
        ancestors.push({ name: ancestors.length === 0 ? name : `an image on ${name}`, basis: 'history', layers });
    }
  }
  return ancestors;
}

/** As the builders of official images leave it behind. */
function distributionOf(createdBy: string): string {
  const debian = /debian\.sh .*'(?<suite>[a-z]{3,20})'/.exec(createdBy)?.groups?.['suite'];
  if (debian !== undefined) return `debian:${debian}`;
  const archive = /(?<name>alpine-minirootfs|ubuntu-[a-z]{3,20}|fedora-[\d.]{1,10})/.exec(createdBy)?.groups?.['name'];
  return archive === undefined ? '' : (archive.split('-')[0] ?? '');
}

export function repositoryOf(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}
