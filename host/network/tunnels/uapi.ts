// The words of wireguard-go (WireGuard's "cross-platform userspace implementation" interface): lines of key=value over a Unix socket,
// an empty line at the end. Keys pass here and nowhere else: no command line, no file.
import { createConnection } from 'node:net';
import { RingwallError } from '@ringwall/api/errors';
import { allowedIp, base64Of, KEEPALIVE_SECONDS, printEndpoint, type Tunnel, type TunnelState } from './tunnel.ts';

/** All machines of a network behind one tunnel, two addresses each, with a hundred bytes for each line. */
const MAX_ANSWER_BYTES: number = 16 * 1024 * 1024;
/** It answers in milliseconds; a busy host takes longer. */
const ANSWER_TIMEOUT_MS = 5_000;
/** Nobody's key: whoever is given an address takes it from its holder, and this one is removed in the same request. */
const NOBODY: Uint8Array = new Uint8Array(32).fill(9);

/** Pure: what leads from one state to the tunnel as it is wanted, by its differences; empty where there are none. */
export function renderChange(state: TunnelState, tunnel: Tunnel): string {
  const lines: string[] = [];
  if (state.privateKey !== base64Of(tunnel.privateKey)) lines.push(`private_key=${hexOf(tunnel.privateKey)}`);
  if (state.listenPort !== tunnel.listenPort) lines.push(`listen_port=${tunnel.listenPort}`);
  const publicKey = base64Of(tunnel.publicKey);
  for (const peer of state.peers) {
    if (peer.publicKey !== publicKey) {
      lines.push(`public_key=${Buffer.from(peer.publicKey, 'base64').toString('hex')}`, 'remove=true');
    }
  }
  const known = state.peers.find((peer) => peer.publicKey === publicKey);
  const wanted = new Set(tunnel.addresses.map((address) => allowedIp(address)));
  const held = new Set(known?.allowedIps);
  const more = [...wanted].filter((ip) => !held.has(ip)).map((ip) => `allowed_ip=${ip}`);
  const endpoint = printEndpoint(tunnel.endpoint);
  const moved = known?.endpoint === endpoint ? [] : [`endpoint=${endpoint}`];
  const shared =
    base64Of(tunnel.presharedKey) === known?.presharedKey ? [] : [`preshared_key=${hexOf(tunnel.presharedKey)}`];
  const fresh = known === undefined ? [`persistent_keepalive_interval=${KEEPALIVE_SECONDS}`] : [];
  if (shared.length + moved.length + fresh.length + more.length > 0) {
    lines.push(`public_key=${hexOf(tunnel.publicKey)}`, ...shared, ...moved, ...fresh, ...more);
  }
  const less = [...held].filter((ip) => !wanted.has(ip)).map((ip) => `allowed_ip=${ip}`);
  // Taken one by one from the peer that stays: replacing its whole list would drop what is on its way to the others.
  if (less.length > 0) {
    const nobody = `public_key=${hexOf(NOBODY)}`;
    lines.push(nobody, ...less, nobody, 'remove=true');
  }
  return lines.length === 0 ? '' : ['set=1', ...lines, '', ''].join('\n');
}

/** Pure: the answer to `get=1`. */
export function parseState(answer: string): TunnelState {
  const state = { privateKey: '', listenPort: 0 };
  const peers: { -readonly [Key in keyof TunnelState['peers'][number]]: TunnelState['peers'][number][Key] }[] = [];
  const allowed: string[][] = [];
  for (const line of answer.split('\n')) {
    const at = line.indexOf('=');
    const [key, value] = [line.slice(0, at), line.slice(at + 1)];
    const peer = peers.at(-1);
    if (key === 'errno' && value !== '0')
      throw new RingwallError('internal', `wireguard-go answers with error ${value}`);
    if (key === 'private_key') state.privateKey = base64OfHex(value);
    else if (key === 'listen_port') state.listenPort = Number(value);
    else if (key === 'public_key') {
      const allowedIps: string[] = [];
      allowed.push(allowedIps);
      const counts = { lastHandshakeSeconds: 0, receivedBytes: 0, sentBytes: 0 };
      peers.push({ publicKey: base64OfHex(value), presharedKey: '', endpoint: undefined, allowedIps, ...counts });
    } else if (peer === undefined) continue;
    else if (key === 'preshared_key') peer.presharedKey = base64OfHex(value);
    else if (key === 'endpoint') peer.endpoint = value;
    else if (key === 'allowed_ip') allowed.at(-1)?.push(value);
    else if (key === 'last_handshake_time_sec') peer.lastHandshakeSeconds = Number(value);
    else if (key === 'rx_bytes') peer.receivedBytes = Number(value);
    else if (key === 'tx_bytes') peer.sentBytes = Number(value);
  }
  return { ...state, peers };
}

/** Asks whoever listens on the socket. Undefined where nobody does. */
export async function askUapi(socketPath: string, request: string): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    let answer = '';
    const fail = (message: string): void => {
      socket.destroy();
      reject(new RingwallError('internal', message));
    };
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_TIMEOUT_MS, () =>
      fail(`wireguard-go did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => {
      socket.destroy();
      if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code ?? '')) resolve(undefined);
      else reject(new RingwallError('internal', `wireguard-go cannot be asked: ${error.message}`, { cause: error }));
    });
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > MAX_ANSWER_BYTES) fail('wireguard-go answers without an end');
      else if (answer.endsWith('\n\n')) {
        socket.destroy();
        resolve(answer);
      }
    });
    socket.on('end', () => resolve(undefined));
    socket.write(request);
  });
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

function base64OfHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
