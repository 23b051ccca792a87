import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { NetPolicyError, parseAddress, parsePolicy, signPeer, verifyPeer, type Network, type Peer } from './index.ts';
import { MAX_PEER_FILE_CHARACTERS } from './peer.ts';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;

function networkOf(): Network {
  const json = { name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], labels: { role: ['web'] }, rules: [] };
  const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [json] }).networks;
  if (network === undefined) throw new Error('no network');
  return network;
}
const NETWORK = networkOf();
const PEER: Peer = {
  network: 'app',
  host: 'alpha',
  to: 'beta',
  serial: 1_795_287_974_000,
  endpoint: { address: parseAddress('192.0.2.1', ''), port: 51_820 },
  publicKey: new Uint8Array(32).fill(7),
  machines: [
    {
      name: 'web1',
      labels: { role: 'web' },
      addresses: [parseAddress('10.20.0.1', ''), parseAddress('fd00:20::1', '')],
    },
  ],
};

interface Signer {
  readonly publicKey: Uint8Array;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}

async function newSigner(): Promise<Signer> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return {
    publicKey: raw.slice(1),
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, new Uint8Array(message))),
  };
}

let signer: Signer;
let file: string;
beforeAll(async () => {
  signer = await newSigner();
  file = await signPeer(PEER, signer);
});

/** Signed as it should be, whatever it says. */
async function signed(change: object): Promise<string> {
  const { said } = Object(JSON.parse(file));
  const text = JSON.stringify({ ...Object(JSON.parse(said)), ...change });
  const signature = await signer.sign(new TextEncoder().encode(`ringwall-network-peer/1\n${text}`));
  return JSON.stringify({
    ...Object(JSON.parse(file)),
    said: text,
    signature: Buffer.from(signature).toString('base64'),
  });
}

describe('verifyPeer()', () => {
  test('reads what signPeer() wrote, and says whose signature it is', async () => {
    expect(await verifyPeer(file, NETWORK)).toEqual({ peer: PEER, signedBy: signer.publicKey });
  });

  test('believes no word that was changed, and no other signature or key', async () => {
    const other = await newSigner();
    const parts = Object(JSON.parse(file));
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    const bare = await signer.sign(new TextEncoder().encode(parts.said));
    for (const change of [
      { said: parts.said.replace('10.20.0.1', '10.20.0.2') },
      { said: `${parts.said} ` },
      { key: base64(other.publicKey) },
      // The same words, signed for another purpose.
      { signature: base64(bare) },
    ]) {
      const altered = JSON.stringify({ ...parts, ...change });
      await expect(verifyPeer(altered, NETWORK), JSON.stringify(change)).rejects.toThrow(
        'signature: is not of this key',
      );
    }
  });

  test.each([
    ['another network', { network: 'other' }, 'said.network: is other, not app'],
    ['a host that speaks to itself', { to: 'alpha' }, 'said.to: is alpha itself'],
    ['a name that is syntax', { host: 'alpha; reboot' }, 'said.host'],
    ['an address that is none', { endpoint: { address: '192.0.2', port: 51_820 } }, 'said.endpoint.address'],
    ['a privileged port', { endpoint: { address: '192.0.2.1', port: 53 } }, 'said.endpoint.port'],
    ['a port that is no number', { endpoint: { address: '192.0.2.1', port: '51820' } }, 'said.endpoint.port'],
    ['a short key', { publicKey: 'AAAA' }, 'said.publicKey: is not 32 bytes'],
    [
      'a machine out of the network',
      { machines: [{ name: 'x', labels: {}, addresses: ['10.21.0.1'] }] },
      '10.21.0.1 is not of',
    ],
    [
      'a label that is not declared',
      { machines: [{ name: 'x', labels: { a: 'b' }, addresses: ['10.20.0.1'] }] },
      'labels',
    ],
    ['a word more', { more: 1 }, 'unknown key "more"'],
    ['a serial that is none', { serial: -1 }, 'said.serial'],
  ])('refuses %s, though it is signed', async (_, change, message) => {
    await expect(verifyPeer(await signed(change), NETWORK)).rejects.toThrow(message);
  });

  test('refuses what is no such file, with its own errors alone', async () => {
    await expect(verifyPeer('x'.repeat(MAX_PEER_FILE_CHARACTERS + 1), NETWORK)).rejects.toThrow('has more than');
    const key = { ...Object(JSON.parse(file)), key: Buffer.alloc(64, 255).toString('base64') };
    await expect(verifyPeer(JSON.stringify(key), NETWORK)).rejects.toThrow('key: is no point of P-256');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.nat(file.length).map((at) => file.slice(0, at)),
        ),
        async (text) => {
          fc.pre(text.trimEnd() !== file.trimEnd());
          await expect(verifyPeer(text, NETWORK)).rejects.toBeInstanceOf(NetPolicyError);
        },
      ),
    );
  });
});
