import type { ShownMap } from '@ringwall/api/networks';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawMap } from './draw-map.ts';
import { layOutMap, MAX_WAYS } from './lay-out-map.ts';
import { renderMapPage } from './map-page.ts';

const HOSTILE = '</title><script>alert(1)</script>"\'&\u0000\u202e<!--]]>';

const maps: fc.Arbitrary<ShownMap> = fc.integer({ min: 1, max: 14 }).chain((count) =>
  fc.record({
    network: fc.constant('app'),
    nodes: fc.array(
      fc.record({
        name: fc.string({ maxLength: 60, unit: 'binary' }),
        machines: fc.array(fc.string({ maxLength: 48 }), { maxLength: 9 }),
        outside: fc.boolean(),
      }),
      { minLength: count, maxLength: count },
    ),
    edges: fc.uniqueArray(
      fc.record({
        from: fc.nat(count - 1),
        to: fc.nat(count - 1),
        services: fc.constant(['tcp/80']),
        rules: fc.constant(['web']),
      }),
      { selector: ({ from, to }) => `${from} ${to}`, maxLength: 40 },
    ),
  }),
);

describe('layOutMap()', () => {
  it('has each kind once and each way once, inside the picture, and no card lies on another', () => {
    fc.assert(
      fc.property(maps, (map) => {
        const { cards, ways, width, height } = layOutMap(map);
        expect(cards.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual(map.nodes.map((_, index) => index));
        expect(ways).toHaveLength(map.edges.filter(({ from, to }) => from !== to).length);
        for (const [place, one] of cards.entries()) {
          expect(one.x + one.width).toBeLessThan(width);
          expect(one.y + one.height).toBeLessThan(height);
          for (const other of cards.slice(place + 1)) {
            const apart =
              one.x + one.width <= other.x ||
              other.x + other.width <= one.x ||
              one.y + one.height <= other.y ||
              other.y + other.height <= one.y;
            expect(apart).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('leads no line through a card that stands between its ends', () => {
    fc.assert(
      fc.property(maps, (map) => {
        const { cards, ways } = layOutMap(map);
        for (const { passes } of ways) {
          for (const { from, to, y } of passes) {
            const hit = cards.filter(
              (card) => card.x < to && from < card.x + card.width && card.y < y && y < card.y + card.height,
            );
            expect(hit).toEqual([]);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses what nobody could follow', () => {
    const nodes = Array.from({ length: 40 }, (_, index) => ({ name: `n${index}`, machines: [], outside: false }));
    const edges = nodes.flatMap((_, from) => nodes.map((__, to) => ({ from, to, services: [], rules: [] })));
    expect(edges.length).toBeGreaterThan(MAX_WAYS);
    expect(() => layOutMap({ network: 'app', nodes, edges })).toThrow(`at most ${MAX_WAYS}`);
  });
});

describe('a picture of a network', () => {
  const map: ShownMap = {
    network: HOSTILE,
    nodes: [
      { name: HOSTILE, machines: [HOSTILE], outside: false },
      { name: 'role=db', machines: ['db'], outside: true },
    ],
    edges: [
      { from: 0, to: 1, services: [HOSTILE], rules: [HOSTILE] },
      { from: 1, to: 1, services: ['ping'], rules: ['all'] },
    ],
  };

  it.each([
    ['SVG', drawMap(map)],
    ['HTML', renderMapPage(map, new Date(0))],
  ])('as %s escapes every name, and refers to nothing elsewhere', (_, text) => {
    for (const raw of ['<script', '<!--', ']]>', '\u202e', '\u0000']) expect(text).not.toContain(raw);
    expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|url\(|@import|\son\w+=|href|src=/);
    expect(text).toContain('&lt;/title&gt;&lt;script&gt;');
    expect(text).toContain('↻ ping');
  });

  it('as HTML forbids by itself whatever could be loaded', () => {
    expect(renderMapPage(map, new Date(0))).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });

  it('of a network without machines says so', () => {
    expect(drawMap({ network: 'app', nodes: [], edges: [] })).toContain('app has no machines.');
  });
});
