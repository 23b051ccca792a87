// This host's keys for the other hosts of one network, and how two hosts come to keys that belong together by the words that they
// exchange, in whichever order: each generation is an offer of the one and the answer of the other.
import { RingwallError } from '@ringwall/api';
import type { PeerKey } from '@ringwall/netpolicy';
import type { Secret } from '../keys/index.ts';
import type { PeerPart } from './parts.ts';
import {
  agreedKey,
  answersOffer,
  makeAnswer,
  makeOffer,
  type NewKey,
  privateKeyOf,
  tellKey,
  type TunnelKey,
} from './tunnel-keys.ts';

/** WireGuard's own, and those after it: one for each tunnel of this host. */
const FIRST_PORT = 51_820;
const LAST_PORT = 55_915;
/** After the tunnel with new keys was first seen to work: the other host looks every two seconds, where its warden runs. */
export const OVERLAP_MS = 180_000;

/** A key of this host and one of the other that belong together. */
export interface KeyPair {
  readonly key: TunnelKey;
  readonly own: PeerKey;
  readonly theirs: PeerKey;
}

export class PeerKeys {
  readonly #network: string;
  readonly #part: Pick<PeerPart, 'wrap' | 'unwrap'>;

  constructor(network: string, part: Pick<PeerPart, 'wrap' | 'unwrap'>) {
    this.#network = network;
    this.#part = part;
  }

  /** For a host that has not spoken yet. */
  first(host: string, taken: ReadonlySet<number>): readonly TunnelKey[] {
    return [this.#wrapped(host, 1, firstFree(taken), makeOffer())];
  }

  /** What the other host is told of it. */
  tell(host: string, key: TunnelKey): PeerKey {
    using secret = this.#secretOf(host, key);
    return tellKey(key, secret);
  }

  /** Those of which both hosts have said theirs. */
  pairs(host: string, keys: readonly TunnelKey[], theirs: readonly PeerKey[]): KeyPair[] {
    return keys.flatMap((key): KeyPair[] => {
      const own = this.tell(host, key);
      const their = theirs.find((each) => answersOffer(own, each));
      return their === undefined ? [] : [{ key, own, theirs: their }];
    });
  }

  /** What WireGuard needs of them. `network` is its name, which both hosts know. */
  open(
    network: string,
    host: string,
    { key, own, theirs }: KeyPair,
  ): { readonly privateKey: Uint8Array; readonly presharedKey: Uint8Array } {
    using secret = this.#secretOf(host, key);
    return { privateKey: privateKeyOf(secret), presharedKey: agreedKey(network, secret, own, theirs) };
  }

  /** The keys and the next ones: asked for again, the same, until the other host has answered. */
  withNext(
    host: string,
    keys: readonly TunnelKey[],
    theirs: readonly PeerKey[],
    taken: ReadonlySet<number>,
  ): readonly TunnelKey[] {
    const [current, next] = keys;
    const agreed = this.pairs(host, keys, theirs).map(({ own }) => own.generation);
    if (next !== undefined && agreed.includes(next.generation)) {
      throw new RingwallError('conflict', `the keys for ${host} have just been changed`, {
        hint: `the old ones are in use for ${OVERLAP_MS / 60_000} minutes more`,
      });
    }
    if (current === undefined || next !== undefined) return keys;
    const generations = [current, ...theirs].map(({ generation }) => generation);
    return [current, this.#wrapped(host, Math.max(...generations) + 1, firstFree(taken), makeOffer())];
  }

  /** This host's keys after a word of the other: each of its offers is answered, unless the other is to answer ours. */
  answered(
    { host, self }: { readonly host: string; readonly self: string },
    own: readonly TunnelKey[],
    theirs: readonly PeerKey[],
    taken: ReadonlySet<number>,
  ): TunnelKey[] {
    const ports = new Set(taken);
    const freePort = (): number => {
      const port = firstFree(ports);
      ports.add(port);
      return port;
    };
    const latest = Math.max(0, ...own.map(({ generation }) => generation));
    const kept = own.map((key) => {
      const their = theirs.find(({ generation }) => generation === key.generation);
      if (their === undefined || !('offer' in their.agreement)) return key;
      using secret = this.#secretOf(host, key);
      // Where both have offered, the one whose name comes first stands.
      const yields = key.answer === undefined ? self > host : !answersOffer(tellKey(key, secret), their);
      if (!yields) return key;
      return this.#wrapped(
        host,
        key.generation,
        key.listenPort,
        makeAnswer(their.agreement.offer, privateKeyOf(secret)),
      );
    });
    const come = theirs.flatMap(({ generation, agreement }): TunnelKey[] => {
      if (generation <= latest) return [];
      // An answer to what this host has forgotten says nothing to it: it offers anew.
      const made = 'offer' in agreement ? makeAnswer(agreement.offer) : makeOffer();
      return [this.#wrapped(host, 'offer' in agreement ? generation : generation + 1, freePort(), made)];
    });
    return [...kept, ...come].slice(-2);
  }

  #wrapped(host: string, generation: number, listenPort: number, { secret: held, answer }: NewKey): TunnelKey {
    if (listenPort > LAST_PORT) throw new RingwallError('host-full', 'every port for tunnels is taken');
    using secret = held;
    const wrapped = Buffer.from(this.#part.wrap(this.#nameOf(host, generation), secret)).toString('base64');
    return { generation, listenPort, wrapped, ...(answer === undefined ? {} : { answer }) };
  }

  #secretOf(host: string, { generation, wrapped }: TunnelKey): Secret {
    return this.#part.unwrap(this.#nameOf(host, generation), new Uint8Array(Buffer.from(wrapped, 'base64')));
  }

  #nameOf(host: string, generation: number): string {
    return `${this.#network} ${host} ${generation}`;
  }
}

function firstFree(taken: ReadonlySet<number>): number {
  let port = FIRST_PORT;
  while (taken.has(port)) port += 1;
  return port;
}
