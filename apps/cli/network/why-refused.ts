// Why a packet was refused, in a person's words.
import type { DropReason } from '@ringwall/netpolicy';

export const WHY_REFUSED: Readonly<Record<DropReason, string>> = {
  denied: 'a rule denies it',
  refused: 'no rule allows it',
  protected: 'no machine may reach that address',
  spoofed: 'not its own address',
  rogue: 'only routers and DHCP servers say that',
  'to-host': 'the gateway serves nothing there',
  invalid: 'of no connection that is known',
  'over-share': 'more than its share',
  crowding: 'more link-local addresses than a card has',
};

/** The reason as a daemon sends it, which may know more of them than we do. */
export function whyRefused(reason: string): string {
  const known = Object.entries(WHY_REFUSED).find(([name]) => name === reason);
  return known?.[1] ?? reason;
}

/** Of packets that a network's own walls have let out: rules are not asked again there. */
export function whyRefusedAtEdge(reason: string): string {
  return reason === 'refused' ? 'it does not lead to the world' : whyRefused(reason);
}
