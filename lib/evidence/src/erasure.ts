// The record of an erasure, "ringwall-erasure/1": a broker's signed word that it has destroyed the keys of a machine or of
// an imported disk.
// Nobody can prove that something exists nowhere. What the record gives to an auditor: who says it and when, which keys they
// were (by ids that a key found later can be held against), and that their bytes were looked for where they had lain.
import { concatBytes, toHex, utf8 } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';
import type { JsonValue } from './canonical-json.ts';
import { EvidenceError } from './errors.ts';
import { ClosedObject } from './json.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { readBroker, type BrokerSignature } from './broker-signature.ts';
import { signedText, verifySigned, type Signer } from './signer.ts';

export const ERASURE_FORMAT = 'ringwall-erasure/1';
/** A key is 150 bytes of it. */
export const MAX_ERASURE_BYTES: number = 256 * 1024;
/** One a day for two years. */
const MAX_KEYS = 1024;
const MAX_NAME_CHARACTERS = 128;
const FILE = { what: 'record of an erasure', limitBytes: MAX_ERASURE_BYTES, invalid: 'erasure-invalid' } as const;
/** More than QEMU gives a machine places for. */
const MAX_KEPT_DISKS = 64;
/** Of the newest; a root is 120 bytes of the file. */
export const MAX_ERASED_SNAPSHOTS = 1024;
const ID = /^[a-z][a-z0-9_-]{0,62}$/;
const DIGEST = /^[0-9a-f]{64}$/;

/** A key that opened the disk once. */
export interface ErasedKey {
  readonly version: number;
  /** As diskKeyId makes it. */
  readonly id: string;
  /** `rotated`: another took its place before. `erased`: it is what this record is of. */
  readonly how: 'rotated' | 'erased';
  readonly at: Date;
}

/** Its key was destroyed with those of its machine: no copy of it opens any more. */
export interface ErasedSnapshot {
  readonly sequence: number;
  /** Of its object's tree, in hexadecimal; absent where it was never whole. */
  readonly root?: string | undefined;
}

interface Named {
  readonly id: string;
  readonly name: string;
}

export interface Erasure {
  /** Whose keys they were: of a machine, for its own disk; or of a disk that was imported, which the VMM opens. */
  readonly subject: Named & { readonly kind: 'machine' | 'disk' };
  readonly keys: readonly ErasedKey[];
  /** Imported disks that a machine had: they are still there, and so are their keys. */
  readonly keeps?: readonly Named[] | undefined;
  /** Of a machine, that were there then; the newest first. */
  readonly snapshots?: readonly ErasedSnapshot[] | undefined;
  /** Of the broker's store, after the keys were overwritten; absent where the broker ended before it could look. */
  readonly searched?: { readonly bytes: number; readonly copies: number } | undefined;
  /** SHA-256 of the last proof that the machine's key was used; absent where it never was. */
  readonly lastProof?: string | undefined;
  readonly at: Date;
}

export interface SignedErasure extends Erasure {
  readonly broker: BrokerSignature;
}

/** `unanchored`: it is whole and signed, by a key that nobody has said to trust. */
export interface ErasureReport {
  readonly outcome: 'proven' | 'unanchored' | 'refused' | 'invalid';
  readonly reasons: readonly string[];
  readonly says: readonly string[];
  readonly cannotSay: readonly string[];
}

/** Names a disk key for good. A key has 256 random bits: its id leads to nobody who does not have it already. */
export async function diskKeyId(key: Uint8Array): Promise<string> {
  return toHex(await digest('sha256', concatBytes(utf8('ringwall-disk-key 1\n'), key)));
}

export async function signErasure(erasure: Erasure, signer: Signer): Promise<SignedErasure> {
  const signature = new Uint8Array(await signer.sign(signedBytes(erasure, signer.publicKey)));
  const signed = { ...erasure, broker: { publicKey: new Uint8Array(signer.publicKey), signature } };
  return parseErasure(encodeErasure(signed));
}

export function encodeErasure(erasure: SignedErasure): string {
  const { publicKey, signature } = erasure.broker;
  return encodeJsonFile(FILE, {
    format: ERASURE_FORMAT,
    ...erasureJson(erasure),
    broker: { publicKey: toHex(publicKey), signature: toHex(signature) },
  });
}

/** It says only that the text is such a record, nothing about its truth. Throws EvidenceError. */
export function parseErasure(input: string | Uint8Array): SignedErasure {
  const object = new ClosedObject(decodeJsonFile(FILE, input), 'erasure', refuse);
  object.oneOf('format', [ERASURE_FORMAT]);
  const kind = object.has('disk') ? 'disk' : 'machine';
  const erasure = {
    subject: { kind, ...readNamed(object.object(kind), `a ${kind} id`) } as const,
    ...(object.has('keeps')
      ? {
          keeps: object.array('keeps', MAX_KEPT_DISKS, (item, path) =>
            readNamed(object.inner(item, path), 'a disk id'),
          ),
        }
      : {}),
    ...(object.has('snapshots')
      ? {
          snapshots: object.array('snapshots', MAX_ERASED_SNAPSHOTS, (item, path) =>
            readSnapshot(object.inner(item, path)),
          ),
        }
      : {}),
    keys: object.array('keys', MAX_KEYS, (item, path) => readKey(object.inner(item, path))),
    ...(object.has('searched') ? { searched: readSearched(object.object('searched')) } : {}),
    ...(object.has('lastProof') ? { lastProof: object.matching('lastProof', DIGEST, 'a SHA-256 digest') } : {}),
    at: object.time('at'),
    broker: readBroker(object.object('broker')),
  };
  object.end();
  return erasure;
}

/** Offline, and by the key of the broker that the caller trusts, where one is named. */
export async function verifyErasure(
  erasure: SignedErasure,
  { brokerKey }: { readonly brokerKey?: Uint8Array } = {},
): Promise<ErasureReport> {
  const { publicKey, signature } = erasure.broker;
  const cannotSay = erasure.subject.kind === 'machine' ? [...CANNOT_SAY, OF_EXPORTS] : CANNOT_SAY;
  const told = { says: sentencesOf(erasure), cannotSay };
  if (!(await verifySigned(publicKey, signature, signedBytes(erasure, publicKey)))) {
    return { outcome: 'invalid', reasons: ['it was altered after the broker signed it'], says: [], cannotSay: [] };
  }
  if (brokerKey !== undefined && toHex(brokerKey) !== toHex(publicKey)) {
    return { outcome: 'refused', reasons: ['another broker has signed it than the one that you trust'], ...told };
  }
  const copies = erasure.searched?.copies ?? 0;
  if (copies > 0) {
    return { outcome: 'refused', reasons: [`${copies} copies of its keys are still in the broker’s store`], ...told };
  }
  return { outcome: brokerKey === undefined ? 'unanchored' : 'proven', reasons: [], ...told };
}

const OF_EXPORTS = 'of snapshots that were exported before: whoever they were sealed for opens those';

const CANNOT_SAY: readonly string[] = [
  'of backups of the broker’s state that were made before, with its root key: whoever has both has the key',
  'of what the broker’s drive keeps beside its files: snapshots, spare cells of flash, a swap space',
  'of what somebody had read or copied while the disk was open',
];

function sentencesOf({ subject, keys, keeps = [], snapshots = [], searched, lastProof, at }: SignedErasure): string[] {
  const time = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, 'Z');
  return [
    `the keys of ${subject.kind} ${subject.name} (${subject.id}) were destroyed at ${time(at)}`,
    ...keeps.map(({ id, name }) => `the machine had disk ${name} (${id}), which was not destroyed: its key is another`),
    ...keys.map(
      ({ version, id, how, at: when }) => `key ${version} was ${how} at ${time(when)} (id ${id.slice(0, 16)}…)`,
    ),
    ...snapshots.map(
      ({ sequence, root }) => `the key of snapshot ${sequence} went with them (root ${root?.slice(0, 16) ?? 'none'}…)`,
    ),
    searched === undefined
      ? 'nobody has looked for copies: the broker ended first'
      : `the broker looked for them in all ${searched.bytes} bytes of its store, and found ${searched.copies}`,
    ...(subject.kind === 'disk' ? [] : [lastProofOf(lastProof)]),
  ];
}

function lastProofOf(lastProof: string | undefined): string {
  return lastProof === undefined
    ? 'the disk was never unlocked'
    : `the last proof of the machine has the SHA-256 digest ${lastProof.slice(0, 16)}…`;
}

function signedBytes(erasure: Erasure, publicKey: Uint8Array): Uint8Array {
  return signedText(ERASURE_FORMAT, { ...erasureJson(erasure), broker: { publicKey: toHex(publicKey) } });
}

function erasureJson({ subject, keys, keeps, snapshots, searched, lastProof, at }: Erasure): Record<string, JsonValue> {
  return {
    [subject.kind]: { id: subject.id, name: subject.name },
    ...(keeps === undefined ? {} : { keeps: keeps.map(({ id, name }) => ({ id, name })) }),
    ...(snapshots === undefined
      ? {}
      : { snapshots: snapshots.map(({ sequence, root }) => ({ sequence, ...(root === undefined ? {} : { root }) })) }),
    keys: keys.map(({ version, id, how, at: when }) => ({ version, id, how, at: when.toISOString() })),
    ...(searched === undefined ? {} : { searched: { bytes: searched.bytes, copies: searched.copies } }),
    ...(lastProof === undefined ? {} : { lastProof }),
    at: at.toISOString(),
  };
}

function readNamed(object: ClosedObject, what: string): Named {
  const named = { id: object.matching('id', ID, what), name: object.string('name', MAX_NAME_CHARACTERS) };
  object.end();
  return named;
}

function readKey(object: ClosedObject): ErasedKey {
  const key = {
    version: object.integer('version', 1, Number.MAX_SAFE_INTEGER),
    id: object.matching('id', DIGEST, 'a key id'),
    how: object.oneOf('how', ['rotated', 'erased'] as const),
    at: object.time('at'),
  };
  object.end();
  return key;
}

function readSnapshot(object: ClosedObject): ErasedSnapshot {
  const snapshot = {
    sequence: object.integer('sequence', 1, Number.MAX_SAFE_INTEGER),
    ...(object.has('root') ? { root: object.matching('root', DIGEST, 'a root') } : {}),
  };
  object.end();
  return snapshot;
}

function readSearched(object: ClosedObject): { readonly bytes: number; readonly copies: number } {
  const searched = {
    bytes: object.integer('bytes', 0, Number.MAX_SAFE_INTEGER),
    copies: object.integer('copies', 0, Number.MAX_SAFE_INTEGER),
  };
  object.end();
  return searched;
}

function refuse(message: string): never {
  throw new EvidenceError('erasure-invalid', message);
}
