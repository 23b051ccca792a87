// `ringwall net counters`: what the kernel has counted in a network: by machine, by reason, by rule.
import { RingwallError } from '@ringwall/api/errors';
import type { NetworkCounters } from '@ringwall/api/counters';
import { printJson, type Invocation } from '../../invocation.ts';
import { chooseNetwork } from '../../network/choose-network.ts';
import { whyRefused, whyRefusedAtEdge } from '../../network/why-refused.ts';
import { formatBytes } from '../../quantities.ts';
import { renderTable, type Cell } from '../../table.ts';
import { plainText, type Terminal } from '../../terminal.ts';

type MachineCounters = NetworkCounters['machines'][number];

export async function run(invocation: Invocation): Promise<void> {
  const { out, json } = invocation;
  const [only, more] = invocation.arguments;
  if (more !== undefined) throw new RingwallError('bad-request', 'net counters takes one machine, or none');
  const { name: network } = await chooseNetwork(invocation);
  const counters = await invocation.withApi((api) => api.call('networkCounters', { params: { network } }));
  const machines = counters.machines.filter(({ name }) => only === undefined || name === only);
  if (only !== undefined && machines.length === 0) {
    throw new RingwallError('not-found', `the network ${network} has no machine ${JSON.stringify(only)}`);
  }
  if (json) {
    printJson(invocation, only === undefined ? counters : { network, machines });
    return;
  }
  if (machines.length === 0) out.line(`${plainText(network)} has no machines.`);
  else for (const line of renderMachines(machines, out)) out.line(line);
  if (only !== undefined) return;
  for (const line of renderRules(counters, out)) out.line(line);
  const refused = counters.refused.filter(({ packets }) => packets > 0);
  if (refused.length > 0) out.line(`refused in all: ${reasonsOf(refused)}`);
  const { connections, putBack, out: gone } = counters;
  if (gone !== undefined) for (const line of renderOut(gone)) out.line(line);
  if (putBack > 0) out.line(`rules changed by somebody else, and put back: ${String(putBack)} times`);
  if (connections !== undefined) {
    out.line(`connections known: ${String(connections.known)} of ${String(connections.limit)}`);
  }
}

function renderMachines(machines: readonly MachineCounters[], out: Terminal): string[] {
  const columns = [
    { title: 'MACHINE' },
    ...['SENT', 'PACKETS', 'RECEIVED', 'PACKETS', 'LATE'].map((title) => ({ title, align: 'right' }) as const),
    { title: 'REFUSED', elastic: true } as const,
  ];
  const rows = machines.map(({ name, sent, received, late, refused }): Cell[] => [
    { text: plainText(name), style: 'bold' },
    { text: formatBytes(sent.bytes) },
    { text: String(sent.packets) },
    { text: formatBytes(received.bytes) },
    { text: String(received.packets) },
    late === 0 ? { text: '-', style: 'dim' } : { text: String(late), style: 'yellow' },
    refused.length === 0 ? { text: '-', style: 'dim' } : { text: reasonsOf(refused), style: 'red' },
  ]);
  return renderTable(out, columns, rows);
}

function renderRules({ rules }: NetworkCounters, out: Terminal): string[] {
  if (rules.length === 0) return [];
  const columns = [{ title: 'RULE' }, { title: 'DOES' }, { title: 'CONNECTIONS', align: 'right' } as const];
  const rows = rules.map(({ rules: deciding, connections }): Cell[] => {
    const does = [...new Set(deciding.map(({ action }) => (action === 'deny' ? 'denies' : 'allows')))].join(' or ');
    return [
      { text: plainText(deciding.map(({ name }) => name).join(' or ')), style: 'bold' },
      { text: does, style: does === 'denies' ? 'red' : 'green' },
      { text: String(connections), ...(connections === 0 ? { style: 'dim' } : {}) },
    ];
  });
  return ['', ...renderTable(out, columns, rows), ''];
}

function renderOut({ sent, received, refused }: NonNullable<NetworkCounters['out']>): string[] {
  const inPackets = ({ packets, bytes }: typeof sent): string => `${formatBytes(bytes)} in ${String(packets)} packets`;
  const traffic = `by the way out: ${inPackets(sent)} sent, ${inPackets(received)} received`;
  return refused.length === 0 ? [traffic] : [traffic, `refused there: ${reasonsOf(refused, whyRefusedAtEdge)}`];
}

function reasonsOf(refused: NetworkCounters['refused'], why: (reason: string) => string = whyRefused): string {
  return refused.map(({ reason, packets }) => `${String(packets)}× ${plainText(why(reason))}`).join(', ');
}
