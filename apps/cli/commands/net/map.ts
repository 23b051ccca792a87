// `ringwall net map`: who can reach whom, for people, for programs, for Graphviz, and as a picture.
import type { ShownMap } from '@ringwall/api/networks';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../../invocation.ts';
import { chooseNetwork } from '../../network/choose-network.ts';
import { drawMap } from '../../network/draw-map.ts';
import { renderMapPage } from '../../network/map-page.ts';
import { plainText, type Terminal } from '../../terminal.ts';
import { writeWhole } from '../../write-whole.ts';

/** Of the machines of one kind. */
const NAMES_SHOWN = 6;

export async function run(invocation: Invocation): Promise<void> {
  const { out, err, json, flags, values } = invocation;
  if (invocation.arguments.length > 0) {
    throw new RingwallError('bad-request', 'net map takes no words', { hint: 'name a network by --network' });
  }
  const { name: network } = await chooseNetwork(invocation);
  const map = await invocation.withApi((api) => api.call('mapNetwork', { params: { network } }));
  const picture = flags.has('svg')
    ? drawMap(map)
    : flags.has('html')
      ? renderMapPage(map, new Date(invocation.now()))
      : undefined;
  const file = values.get('out');
  if (file !== undefined) {
    if (picture === undefined) throw new RingwallError('bad-request', 'net map writes a file with --svg or --html');
    writeWhole(file, picture, invocation.environment);
    err.line(`${file} shows who can reach whom in ${plainText(network)}`);
  } else if (picture !== undefined) for (const line of picture.trimEnd().split('\n')) out.line(line);
  else if (json) printJson(invocation, map);
  else for (const line of flags.has('dot') ? renderDot(map) : renderMap(map, out)) out.line(line);
}

function renderMap({ network, nodes, edges }: ShownMap, terminal: Terminal): string[] {
  const inside = nodes.filter(({ outside }) => !outside);
  if (inside.length === 0) return [`${network} has no machines.`];
  const arrow = terminal.sign('→', '->');
  const names = nodes.map((node) => plainText(node.name));
  const width = Math.max(...names.map((name) => name.length));
  return nodes.flatMap((node, index) => {
    if (node.outside) return [];
    const { machines } = node;
    const shown = machines.slice(0, NAMES_SHOWN).join(', ');
    const more = machines.length > NAMES_SHOWN ? ` and ${String(machines.length - NAMES_SHOWN)} more` : '';
    const own = edges.filter(({ from }) => from === index);
    return [
      `${terminal.paint('bold', names[index] ?? '')}  ${terminal.paint('dim', plainText(`${shown}${more}`))}`,
      ...own.map(({ to, services, rules }) => {
        const by = terminal.paint('dim', `by ${rules.join(', ')}`);
        return `  ${terminal.paint('green', arrow)} ${(names[to] ?? '').padEnd(width)}  ${plainText(services.join(', '))}  ${by}`;
      }),
      ...(own.length === 0 ? [`  ${terminal.paint('dim', 'reaches nobody')}`] : []),
    ];
  });
}

/** The language of Graphviz: `dot -Tsvg` draws it. */
function renderDot({ network, nodes, edges }: ShownMap): string[] {
  const text = (value: string): string => `"${plainText(value).replaceAll(/["\\]/g, '\\$&')}"`;
  return [
    `digraph ${text(network)} {`,
    '  rankdir=LR; node [shape=box, fontname="sans-serif"]; edge [fontname="sans-serif", fontsize=10];',
    ...nodes.map(({ name, machines, outside }, index) => {
      const label = `"${[name, ...machines.slice(0, NAMES_SHOWN)].map((line) => text(line).slice(1, -1)).join('\\n')}"`;
      return `  n${String(index)} [label=${label}${outside ? ', style=dashed' : ''}];`;
    }),
    ...edges.map(({ from, to, services, rules }) => {
      const [label, tip] = [text(services.join(', ')), text(rules.join(', '))];
      return `  n${String(from)} -> n${String(to)} [label=${label}, tooltip=${tip}];`;
    }),
    '}',
  ];
}
