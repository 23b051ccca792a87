// How networks of this host get out, as a sentence.
import type { HostWayOut } from '@ringwall/api/networks';

export function sayWayOut(way: HostWayOut, self: string): string {
  const { state, trouble, uplink, addresses = [], resolvers = [] } = way;
  if (state === 'off') return `this host lets no network out; root gives it a way: ${self} network egress on`;
  if (state === 'broken') return `the way out of this host does not stand: ${trouble ?? 'nobody says why'}`;
  const by = uplink?.kind === 'shared' ? `an interface on ${uplink.interface}` : (uplink?.interface ?? 'an interface');
  const names = resolvers.length === 0 ? 'no names of the world' : `names of the world by ${resolvers.join(', ')}`;
  return `by ${by} under ${addresses.join(' and ')}; ${names}`;
}
