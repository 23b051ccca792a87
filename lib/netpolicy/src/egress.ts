// How this host lets its networks out, as its operator has written it: by which interface, under which addresses, past which routers,
// and who is asked for names of the world. A document of root's own (docs/networks.md); what is not in it does not happen.
import {
  addressOf,
  type Address,
  type AddressRange,
  FAMILY_BITS,
  parseAddress,
  parseRange,
  prefixOf,
  quoted,
} from './address.ts';
import { asText, ClosedObject } from './closed-object.ts';
import { isEdgeCable, SHARED_UPLINK } from './edge-links.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { findProtected, type ProtectedRange } from './protected.ts';

/** One of each family. */
const MAX_ADDRESSES = 2;
/** dnsmasq asks whichever answers; more than these answer no sooner. */
const MAX_RESOLVERS = 4;
const MAX_NEVER = 256;

export interface Egress {
  /** `given`: the interface itself is the way out, and no more the host's; `shared`: one more beside it is made on it (macvlan). */
  readonly uplink: { readonly kind: 'given' | 'shared'; readonly interface: string };
  /** One for each family that leads out. */
  readonly ways: readonly Way[];
  readonly resolvers: readonly Address[];
  /** What no machine may reach, besides what none may on any host. */
  readonly never: readonly AddressRange[];
}

export interface Way {
  /** Under which networks are seen outside. */
  readonly address: Address;
  readonly prefixLength: number;
  /** The uplink's own link: the router on it and other hosts of the operator. */
  readonly link: AddressRange;
  readonly gateway: Address;
}

/** Parses what JSON.parse answered. Throws NetPolicyError, which says where. */
export function parseEgress(json: unknown): Egress {
  const object = new ClosedObject(json, '');
  object.oneOf('version', [1]);
  const uplink = parseUplink(object.value('uplink'), object.where('uplink'));
  const addresses = object.list('addresses', MAX_ADDRESSES, parseOwnAddress);
  const gateways = object.list('gateways', MAX_ADDRESSES, parseGateway);
  const resolvers = object.has('resolvers') ? object.list('resolvers', MAX_RESOLVERS, parseResolver) : [];
  const never = object.has('never')
    ? object.list('never', MAX_NEVER, (item, at) => parseRange(asText(item, at), at))
    : [];
  object.end();
  if (addresses.length === 0) throw new NetPolicyError('malformed', 'addresses', 'is empty');
  refuseTwins(
    addresses.map(({ address }) => address),
    'addresses',
  );
  refuseTwins(gateways, 'gateways');
  const ways = addresses.map((own): Way => {
    const gateway = gateways.find(({ family }) => family === own.address.family);
    if (gateway === undefined) {
      throw new NetPolicyError('malformed', 'gateways', `has none for ${own.address.text}`);
    }
    if (gateway.text === own.address.text) {
      throw new NetPolicyError('address-invalid', 'gateways', `${gateway.text} is the address of the uplink itself`);
    }
    return { ...own, gateway };
  });
  for (const [at, list] of [
    ['gateways', gateways],
    ['resolvers', resolvers],
  ] as const) {
    const lost = list.find(({ family }) => !ways.some(({ address }) => address.family === family));
    if (lost !== undefined) {
      throw new NetPolicyError('malformed', at, `${lost.text} has no address of its family to be reached from`);
    }
  }
  return { uplink, ways, resolvers, never };
}

/** What no machine may reach because of this way out: its own link among it, with the router and whoever else of the operator's is there. */
export function neverReached({ ways, never }: Pick<Egress, 'ways' | 'never'>): ProtectedRange[] {
  return [
    ...ways.map(({ link }) => ({ ...link, what: 'on the link by which this host lets its networks out' })),
    ...never.map((range) => ({ ...range, what: 'kept from networks by the operator of this host' })),
  ];
}

function parseUplink(json: unknown, at: string): Egress['uplink'] {
  const object = new ClosedObject(json, at);
  const kind = object.has('interface') ? 'given' : 'shared';
  const key = kind === 'given' ? 'interface' : 'on';
  const name = object.text(key);
  object.end();
  // IFNAMSIZ of Linux less its final zero; what hosts call theirs, and nothing that is syntax to anybody.
  if (!/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(name) || name === 'lo' || name === SHARED_UPLINK || isEdgeCable(name)) {
    throw new NetPolicyError('name-invalid', object.where(key), `${quoted(name)} is no interface that could lead out`);
  }
  return { kind, interface: name };
}

/** `192.0.2.10/24`: an address and how long the prefix of its link is. */
function parseOwnAddress(item: unknown, at: string): Omit<Way, 'gateway'> {
  const text = asText(item, at);
  const [host = '', length = ''] = text.split('/', 2);
  const address = usable(parseAddress(host, at), at);
  const prefixLength = Number(length);
  if (!/^[1-9]\d{0,2}$/.test(length) || prefixLength > FAMILY_BITS[address.family] || text.split('/').length !== 2) {
    throw new NetPolicyError('address-invalid', at, `${quoted(text)} is not as in 192.0.2.10/24 or 2001:db8::10/64`);
  }
  return { address, prefixLength, link: prefixOf(address, prefixLength) };
}

/** Routers are known by link-local addresses, too (RFC 4861, 6.3.4). */
function parseGateway(item: unknown, at: string): Address {
  const address = parseAddress(asText(item, at), at);
  return isLinkLocal(address) ? address : usable(address, at);
}

function parseResolver(item: unknown, at: string): Address {
  return usable(parseAddress(asText(item, at), at), at);
}

function usable(address: Address, at: string): Address {
  const own = findProtected(address, []);
  if (own === undefined) return address;
  throw new NetPolicyError(
    'address-invalid',
    at,
    `${address.text} is ${own.what}: nobody is reached there by a way out`,
  );
}

function isLinkLocal({ family, value }: Address): boolean {
  return family === 6 && addressOf(6, (value >> 118n) << 118n).text === 'fe80::';
}

function refuseTwins(addresses: readonly Address[], at: string): void {
  const families = new Set(addresses.map(({ family }) => family));
  if (families.size < addresses.length) throw new NetPolicyError('overlap', at, 'has two of one family');
}
