import { describe, expect, it } from 'vitest';
import {
  plantTree,
  shareOf,
  type ImageTree,
  type SurveyedFinding,
  type SurveyedImage,
  type TreeNode,
} from './image-tree.ts';

const image = (
  name: string,
  layers: string,
  findings: readonly string[] = [],
  changes: Partial<SurveyedImage> = {},
): SurveyedImage => ({
  names: [name],
  digest: `sha256:${name}`,
  diffIds: layers.split(''),
  created: '2026-01-01',
  findings: findings.map(placed),
  guesses: [],
  ...changes,
});
/** `high hole 0`: severity, id, layer. */
const placed = (text: string): SurveyedFinding => {
  const [severity, id = '', layer] = text.split(' ');
  if (severity !== 'high' && severity !== 'low' && severity !== 'info') throw new Error(text);
  return {
    id,
    severity,
    isVulnerability: id.startsWith('CVE'),
    layer: layer === undefined ? undefined : Number(layer),
  };
};
const drawn = (nodes: readonly TreeNode[]): unknown[] =>
  nodes.map(({ names, guess, layers, below, brings, children }) => [
    `${names.join('+') || `(${guess})`} ${layers} ${below} ${brings}`,
    ...(children.length === 0 ? [] : [drawn(children)]),
  ]);
const vulnerabilities = ({ updates: all }: ImageTree): number[] => all.map((each) => each.vulnerabilities);
const updates = ({ updates: all }: ImageTree): string[] =>
  all.map(
    ({ name, images, brings, severe, update }) =>
      `${name} ${images} ${brings} ${severe} ${update === undefined ? '-' : `${update.name} ${update.removes}`}`,
  );

describe('plantTree()', () => {
  it('puts each image on those whose layers it begins with', () => {
    const { roots, images } = plantTree([
      image('app', 'abc'),
      image('base', 'a'),
      image('python', 'ab'),
      image('other', 'z'),
      image('web', 'abd'),
      image('empty', ''),
    ]);
    expect(images).toBe(6);
    expect(drawn(roots)).toEqual([
      ['base 1 3 0', [['python 2 2 0', [['app 3 0 0'], ['web 3 0 0']]]]],
      ['empty 0 0 0'],
      ['other 1 0 0'],
    ]);
  });

  it('has a node where images part, although nobody has a name for it, with a guess', () => {
    const guesses = [{ name: 'debian:bookworm', basis: 'history' as const, layers: 2 }];
    const { roots } = plantTree([image('app', 'abc', [], { guesses }), image('web', 'abd'), image('lone', 'xyz')]);
    expect(drawn(roots)).toEqual([['(debian:bookworm) 2 2 0', [['app 3 0 0'], ['web 3 0 0']]], ['lone 3 0 0']]);
  });

  it('has one node for images that differ in their configuration alone', () => {
    expect(drawn(plantTree([image('one', 'ab'), image('two', 'ab')]).roots)).toEqual([['one+two 2 0 0']]);
  });

  it('blames each finding on the one ancestor that brought it, and no finding twice', () => {
    const tree = plantTree([
      image('base', 'a', ['high hole 0']),
      image('python', 'ab', ['high hole 0', 'low slip 1']),
      image('app', 'abc', ['high hole 0', 'low slip 1', 'high own 2', 'high config', 'info note 0']),
      image('web', 'abd', ['high hole 0']),
    ]);
    expect(updates(tree)).toEqual(['base 3 3 3 -', 'python 2 1 0 -']);
    expect(tree.findings).toBe(8);
    expect([shareOf(tree, 1), shareOf(tree, 2), shareOf(plantTree([]), 1)]).toEqual([3 / 8, 4 / 8, 0]);
  });

  it('tells how many of what an ancestor brings are known vulnerabilities', () => {
    const tree = plantTree([
      image('base', 'a', ['high CVE-1 0', 'high hole 0']),
      image('app', 'ab', ['high CVE-1 0', 'low CVE-2 0', 'high hole 0', 'high CVE-3 1', 'info CVE-4 0']),
    ]);
    expect(vulnerabilities(tree)).toEqual([2]);
  });

  it('knows what a newer image of the repository takes away, and ranks by that', () => {
    const old = ['high one 0', 'high two 0', 'high three 0'];
    const tree = plantTree([
      image('r/base:1', 'a', old),
      image('r/base:2', 'b', ['high two 0'], { created: '2026-02-01' }),
      image('r/base:3', 'c', ['high two 0', 'high three 0', 'high new 0'], { created: '2026-03-01' }),
      image('r/base:0', 'd', [], { created: '2025-01-01' }),
      image('r/basement:9', 'e', [], { created: '2026-09-01' }),
      image('r/app', 'ax', old),
      image('r/other', 'm', ['low slip 0', 'low slop 0', 'low slap 0']),
      image('r/more', 'mn', ['low slip 0', 'low slop 0', 'low slap 0']),
    ]);
    expect(updates(tree)).toEqual(['r/other 1 3 0 -', 'r/base:1 1 3 3 r/base:2 2']);
  });
});
