// "ringwall-export/1": what goes with a snapshot that leaves its broker, in that broker's signed words. It says which object it is,
// whose machine, for whom, and whether the machine goes with it; it holds what the next broker needs to let the machine prove
// itself (its TPM's identity, and what the record of that TPM must not fall behind), and the key of its disk, sealed to the
// recipient (docs/snapshots.md, "To another host").
import { fromHex, toHex, utf8 } from '@ringwall/bytes';
import { fromBase64, toBase64 } from './base64.ts';
import { readBroker, type BrokerSignature } from './broker-signature.ts';
import { canonicalJson, type JsonValue } from './canonical-json.ts';
import { EvidenceError } from './errors.ts';
import { diskJson, readDisks, sealedDiskJson, type ExportedDisk, type SealedDisk } from './exported-disks.ts';
import { ClosedObject } from './json.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { signedText, verifySigned, type Signer } from './signer.ts';

export const EXPORT_FORMAT = 'ringwall-export/1';
/** Two certificates of some KiB are most of it. */
export const MAX_EXPORT_BYTES: number = 128 * 1024;
const FILE = { what: 'ticket of an export', limitBytes: MAX_EXPORT_BYTES, invalid: 'export-invalid' } as const;
const X25519_KEY_BYTES = 32;
/** A disk's key, and the tag of AES-GCM. */
const SEALED_KEY_BYTES = 48;
/** 4,096 bytes, which no NV index of a TPM holds, in base64. */
const MAX_CERTIFICATE_CHARACTERS = 5464;
const MAX_CAS = 16;
/** Of one that continues others: as many as a chain has below its newest (MAX_SNAPSHOT_CHAIN of the API). */
const MAX_BASES = 15;
const MAX_NAME_CHARACTERS = 64;
const MAX_TPM_NAME_BYTES = 68;
/** One a minute takes two hundred years; and as many again have room in the nine digits by which one is named. */
const MAX_SEQUENCE = 100_000_000;
/** Larger than any machine or object. */
const MAX_NUMBER: number = Number.MAX_SAFE_INTEGER;
const MACHINE = /^mch_[a-z2-7]{20}$/;
const SNAPSHOT = /^snp_[a-z2-7]{20}$/;
const TICKET = /^[0-9a-f]{32}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const BOOT = /^[0-9a-f]{32}$/;
const TPM_NAME = new RegExp(`^(?:[0-9a-f]{2}){1,${MAX_TPM_NAME_BYTES}}$`);

/** Which start of its TPM it was (TPMS_CLOCK_INFO, TPM 2.0 Part 2, section 10.11.1). */
export interface SignedStart {
  readonly boot: string;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly clock?: number;
}

export interface ExportedObject {
  readonly id: string;
  readonly sequence: number;
  /** Of the sealed object's tree. */
  readonly root: string;
  readonly bytes: number;
  readonly takenAt: Date;
}

/** What the exported one continues, and what the record of the TPM was then. */
export interface ExportedBase extends ExportedObject, Pick<ExportTicket['tpm'], 'unlockedAt' | 'seenAt'> {}

export interface ExportTicket {
  /** 16 random bytes in hexadecimal: a broker takes each once. */
  readonly id: string;
  /** `move`: the machine goes with it, and starts no more where it came from. `backup`: it stays. */
  readonly mode: 'move' | 'backup';
  /** X25519: the only key that opens the snapshot and what is sealed here. */
  readonly recipient: Uint8Array;
  readonly machine: {
    readonly id: string;
    readonly name: string;
    readonly image: string;
    readonly cpus: number;
    readonly memoryMiB: number;
    readonly diskMiB: number;
    readonly watch: string;
  };
  readonly tpm: {
    /** DER. */
    readonly ekCertificate: Uint8Array;
    readonly vtpmCa: readonly Uint8Array[];
    /** The Name of its attestation key, once that was bound. */
    readonly akName: Uint8Array | undefined;
    /** When its disk was last unlocked, and its last start that was seen: when the snapshot was taken. */
    readonly unlockedAt: SignedStart | undefined;
    readonly seenAt: SignedStart | undefined;
  };
  readonly disk: { readonly kind: 'encrypted' | 'authenticated'; readonly keyVersion: number };
  readonly snapshot: ExportedObject;
  /** All that it continues, from the whole one on, each by the next: their objects come before its own. */
  readonly bases?: readonly ExportedBase[];
  /** Imported ones, in the order in which the machine has them. */
  readonly disks?: readonly SealedDisk[];
  /** The disk's key under HPKE (RFC 9180) to the recipient, with `exportContext` as associated data. */
  readonly diskKey: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array };
  readonly at: Date;
}

export interface SignedExport extends ExportTicket {
  readonly bases: readonly ExportedBase[];
  readonly disks: readonly SealedDisk[];
  readonly broker: BrokerSignature;
}

/** What keys are bound to, before they are sealed. */
export interface ExportContent extends Omit<ExportTicket, 'diskKey' | 'disks'> {
  readonly disks?: readonly ExportedDisk[];
}

export async function signExport(ticket: ExportTicket, signer: Signer): Promise<SignedExport> {
  const publicKey = new Uint8Array(signer.publicKey);
  const signature = new Uint8Array(await signer.sign(signedBytes(ticket, publicKey)));
  return parseExport(
    encodeExport({ ...ticket, bases: ticket.bases ?? [], disks: ticket.disks ?? [], broker: { publicKey, signature } }),
  );
}

export function encodeExport(ticket: SignedExport): string {
  const { publicKey, signature } = ticket.broker;
  return encodeJsonFile(FILE, {
    format: EXPORT_FORMAT,
    ...ticketJson(ticket),
    broker: { publicKey: toHex(publicKey), signature: toHex(signature) },
  });
}

/** It says only that the text is such a ticket, nothing about its truth. Throws EvidenceError. */
export function parseExport(input: string | Uint8Array): SignedExport {
  const object = new ClosedObject(decodeJsonFile(FILE, input), 'export', refuse);
  object.oneOf('format', [EXPORT_FORMAT]);
  const ticket = {
    id: object.matching('id', TICKET, '16 bytes in hexadecimal'),
    mode: object.oneOf('mode', ['move', 'backup']),
    recipient: object.hexBytes('recipient', X25519_KEY_BYTES),
    machine: readMachine(object.object('machine')),
    tpm: readTpm(object.object('tpm')),
    disk: readDisk(object.object('disk')),
    ...readObjects(object),
    disks: readDisks(object, refuse),
    diskKey: readSealed(object.object('diskKey')),
    at: object.time('at'),
    broker: readBroker(object.object('broker')),
  };
  object.end();
  return ticket;
}

/** Whether the broker that it names has said all of it. Whether that broker is to be believed is another question. */
export async function verifyExport(ticket: SignedExport): Promise<boolean> {
  const { publicKey, signature } = ticket.broker;
  return await verifySigned(publicKey, signature, signedBytes(ticket, publicKey));
}

/** What the disk's key is bound to: everything else that the ticket says. */
export function exportContext(ticket: ExportContent): Uint8Array<ArrayBuffer> {
  return utf8(`${EXPORT_FORMAT} disk key\n${canonicalJson(contentJson(ticket))}`);
}

function signedBytes(ticket: ExportTicket, publicKey: Uint8Array): Uint8Array {
  return signedText(EXPORT_FORMAT, { ...ticketJson(ticket), broker: { publicKey: toHex(publicKey) } });
}

function ticketJson(ticket: ExportTicket): Record<string, JsonValue> {
  const { disks = [] } = ticket;
  const { enc, ciphertext } = ticket.diskKey;
  const sealed = disks.length === 0 ? {} : { disks: disks.map(sealedDiskJson) };
  return { ...contentJson(ticket), ...sealed, diskKey: { enc: toHex(enc), ciphertext: toHex(ciphertext) } };
}

function contentJson(ticket: ExportContent): Record<string, JsonValue> {
  const { id, mode, recipient, machine, tpm, disk, snapshot, bases = [], disks = [], at } = ticket;
  const { ekCertificate, vtpmCa, akName, unlockedAt, seenAt } = tpm;
  return {
    ...{ id, mode, recipient: toHex(recipient) },
    machine: {
      ...{ id: machine.id, name: machine.name, image: machine.image, cpus: machine.cpus },
      ...{ memoryMiB: machine.memoryMiB, diskMiB: machine.diskMiB, watch: machine.watch },
    },
    tpm: {
      ekCertificate: toBase64(ekCertificate),
      vtpmCa: vtpmCa.map(toBase64),
      ...(akName === undefined ? {} : { akName: toHex(akName) }),
      ...startsJson({ unlockedAt, seenAt }),
    },
    disk: { kind: disk.kind, keyVersion: disk.keyVersion },
    snapshot: objectJson(snapshot),
    ...(bases.length === 0 ? {} : { bases: bases.map((base) => ({ ...objectJson(base), ...startsJson(base) })) }),
    ...(disks.length === 0 ? {} : { disks: disks.map(diskJson) }),
    at: at.toISOString(),
  };
}

function objectJson({ id, sequence, root, bytes, takenAt }: ExportedObject): Record<string, JsonValue> {
  return { id, sequence, root, bytes, takenAt: takenAt.toISOString() };
}

function startsJson({ unlockedAt, seenAt }: Pick<ExportedBase, 'unlockedAt' | 'seenAt'>): Record<string, JsonValue> {
  return {
    ...(unlockedAt === undefined ? {} : { unlockedAt: startJson(unlockedAt) }),
    ...(seenAt === undefined ? {} : { seenAt: startJson(seenAt) }),
  };
}

function startJson({ boot, resetCount, restartCount, clock }: SignedStart): Record<string, JsonValue> {
  return { boot, resetCount, restartCount, ...(clock === undefined ? {} : { clock }) };
}

function readMachine(object: ClosedObject): ExportTicket['machine'] {
  const machine = {
    id: object.matching('id', MACHINE, 'a machine id'),
    name: object.string('name', MAX_NAME_CHARACTERS),
    image: object.string('image', MAX_NAME_CHARACTERS),
    cpus: object.integer('cpus', 1, MAX_NUMBER),
    memoryMiB: object.integer('memoryMiB', 1, MAX_NUMBER),
    diskMiB: object.integer('diskMiB', 1, MAX_NUMBER),
    watch: object.string('watch', MAX_NAME_CHARACTERS),
  };
  object.end();
  return machine;
}

function readTpm(object: ClosedObject): ExportTicket['tpm'] {
  const tpm = {
    ekCertificate: readBytes(object.value('ekCertificate'), 'export.tpm.ekCertificate'),
    vtpmCa: object.array('vtpmCa', MAX_CAS, readBytes),
    akName: object.has('akName') ? fromHex(object.matching('akName', TPM_NAME, 'the Name of a key')) : undefined,
    ...readStarts(object),
  };
  object.end();
  return tpm;
}

function readStarts(object: ClosedObject): Pick<ExportedBase, 'unlockedAt' | 'seenAt'> {
  const readStart = (key: string): SignedStart | undefined =>
    object.has(key) ? readSignedStart(object.object(key)) : undefined;
  return { unlockedAt: readStart('unlockedAt'), seenAt: readStart('seenAt') };
}

function readSignedStart(object: ClosedObject): SignedStart {
  const start = {
    boot: object.matching('boot', BOOT, 'the id of a boot'),
    resetCount: object.integer('resetCount', 0, 2 ** 32 - 1),
    restartCount: object.integer('restartCount', 0, 2 ** 32 - 1),
    ...(object.has('clock') ? { clock: object.integer('clock', 0, MAX_NUMBER) } : {}),
  };
  object.end();
  return start;
}

function readDisk(object: ClosedObject): ExportTicket['disk'] {
  const disk = {
    kind: object.oneOf('kind', ['encrypted', 'authenticated']),
    keyVersion: object.integer('keyVersion', 1, MAX_NUMBER),
  };
  object.end();
  return disk;
}

/** Each of them once, and each after the one that it continues. */
function readObjects(object: ClosedObject): Pick<SignedExport, 'snapshot' | 'bases'> {
  const newest = object.object('snapshot');
  const snapshot = readObject(newest);
  newest.end();
  const bases = object.has('bases') ? object.array('bases', MAX_BASES, readBase) : [];
  const all = [...bases, snapshot];
  for (const [index, { sequence, id, root }] of all.entries()) {
    const before = all.slice(0, index);
    if (before.some((other) => other.sequence >= sequence)) refuse('export.bases are not in their order');
    if (before.some((other) => other.id === id || other.root === root)) refuse('export.bases name an object twice');
  }
  return { snapshot, bases };
}

function readBase(value: unknown, path: string): ExportedBase {
  const object = new ClosedObject(value, path, refuse);
  const base = { ...readObject(object), ...readStarts(object) };
  object.end();
  return base;
}

function readObject(object: ClosedObject): ExportedObject {
  return {
    id: object.matching('id', SNAPSHOT, 'a snapshot id'),
    sequence: object.integer('sequence', 1, MAX_SEQUENCE),
    root: object.matching('root', DIGEST, 'a root'),
    bytes: object.integer('bytes', 1, MAX_NUMBER),
    takenAt: object.time('takenAt'),
  };
}

function readSealed(object: ClosedObject): ExportTicket['diskKey'] {
  const sealed = {
    enc: object.hexBytes('enc', X25519_KEY_BYTES),
    ciphertext: object.hexBytes('ciphertext', SEALED_KEY_BYTES),
  };
  object.end();
  return sealed;
}

function readBytes(value: unknown, path: string): Uint8Array {
  const bytes = typeof value === 'string' && value.length <= MAX_CERTIFICATE_CHARACTERS ? fromBase64(value) : undefined;
  return bytes ?? refuse(`${path} is no certificate in base64`);
}

function refuse(message: string): never {
  throw new EvidenceError('export-invalid', message);
}
