// `ringwall network peer`: other hosts of a network. Each host writes a signed file for each other one, and reads what that has
// written: where it is, with which key, and which machines it has.
import { readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { NetworkPeer } from '@ringwall/api/network-peers';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { formatAge, formatBytes } from '../quantities.ts';
import { renderTable, type Cell } from '../table.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** As the daemon takes a body. */
const MAX_FILE_BYTES = 1_000_000;
/** As much of a fingerprint as people compare. */
const SHOWN_FINGERPRINT_DIGITS = 16;

const ACTIONS = { export: exportFile, add, ls: list, rm: remove, rotate } as const;
const WANTS = {
  export: 'app --to beta --address 192.0.2.1 -o alpha-for-beta.json',
  add: 'app beta-for-alpha.json',
  ls: 'app',
  rm: 'app beta',
  rotate: 'app beta -o alpha-for-beta.json',
};
/** Actions that take a word after the network. */
const TAKING_A_WORD: ReadonlySet<string> = new Set(['add', 'rm', 'rotate']);

export async function run(invocation: Invocation): Promise<void> {
  const [, action = '', network = '', word = ''] = invocation.arguments;
  if (!isAction(action)) {
    throw new RingwallError('bad-request', `network peer has no ${JSON.stringify(action)}`, {
      hint: `it has ${Object.keys(ACTIONS).join(', ')}`,
    });
  }
  if (network === '' || (word === '') === TAKING_A_WORD.has(action)) {
    throw new RingwallError('bad-request', `network peer ${action} is not complete`, {
      hint: `as in: ${invocation.self} network peer ${action} ${WANTS[action]}`,
    });
  }
  await ACTIONS[action](invocation, network, word);
}

function isAction(word: string): word is keyof typeof ACTIONS {
  return Object.hasOwn(ACTIONS, word);
}

async function exportFile(invocation: Invocation, network: string): Promise<void> {
  const to = invocation.values.get('to');
  if (to === undefined) {
    throw new RingwallError('bad-request', 'network peer export needs the host that it is for', {
      hint: `as in: ${invocation.self} network peer export ${WANTS.export}`,
    });
  }
  await writeFor(invocation, network, to, false);
}

/** Other keys, while those that there are go on. */
async function rotate(invocation: Invocation, network: string, host: string): Promise<void> {
  await writeFor(invocation, network, host, true);
}

async function writeFor(invocation: Invocation, network: string, to: string, newKey: boolean): Promise<void> {
  const { values, out, err, json, self, environment } = invocation;
  const [address, output] = [values.get('address'), values.get('output')];
  await invocation.needServices();
  const exported = await invocation.withApi(async (api) => {
    const { peers } = await api.call('listPeers', { params: { network } });
    const known = peers.find((peer) => peer.host === to);
    if (known === undefined && newKey) {
      throw new RingwallError('not-found', `${network} knows no host ${plainText(to)}`, {
        hint: `join it first: ${self} network peer export ${network} --to ${plainText(to)} --address ADDRESS`,
      });
    }
    const host = values.get('as') ?? known?.self ?? hostname().toLowerCase().split('.')[0] ?? '';
    const body = { to, host, ...(address === undefined ? {} : { address }), ...(newKey ? { newKey } : {}) };
    return await api.call('exportPeer', { params: { network }, body });
  });
  if (json) {
    printJson(invocation, exported);
    return;
  }
  if (output === undefined) {
    await out.bytes(new TextEncoder().encode(exported.file));
    return;
  }
  writeWhole(output, exported.file, environment);
  err.line(
    `${err.tick} ${output} says to ${plainText(to)} what this host has of ${plainText(network)}: ${String(exported.machines)} machines.`,
  );
  err.line(`There is no secret in it. On ${plainText(to)}: ${self} network peer add ${network} ${output}`);
  if (newKey)
    err.line(
      `Then have ${plainText(to)} export its word and add that here. The keys in use stay until the new ones work.`,
    );
  const ports = exported.listenPorts.map(String).join(' and ');
  err.line(`UDP port ${ports} of this host must be open to it.`);
}

async function add(invocation: Invocation, network: string, path: string): Promise<void> {
  const { out, json, self } = invocation;
  const file = await readPeerFile(path);
  await invocation.needServices();
  const peer = await invocation.withApi((api) => api.call('importPeer', { params: { network }, body: { file } }));
  if (json) {
    printJson(invocation, peer);
    return;
  }
  out.line(
    `${out.tick} ${out.paint('bold', plainText(peer.host))} is a host of ${plainText(network)}, with ${String(peer.machines.length)} machines.`,
  );
  out.line(`It signs with the key ${fingerprintOf(peer)}: compare that with who sent you the file.`);
  const command = `${self} network peer export ${network} --to ${plainText(peer.host)}`;
  out.line(
    peer.state === 'waiting'
      ? `It has spoken before it heard of this host: have it add your file (${command}), and add its next one.`
      : `It reaches this host once it has your file, too: ${command} --as ${plainText(peer.self)} --address ADDRESS`,
  );
}

async function list(invocation: Invocation, network: string): Promise<void> {
  const { out, json, self, now } = invocation;
  const answer = await invocation.withApi((api) => api.call('listPeers', { params: { network } }));
  if (json) {
    printJson(invocation, answer);
    return;
  }
  if (answer.peers.length === 0) {
    out.line(`${plainText(network)} is on this host alone. Another one: ${self} network peer export ${WANTS.export}`);
    return;
  }
  const rows = answer.peers.map((peer): Cell[] => [
    { text: plainText(peer.host), style: 'bold' },
    {
      text: peer.keys === 'changing' ? `${peer.state}, new keys` : peer.state,
      style: peer.state === 'up' ? 'green' : peer.state === 'waiting' ? 'yellow' : 'red',
    },
    { text: peer.endpoint ?? '-' },
    { text: String(peer.machines.length) },
    { text: peer.lastHandshakeAt === undefined ? 'never' : `${formatAge(peer.lastHandshakeAt, now())} ago` },
    { text: formatBytes(peer.receivedBytes) },
    { text: formatBytes(peer.sentBytes) },
    { text: fingerprintOf(peer), style: 'dim' },
  ]);
  const columns = [
    { title: 'HOST' },
    { title: 'TUNNEL' },
    { title: 'ENDPOINT' },
    { title: 'MACHINES', align: 'right' } as const,
    { title: 'HEARD', align: 'right' } as const,
    { title: 'RECEIVED', align: 'right' } as const,
    { title: 'SENT', align: 'right' } as const,
    { title: 'SIGNED BY' },
  ];
  for (const line of renderTable(out, columns, rows)) out.line(line);
}

async function remove(invocation: Invocation, network: string, host: string): Promise<void> {
  await invocation.withApi((api) => api.call('removePeer', { params: { network, host } }));
  if (invocation.json) printJson(invocation, { removed: host });
  else invocation.out.line(`${plainText(host)} is no host of ${plainText(network)} any more; its key is destroyed.`);
}

function fingerprintOf({ signedBy }: NetworkPeer): string {
  return signedBy?.slice(0, SHOWN_FINGERPRINT_DIGITS) ?? '-';
}

async function readPeerFile(path: string): Promise<string> {
  const { size } = await stat(path).catch((cause: unknown) => {
    throw new RingwallError('not-found', `${path} cannot be read`, { cause });
  });
  if (size > MAX_FILE_BYTES) {
    throw new RingwallError('too-large', `${path} has ${String(size)} bytes, at most ${String(MAX_FILE_BYTES)}`);
  }
  return await readFile(path, 'utf8');
}
