// `ringwall network`: networks, which machines are in them, and whether the host does what is wanted of them.
import type { NetworkDetail, ShownNetwork } from '@ringwall/api/networks';
import { RingwallError } from '@ringwall/api/errors';
import { bullet } from '../bullet.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { rulesOf } from '../network/add-rule.ts';
import { printLabels } from '../network/labels.ts';
import { sayWayOut } from '../network/way-out.ts';
import { formatAge } from '../quantities.ts';
import { renderTable, type Cell } from '../table.ts';
import { plainText, type Terminal } from '../terminal.ts';

const ACTIONS = { create, ls: list, show, rm: remove, peer, egress } as const;

export async function run(invocation: Invocation): Promise<void> {
  const [action = '', name] = invocation.arguments;
  if (!isAction(action)) {
    throw new RingwallError('bad-request', `network has no ${JSON.stringify(action)}`, {
      hint: `it has ${Object.keys(ACTIONS).join(', ')}`,
    });
  }
  if (action !== 'ls' && action !== 'egress' && name === undefined) {
    throw new RingwallError('bad-request', `network ${action} needs a name`, {
      hint: `as in: ${invocation.self} network ${action} app`,
    });
  }
  await ACTIONS[action](invocation, name ?? '');
}

async function peer(invocation: Invocation): Promise<void> {
  const { run: runPeer } = await import('./network-peer.ts');
  await runPeer(invocation);
}

async function egress(invocation: Invocation): Promise<void> {
  const { run: runEgress } = await import('./network-egress.ts');
  await runEgress(invocation);
}

function isAction(word: string): word is keyof typeof ACTIONS {
  return Object.hasOwn(ACTIONS, word);
}

async function create(invocation: Invocation, name: string): Promise<void> {
  const { values, out, self, json } = invocation;
  const [addresses, internet, mode] = ['addresses', 'internet', 'mode'].map((key) => values.get(key));
  const body = {
    name,
    ...(addresses === undefined ? {} : { addresses: addresses.split(',') }),
    ...(internet === undefined ? {} : { internet }),
    ...(mode === undefined ? {} : { mode }),
  };
  await invocation.needServices();
  const network = await invocation.withApi((api) => api.call('createNetwork', { body }));
  if (json) {
    printJson(invocation, network);
    return;
  }
  const way =
    network.spec.definition['internet'] === 'nat'
      ? 'with a way out, for those whom a rule lets out'
      : 'with no way out';
  out.line(
    `${out.tick} ${out.paint('bold', name)} is there, ${way}. Its machines get addresses of ${rangesOf(network).join(' and ')}.`,
  );
  for (const line of renderState(network, out)) out.line(line);
  const { wayOut } = network.status;
  if (wayOut !== undefined && wayOut.state !== 'on') {
    for (const line of bullet(out, out.bang, sayWayOut(wayOut, self))) out.line(line);
  }
  out.line('Nothing in it is allowed yet. Put machines in it, and say who may reach whom:');
  out.line(`  ${self} run hello --name web --network ${name} --label role=web`);
  out.line(`  ${self} allow role=web role=db tcp/5432 --network ${name}`);
}

async function list(invocation: Invocation): Promise<void> {
  const { out, self, json, now } = invocation;
  const answer = await invocation.withApi((api) => api.call('listNetworks'));
  if (json) {
    printJson(invocation, answer);
    return;
  }
  if (answer.networks.length === 0) {
    out.line(`There are no networks yet. Make one: ${self} network create app`);
    return;
  }
  const rows = answer.networks.map((network): Cell[] => [
    { text: plainText(network.name), style: 'bold' },
    stateCell(network),
    { text: rangesOf(network).join(' ') },
    internetCell(network),
    { text: String(network.status.machines) },
    { text: String(rulesOf(network.spec.definition).length) },
    { text: formatAge(network.createdAt, now()), style: 'dim' },
  ]);
  const columns = [
    { title: 'NAME' },
    { title: 'STATE' },
    { title: 'ADDRESSES', elastic: true } as const,
    { title: 'INTERNET' },
    { title: 'MACHINES', align: 'right' } as const,
    { title: 'RULES', align: 'right' } as const,
    { title: 'AGE', align: 'right' } as const,
  ];
  for (const line of renderTable(out, columns, rows)) out.line(line);
  for (const network of answer.networks) {
    if (network.status.trouble !== undefined)
      out.line(`${out.bang} ${plainText(`${network.name}: ${network.status.trouble}`)}`);
  }
}

async function show(invocation: Invocation, name: string): Promise<void> {
  const { out, self, json, now } = invocation;
  const detail = await invocation.withApi((api) => api.call('showNetwork', { params: { network: name } }));
  if (json) {
    printJson(invocation, detail);
    return;
  }
  const { network } = detail;
  const { definition } = network.spec;
  const rules = rulesOf(definition).length;
  out.line(
    `${out.paint('bold', plainText(network.name))}  ${out.paint(stateCell(network).style, stateCell(network).text)}`,
  );
  for (const line of renderState(network, out)) out.line(line);
  const facts: [string, string][] = [
    ['addresses', rangesOf(network).join(', ')],
    ['internet', sayInternet(network, self)],
    [
      'rules',
      rules === 0 ? 'none: nothing is allowed' : `${String(rules)}, see ${self} net rules --network ${network.name}`,
    ],
    ['made', `${formatAge(network.createdAt, now())} ago`],
    ['id', network.id],
  ];
  for (const [title, value] of facts) out.line(`  ${out.paint('dim', title.padEnd(9))}  ${plainText(value)}`);
  for (const line of renderPlaces(detail, out)) out.line(line);
}

async function remove(invocation: Invocation, name: string): Promise<void> {
  await invocation.withApi((api) => api.call('removeNetwork', { params: { network: name } }));
  if (invocation.json) printJson(invocation, { removed: name });
  else invocation.out.line(`${name} is removed.`);
}

function renderPlaces({ machines }: NetworkDetail, out: Terminal): string[] {
  if (machines.length === 0) return ['', 'No machine has a card in it.'];
  const rows = machines.map(({ name, labels, addresses, phase, trust, admitted }): Cell[] => [
    { text: plainText(name), style: 'bold' },
    { text: Object.keys(labels).length === 0 ? '-' : plainText(printLabels(labels)) },
    { text: addresses.join(' ') },
    { text: phase },
    { text: trust, style: trust === 'attested' ? 'green' : trust === 'unknown' ? 'yellow' : 'red' },
    { text: admitted ? 'open' : 'shut', style: admitted ? 'green' : 'dim' },
  ]);
  const columns = [
    { title: 'MACHINE' },
    { title: 'LABELS', elastic: true } as const,
    { title: 'ADDRESSES' },
    { title: 'STATE' },
    { title: 'TRUST' },
    { title: 'NETWORK' },
  ];
  return ['', ...renderTable(out, columns, rows)];
}

function internetCell({ spec, status }: ShownNetwork): Cell {
  if (spec.definition['internet'] !== 'nat') return { text: 'none' };
  const isShut = status.wayOut !== undefined && status.wayOut.state !== 'on';
  return isShut ? { text: 'nat, shut', style: 'yellow' } : { text: 'nat' };
}

function sayInternet({ spec, status }: ShownNetwork, self: string): string {
  if (spec.definition['internet'] !== 'nat') return 'none';
  const { wayOut } = status;
  if (wayOut === undefined) return 'nat: rules may lead out';
  return wayOut.state === 'on' ? `nat, ${sayWayOut(wayOut, self)}` : `nat, but ${sayWayOut(wayOut, self)}`;
}

function stateCell({ status }: ShownNetwork): { readonly text: string; readonly style: 'green' | 'yellow' } {
  return status.state === 'in-force' ? { text: 'in force', style: 'green' } : { text: 'pending', style: 'yellow' };
}

function renderState({ status }: ShownNetwork, out: Terminal): string[] {
  if (status.trouble !== undefined) return [`  ${out.bang} ${plainText(status.trouble)}`];
  return status.state === 'pending' ? [`  ${out.bang} the host is still being brought to it`] : [];
}

function rangesOf({ spec }: ShownNetwork): string[] {
  const { addresses } = spec.definition;
  return Array.isArray(addresses) ? addresses.map(String) : [];
}
