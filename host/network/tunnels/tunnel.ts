// A tunnel from one host to another, for one network: what is wanted of it and what stands. It has an interface, a key and a port of
// its own on either host, so that whatever comes out of it is known to be from that host and for that network.
import { createHash } from 'node:crypto';
import type { Address } from '@ringwall/netpolicy';

export interface Tunnel {
  /** The other host. */
  readonly host: string;
  /** Of its keys: while they are being changed, two tunnels lead to the same machines, and the later one is used once it works. */
  readonly generation: number;
  /** Of its end here: tunnelInterface(). */
  readonly interface: string;
  /** 32 bytes, this host's for this tunnel alone. */
  readonly privateKey: Uint8Array;
  readonly listenPort: number;
  /** 32 bytes, the other host's for this tunnel alone. */
  readonly publicKey: Uint8Array;
  /** 32 bytes that both hosts have besides: who breaks X25519 one day has still nothing of what he recorded. */
  readonly presharedKey: Uint8Array;
  readonly endpoint: Endpoint;
  /** Of the machines at its other end: what may come out of it, and what is sent into it. */
  readonly addresses: readonly Address[];
}

/** Where the other host listens: fixed, not wherever it was last heard from. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** What WireGuard says of one end. Keys in base64, as wg(8) has them. */
export interface TunnelState {
  readonly privateKey: string;
  readonly listenPort: number;
  readonly peers: readonly PeerState[];
}

export interface PeerState {
  readonly publicKey: string;
  readonly presharedKey: string;
  /** `192.0.2.1:51820`, `[2001:db8::1]:51820`; undefined where none is known. */
  readonly endpoint: string | undefined;
  /** `10.20.0.2/32`. */
  readonly allowedIps: readonly string[];
  /** Unix time; 0 where there was none yet. */
  readonly lastHandshakeSeconds: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/**
 * Often enough to know within SILENT_AFTER_SECONDS that the other host is gone, and seldom enough to cost nothing; the figure that
 * wg(8) gives for networks that forget connections.
 */
export const KEEPALIVE_SECONDS = 25;

/** IFNAMSIZ of Linux less its final zero. */
const NAME_CHARACTERS = 15;
const PREFIX = 'wg';

/** The same for the same network, host and keys, and no other: wireguard-go's are made where all networks of this host are. */
export function tunnelInterface(network: string, host: string, generation: number): string {
  const digest = createHash('sha256').update(`${network}\0${host}\0${generation}`).digest('hex');
  return PREFIX + digest.slice(0, NAME_CHARACTERS - PREFIX.length);
}

export function isTunnelInterface(name: string): boolean {
  return /^wg[0-9a-f]{13}$/.test(name);
}

export function printEndpoint({ address, port }: Endpoint): string {
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}

export function allowedIp(address: Address): string {
  return `${address.text}/${address.family === 4 ? 32 : 128}`;
}

export function base64Of(key: Uint8Array): string {
  return Buffer.from(key).toString('base64');
}
