// The picture of a network map as SVG 1.1: a card for each kind of machines, a line from whoever begins connections to whoever is asked. It is
// one file without a script or a reference to anything; every name in it is escaped, whoever chose it.
import type { ShownMap } from '@ringwall/api/networks';
import { plainText } from '../terminal.ts';
import { type Card, CARD, type Layout, layOutMap, LETTER, type Way } from './lay-out-map.ts';

/** Of a line's label; the whole stands in its title. */
const LABEL_CHARACTERS = 26;
const LABEL = { height: 18, padding: 7 } as const;
/** Places that are tried for a label before it lies on another. */
const LABEL_TRIES = 40;
/** Of an arrow, that its line ends before. */
const TIP = 7;

const STYLE = `
svg{--paper:#f7f8fa;--card:#fff;--edge:#d5dae1;--ink:#1c2430;--soft:#5d6878;--line:#7a8699;--pill:#fff;font-family:ui-sans-serif,system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
@media (prefers-color-scheme:dark){svg{--paper:#12161c;--card:#1b212a;--edge:#333c49;--ink:#e8ecf2;--soft:#9aa6b6;--line:#8090a6;--pill:#222a35}}
.paper{fill:var(--paper)}.card rect.body{fill:var(--card);stroke:var(--edge);stroke-width:1.2}.card.outside rect.body{stroke-dasharray:6 5}
.card .name{fill:var(--ink);font-size:14px;font-weight:600}.card .line{fill:var(--soft);font-size:12px}
.way path.bow{fill:none;stroke:var(--line);stroke-width:1.6}.way path.tip{fill:var(--line)}
.label rect{fill:var(--pill);stroke:var(--edge)}.label text{fill:var(--ink);font-size:11px;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.way:hover path.bow{stroke:#2f6fed;stroke-width:2.6}.way:hover path.tip{fill:#2f6fed}.label:hover rect{stroke:#2f6fed}
.none{fill:var(--soft);font-size:14px}`;

/** One for each card, in turn: told apart also by who does not see red and green alike (after Okabe and Ito, 2008). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c7a00', '#6a5acd'];

export function drawMap(map: ShownMap): string {
  const layout = layOutMap(map);
  const empty = map.nodes.length === 0;
  const [width, height] = empty ? [360, 90] : [layout.width, layout.height].map((side) => Math.ceil(side));
  const body = empty
    ? [`<text class="none" x="32" y="50">${escaped(map.network)} has no machines.</text>`]
    : [
        ...drawWays(layout),
        ...(layout.lonelyAt === undefined
          ? []
          : [`<text class="none" x="32" y="${at(layout.lonelyAt - 14)}">Without a way to or from others</text>`]),
        ...layout.cards.map((card) => drawCard(card)),
      ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}" role="img">`,
    `<title>${escaped(map.network)}: who can reach whom</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="100%" height="100%"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

/** For text and attributes of XML and HTML alike; what is no character of XML is not in plain text. */
export function escaped(text: string): string {
  return plainText(text)
    .replaceAll(/[\ufffe\uffff]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function drawCard({ node, index, lines, among, x, y, width, height }: Card): string {
  const left = x + CARD.padding;
  const room = width - 2 * CARD.padding;
  let top = y + CARD.padding + 15;
  const texts = [`<text class="name" x="${at(left)}" y="${at(top)}">${fitted(node.name, room / LETTER.title)}</text>`];
  for (const line of among.length === 0 ? lines : [...lines, `↻ ${among.join(', ')}`]) {
    top += texts.length === 1 ? CARD.title : CARD.line;
    texts.push(`<text class="line" x="${at(left)}" y="${at(top)}">${fitted(line, room / LETTER.line)}</text>`);
  }
  const colour = COLOURS[index % COLOURS.length] ?? '';
  const all = [node.name, ...node.machines].join('\n');
  return [
    `<g class="card${node.outside ? ' outside' : ''}"><title>${escapedLines(all)}</title>`,
    `<rect class="body" x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" rx="10"/>`,
    `<rect x="${at(x)}" y="${at(y + 10)}" width="4" height="${at(height - 20)}" rx="2" fill="${node.outside ? 'none' : colour}"/>`,
    ...texts,
    '</g>',
  ].join('');
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

function drawWays({ cards, ways }: Layout): string[] {
  const byIndex = new Map(cards.map((card) => [card.index, card]));
  const [leaving, entering] = [portsOf(ways, 'left', byIndex), portsOf(ways, 'right', byIndex)];
  const labels: Box[] = [];
  const drawn = ways.flatMap((way) => {
    const { edge, passes, backwards } = way;
    const [from, to] = [byIndex.get(edge.from), byIndex.get(edge.to)];
    const [left, right] = backwards ? [to, from] : [from, to];
    if (from === undefined || to === undefined || left === undefined || right === undefined) return [];
    const [start, end] = [left.x + left.width, right.x];
    const [first, last] = [leaving.get(way) ?? left.y, entering.get(way) ?? right.y];
    const stops = [
      { from: start + (backwards ? TIP : 0), to: start + (backwards ? TIP : 0), y: first },
      ...passes,
      { from: end - (backwards ? 0 : TIP), to: end - (backwards ? 0 : TIP), y: last },
    ];
    const bow = stops.map(({ from: x, to: x2, y }, index) => {
      const before = stops[index - 1];
      if (before === undefined) return `M${at(x)} ${at(y)}`;
      const middle = (before.to + x) / 2;
      return `C${at(middle)} ${at(before.y)} ${at(middle)} ${at(y)} ${at(x)} ${at(y)}${x2 > x ? `H${at(x2)}` : ''}`;
    });
    const tip = backwards ? `M${at(start)} ${at(first)}l9 -4.5v9z` : `M${at(end)} ${at(last)}l-9 -4.5v9z`;
    const whole = edge.services.join(', ');
    const text = cut(whole, LABEL_CHARACTERS);
    const width = text.length * LETTER.line + 2 * LABEL.padding;
    // In the first gap: there the line has just left whoever begins.
    const [a, b] = backwards ? stops.slice(-2) : stops;
    const middle = ((a?.to ?? start) + (b?.from ?? end)) / 2;
    const height = ((a?.y ?? first) + (b?.y ?? last)) / 2;
    const box = freePlace({ x: middle - width / 2, y: height - LABEL.height / 2, width }, labels);
    labels.push(box);
    const [x, y] = [box.x + LABEL.padding, box.y + LABEL.height - 5];
    const title = `<title>${escapedLines(`${from.node.name} → ${to.node.name}\n${whole}\nby ${edge.rules.join(', ')}`)}</title>`;
    return {
      line: `<g class="way">${title}<path class="bow" d="${bow.join('')}"/><path class="tip" d="${tip}"/></g>`,
      label:
        `<g class="label">${title}<rect x="${at(box.x)}" y="${at(box.y)}" width="${at(width)}" height="${String(LABEL.height)}" rx="9"/>` +
        `<text x="${at(x)}" y="${at(y)}">${escaped(text)}</text></g>`,
    };
  });
  // No line lies on a label.
  return [...drawn.map(({ line }) => line), ...drawn.map(({ label }) => label)];
}

/** Where each line touches the card at its left or its right end: spread along the side, in the order of where they lead. */
function portsOf(
  ways: readonly Way[],
  end: 'left' | 'right',
  cards: ReadonlyMap<number, Card>,
): ReadonlyMap<Way, number> {
  const isAtFrom = (way: Way): boolean => (end === 'left') !== way.backwards;
  const endOf = ({ edge }: Way, from: boolean): number => (from ? edge.from : edge.to);
  const ports = new Map<Way, number>();
  for (const [index, own] of Map.groupBy(ways, (way) => endOf(way, isAtFrom(way)))) {
    const card = cards.get(index);
    if (card === undefined) continue;
    const leadsTo = (way: Way): number => {
      const pass = end === 'left' ? way.passes[0] : way.passes.at(-1);
      const other = cards.get(endOf(way, !isAtFrom(way)));
      return pass?.y ?? (other === undefined ? 0 : other.y + other.height / 2);
    };
    const sorted = own.toSorted((a, b) => leadsTo(a) - leadsTo(b));
    for (const [place, way] of sorted.entries()) {
      ports.set(way, card.y + (card.height * (place + 1)) / (sorted.length + 1));
    }
  }
  return ports;
}

/** The nearest place above or below that no label has. */
function freePlace(wanted: Box, taken: readonly Box[]): Box {
  for (let step = 0; step < LABEL_TRIES; step += 1) {
    const shift = Math.ceil(step / 2) * (step % 2 === 0 ? 1 : -1) * (LABEL.height / 2 + 1);
    const box = { ...wanted, y: wanted.y + shift };
    const overlaps = taken.some(
      (other) =>
        box.x < other.x + other.width + 4 &&
        other.x < box.x + box.width + 4 &&
        Math.abs(box.y - other.y) < LABEL.height + 2,
    );
    if (!overlaps) return box;
  }
  return wanted;
}

function fitted(text: string, letters: number): string {
  return escaped(cut(text, Math.floor(letters)));
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1))}…`;
}

function escapedLines(text: string): string {
  return text
    .split('\n')
    .map((line) => escaped(line))
    .join('\n');
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}
