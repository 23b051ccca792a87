// The machines of a network, as the host knows them: the labels that rules speak of, and what identifies each on the wire.
import { type Address, parseAddress, rangeHas } from './address.ts';
import { ClosedObject, asText } from './closed-object.ts';
import { type Labels, MAX_LABELS, parseInterface, parseLabels, parseMac, parseName } from './names.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { checkDeclared, type Network } from './policy.ts';

/** A host has room for fewer; sets of this size load in some seconds. */
export const MAX_MACHINES = 65_536;
/** One of each family. */
const MAX_ADDRESSES = 2;

export interface Machine {
  readonly name: string;
  readonly labels: Labels;
  /** At most one of each family. */
  readonly addresses: readonly Address[];
  /** Of its card, which it must use. */
  readonly mac: string;
  /** The host's end of its cable, in the network's namespace: what arrives there is from this machine, and from no other. */
  readonly interface: string;
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
    const take = (what: keyof typeof owners, own: string): void => {
      const other = owners[what].get(own);
      if (other !== undefined) {
        throw new NetPolicyError('overlap', 'machines', `${what} ${own} is ${other}’s and ${machine.name}’s`);
      }
      owners[what].set(own, machine.name);
    };
    take('name', machine.name);
    take('interface', machine.interface);
    for (const { text } of machine.addresses) take('address', text);
  }
  return machines;
}

function parseMachine(json: unknown, at: string, network: Network): Machine {
  const object = new ClosedObject(json, at);
  const name = parseName(object.value('name'), object.where('name'));
  const labels = parseLabels(object.entries('labels', MAX_LABELS));
  checkDeclared(labels, network.labels, object.where('labels'));
  const addresses = object.list('addresses', MAX_ADDRESSES, (item, where) => {
    const address = parseAddress(asText(item, where), where);
    if (!network.addresses.some((range) => rangeHas(range, address))) {
      throw new NetPolicyError('address-invalid', where, `${address.text} is not of network ${network.name}`);
    }
    return address;
  });
  if (new Set(addresses.map(({ family }) => family)).size !== addresses.length || addresses.length === 0) {
    throw new NetPolicyError('address-invalid', object.where('addresses'), 'is not one address, or one of each family');
  }
  const mac = parseMac(object.value('mac'), object.where('mac'));
  const device = parseInterface(object.value('interface'), object.where('interface'));
  if (device === UPLINK || device === 'lo') {
    throw new NetPolicyError('name-invalid', object.where('interface'), `${device} is the network’s own`);
  }
  object.end();
  return { name, labels, addresses, mac, interface: device };
}

/** The interface that leads out of a network's namespace, where the network has one. */
export const UPLINK = 'uplink';
