import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { NetPolicyError, parseAddress, parsePolicy, signPeer, verifyPeer, type Network, type Peer } from './index.ts';
import { MAX_PEER_FILE_CHARACTERS } from './peer.ts';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;

function bytes(count: number, value: number): Uint8Array {
  return new Uint8Array(count).fill(value);
}

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
  address: parseAddress('192.0.2.1', ''),
  keys: [
    { generation: 3, port: 51_820, publicKey: bytes(32, 7), agreement: { offer: bytes(1_184, 5) } },
    { generation: 4, port: 51_821, publicKey: bytes(32, 6), agreement: { answer: bytes(1_088, 4), to: bytes(32, 3) } },
  ],
  rules: new Uint8Array(32).fill(8),
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

const base64 = (content: Uint8Array): string => Buffer.from(content).toString('base64');

/** Keys as a file has them, each otherwise than it should be. */
function keysWith(...changes: readonly object[]): object {
  const key = { generation: 1, port: 51_820, publicKey: base64(bytes(32, 7)), offer: base64(bytes(1_184, 5)) };
  return { keys: changes.map((change) => ({ ...key, ...change })) };
}

/** Signed as it should be, whatever it says. */
async function signed(change: object): Promise<string> {
  const { said } = Object(JSON.parse(file));
  const text = JSON.stringify({ ...Object(JSON.parse(said)), ...change });
  const signature = await signer.sign(new TextEncoder().encode(`ringwall-network-peer/2\n${text}`));
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
    ['an address that is none', { address: '192.0.2' }, 'said.address'],
    ['an address that is the reader itself', { address: '127.0.0.1' }, 'is a loopback'],
    ['an address that is everybody', { address: '239.1.1.1' }, 'no host is there'],
    ['an address without its link', { address: 'fe80::1' }, 'fe80::1 is link-local'],
    ['an address in the network', { address: '10.20.0.9' }, 'an address of app itself'],
    ['no key', { keys: [] }, 'said.keys: are none'],
    ['keys without end', { keys: [1, 2, 3] }, 'has 3 items, at most 2'],
    ['the same key twice', keysWith({}, {}), 'not in the order of their generations'],
    ['a privileged port', keysWith({ port: 53 }), 'said.keys[0].port'],
    ['a port that is no number', keysWith({ port: '51820' }), 'said.keys[0].port'],
    ['a generation that is none', keysWith({ generation: 0 }), 'said.keys[0].generation'],
    ['a short key', keysWith({ publicKey: 'AAAA' }), 'said.keys[0].publicKey: is not 32 bytes'],
    ['a short offer', keysWith({ offer: 'AAAA' }), 'said.keys[0].offer: is not 1184 bytes'],
    ['an offer and its answer in one', keysWith({ to: base64(bytes(32, 1)) }), 'unknown key "to"'],
    ['a word more about a key', keysWith({ secret: 'AAAA' }), 'unknown key "secret"'],
    ['rules that are no digest', { rules: 'AAAA' }, 'said.rules: is not 32 bytes'],
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

  test('refuses a hundred thousand machines before it looks at one, and signPeer() writes no such file', async () => {
    const machine = { name: 'x', labels: {}, addresses: ['10.20.0.1'] };
    const many = await signed({ machines: Array.from({ length: 100_000 }, () => machine) });
    await expect(verifyPeer(many, NETWORK)).rejects.toThrow('has more than 1000000 characters');
    const machines = Array.from({ length: 100_000 }, () => PEER.machines).flat();
    await expect(signPeer({ ...PEER, machines }, signer)).rejects.toMatchObject({ code: 'too-many' });
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
