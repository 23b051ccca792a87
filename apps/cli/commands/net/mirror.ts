// `ringwall net mirror`: copies of what is on machines' cables, for a system that looks for intrusions on this host.
import { RingwallError } from '@ringwall/api/errors';
import type { ShownMirror } from '@ringwall/api/mirrors';
import { printJson, type Invocation } from '../../invocation.ts';
import { chooseNetwork } from '../../network/choose-network.ts';
import { plainText } from '../../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { json, flags, arguments: names } = invocation;
  const ways = [names.length > 0, flags.has('all'), flags.has('off')].filter(Boolean).length;
  if (ways > 1) {
    throw new RingwallError('bad-request', 'net mirror takes machines, or --all, or --off');
  }
  const { name: network } = await chooseNetwork(invocation);
  const mirror = await invocation.withApi((api) =>
    ways === 0
      ? api.call('showMirror', { params: { network } })
      : api.call('setMirror', { params: { network }, body: { machines: flags.has('all') ? 'all' : names } }),
  );
  if (json) printJson(invocation, mirror);
  else for (const line of renderMirror(mirror, invocation)) invocation.out.line(line);
}

function renderMirror(mirror: ShownMirror, { out, self }: Invocation): string[] {
  const { network, machines, mirrored, namespace, interface: port, allowed } = mirror;
  if (machines.length === 0) {
    return [
      `Nothing of ${plainText(network)} is mirrored.`,
      allowed ? `Begin with: ${self} net mirror MACHINE, or --all` : 'Root does not allow mirrors on this host.',
    ];
  }
  const wanted = machines === 'all' ? 'all machines' : machines.join(', ');
  const now = mirrored.length === 0 ? 'none of them is connected now' : `now: ${mirrored.join(', ')}`;
  return [
    `${plainText(network)}: ${plainText(wanted)} ${out.sign('→', '->')} ${port} (${plainText(now)})`,
    `Listen there: nsenter --net=${plainText(namespace)} suricata -i ${port}`,
    `End it: ${self} net mirror --off --network ${plainText(network)}`,
  ];
}
