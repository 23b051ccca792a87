// The public names of control/networks: tenant networks, and which machines are let into them.
export { Counters } from './counters.ts';
export { Mirrors } from './mirrors.ts';
export { Packets } from './packets.ts';
export type { OwnedRange } from './addresses.ts';
export type { NetworkTrust } from './gate.ts';
export { Networks } from './networks.ts';
export { Peers } from './peers.ts';
