// All images of a registry as they are built upon each other, by the layers that they begin with, and the few of them whose update
// takes the most away. A base that has no name any more is a node all the same: where images part, there was one.
import { FINDING_SEVERITIES, type FindingSeverity } from '../inspection/finding.ts';
import { repositoryOf, type Ancestor } from './ancestors.ts';

/** Of one repository: an older one than the newest few is nobody's update. */
const MAX_CANDIDATES = 5;
const SEVERE: readonly FindingSeverity[] = FINDING_SEVERITIES.slice(0, 2);

export interface SurveyedFinding {
  readonly id: string;
  readonly severity: FindingSeverity;
  /** Of a package, known by its number: an update of the ancestor is what mends it. */
  readonly isVulnerability: boolean;
  readonly layer: number | undefined;
}

/** An image that was judged, and all that is kept of it. */
export interface SurveyedImage {
  /** Tags that lead to it; at least one. */
  readonly names: readonly [string, ...string[]];
  readonly digest: string;
  readonly diffIds: readonly string[];
  /** As its configuration says, ISO 8601. */
  readonly created: string;
  readonly findings: readonly SurveyedFinding[];
  /** Guessed from its history, for bases that nobody has a name for. */
  readonly guesses: readonly Ancestor[];
}

export interface TreeNode {
  /** Of all images with exactly these layers; empty where there is none. */
  readonly names: readonly string[];
  /** What it may be, where it has no name; '' where that cannot be guessed. */
  readonly guess: string;
  /** From the base on. */
  readonly layers: number;
  /** How many images are built on it. */
  readonly below: number;
  /** Findings in those that came by what it added. */
  readonly brings: number;
  readonly children: readonly TreeNode[];
}

/** What an update of one ancestor would do for all that is built on it. */
export interface AncestorUpdate {
  /** '' where nobody has a name for it. */
  readonly name: string;
  readonly guess: string;
  readonly layers: number;
  readonly images: number;
  readonly brings: number;
  /** Of these, critical and high. */
  readonly severe: number;
  /** Of these, known vulnerabilities of packages. */
  readonly vulnerabilities: number;
  /** The newer image of its repository that takes most of them away, where one was surveyed. */
  readonly update: { readonly name: string; readonly removes: number } | undefined;
}

export interface ImageTree {
  readonly images: number;
  /** Of all images, where anything is to be done about them. */
  readonly findings: number;
  readonly roots: readonly TreeNode[];
  /** Those that bring something, the most first. No finding is counted twice. */
  readonly updates: readonly AncestorUpdate[];
}

export function plantTree(images: readonly SurveyedImage[]): ImageTree {
  const updates: AncestorUpdate[] = [];
  const roots = nodesOf(images, 0, images, updates);
  return {
    images: images.length,
    findings: images.reduce((sum, { findings }) => sum + findings.filter(isToMend).length, 0),
    roots,
    updates: updates.toSorted((one, other) => worth(other) - worth(one)),
  };
}

/** Of all findings, those that the first `count` updates take away, or at most would: 0 to 1. */
export function shareOf({ updates, findings }: ImageTree, count: number): number {
  const taken = updates.slice(0, count).reduce((sum, update) => sum + worth(update), 0);
  return findings === 0 ? 0 : taken / findings;
}

function worth({ update, brings }: AncestorUpdate): number {
  return update?.removes ?? brings;
}

/** `images` have the same first `depth` layers. */
function nodesOf(
  images: readonly SurveyedImage[],
  depth: number,
  all: readonly SurveyedImage[],
  updates: AncestorUpdate[],
): TreeNode[] {
  const nodes = [...Map.groupBy(images, ({ diffIds }) => diffIds[depth])].map(([, group]): TreeNode => {
    const layers = depthOf(group, depth);
    const here = group.filter(({ diffIds }) => diffIds.length === layers);
    const below = group.filter(({ diffIds }) => diffIds.length > layers);
    const brought = below.flatMap(({ findings }) =>
      findings.filter((finding) => isToMend(finding) && isWithin(finding, depth, layers)),
    );
    const names = here.flatMap((image) => image.names);
    const guess = names.length > 0 ? '' : guessAt(below, layers);
    if (brought.length > 0) {
      updates.push({
        name: names[0] ?? '',
        guess,
        layers,
        images: below.length,
        brings: brought.length,
        severe: brought.filter(({ severity }) => SEVERE.includes(severity)).length,
        vulnerabilities: brought.filter(({ isVulnerability }) => isVulnerability).length,
        update: bestUpdate(here, brought, all),
      });
    }
    return {
      names,
      guess,
      layers,
      below: below.length,
      brings: brought.length,
      children: nodesOf(below, layers, all, updates),
    };
  });
  return nodes.toSorted((one, other) => other.below - one.below || compare(one.names[0], other.names[0]));
}

/** Where the first image of the group ends, or where they part. */
function depthOf(group: readonly SurveyedImage[], depth: number): number {
  const [first] = group;
  const shortest = Math.min(...group.map(({ diffIds }) => diffIds.length));
  for (let at = depth; at < shortest; at += 1)
    if (group.some(({ diffIds }) => diffIds[at] !== first?.diffIds[at])) return at;
  return shortest;
}

function isToMend({ severity }: SurveyedFinding): boolean {
  return severity !== 'info';
}

function isWithin({ layer }: SurveyedFinding, from: number, to: number): boolean {
  return layer !== undefined && layer >= from && layer < to;
}

function guessAt(images: readonly SurveyedImage[], layers: number): string {
  return images.flatMap(({ guesses }) => guesses).find((guess) => guess.layers === layers)?.name ?? '';
}

function bestUpdate(
  here: readonly SurveyedImage[],
  brought: readonly SurveyedFinding[],
  all: readonly SurveyedImage[],
): AncestorUpdate['update'] {
  const repositories = new Set(here.flatMap(({ names }) => names.map(repositoryOf)));
  const since = here.reduce((latest, { created }) => (created > latest ? created : latest), '');
  const candidates = all
    .filter(({ names, created }) => created > since && names.some((name) => repositories.has(repositoryOf(name))))
    .toSorted((one, other) => compare(other.created, one.created))
    .slice(0, MAX_CANDIDATES);
  const weighed = candidates.map(({ names: [name], findings }) => {
    const left = new Set(findings.map(({ id }) => id));
    return { name, removes: brought.filter(({ id }) => !left.has(id)).length };
  });
  return weighed.filter(({ removes }) => removes > 0).toSorted((one, other) => other.removes - one.removes)[0];
}

function compare(one = '', other = ''): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
