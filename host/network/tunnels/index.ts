// The public names of @ringwall/host/network/tunnels: WireGuard between the hosts of a network.
export { newTunnelKey, tunnelPublicKey } from './keys.ts';
export { tunnelInterface, type Tunnel } from './tunnel.ts';
export { Tunnels, type TunnelsOptions, type TunnelStatus } from './tunnels.ts';
