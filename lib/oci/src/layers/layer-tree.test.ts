import { describe, expect, it } from 'vitest';
import { openLayerTree, type ImageFile } from './layer-tree.ts';
import type { EntryType, TarEntry } from './tar-entry.ts';

const entry = (path: string, type: EntryType = 'file'): TarEntry => ({
  path,
  type,
  mode: 0o644,
  uid: 0,
  gid: 0,
  userName: '',
  groupName: '',
  bytes: 0,
  modified: 0,
  target: '',
  attributes: new Map(),
  isSparse: false,
  hazards: [],
});

/** Layers of paths; a slash at the end makes a folder. */
function merge(...layers: readonly (readonly string[])[]): { visible: string[]; hidden: string[] } {
  const tree = openLayerTree();
  for (const [layer, paths] of layers.entries()) {
    for (const path of paths) tree.add(layer, path.endsWith('/') ? entry(path.slice(0, -1), 'directory') : entry(path));
  }
  const show = ({ entry: { path }, layer, hiddenBy }: ImageFile): string =>
    `${path}@${layer}${hiddenBy === undefined ? '' : `-${hiddenBy}`}`;
  return { visible: tree.visible().map(show).toSorted(), hidden: tree.hidden().map(show).toSorted() };
}

describe('openLayerTree()', () => {
  it.each<[what: string, layers: string[][], visible: string[], hidden: string[]]>([
    ['a file that stays', [['a/', 'a/b'], ['c']], ['a/b@0', 'a@0', 'c@1'], []],
    ['a file that is replaced', [['a'], ['a']], ['a@1'], ['a@0-1']],
    ['a file that is deleted', [['a', 'b'], ['.wh.a']], ['b@0'], ['a@0-1']],
    ['a folder that is deleted', [['a/', 'a/b', 'a/c/', 'a/c/d'], ['.wh.a']], [], ['a/b@0-1', 'a/c/d@0-1']],
    [
      'a folder that is emptied',
      [
        ['a/', 'a/b'],
        ['a/', 'a/.wh..wh..opq', 'a/c'],
      ],
      ['a/c@1', 'a@1'],
      ['a/b@0-1'],
    ],
    [
      'a whiteout after what its own layer brings',
      [
        ['a/', 'a/b'],
        ['a/c', 'a/.wh..wh..opq'],
      ],
      ['a/c@1', 'a@0'],
      ['a/b@0-1'],
    ],
    ['a folder that a file takes the place of', [['a/', 'a/b'], ['a']], ['a@1'], ['a/b@0-1']],
    ['a file that a folder takes the place of', [['a'], ['a/', 'a/b']], ['a/b@1', 'a@1'], ['a@0-1']],
    ['a secret that is deleted and comes back', [['k'], ['.wh.k'], ['k']], ['k@2'], ['k@0-1']],
    ['a whiteout of nothing', [['a'], ['.wh.b', 'x/y/.wh.z', 'x/.wh..wh..opq']], ['a@0'], []],
    ['records of aufs', [['a'], ['.wh..wh.plnk', '.wh..wh.aufs']], ['a@0'], []],
    ['a folder over a folder', [['a/', 'a/b'], ['a/']], ['a/b@0', 'a@1'], []],
    ['a whiteout of a name that every object has', [['a'], ['.wh.constructor', '.wh.__proto__']], ['a@0'], []],
  ])('knows %s', (_what, layers, visible, hidden) => {
    expect(merge(...layers)).toEqual({ visible, hidden });
  });

  it('ends on folders as deep as paths can be, and on whiteouts again and again', () => {
    const deep = 'a/'.repeat(2000);
    expect(
      merge(
        [`${deep}b`],
        Array.from({ length: 2000 }, (_, at) => `${'a/'.repeat(at)}.wh..wh..opq`),
      ).hidden.length,
    ).toBe(1);
    const wide = Array.from({ length: 20_000 }, (_, at) => `d/${at}`);
    const again = Array.from({ length: 20_000 }, () => 'd/.wh..wh..opq');
    expect(merge(wide, [...wide, ...again]).hidden.length).toBe(20_000);
  });
});
