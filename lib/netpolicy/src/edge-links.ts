// The cables between the edge of a host, by which its networks go out, and the networks: each has a number on this host, and by it its
// addresses on the cable and its ports outside. Nobody but the two ends ever sees these addresses.
import { type AddressRange, type Family, parseRange } from './address.ts';

/** Ports 1024 to 65535 are shared out among so many networks: who it was is known by the port (RFC 7422), and none takes another's. */
export const MAX_WAYS_OUT = 64;
const FIRST_PORT = 1_024;
const PORTS_EACH = 1_008;

/** The edge's end of each cable. */
export const EDGE_GATEWAY: Readonly<Record<Family, string>> = { 4: '169.254.2.1', 6: 'fe80::2' };
/** What the one is called that is made on an interface of the host. */
export const SHARED_UPLINK = 'world';

const LINKS = { 4: '169.254.3.', 6: 'fd52:696e:6777::' } as const;
/** The networks' ends. */
export const EDGE_LINKS: readonly AddressRange[] = ['169.254.2.0/23', 'fd52:696e:6777::/64'].map((text) =>
  parseRange(text, ''),
);

export interface EdgeCable {
  /** Of its end in the edge: edgeCableName(). */
  readonly interface: string;
  /** From 0: which of the networks that go out it is. */
  readonly slot: number;
}

export function edgeAddress({ slot }: Pick<EdgeCable, 'slot'>, family: Family): string {
  return LINKS[family] + (slot + 1).toString(family === 4 ? 10 : 16);
}

export function edgePorts({ slot }: Pick<EdgeCable, 'slot'>): { readonly first: number; readonly last: number } {
  const first = FIRST_PORT + slot * PORTS_EACH;
  return { first, last: first + PORTS_EACH - 1 };
}

/** Hardware addresses of both ends, locally administered. */
export function edgeMac({ slot }: Pick<EdgeCable, 'slot'>, end: 'edge' | 'network'): string {
  return `02:52:57:00:0${end === 'edge' ? 1 : 2}:${slot.toString(16).padStart(2, '0')}`;
}

export function isEdgeCable(name: string): boolean {
  return /^rw[0-9a-f]{13}$/.test(name);
}
