import { parseAddress } from '@ringwall/netpolicy';
import { describe, expect, test } from 'vitest';
import { newTunnelKey, tunnelPublicKey } from './keys.ts';
import { parseDump, renderConf } from './kernel.ts';
import { isTunnelInterface, tunnelInterface, type Tunnel } from './tunnel.ts';
import { parseState, renderChange } from './uapi.ts';

const MINE: Uint8Array = new Uint8Array(32).fill(1);
const THEIRS: Uint8Array = new Uint8Array(32).fill(2);
const SHARED: Uint8Array = new Uint8Array(32).fill(4);
const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex');
const base64 = (key: Uint8Array): string => Buffer.from(key).toString('base64');
const addresses = (...texts: readonly string[]): Tunnel['addresses'] => texts.map((text) => parseAddress(text, ''));

const TUNNEL: Tunnel = {
  host: 'beta',
  generation: 1,
  interface: tunnelInterface('net_1', 'beta', 1),
  privateKey: MINE,
  listenPort: 51_820,
  publicKey: THEIRS,
  presharedKey: SHARED,
  endpoint: { address: parseAddress('2001:db8::2', ''), port: 51_821 },
  addresses: addresses('10.20.0.2', 'fd00:20::2'),
};
const NEW = { privateKey: '', listenPort: 0, peers: [] };
/** As wireguard-go 0.0.20220316 answers, after what renderChange() says of the tunnel. */
const STANDING = `private_key=${hex(MINE)}
listen_port=51820
public_key=${hex(THEIRS)}
preshared_key=${hex(SHARED)}
protocol_version=1
endpoint=[2001:db8::2]:51821
last_handshake_time_sec=1795287974
last_handshake_time_nsec=5
tx_bytes=272
rx_bytes=180
persistent_keepalive_interval=25
allowed_ip=10.20.0.2/32
allowed_ip=fd00:20::2/128
errno=0

`;

describe('renderChange()', () => {
  test('says everything of a tunnel that is new', () => {
    expect(renderChange(NEW, TUNNEL)).toBe(`set=1
private_key=${hex(MINE)}
listen_port=51820
public_key=${hex(THEIRS)}
preshared_key=${hex(SHARED)}
endpoint=[2001:db8::2]:51821
persistent_keepalive_interval=25
allowed_ip=10.20.0.2/32
allowed_ip=fd00:20::2/128

`);
  });

  test('says nothing of what is as it should be', () => {
    expect(renderChange(parseState(STANDING), TUNNEL)).toBe('');
  });

  test('adds a machine by its address alone', () => {
    const more = { ...TUNNEL, addresses: addresses('10.20.0.2', 'fd00:20::2', '10.20.0.3') };
    expect(renderChange(parseState(STANDING), more)).toBe(
      `set=1\npublic_key=${hex(THEIRS)}\nallowed_ip=10.20.0.3/32\n\n`,
    );
  });

  test('takes one away by giving its address to nobody, and leaves the others as they are', () => {
    const less = { ...TUNNEL, addresses: addresses('10.20.0.2') };
    const nobody = '09'.repeat(32);
    expect(renderChange(parseState(STANDING), less)).toBe(
      `set=1\npublic_key=${nobody}\nallowed_ip=fd00:20::2/128\npublic_key=${nobody}\nremove=true\n\n`,
    );
  });

  test('puts another key of the other host in the place of the old one', () => {
    const rotated = { ...TUNNEL, publicKey: new Uint8Array(32).fill(3) };
    const change = renderChange(parseState(STANDING), rotated);
    expect(change).toContain(`public_key=${hex(THEIRS)}\nremove=true\n`);
    expect(change).toContain(`public_key=${'03'.repeat(32)}\npreshared_key=${hex(SHARED)}\nendpoint=`);
  });

  test('puts another preshared key in the place of one that somebody has set', () => {
    const other = parseState(STANDING.replace(hex(SHARED), '00'.repeat(32)));
    expect(renderChange(other, TUNNEL)).toBe(`set=1\npublic_key=${hex(THEIRS)}\npreshared_key=${hex(SHARED)}\n\n`);
  });

  test('puts an endpoint back that has moved', () => {
    const roamed = parseState(STANDING.replace('[2001:db8::2]:51821', '203.0.113.9:9'));
    expect(renderChange(roamed, TUNNEL)).toBe(`set=1\npublic_key=${hex(THEIRS)}\nendpoint=[2001:db8::2]:51821\n\n`);
  });
});

test('parseState() does not take an error for a state', () => {
  expect(() => parseState('errno=-22\n\n')).toThrow('wireguard-go answers with error -22');
});

test('parseDump() reads of the kernel what parseState() reads of wireguard-go', () => {
  const dump = [
    [base64(MINE), 'public', '51820', 'off'],
    [
      base64(THEIRS),
      base64(SHARED),
      '[2001:db8::2]:51821',
      '10.20.0.2/32,fd00:20::2/128',
      '1795287974',
      '180',
      '272',
      '25',
    ],
  ];
  expect(parseDump(`${dump.map((columns) => columns.join('\t')).join('\n')}\n`)).toEqual(parseState(STANDING));
});

test('renderConf() says the same to the kernel', () => {
  expect(renderConf(TUNNEL)).toBe(`[Interface]
PrivateKey = ${base64(MINE)}
ListenPort = 51820
[Peer]
PublicKey = ${base64(THEIRS)}
PresharedKey = ${base64(SHARED)}
Endpoint = [2001:db8::2]:51821
PersistentKeepalive = 25
AllowedIPs = 10.20.0.2/32
AllowedIPs = fd00:20::2/128
`);
});

test('tunnelPublicKey() makes of a private key what RFC 7748, 6.1 makes of it', () => {
  const privateKey = Buffer.from('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb', 'hex');
  expect(hex(tunnelPublicKey(privateKey))).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  expect(newTunnelKey()).toHaveLength(32);
});

test('tunnelInterface() has a name of its own for each network and host, which Linux takes', () => {
  const names = [
    tunnelInterface('net_1', 'beta', 1),
    tunnelInterface('net_2', 'beta', 1),
    tunnelInterface('net_1', 'gamma', 1),
    tunnelInterface('net_1', 'beta', 2),
  ];
  expect(new Set(names).size).toBe(4);
  expect(names.every((name) => name.length === 15 && isTunnelInterface(name))).toBe(true);
  expect(isTunnelInterface('t0')).toBe(false);
});
