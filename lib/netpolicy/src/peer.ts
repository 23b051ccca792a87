// What one host of a network says of itself to another: where it listens, with which key, and which machines it has. Signed by the
// key of that host; whoever carries it, a person with a file or a control plane, can neither change it nor bring an old one back.
import { type Address, parseAddress, rangeHas } from './address.ts';
import { asText, ClosedObject } from './closed-object.ts';
import { MAX_MACHINES, parseNamed } from './machine.ts';
import { parseName } from './names.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import type { Network } from './policy.ts';
import { findProtected } from './protected.ts';

/** A machine takes some 200 bytes, and one with all labels 2,000: all that a host has room for, in one request. */
export const MAX_PEER_FILE_CHARACTERS = 1_000_000;
const FORMAT = 'ringwall-network-peer/2';
/** What is signed begins so, so that no signature of this key over anything else is one of these. */
const SIGNED_PREFIX = `${FORMAT}\n`;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const TUNNEL_KEY_BYTES = 32;
/** One in use, and the next. */
const MAX_KEYS = 2;
/** One each second for a century. */
const MAX_GENERATION = 4_000_000_000;
/** FIPS 203, 8, table 3: ML-KEM-768. */
const OFFER_BYTES = 1_184;
const ANSWER_BYTES = 1_088;
/** SHA-256. */
const DIGEST_BYTES = 32;
/** X and Y of a point of P-256, and r and s of a signature by it. */
const SIGNING_KEY_BYTES = 64;
const SIGNATURE_BYTES = 64;
const FIRST_PORT = 1_024;
const LAST_PORT = 65_535;
const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A machine as its own host tells of it to others. */
export interface PeerMachine {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly Address[];
}

export interface Peer {
  /** Of the network, which is called the same on all of its hosts. */
  readonly network: string;
  /** Who speaks. */
  readonly host: string;
  /** Whom it is for: the key is for that host alone. */
  readonly to: string;
  /** The later one is in force: milliseconds since 1970 by that host's clock. */
  readonly serial: number;
  /** Where the host is, on the network between the hosts. */
  readonly address: Address;
  /** By generation; two while they are being changed. */
  readonly keys: readonly PeerKey[];
  /** Digest of the rules by which it decides, 32 bytes: others compare it with that of theirs. */
  readonly rules: Uint8Array;
  readonly machines: readonly PeerMachine[];
}

/** One end of a tunnel. The tunnel of a generation stands once both hosts have said theirs, the one as an offer, the other as its answer. */
export interface PeerKey {
  readonly generation: number;
  /** UDP. */
  readonly port: number;
  /** 32 bytes, of WireGuard. */
  readonly publicKey: Uint8Array;
  /** How the two come to a secret besides: ML-KEM-768 (FIPS 203). */
  readonly agreement: KeyOffer | KeyAnswer;
}

/** An encapsulation key. */
export interface KeyOffer {
  readonly offer: Uint8Array;
}

/** A ciphertext, and the SHA-256 of the offer that it is for. */
export interface KeyAnswer {
  readonly answer: Uint8Array;
  readonly to: Uint8Array;
}

export interface VerifiedPeer {
  readonly peer: Peer;
  /** Whose signature it is: X and Y, 64 bytes. Whether that is who it should be is for the caller to know. */
  readonly signedBy: Uint8Array;
}

/** Writes what verifyPeer() reads. `sign`: ECDSA P-256 with SHA-256, r and s. */
export async function signPeer(
  peer: Peer,
  key: { readonly publicKey: Uint8Array; readonly sign: (message: Uint8Array) => Promise<Uint8Array> },
): Promise<string> {
  const { network, host, to, serial, address, keys, rules, machines } = peer;
  const said = JSON.stringify({
    network,
    host,
    to,
    serial,
    address: address.text,
    keys: keys.map(({ generation, port, publicKey, agreement }) => {
      const words = 'offer' in agreement ? { offer: toBase64(agreement.offer) } : wordsOf(agreement);
      return { generation, port, publicKey: toBase64(publicKey), ...words };
    }),
    rules: toBase64(rules),
    machines: machines.map(({ name, labels, addresses }) => {
      return { name, labels, addresses: addresses.map(({ text }) => text) };
    }),
  });
  const signature = await key.sign(signedBytes(said));
  const file = { format: FORMAT, said, key: toBase64(key.publicKey), signature: toBase64(signature) };
  const text = `${JSON.stringify(file)}\n`;
  if (text.length > MAX_PEER_FILE_CHARACTERS) refuseLength();
  return text;
}

/** Reads what signPeer() wrote, for a network that is known here. Throws NetPolicyError, which says where. */
export async function verifyPeer(file: string, network: Network): Promise<VerifiedPeer> {
  if (file.length > MAX_PEER_FILE_CHARACTERS) refuseLength();
  const object = new ClosedObject(parseJson(file, ''), '');
  object.oneOf('format', [FORMAT]);
  const said = object.text('said');
  const key = parseBytes(object.text('key'), SIGNING_KEY_BYTES, 'key');
  const signature = parseBytes(object.text('signature'), SIGNATURE_BYTES, 'signature');
  object.end();
  if (!(await isSigned(said, key, signature))) {
    throw new NetPolicyError('malformed', 'signature', 'is not of this key over these words');
  }
  return { peer: parsePeer(parseJson(said, 'said'), network), signedBy: key };
}

function parsePeer(json: unknown, network: Network): Peer {
  const object = new ClosedObject(json, 'said');
  const name = parseName(object.value('network'), object.where('network'));
  if (name !== network.name) {
    throw new NetPolicyError('malformed', object.where('network'), `is ${name}, not ${network.name}`);
  }
  const host = parseName(object.value('host'), object.where('host'));
  const to = parseName(object.value('to'), object.where('to'));
  if (host === to) throw new NetPolicyError('malformed', object.where('to'), `is ${host} itself`);
  const serial = parseNumber(object.value('serial'), 0, Number.MAX_SAFE_INTEGER, object.where('serial'));
  const address = parseReachable(object.text('address'), object.where('address'), network);
  const keys = object.list('keys', MAX_KEYS, (item, at) => parseKey(item, at));
  if (keys.length === 0 || keys.some(({ generation }, index) => generation <= (keys[index - 1]?.generation ?? 0))) {
    throw new NetPolicyError('malformed', object.where('keys'), 'are none, or not in the order of their generations');
  }
  const rules = parseBytes(object.text('rules'), DIGEST_BYTES, object.where('rules'));
  const machines = object.list('machines', MAX_MACHINES, (item, at) => {
    const machine = new ClosedObject(item, at);
    const named = parseNamed(machine, network);
    machine.end();
    return named;
  });
  object.end();
  return { network: name, host, to, serial, address, keys, rules, machines };
}

/** An address at which a host can be: neither a machine's, nor one that means the reader itself. */
function parseReachable(text: string, at: string, network: Network): Address {
  const address = parseAddress(text, at);
  const unreachable = network.addresses.some((range) => rangeHas(range, address))
    ? `an address of ${network.name} itself`
    : findProtected(address, [])?.what;
  if (unreachable === undefined) return address;
  throw new NetPolicyError('address-invalid', at, `${address.text} is ${unreachable}: no host is there`);
}

function parseKey(item: unknown, at: string): PeerKey {
  const object = new ClosedObject(item, at);
  const generation = parseNumber(object.value('generation'), 1, MAX_GENERATION, object.where('generation'));
  const port = parseNumber(object.value('port'), FIRST_PORT, LAST_PORT, object.where('port'));
  const publicKey = parseBytes(object.text('publicKey'), TUNNEL_KEY_BYTES, object.where('publicKey'));
  const bytes = (key: string, count: number): Uint8Array => parseBytes(object.text(key), count, object.where(key));
  const agreement = object.has('offer')
    ? { offer: bytes('offer', OFFER_BYTES) }
    : { answer: bytes('answer', ANSWER_BYTES), to: bytes('to', DIGEST_BYTES) };
  object.end();
  return { generation, port, publicKey, agreement };
}

function wordsOf({ answer, to }: KeyAnswer): object {
  return { answer: toBase64(answer), to: toBase64(to) };
}

function refuseLength(): never {
  throw new NetPolicyError('too-many', '', `has more than ${MAX_PEER_FILE_CHARACTERS} characters`);
}

async function isSigned(said: string, point: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const raw = new Uint8Array([4, ...point]);
  const key = await crypto.subtle.importKey('raw', raw, ECDSA_P256, false, ['verify']).catch(() => {
    throw new NetPolicyError('malformed', 'key', 'is no point of P-256');
  });
  return await crypto.subtle.verify(ECDSA_SHA256, key, new Uint8Array(signature), signedBytes(said));
}

function signedBytes(said: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(SIGNED_PREFIX + said);
}

function parseJson(text: string, at: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new NetPolicyError('malformed', at, 'is not JSON');
  }
}

function parseNumber(value: unknown, first: number, last: number, at: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < first || value > last) {
    throw new NetPolicyError('malformed', at, `is no number of ${first} to ${last}`);
  }
  return value;
}

function parseBytes(value: unknown, count: number, at: string): Uint8Array {
  const text = asText(value, at);
  // The length first: what is decoded is no longer than what is wanted.
  const bytes = text.length <= count * 2 && BASE64.test(text) && text.length % 4 === 0 ? fromBase64(text) : undefined;
  if (bytes?.length !== count || toBase64(bytes) !== text) {
    throw new NetPolicyError('malformed', at, `is not ${count} bytes in base64`);
  }
  return bytes;
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
