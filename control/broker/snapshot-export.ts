// Snapshots that leave this broker: the envelope of the object is rendered anew for the recipient alone, here, so that neither the
// daemon nor the warden holds a key for it; and the ticket says what the next broker must know (lib/evidence, export-ticket.ts).
import { RingwallError } from '@ringwall/api';
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import { fromHex, utf8 } from '@ringwall/bytes';
import {
  encodeExport,
  encodeHostRecipient,
  EXPORT_FORMAT,
  exportContext,
  signExport,
  signHostRecipient,
  type ExportContent,
  type ExportTicket,
} from '@ringwall/evidence';
import { makeKeyPair, readObjectHead, rewrap, sealTo, SealError, type KeyPair, type Opener } from '@ringwall/seal';
import { Secret, unwrapKey, wrapKey, type KeyIdentity, type SigningKey } from '../keys/index.ts';
import { spendApproval } from './approvals.ts';
import type { DiskKeys } from './disk-keys.ts';
import { requireLeaving, sealDisks } from './disk-transfers.ts';
import { requireExportable, snapshotKeyIdentity } from './snapshot-keys.ts';
import type { MachineRecord } from './machine-records.ts';
import type { VmmKeys } from './vmm-keys.ts';

/** What a transfer is decided by. */
export interface Transfers extends VmmKeys {
  readonly keys: DiskKeys;
  readonly signer: SigningKey;
}

const TICKET_ID_BYTES = 16;
/** Of HPKE: a key of the disk, and nothing else, opens with it. */
export const DISK_KEY_INFO: Uint8Array<ArrayBuffer> = utf8(`${EXPORT_FORMAT} disk key`);

/** A public key of this broker's own, signed: whoever exports to it knows that only this broker opens it. */
export async function readRecipient({
  store,
  root,
  signer,
  now,
}: Transfers): Promise<BrokerResponse<'read-recipient'>> {
  using pair = await ownPair({ store, root });
  const signed = await signHostRecipient({ recipient: pair.publicKey, at: now() }, signer);
  return { file: encodeHostRecipient(signed) };
}

export async function exportSnapshot(
  transfers: Transfers,
  request: Extract<BrokerRequest, { op: 'export-snapshot' }>,
): Promise<BrokerResponse<'export-snapshot'>> {
  const { store, root, now } = transfers;
  const { machine, kept, object, bases } = requireExportable(transfers, request);
  const given = request.bases ?? [];
  if (bases.length !== given.length || bases.some(({ id }, index) => id !== given[index]?.snapshot)) {
    throw new RingwallError('conflict', 'what it continues is to go along, all of it and in its order', {
      hint: `or take one that stands alone, and export that: ringwall snapshot --full ${machine.name}`,
    });
  }
  const leaving = await requireLeaving(transfers, machine, request.disks ?? []);
  const recipient = fromHex(request.recipient);
  const heads: string[] = [];
  for (const [index, { id, wrapped }] of [...bases, kept].entries()) {
    using key = unwrapKey(root, snapshotKeyIdentity(id), wrapped);
    const head = await rewrapHead(
      Buffer.from((given[index] ?? request).head, 'base64'),
      { opener: { kind: 'key', key: key.expose() }, over: bases[index - 1]?.root },
      [{ kind: 'x25519', publicKey: recipient }],
    );
    heads.push(Buffer.from(head).toString('base64'));
  }
  // Last of what may refuse: a word that was given is used by an export that goes through.
  spendApproval(transfers, machine, { ...request, root: object, sequence: kept.sequence });
  const says = {
    ...contentOf(request, { machine, object, at: now() }),
    snapshot: {
      id: kept.id,
      sequence: kept.sequence,
      root: object,
      bytes: request.bytes,
      takenAt: new Date(request.takenAt),
    },
    bases: bases.map(({ id, sequence, root: baseRoot, unlockedAt, seenAt }, index) => ({
      ...{ id, sequence, root: baseRoot, bytes: given[index]?.bytes ?? 0, unlockedAt, seenAt },
      takenAt: new Date(given[index]?.takenAt ?? request.takenAt),
    })),
    disks: leaving.map(({ request: { disk: id }, name, sizeBytes, digest, source }) => ({
      ...{ id, name, sizeBytes, digest, source },
    })),
    tpm: {
      ekCertificate: machine.ekCertificate,
      vtpmCa: machine.vtpmCa,
      akName: machine.akName,
      unlockedAt: kept.unlockedAt,
      seenAt: kept.seenAt,
    },
  };
  const ticket = encodeExport(
    await signExport(
      {
        ...says,
        disks: await sealDisks(transfers, leaving, says),
        diskKey: await sealDiskKey(transfers, machine, says),
      },
      transfers.signer,
    ),
  );
  // Before anybody has it: a machine that has gone nowhere is brought back by name, one that lives twice is not undone.
  if (request.mode === 'move') {
    store.transfers.depart(machine.id, { recipient: request.recipient, snapshot: kept.id }, now());
  }
  const head = heads.at(-1) ?? '';
  return { ticket, head, ...(bases.length === 0 ? {} : { bases: heads.slice(0, -1) }) };
}

/** The key pair that others export to; made when it is asked for first. */
export async function ownPair({ store, root }: Pick<Transfers, 'store' | 'root'>): Promise<KeyPair & Disposable> {
  const known = store.transfers.recipientKey();
  if (known !== undefined) return disposable(known.publicKey, unwrapKey(root, recipientKeyIdentity(), known.wrapped));
  const { publicKey, privateKey } = await makeKeyPair();
  using secret = Secret.take(privateKey);
  // Somebody may have asked at the same time.
  const again = store.transfers.recipientKey();
  if (again === undefined) {
    store.transfers.setRecipientKey({ publicKey, wrapped: wrapKey(root, recipientKeyIdentity(), secret) });
  }
  return ownPair({ store, root });
}

export function recipientKeyIdentity(): KeyIdentity {
  return { kind: 'recipient-key', id: 'broker', version: 1 };
}

/** The same object for others. `over`: the root of what it continues. Throws `proof-invalid` where what came is no head of it. */
export async function rewrapHead(
  head: Uint8Array,
  { opener, over }: { readonly opener: Opener; readonly over: string | undefined },
  recipients: Parameters<typeof rewrap>[1]['recipients'],
): Promise<Uint8Array> {
  try {
    const { manifest } = await readObjectHead([head]);
    if (manifest.parent?.root !== over) {
      const [is, due] = [manifest.parent?.root ?? 'none', over ?? 'none'];
      throw new RingwallError('proof-invalid', `the object continues ${is}, and ${due} goes before it`, {
        hint: 'what it continues is missing, or another: nothing was taken of it',
      });
    }
    const rewrapped = await rewrap([head], { openers: [opener], recipients });
    // What lies behind it stays where it is.
    if (rewrapped.before !== head.length || rewrapped.head.length !== head.length) {
      throw new SealError('limit', 'its envelope has another length');
    }
    return rewrapped.head;
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new RingwallError('proof-invalid', `the head of the object does not open: ${error.message}`, {
      cause: error,
    });
  }
}

type Content = Omit<ExportContent, 'snapshot' | 'bases' | 'disks' | 'tpm'>;

function contentOf(
  { recipient, mode, spec }: Extract<BrokerRequest, { op: 'export-snapshot' }>,
  { machine, at }: { readonly machine: MachineRecord; readonly object: string; readonly at: Date },
): Content {
  return {
    id: Buffer.from(crypto.getRandomValues(new Uint8Array(TICKET_ID_BYTES))).toString('hex'),
    mode,
    recipient: fromHex(recipient),
    machine: { id: machine.id, name: machine.name, ...spec },
    disk: { kind: machine.diskKind, keyVersion: machine.keyVersion },
    at,
  };
}

async function sealDiskKey(
  { keys }: Transfers,
  machine: MachineRecord,
  says: ExportContent,
): Promise<ExportTicket['diskKey']> {
  using opened = keys.open(machine);
  return await sealTo(says.recipient, opened.current.expose(), { info: DISK_KEY_INFO, aad: exportContext(says) });
}

function disposable(publicKey: Uint8Array, secret: Secret): KeyPair & Disposable {
  return { publicKey, privateKey: secret.expose(), [Symbol.dispose]: () => secret[Symbol.dispose]() };
}
