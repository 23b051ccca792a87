import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areNeighbourKeys, describeEdit, editDistance, MAX_EDITS } from './edits.ts';
import { compileNames } from './near-names.ts';
import { asAscii, shapeOf } from './shapes.ts';

/** Optimal string alignment as its definition reads, to hold the banded one against. */
function wholeTable(one: string, other: string): number {
  const rows = Array.from({ length: one.length + 1 }, (_, row) =>
    Array.from({ length: other.length + 1 }, (_cell, column) => (row === 0 ? column : column === 0 ? row : 0)),
  );
  const cell = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= one.length; row += 1) {
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1];
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      (rows[row] ?? [])[column] = Math.min(
        cell(row - 1, column) + 1,
        cell(row, column - 1) + 1,
        cell(row - 1, column - 1) + (same ? 0 : 1),
        swapped ? cell(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return cell(one.length, other.length);
}

describe('editDistance()', () => {
  it('is that of the whole table, up to the limit', () => {
    const word = string({ unit: constantFrom('a', 'b', 'c'), maxLength: 9 });
    assert(
      property(word, word, (one, other) => {
        const whole = wholeTable(one, other);
        return editDistance(one, other) === (whole > MAX_EDITS ? undefined : whole);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['ngnix', 'nginx', 'swapped'],
    ['nginxx', 'nginx', 'doubled'],
    ['ngix', 'nginx', 'dropped'],
    ['nginrx', 'nginx', 'added'],
    ['bginx', 'nginx', 'neighbour-key'],
    ['sonarcube', 'sonarkube', 'sound'],
    ['nginp', 'nginx', 'changed'],
    ['phyton', 'python', 'moved'],
    ['nagiox', 'nginx', 'two-slips'],
  ])('%s from %s: %s', (written, known, slip) => {
    expect(describeEdit(written, known, editDistance(written, known) ?? 0).slip).toBe(slip);
  });

  it('knows the keys beside each other', () => {
    expect(areNeighbourKeys('a', 's')).toBe(true);
    expect(areNeighbourKeys('g', 't')).toBe(true);
    expect(areNeighbourKeys('a', 'p')).toBe(false);
    expect(areNeighbourKeys('a', 'é')).toBe(false);
  });
});

describe('compileNames()', () => {
  it.each([
    ['service-b', ['service-a'], 0.5],
    ['jdk17', ['jdk11'], 0.5],
    ['portainerci', ['portainer'], 0.01],
    ['go', ['to'], 0.5],
  ])('%s is hardly like %s', (written, names, below) => {
    expect(compileNames(names).nearest(written)?.score ?? 0).toBeLessThan(below);
  });

  it('finds any single slip in a long name, whatever else it knows', () => {
    const names = Array.from({ length: 300 }, (_, at) => `${(at * 7919).toString(36)}-payments-gateway`);
    const index = compileNames([...names, 'elasticsearch']);
    assert(
      property(constantFrom(...Array.from({ length: 12 }, (_, at) => at)), (at) => {
        const swapped = `${'elasticsearch'.slice(0, at)}${'elasticsearch'[at + 1]}${'elasticsearch'[at]}${'elasticsearch'.slice(at + 2)}`;
        return index.nearest(swapped)?.known === 'elasticsearch';
      }),
    );
    expect(index.nearest('elasticsearch')).toBeUndefined();
  });
});

describe('shapeOf()', () => {
  it.each([
    ['rnicrosoft', 'microsoft'],
    ['paypa1', 'paypal'],
    ['g00gle', 'google'],
    ['аррӏе', 'apple'],
    ['ｎginx', 'nginx'],
    ['ngi\u200bnx', 'nginx'],
    ['rédis', 'redis'],
  ])('%s is seen as %s', (written, known) => {
    expect(shapeOf(written)).toBe(shapeOf(known));
  });

  it('asAscii() gives up where a letter looks like none', () => {
    expect(asAscii('日本')).toBeUndefined();
    expect(asAscii('rеdis')).toBe('redis');
  });
});
