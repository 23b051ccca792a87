// The network that a machine's card would lead to, for guests that are tested alone: a namespace with one cable, its walls, and who serves
// addresses and names there.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compileNetwork, type Machine, parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import { lacksForJails, openBench } from '../../jail/testing/bench.ts';
import { closeNamespace, connectCables, openNamespace, Walls } from '../../network/index.ts';
import { NamesServer } from '../../network/names/index.ts';
import { NEEDS_PACKETS } from '../../network/testing/testbed.ts';

const TAP = 'web';
/** Whether such a network can be had here. */
export const HAS_NETWORKS: boolean =
  NEEDS_PACKETS === '' && lacksForJails() === undefined && existsSync('/usr/sbin/dnsmasq');

export interface CardNetwork extends AsyncDisposable {
  /** The file that pins its namespace. */
  readonly pin: string;
  readonly machine: Machine;
}

/** With one machine, `web.app.internal`, whose tap nobody has opened yet. */
export async function openCardNetwork(): Promise<CardNetwork> {
  const json = { name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules: [] };
  const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [json] }).networks;
  if (network === undefined) throw new Error('no network');
  const addresses = ['10.20.0.2', 'fd00:20::2'];
  const described = { name: 'web', labels: {}, addresses, mac: '02:54:00:00:00:02', interface: TAP };
  const machines = parseMachines([described], network);
  const [machine] = machines;
  if (machine === undefined) throw new Error('no machine');

  await using stack = new AsyncDisposableStack();
  const bench = stack.use(await openBench('card'));
  const pin = join(bench.dir, 'network');
  const inside = await openNamespace(run, pin);
  stack.defer(() => closeNamespace(run, pin));
  await runChecked(inside, ['/usr/sbin/ip', 'tuntap', 'add', 'mode', 'tap', 'name', TAP]);
  await new Walls(inside).raise(compileNetwork(network, machines));
  await connectCables(inside, machines);
  const server = new NamesServer({
    id: bench.name,
    dir: join(bench.dir, 'names'),
    namespace: pin,
    leases: bench.leases,
  });
  await server.apply({ network, machines, resolvers: [] });
  stack.defer(() => server.stop());
  const opened = stack.move();
  return { pin, machine, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
