// Where the kinds of machines of a network map stand in its picture: in columns, from those that begin connections to those that are
// asked (after Sugiyama, Tagawa and Toda, 1981: ranks, then an order in each that crosses few lines). Those without any line stand below.
import { RingwallError } from '@ringwall/api/errors';
import type { ShownMap } from '@ringwall/api/networks';

export type MapNode = ShownMap['nodes'][number];
export type MapEdge = ShownMap['edges'][number];

export interface Card {
  readonly node: MapNode;
  readonly index: number;
  readonly lines: readonly string[];
  /** What its machines may say to each other. */
  readonly among: readonly string[];
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A line between different kinds, and where it goes through the columns between theirs: straight, beside what stands there. */
export interface Way {
  readonly edge: MapEdge;
  /** From left to right; whoever is asked may stand at the left end. */
  readonly passes: readonly { readonly from: number; readonly to: number; readonly y: number }[];
  readonly backwards: boolean;
}

export interface Layout {
  readonly cards: readonly Card[];
  readonly ways: readonly Way[];
  /** Where those begin that no line leads to; absent where there are none. */
  readonly lonelyAt?: number;
  readonly width: number;
  readonly height: number;
}

/** In pixels of the picture, for text of 12 and 14 pixels: letters of most families are narrower. */
export const LETTER = { title: 8.9, line: 7 } as const;
export const CARD = { padding: 14, title: 22, line: 18, minWidth: 150, maxWidth: 300 } as const;
const GAP = { column: 180, row: 30, margin: 32, pass: 16 } as const;
/** More lines than anybody could follow. */
export const MAX_WAYS = 1_000;
/** Machines of one kind that are named; the others are a number. */
const MACHINES_NAMED = 5;
const SWEEPS = 8;
/** Of those without lines, beside each other. */
const LONELY_PER_ROW = 5;

export function layOutMap({ nodes, edges }: ShownMap): Layout {
  const own = edges.filter(({ from, to }) => from === to);
  const between = edges.filter(({ from, to }) => from !== to);
  if (between.length > MAX_WAYS) {
    throw new RingwallError('too-large', `${between.length} ways are no picture: at most ${MAX_WAYS}`, {
      hint: 'give machines that are alike the same labels, or ask without --svg and --html',
    });
  }
  const sized = nodes.map((node, index) => sizeOf(node, index, own));
  const { columns, chains } = chained(ranksOf(nodes, between), between);
  order(columns, chains);
  const heightOf = (place: Place): number => (typeof place === 'number' ? (sized[place]?.height ?? 0) : GAP.pass);
  const tallest = Math.max(0, ...columns.map((column) => heightOfAll(column.map(heightOf))));
  const cards: Card[] = [];
  const passes = new Map<Pass, { readonly from: number; readonly to: number; readonly y: number }>();
  let x = GAP.margin;
  for (const column of columns) {
    const width = Math.max(0, ...column.map((place) => (typeof place === 'number' ? (sized[place]?.width ?? 0) : 0)));
    let y = GAP.margin + (tallest - heightOfAll(column.map(heightOf))) / 2;
    for (const place of column) {
      const card = typeof place === 'number' ? sized[place] : undefined;
      if (typeof place !== 'number') passes.set(place, { from: x, to: x + width, y: y + GAP.pass / 2 });
      else if (card !== undefined) cards.push({ ...card, x, y, width });
      y += heightOf(place) + GAP.row;
    }
    x += width + GAP.column;
  }
  const joined = new Set(between.flatMap(({ from, to }) => [from, to]));
  const lonely = sized.filter(({ index }) => !joined.has(index));
  const top = columns.length === 0 ? GAP.margin : GAP.margin + tallest + 2 * GAP.row;
  cards.push(...layOutLonely(lonely, top));
  const extent = (side: (card: Card) => number): number => Math.max(0, ...cards.map((card) => side(card))) + GAP.margin;
  return {
    cards,
    ways: chains.map(({ edge, backwards, passes: through }) => ({
      ...{ edge, backwards },
      passes: through.flatMap((pass) => passes.get(pass) ?? []),
    })),
    ...(lonely.length === 0 ? {} : { lonelyAt: top }),
    width: extent((card) => card.x + card.width),
    height: Math.max(
      extent((card) => card.y + card.height),
      columns.length === 0 ? 0 : tallest + 2 * GAP.margin,
    ),
  };
}

function heightOfAll(heights: readonly number[]): number {
  return heights.reduce((sum, height) => sum + height + GAP.row, -GAP.row);
}

/** Where a line goes through a column that neither of its ends stands in. */
interface Pass {
  readonly rank: number;
}
/** The number of a kind of machines, or a line that goes through. */
type Place = number | Pass;

interface Chain {
  readonly edge: MapEdge;
  readonly backwards: boolean;
  readonly passes: readonly Pass[];
}

function chained(ranks: readonly number[], edges: readonly MapEdge[]): { columns: Place[][]; chains: Chain[] } {
  const joined = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const used = [...new Set([...joined].map((index) => ranks[index] ?? 0))].toSorted((a, b) => a - b);
  const columnOf = new Map(used.map((rank, column) => [rank, column]));
  const columns: Place[][] = used.map(() => []);
  const at = (index: number): number => columnOf.get(ranks[index] ?? 0) ?? 0;
  for (const index of [...joined].toSorted((a, b) => a - b)) columns[at(index)]?.push(index);
  const chains = edges.map((edge): Chain => {
    const [first, last] = [at(edge.from), at(edge.to)].toSorted((a, b) => a - b);
    const passes: Pass[] = [];
    for (let rank = (first ?? 0) + 1; rank < (last ?? 0); rank += 1) {
      const pass = { rank };
      passes.push(pass);
      columns[rank]?.push(pass);
    }
    return { edge, backwards: at(edge.from) > at(edge.to), passes };
  });
  return { columns, chains };
}

type Sized = Omit<Card, 'x' | 'y'>;

function sizeOf(node: MapNode, index: number, own: readonly MapEdge[]): Sized {
  const { name, machines } = node;
  const shown = machines.slice(0, MACHINES_NAMED);
  const hidden = machines.length - shown.length;
  // One machine that is called as its kind is says so once.
  const named = machines.length === 1 && machines[0] === name ? [] : shown;
  const lines = hidden > 0 ? [...named, `and ${hidden} more`] : named;
  const among = own.filter(({ from }) => from === index).flatMap(({ services }) => services);
  const texts = among.length === 0 ? lines : [...lines, among.join(', ')];
  const widest = Math.max(name.length * LETTER.title, ...texts.map((line) => (line.length + 2) * LETTER.line));
  const rows = lines.length + (among.length === 0 ? 0 : 1);
  return {
    ...{ node, index, lines, among },
    width: Math.min(CARD.maxWidth, Math.max(CARD.minWidth, widest + 2 * CARD.padding)),
    height: 2 * CARD.padding + CARD.title + rows * CARD.line,
  };
}

/** Each as far to the right as whoever begins connections to it, and one more; of circles, the line that closes them counts for nothing. */
function ranksOf(nodes: readonly MapNode[], edges: readonly MapEdge[]): number[] {
  const ranks = nodes.map(() => 0);
  const ways = Map.groupBy(edges, ({ from }) => from);
  const state = new Map<number, 'open' | 'done'>();
  const finished: number[] = [];
  const forward: MapEdge[] = [];
  const visit = (index: number): void => {
    state.set(index, 'open');
    for (const edge of ways.get(index) ?? []) {
      const seen = state.get(edge.to);
      if (seen !== 'open') forward.push(edge);
      if (seen === undefined) visit(edge.to);
    }
    state.set(index, 'done');
    finished.push(index);
  };
  const asked = new Set(edges.map(({ to }) => to));
  const all = nodes.map((_, index) => index);
  for (const index of [...all.filter((each) => !asked.has(each)), ...all]) if (!state.has(index)) visit(index);
  const next = Map.groupBy(forward, ({ from }) => from);
  for (const index of finished.toReversed()) {
    for (const { to } of next.get(index) ?? []) ranks[to] = Math.max(ranks[to] ?? 0, (ranks[index] ?? 0) + 1);
  }
  const last = Math.max(0, ...ranks);
  // The world is at the edge of the picture.
  return ranks.map((rank, index) => (nodes[index]?.outside === true ? Math.max(rank, last, 1) : rank));
}

/** In each column, whoever has lines to the same places comes to lie together: each goes to the middle of its neighbours, some times. */
function order(columns: Place[][], chains: readonly Chain[]): void {
  const neighbours = new Map<Place, Place[]>();
  const join = (a: Place, b: Place): void => {
    neighbours.set(a, [...(neighbours.get(a) ?? []), b]);
    neighbours.set(b, [...(neighbours.get(b) ?? []), a]);
  };
  for (const { edge, backwards, passes } of chains) {
    const ends: readonly [number, number] = backwards ? [edge.to, edge.from] : [edge.from, edge.to];
    const line: readonly Place[] = [ends[0], ...passes, ends[1]];
    for (const [index, place] of line.slice(1).entries()) join(line[index] ?? place, place);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const column of sweep % 2 === 0 ? columns : columns.toReversed()) {
      const height = new Map(
        columns.flatMap((each) => each.map((place, at) => [place, (at + 0.5) / each.length] as const)),
      );
      const middles = new Map(
        column.map((place) => {
          const heights = (neighbours.get(place) ?? []).map((other) => height.get(other) ?? 0);
          return [place, heights.reduce((sum, each) => sum + each, 0) / Math.max(1, heights.length)] as const;
        }),
      );
      column.sort((a, b) => (middles.get(a) ?? 0) - (middles.get(b) ?? 0));
    }
  }
}

function layOutLonely(lonely: readonly Sized[], top: number): Card[] {
  const cards: Card[] = [];
  let y = top;
  for (let at = 0; at < lonely.length; at += LONELY_PER_ROW) {
    const row = lonely.slice(at, at + LONELY_PER_ROW);
    let x = GAP.margin;
    for (const card of row) {
      cards.push({ ...card, x, y });
      x += card.width + GAP.row;
    }
    y += Math.max(...row.map(({ height }) => height)) + GAP.row;
  }
  return cards;
}
