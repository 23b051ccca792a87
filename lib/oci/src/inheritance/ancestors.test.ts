import { describe, expect, it } from 'vitest';
import { findAncestors, originOf, type Ancestry, type Descendant, type KnownImage } from './ancestors.ts';

const known = (name: string, ...diffIds: string[]): KnownImage => ({
  name,
  digest: `sha256:${name}`,
  diffIds,
  created: '',
  findings: [],
});
const image = (diffIds: string[], changes: Partial<Descendant> = {}): Descendant => ({
  layers: diffIds.map((diffId) => ({ diffId })),
  config: { history: [], labels: {} },
  annotations: {},
  ...changes,
});
const shown = ({ ancestors }: Ancestry): string[] =>
  ancestors.map(({ name, basis, layers }) => `${name} ${basis} ${layers}`);

describe('findAncestors()', () => {
  it('finds the images whose layers an image begins with, and blames the oldest that has a layer', () => {
    const catalogue = [
      known('python', 'a', 'b'),
      known('debian', 'a'),
      known('alpine', 'z'),
      known('self', 'a', 'b', 'c'),
      known('scratch'),
    ];
    const ancestry = findAncestors(image(['a', 'b', 'c']), catalogue);
    expect(shown(ancestry)).toEqual(['debian layers 1', 'python layers 2']);
    expect([0, 1, 2].map((layer) => originOf(layer, ancestry)?.name)).toEqual(['debian', 'python', undefined]);
  });

  it('takes no image for an ancestor whose layers come in another order, or later', () => {
    expect(shown(findAncestors(image(['a', 'b', 'c']), [known('x', 'b'), known('y', 'b', 'a')]))).toEqual([]);
  });

  it('believes a claim only where the layers bear it out', () => {
    const claiming = (base: string): Ancestry =>
      findAncestors(image(['a', 'b'], { annotations: { 'org.opencontainers.image.base.digest': `sha256:${base}` } }), [
        known('debian', 'a'),
        known('alpine', 'z'),
      ]);
    expect(claiming('debian').doubts).toEqual([]);
    expect(claiming('alpine').doubts).toEqual([expect.stringContaining('its layers are not those of it')]);
    expect(claiming('unknown').doubts).toEqual([expect.stringContaining('the catalogue does not know')]);
    expect(shown(claiming('alpine'))).toEqual(['debian layers 1']);
  });

  it('guesses from the history, and says that it does; what is known goes before', () => {
    const line = (createdBy: string, emptyLayer = false): Descendant['config']['history'][number] => ({
      createdBy,
      emptyLayer,
      created: '',
    });
    const history = [
      line("# debian.sh --arch 'amd64' out/ 'bookworm' '@1'"),
      line('/bin/sh -c #(nop)  CMD ["bash"]', true),
      line('RUN apt-get install'),
      line('CMD ["python3"]', true),
      line('COPY . .'),
      line('CMD ["app"]', true),
    ];
    const guessed = image(['a', 'b', 'c'], { config: { history, labels: {} } });
    expect(shown(findAncestors(guessed, []))).toEqual([
      'debian:bookworm history 1',
      'an image on debian:bookworm history 2',
    ]);
    expect(shown(findAncestors(guessed, [known('debian:12', 'a')]))).toEqual([
      'debian:12 layers 1',
      'an image on debian:bookworm history 2',
    ]);
  });
});
