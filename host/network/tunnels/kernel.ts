// WireGuard by the kernel's module: wg(8) gives it its configuration on standard input, so that no key is in a command line or a file.
import { RingwallError } from '@ringwall/api/errors';
import { runChecked, type Run } from '../../exec/index.ts';
import { removeInterface, type Places } from './interface.ts';
import { allowedIp, base64Of, KEEPALIVE_SECONDS, printEndpoint, type Tunnel, type TunnelState } from './tunnel.ts';

const IP = '/usr/sbin/ip';
const WG = '/usr/bin/wg';
/** wg opens its input by name, which a pipe can take; what Node gives a child is a socket, which cannot. */
const THROUGH_A_PIPE = ['/bin/sh', '-c', 'cat | "$0" "$@" /dev/stdin'] as const;
/** As uapi.ts has it. */
const MAX_ANSWER_BYTES: number = 16 * 1024 * 1024;

/** Tried, in a namespace that ends with the attempt: modules load on demand, and a list of them says little. */
export async function hasKernelWireGuard(run: Run): Promise<boolean> {
  const result = await run(['/usr/bin/unshare', '--net', '--', IP, 'link', 'add', 'wg0', 'type', 'wireguard']);
  return result.code === 0;
}

export class KernelWireGuard {
  readonly kind = 'kernel';
  readonly #places: Places;

  constructor(places: Places) {
    this.#places = places;
  }

  /** Its UDP socket stays where the interface was made (wireguard.com/netns). */
  async open(name: string, mtuBytes: number): Promise<void> {
    await this.close(name);
    const argv = [IP, 'link', 'add', 'dev', name, 'mtu', String(mtuBytes), 'type', 'wireguard'];
    await runChecked(this.#places.onUnderlay, argv);
    await runChecked(this.#places.onUnderlay, [IP, 'link', 'set', 'dev', name, 'netns', this.#places.network]);
  }

  async read(name: string): Promise<TunnelState | undefined> {
    const result = await this.#places.inside([WG, 'show', name, 'dump'], { maxOutputBytes: MAX_ANSWER_BYTES });
    return result.code === 0 ? parseDump(result.stdout.toString('utf8')) : undefined;
  }

  /** `syncconf` changes what differs, and leaves sessions as they are. */
  async write(tunnel: Tunnel): Promise<void> {
    const argv = [...THROUGH_A_PIPE, WG, 'syncconf', tunnel.interface];
    const env = { PATH: '/usr/bin:/bin' };
    const result = await this.#places.inside(argv, { input: renderConf(tunnel), env });
    if (result.code === 0) return;
    const said = result.stderr
      .toString('utf8')
      .replaceAll(/[A-Za-z0-9+/]{43}=/g, '[key]')
      .trim()
      .slice(0, 300);
    throw new RingwallError('internal', `wg refuses the tunnel to ${tunnel.host}: ${said}`);
  }

  async close(name: string): Promise<void> {
    await removeInterface(this.#places, name);
  }
}

/** Pure: wg(8), "configuration file format". */
export function renderConf(tunnel: Tunnel): string {
  return [
    '[Interface]',
    `PrivateKey = ${base64Of(tunnel.privateKey)}`,
    `ListenPort = ${tunnel.listenPort}`,
    '[Peer]',
    `PublicKey = ${base64Of(tunnel.publicKey)}`,
    `PresharedKey = ${base64Of(tunnel.presharedKey)}`,
    `Endpoint = ${printEndpoint(tunnel.endpoint)}`,
    `PersistentKeepalive = ${KEEPALIVE_SECONDS}`,
    ...tunnel.addresses.map((address) => `AllowedIPs = ${allowedIp(address)}`),
    '',
  ].join('\n');
}

/** Pure: `wg show INTERFACE dump`, one line for the interface and one for each peer, columns with tabs between. */
export function parseDump(text: string): TunnelState {
  const [own = '', ...peers] = text.trimEnd().split('\n');
  const [privateKey = '', , listenPort] = own.split('\t');
  return {
    privateKey,
    listenPort: Number(listenPort),
    peers: peers.map((line) => {
      const [publicKey = '', presharedKey = '', endpoint = '', allowed = '', handshake, received, sent] =
        line.split('\t');
      return {
        publicKey,
        presharedKey,
        endpoint: endpoint === '(none)' ? undefined : endpoint,
        allowedIps: allowed === '(none)' ? [] : allowed.split(','),
        lastHandshakeSeconds: Number(handshake),
        receivedBytes: Number(received),
        sentBytes: Number(sent),
      };
    }),
  };
}
