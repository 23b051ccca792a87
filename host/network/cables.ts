// The host's end of a machine's cable: an interface in the network's namespace with a route to the machine alone, and with its
// card's address written down for good, so that nothing that the machine says of itself is learned.
import { GATEWAY_IPV4, GATEWAY_IPV6, linkOf, type Machine } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import type { NamespaceRun } from './namespace.ts';

const IP = '/usr/sbin/ip';
const CONNTRACK = '/usr/sbin/conntrack';
/** conntrack(8): nothing was there to be deleted. */
const NOTHING_DELETED = 1;
/** 10,000 machines take some seconds. */
const BATCH_TIMEOUT_MS = 60_000;

/** Connects machines whose interfaces are in the namespace. Doing it again changes nothing. */
export async function connectCables(inside: NamespaceRun, machines: readonly Machine[]): Promise<void> {
  const input = machines.flatMap((machine) => cableCommands(machine)).join('');
  await runChecked(inside, [IP, '-batch', '-'], { input, timeoutMs: BATCH_TIMEOUT_MS });
}

/**
 * Takes a machine off the network at once: its interface goes down, and with it its routes and whatever passes there; what is
 * known of its connections is forgotten, so that they do not go on if it comes back.
 */
export async function cutCable(inside: NamespaceRun, machine: Machine): Promise<void> {
  await runChecked(inside, [IP, 'link', 'set', 'dev', machine.interface, 'down']);
  for (const address of machine.addresses) {
    for (const end of ['--orig-src', '--orig-dst']) {
      const argv = [CONNTRACK, '-D', '-f', address.family === 4 ? 'ipv4' : 'ipv6', end, address.text];
      await runChecked(async (command, options) => {
        const result = await inside(command, options);
        return result.code === NOTHING_DELETED ? { ...result, code: 0 } : result;
      }, argv);
    }
  }
}

/** Lines for `ip -batch`; every word in them was checked by parseMachines(). */
export function cableCommands({ interface: device, mac, addresses }: Machine): string[] {
  return [
    `link set dev ${device} up\n`,
    // The same on each: whoever serves addresses tells by it on which links it does.
    `address replace ${GATEWAY_IPV4}/32 dev ${device}\n`,
    `address replace ${GATEWAY_IPV6}/64 dev ${device} nodad\n`,
    ...addresses.flatMap((address) => {
      const text = address.text;
      const length = address.family === 4 ? 32 : 128;
      return [
        ...(address.family === 6
          ? [`address replace ${linkOf(address).text} dev ${device} nodad noprefixroute\n`]
          : []),
        `route replace ${text}/${length} dev ${device}\n`,
        `neighbour replace ${text} lladdr ${mac} dev ${device} nud permanent\n`,
      ];
    }),
  ];
}
