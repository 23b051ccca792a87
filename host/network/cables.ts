// The host's end of a machine's cable: an interface in the network's namespace with a route to the machine alone, and with its
// card's address written down for good, so that nothing that the machine says of itself is learned.
import { RingwallError } from '@ringwall/api/errors';
import { GATEWAY_IPV4, GATEWAY_IPV6, linkOf, parseAddress, type Machine } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import { forgetConnections } from './connections.ts';
import type { NamespaceRun } from './namespace.ts';

const IP = '/usr/sbin/ip';
/** 10,000 machines take some seconds. */
const BATCH_TIMEOUT_MS = 60_000;
/** Of as many: interfaces, routes and neighbours, some hundred bytes each. */
const MAX_LISTING_BYTES: number = 64 * 1024 * 1024;
/** All of them in one look: a list a line. */
const LIST_CABLES = ['link', '-4 route', '-6 route', 'neighbour show nud permanent']
  .map((what) => `${IP} -json ${what}`)
  .join('; ');

/** A cable that is not as it was connected: `gone` with its interface, or `changed` by somebody else. */
export interface BrokenCable {
  readonly machine: Machine;
  readonly how: 'gone' | 'changed';
}

/** Connects machines whose interfaces are in the namespace. Doing it again changes nothing. */
export async function connectCables(inside: NamespaceRun, machines: readonly Machine[]): Promise<void> {
  const input = machines.flatMap((machine) => cableCommands(machine)).join('');
  await runChecked(inside, [IP, '-batch', '-'], { input, timeoutMs: BATCH_TIMEOUT_MS });
}

/** Looks at the cables of machines that are connected. */
export async function brokenCables(inside: NamespaceRun, machines: readonly Machine[]): Promise<BrokenCable[]> {
  if (machines.length === 0) return [];
  const options = { timeoutMs: BATCH_TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const { stdout } = await runChecked(inside, ['/bin/sh', '-c', LIST_CABLES], options);
  const [links, routes4, routes6, neighbours] = stdout
    .toString()
    .split('\n')
    .map((line) => listIn(line));
  const up = new Map(links?.map(({ ifname, flags }) => [ifname, Array.isArray(flags) && flags.includes('UP')]));
  const routes = new Set(
    [...(routes4 ?? []), ...(routes6 ?? [])].map(({ dst, dev }) => `${plain(dst)} ${String(dev)}`),
  );
  const known = new Set(neighbours?.map(({ dst, dev, lladdr }) => `${plain(dst)} ${String(dev)} ${String(lladdr)}`));
  return machines.flatMap((machine): BrokenCable[] => {
    const { interface: device, mac, addresses } = machine;
    const isUp = up.get(device);
    if (isUp === undefined) return [{ machine, how: 'gone' }];
    const whole = addresses.every(
      ({ text }) => routes.has(`${text} ${device}`) && known.has(`${text} ${device} ${mac}`),
    );
    return isUp && whole ? [] : [{ machine, how: 'changed' }];
  });
}

/**
 * Takes machines off the network at once: their interfaces go down, and with them their routes and whatever passes there; what is
 * known of their connections is forgotten, so that they do not go on if one comes back. An interface that is gone is no error.
 */
export async function cutCable(inside: NamespaceRun, ...machines: readonly Machine[]): Promise<void> {
  if (machines.length === 0) return;
  const input = machines.map(({ interface: device }) => `link set dev ${device} down\n`).join('');
  const down = await inside([IP, '-force', '-batch', '-'], { input, timeoutMs: BATCH_TIMEOUT_MS });
  const complaints = down.stderr
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !/^Cannot find device|^Command failed -:\d+$/.test(line));
  if (complaints.length > 0) {
    throw new RingwallError('network-failed', `cables cannot be cut: ${complaints.slice(0, 3).join(', ')}`);
  }
  await forgetConnections(
    inside,
    machines.flatMap(({ addresses }) => addresses),
  );
}

/** The kernel's numbers of their interfaces, by which it speaks of them in its logs. */
export async function cableIndexes(
  inside: NamespaceRun,
  machines: readonly Machine[],
): Promise<ReadonlyMap<Machine, number>> {
  const options = { timeoutMs: BATCH_TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const { stdout } = await runChecked(inside, [IP, '-json', 'link', 'show'], options);
  const links = listIn(stdout.toString());
  const indexes = new Map(links.map(({ ifname, ifindex }) => [String(ifname), Number(ifindex)]));
  return new Map(
    machines.flatMap((machine) => {
      const index = indexes.get(machine.interface);
      return index === undefined ? [] : [[machine, index] as const];
    }),
  );
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

/** What `ip -json` says in a line: objects, or nothing where there is nothing to list. */
export function listIn(line: string): Record<string, unknown>[] {
  const value: unknown = line === '' ? [] : JSON.parse(line);
  return Array.isArray(value) ? value.map((item: unknown) => ({ ...Object(item) })) : [];
}

/** An address in the form of lib/netpolicy; ranges and `default` stay as they are. */
export function plain(destination: unknown): string {
  const text = String(destination);
  return /^[0-9a-f.:]+$/.test(text) ? parseAddress(text, '').text : text;
}
