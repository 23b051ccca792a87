// Bad input for XFS, whose smallest images are too large to be copied for each of thousands of mutations: what was changed is
// put back.
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise, livePlaces, seededNumbers } from '../../../testing/hostile.ts';
import { openXfs } from './xfs.ts';

const MUTATIONS = 1000;
const VALUES = [0, 1, 0x7f, 0x80, 0xff] as const;

describe.each(['xfs', 'xfs-4'])('%s', (name) => {
  const image = fixture(name);

  test('a mutation ends in values, or in an error of this library', () => {
    const random = seededNumbers(4);
    const places = livePlaces(image);
    let seen = 0;
    for (let count = 0; count < MUTATIONS; count += 1) {
      const kept = Array.from({ length: random(3) + 1 }, () => {
        const at = (places[random(places.length)] ?? 0) + random(16);
        const before = image.slice(at, at + 8);
        if (random(2) === 0) image[at] = random(256);
        else image.fill(VALUES[random(VALUES.length)] ?? 0, at, at + 2 ** random(4));
        return { at, before };
      });
      seen += exercise(image, openXfs);
      for (const { at, before } of kept.toReversed()) image.set(before, at);
    }
    expect(seen).toBeGreaterThan(MUTATIONS);
  });

  test('so does a truncation', () => {
    const random = seededNumbers(8);
    for (let count = 0; count < 200; count += 1) exercise(image.subarray(0, random(image.length)), openXfs);
    expect(exercise(image, openXfs)).toBeGreaterThan(40);
  });
});
