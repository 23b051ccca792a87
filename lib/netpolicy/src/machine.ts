// The machines of a network, as one of its hosts knows them: the labels that rules speak of, and what identifies each on the wire:
// its card on its own cable, or, where it runs on another host, the tunnel that leads there.
import { type Address, parseAddress, rangeHas } from './address.ts';
import { ClosedObject, asText } from './closed-object.ts';
import { linkOf, UPLINK } from './gateway.ts';
import { type Labels, MAX_LABELS, parseInterface, parseLabels, parseMac, parseName } from './names.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { checkDeclared, type Network } from './policy.ts';

/** A host has room for fewer; sets of this size load in some seconds. */
export const MAX_MACHINES = 65_536;
/** One of each family. */
const MAX_ADDRESSES = 2;

/** What rules can mean, wherever it runs. */
interface Named {
  readonly name: string;
  readonly labels: Labels;
  /** At most one of each family. */
  readonly addresses: readonly Address[];
}

export interface Machine extends Named {
  /** Of its card, which it must use. */
  readonly mac: string;
  /** The host's end of its cable, in the network's namespace: what arrives there is from this machine, and from no other. */
  readonly interface: string;
}

/** A machine of the same network on another host. */
export interface FarMachine extends Named {
  readonly host: string;
  /** The end of the tunnel to that host, in the network's namespace: what arrives there is from that host's machines alone. */
  readonly interface: string;
  /** The same of the tunnel that goes out of use, while that tunnel's keys are being changed. */
  readonly olderInterface?: string;
}

export type AnyMachine = Machine | FarMachine;

export function isFar(machine: AnyMachine): machine is FarMachine {
  return 'host' in machine;
}

/** Where its packets come from. */
export function interfacesOf(machine: AnyMachine): readonly string[] {
  const older = isFar(machine) ? machine.olderInterface : undefined;
  return older === undefined ? [machine.interface] : [machine.interface, older];
}

/** Parses the machines of a network: names, addresses and interfaces are its own and nobody's else. */
export function parseMachines(json: unknown, network: Network): readonly Machine[] {
  const machines = new ClosedObject({ machines: json }, '').list('machines', MAX_MACHINES, (item, at) =>
    parseMachine(item, at, network),
  );
  const owners = {
    name: new Map<string, string>(),
    interface: new Map<string, string>(),
    address: new Map<string, string>(),
  };
  for (const machine of machines) {
    takeAll(owners, machine, machine.name);
    takeOne(owners.interface, 'interface', machine.interface, machine.name);
  }
  return machines;
}

/**
 * Parses the machines that are on other hosts. `near` are this host's: nobody out there has a name or an address of theirs, or of
 * another host's machine, and no tunnel has the name of a cable or leads to two hosts.
 */
export function parseFarMachines(json: unknown, network: Network, near: readonly Machine[]): readonly FarMachine[] {
  const machines = new ClosedObject({ machines: json }, '').list('machines', MAX_MACHINES - near.length, (item, at) =>
    parseFarMachine(item, at, network),
  );
  const owners: Owners = { name: new Map(), address: new Map() };
  const tunnels = new Map<string, string>();
  for (const machine of near) {
    takeAll(owners, machine, `${machine.name} on this host`);
    tunnels.set(machine.interface, `the cable of ${machine.name}`);
  }
  for (const machine of machines) {
    takeAll(owners, machine, `${machine.name} on ${machine.host}`);
    for (const device of interfacesOf(machine)) {
      if (tunnels.get(device) !== machine.host) takeOne(tunnels, 'interface', device, machine.host);
    }
  }
  return machines;
}

type Owners = Readonly<Record<'name' | 'address', Map<string, string>>>;

/** `owner` is how a message calls it. */
function takeAll(owners: Owners, machine: AnyMachine, owner: string): void {
  takeOne(owners.name, 'name', machine.name, owner);
  for (const { text } of machine.addresses) takeOne(owners.address, 'address', text, owner);
}

function takeOne(owners: Map<string, string>, what: string, own: string, owner: string): void {
  const other = owners.get(own);
  if (other !== undefined)
    throw new NetPolicyError('overlap', 'machines', `${what} ${own} is ${other}’s and ${owner}’s`);
  owners.set(own, owner);
}

function parseMachine(json: unknown, at: string, network: Network): Machine {
  const object = new ClosedObject(json, at);
  const named = parseNamed(object, network);
  const mac = parseMac(object.value('mac'), object.where('mac'));
  const device = parseDevice(object, 'interface');
  object.end();
  return { ...named, mac, interface: device };
}

function parseFarMachine(json: unknown, at: string, network: Network): FarMachine {
  const object = new ClosedObject(json, at);
  const named = parseNamed(object, network);
  const host = parseName(object.value('host'), object.where('host'));
  const device = parseDevice(object, 'interface');
  const older = object.has('olderInterface') ? { olderInterface: parseDevice(object, 'olderInterface') } : {};
  object.end();
  return { ...named, host, interface: device, ...older };
}

/** The labels of a machine that the network has or will have. */
export function parseMachineLabels(json: unknown, network: Network): Labels {
  const labels = parseLabels(new ClosedObject({ labels: json }, '').entries('labels', MAX_LABELS));
  checkDeclared(labels, network.labels, 'labels');
  return labels;
}

export function parseNamed(object: ClosedObject, network: Network): Named {
  const name = parseName(object.value('name'), object.where('name'));
  const labels = parseLabels(object.entries('labels', MAX_LABELS));
  checkDeclared(labels, network.labels, object.where('labels'));
  const addresses = object.list('addresses', MAX_ADDRESSES, (item, where) => {
    const address = parseAddress(asText(item, where), where);
    if (!network.addresses.some((range) => rangeHas(range, address))) {
      throw new NetPolicyError('address-invalid', where, `${address.text} is not of network ${network.name}`);
    }
    if (address.family === 6 && linkOf(address).gateway === address.text) {
      throw new NetPolicyError('address-invalid', where, `${address.text} is the gateway’s on its link`);
    }
    return address;
  });
  if (new Set(addresses.map(({ family }) => family)).size !== addresses.length || addresses.length === 0) {
    throw new NetPolicyError('address-invalid', object.where('addresses'), 'is not one address, or one of each family');
  }
  return { name, labels, addresses };
}

function parseDevice(object: ClosedObject, key: 'interface' | 'olderInterface'): string {
  const device = parseInterface(object.value(key), object.where(key));
  if (device === UPLINK || device === 'lo') {
    throw new NetPolicyError('name-invalid', object.where(key), `${device} is the network’s own`);
  }
  return device;
}
