// Snapshots that come to this broker: by the signed word of the broker that they left, sealed to this one's key. A ticket is taken
// once; what may still live elsewhere, or has been here before, comes only by the word of a person, which the audit log keeps.
import { createHash } from 'node:crypto';
import { machineIdSchema, RingwallError, type MachineId } from '@ringwall/api';
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import { diskIdSchema } from '@ringwall/api/objects';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import { equalBytes, toHex } from '@ringwall/bytes';
import { EvidenceError, exportContext, parseExport, verifyExport, type SignedExport } from '@ringwall/evidence';
import { openWith, readObjectHead, SealError } from '@ringwall/seal';
import { isSignedByItsHost, sealKey, Secret, wrapKey } from '../keys/index.ts';
import { diskKeyIdentity } from './disk-keys.ts';
import { keepable, openDisks } from './disk-transfers.ts';
import { checkRegistration } from './ek-certificate.ts';
import { DISK_KEY_INFO, ownPair, rewrapHead, type Transfers } from './snapshot-export.ts';
import { snapshotKeyIdentity } from './snapshot-keys.ts';
import type { MachineRecord } from './machine-records.ts';
import type { KeptSnapshot } from './snapshot-store.ts';
import type { Arrival } from './transfer-store.ts';

const KEY_BYTES = 32;

/**
 * The object's key for the host that has received it, which looks at it before anything is made of it here; or that it is here already,
 * below the one that was exported: then it stays as it is, with its own key.
 */
export async function beginImport(
  transfers: Transfers,
  request: Extract<BrokerRequest, { op: 'begin-import' }>,
): Promise<BrokerResponse<'begin-import'>> {
  const { store, root, now, signer } = transfers;
  const { request: asked, rewind } = request;
  if (asked.use !== 'import' || !(await isSignedByItsHost(asked))) {
    throw new RingwallError(
      'unauthorized',
      'the request for a snapshot’s key is not signed for this by the host it names',
    );
  }
  const ticket = await readTicket(request.ticket);
  const machine = machineIdSchema.parse(ticket.machine.id);
  const member = membersOf(ticket).find(({ id }) => id === asked.snapshot);
  if (asked.machine !== machine || member === undefined) {
    throw new RingwallError('proof-invalid', `the ticket is for ${ticket.snapshot.id} of ${ticket.machine.id}`);
  }
  using pair = await ownPair(transfers);
  if (!equalBytes(ticket.recipient, pair.publicKey)) {
    throw new RingwallError(
      'unauthorized',
      `it is for ringwall-recipient:${toHex(ticket.recipient).slice(0, 16)}…, and not for this host`,
      {
        hint: 'export it again, to what this command prints here: ringwall snapshot recipient',
      },
    );
  }
  const isOwn = equalBytes(ticket.broker.publicKey, signer.publicKey);
  if (!isOwn) requireKnownExporter(transfers, ticket, request.accept);
  const { snapshot } = asked;
  const host = Buffer.from(asked.host, 'base64');
  const known = store.readMachine(machine);
  if (known === undefined) checkNewcomer(ticket, now());
  else refuseOther(known, ticket);
  using diskKey = await openDiskKey(ticket, pair);
  // What is here of a machine is told to nobody who has not got the key of its disk: a ticket can be signed by anybody.
  if (known !== undefined) requireSameKey(transfers, known, diskKey);
  using imported = disposeAll(await openDisks(ticket, pair));
  keepable(transfers, imported.all, host);
  refuseWithheld(transfers, known);
  const isHere = findHere(transfers, { known, machine, ticket, member, host });
  if (!rewind) refuseTwin(transfers, ticket, { known, isOwn });
  if (isHere) {
    store.transfers.dropArriving(snapshot);
    store.keys.scrubLog();
    return { here: true };
  }

  const head = Buffer.from(request.head, 'base64');
  await requireObject(head, machine, member);
  using key = Secret.random(KEY_BYTES);
  const opening = { opener: { kind: 'x25519', pair }, over: member.over } as const;
  const rewrapped = await rewrapHead(head, opening, [{ kind: 'key', key: key.expose() }]);
  const wrapped = wrapKey(root, snapshotKeyIdentity(snapshot), key);
  // A copy that comes home has been given away: going back to it wants the same word as any other going back.
  const used = known !== undefined && isOwn && ticket.mode === 'backup' && !rewind;
  store.transfers.beginArrival(
    member.arrival,
    machine,
    { snapshot, digest: digestOf(request.ticket), wrapped, host, used },
    now(),
  );
  return {
    sealed: Buffer.from(sealKey(key, asked)).toString('base64'),
    head: Buffer.from(rewrapped).toString('base64'),
    ekCertificate: Buffer.from(ticket.tpm.ekCertificate).toString('base64'),
  };
}

/** The object lies where it belongs, and was found to be for this host: from now on it is the newest state of its machine. */
export async function finishImport(
  transfers: Transfers,
  request: Extract<BrokerRequest, { op: 'finish-import' }>,
): Promise<BrokerResponse<'finish-import'>> {
  const { store, root, now } = transfers;
  const ticket = await readTicket(request.ticket);
  const machine = machineIdSchema.parse(ticket.machine.id);
  const begun = store.transfers.arrival(ticket.id);
  if (begun !== undefined && begun.wrapped === undefined) return {};
  using pair = await ownPair(transfers);
  using diskKey = await openDiskKey(ticket, pair);
  using imported = disposeAll(await openDisks(ticket, pair));
  // From here to the commit in one turn: what is found here stays.
  const coming = membersOf(ticket).filter((member) => !stays(transfers, ticket, member));
  const arrivals = coming.map((member) => ({ ...member, ...requireBegun(store, member, request.ticket) }));
  const [newest] = arrivals.toReversed();
  if (newest === undefined) throw new RingwallError('internal', 'a ticket for no snapshot');
  const { ekCertificate, vtpmCa, akName } = ticket.tpm;
  const { keyVersion, kind: diskKind } = ticket.disk;
  const wrappedKey = wrapKey(root, diskKeyIdentity(machine, keyVersion), diskKey);
  store.arrive({
    tickets: arrivals.map(({ arrival }) => arrival),
    machine: { id: machine, name: request.name, ekCertificate, vtpmCa, keyVersion, wrappedKey, diskKind, disk: 'open' },
    akName,
    vmmKeys: keepable(transfers, imported.all, newest.host),
    snapshots: arrivals.map((snapshot) => ({ ...snapshot, machine, diskKeyVersion: keyVersion })),
    at: now(),
  });
  return {};
}

/** SHA-256 of a broker's key, in hexadecimal: what people compare. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex');
}

function digestOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('hex');
}

async function readTicket(text: string): Promise<SignedExport> {
  try {
    const ticket = parseExport(text);
    if (await verifyExport(ticket)) return ticket;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new RingwallError('proof-invalid', `it is no ticket of an export: ${error.message}`, { cause: error });
  }
  throw new RingwallError('proof-invalid', 'the ticket was altered after its broker signed it');
}

/** An object that a ticket is for. */
interface Member extends Pick<KeptSnapshot, 'id' | 'sequence' | 'unlockedAt' | 'seenAt' | 'parent'> {
  readonly root: string;
  /** The root of what it continues. */
  readonly over: string | undefined;
  /** Under which it is written down that it comes. */
  readonly arrival: string;
}

/** From the whole one on to the one that was exported. */
function membersOf({ id: ticket, bases, snapshot, tpm }: SignedExport): readonly Member[] {
  const all = [...bases, { ...snapshot, unlockedAt: tpm.unlockedAt, seenAt: tpm.seenAt }];
  return all.map(({ id, sequence, root, unlockedAt, seenAt }, index) => {
    const before = all[index - 1];
    return {
      ...{ id: snapshotIdSchema.parse(id), sequence, root, unlockedAt, seenAt },
      ...{ over: before?.root, parent: before && snapshotIdSchema.parse(before.id) },
      arrival: index === all.length - 1 ? ticket : `${ticket}.${id}`,
    };
  });
}

function requireBegun(
  { transfers, snapshots }: Transfers['store'],
  { arrival, id }: Member,
  ticket: string,
): Pick<Arrival, 'host' | 'used'> & { readonly wrapped: Uint8Array } {
  const begun = transfers.arrival(arrival);
  if (begun?.wrapped === undefined) throw new RingwallError('conflict', 'nobody has begun to import this snapshot');
  // Whoever carries it here had all of it judged at the beginning, and nothing since.
  if (begun.digest !== digestOf(ticket)) {
    throw new RingwallError('proof-invalid', 'it is another ticket than the one that was begun with', {
      hint: 'import it again',
    });
  }
  if (snapshots.find(id) !== undefined) {
    throw new RingwallError('conflict', `${id} has come by another export meanwhile`, { hint: 'import it again' });
  }
  return { wrapped: begun.wrapped, host: begun.host, used: begun.used };
}

/** Accepted once, by a fingerprint that a person has compared. */
function requireKnownExporter({ store, now }: Transfers, { broker }: SignedExport, accept: string | undefined): void {
  const fingerprint = fingerprintOf(broker.publicKey);
  if (accept === fingerprint) store.transfers.acceptExporter(fingerprint, now());
  if (store.transfers.knowsExporter(fingerprint)) return;
  const wrong = accept === undefined ? '' : `, and not ${accept.slice(0, 16)}…`;
  throw new RingwallError(
    'unauthorized',
    `it is signed by a broker that nothing was taken from yet: ${fingerprint}${wrong}`,
    {
      hint: `compare that number with who sent it, then say so: --accept ${fingerprint}`,
    },
  );
}

function checkNewcomer({ machine, tpm }: SignedExport, now: Date): void {
  checkRegistration({ machine: machine.id, ekCertificate: tpm.ekCertificate, vtpmCa: tpm.vtpmCa, now });
}

function refuseOther(known: MachineRecord, { tpm, disk }: SignedExport): void {
  if (!equalBytes(known.ekCertificate, tpm.ekCertificate)) {
    throw new RingwallError('proof-invalid', `it is of a machine with another TPM than ${known.name} has`);
  }
  if (known.keyVersion !== disk.keyVersion) {
    throw new RingwallError(
      'conflict',
      `the disk of ${known.name} has key ${String(known.keyVersion)} here, and the one in it has key ${String(disk.keyVersion)}`,
      {
        hint: 'the key of the disk was rotated in between: one of the two is of no use any more',
      },
    );
  }
}

function refuseWithheld({ watches }: Transfers, known: MachineRecord | undefined): void {
  const withheld = known && watches.withholds(known);
  if (withheld !== undefined) throw new RingwallError('conflict', `nothing of it is taken: ${withheld}`);
}

interface Sought {
  /** The one that the ticket is for, where it is here. */
  readonly known: MachineRecord | undefined;
  readonly machine: MachineId;
  readonly ticket: SignedExport;
  readonly member: Member;
  /** P-256, X and Y: on which it would have to lie. */
  readonly host: Uint8Array;
}

/**
 * Whether this very object is here, whole, on this host and where the ticket has it: below the one that was exported. What the ticket says
 * of it beyond that (what the record of the TPM was) counts for nothing then. Throws where another has its number or its id.
 */
function findHere({ store }: Transfers, { known, machine, ticket, member, host }: Sought): boolean {
  const kept = store.snapshots.find(member.id);
  if (kept !== undefined && kept.machine !== machine) {
    throw new RingwallError('proof-invalid', `${member.id} is of another machine, which is here`);
  }
  const numbered = store.snapshots.findNumber(machine, member.sequence);
  const name = `${known?.name ?? machine}@${String(member.sequence)}`;
  if (numbered !== undefined && numbered !== member.id) {
    throw new RingwallError(
      'conflict',
      `${name} is here already, and is another one: the machine has lived twice since`,
      { hint: 'remove the one that is not wanted: ringwall snapshot rm' },
    );
  }
  if (kept === undefined) return false;
  if (!isSame(kept, member, ticket)) {
    throw new RingwallError(
      'proof-invalid',
      `${name} is here already as ${member.id}, with another content: nothing was replaced`,
      { hint: 'ask who sent it where it is from; if the one here is not wanted: ringwall snapshot rm' },
    );
  }
  if (member.id === ticket.snapshot.id) {
    throw new RingwallError('conflict', `${name} is here already`, {
      hint: `to put the machine back to it: ringwall restore ${name}`,
    });
  }
  if (!equalBytes(kept.host, host)) {
    throw new RingwallError('conflict', `${name} is on another host of this broker`, {
      hint: 'import it there, or remove that one there first',
    });
  }
  return true;
}

/** The root is of every byte of it but the envelope, and of what it continues; which key its disk opens with lies beside it. */
function isSame(kept: KeptSnapshot, member: Member, { disk }: SignedExport): boolean {
  const { sequence, root, parent, diskKeyVersion } = kept;
  const isThat = sequence === member.sequence && root === member.root && parent === member.parent;
  return isThat && diskKeyVersion === disk.keyVersion;
}

/** Nobody has begun to bring it with this ticket, since it was here; and it is here still. */
function stays({ store }: Transfers, ticket: SignedExport, member: Member): boolean {
  const isComing = store.transfers.arrival(member.arrival)?.wrapped !== undefined;
  if (isComing || member.id === ticket.snapshot.id) return false;
  const kept = store.snapshots.find(member.id);
  return kept?.machine === ticket.machine.id && isSame(kept, member, ticket);
}

/** Whether this state may live twice once it is here. */
function refuseTwin(
  { store }: Transfers,
  { id, mode, machine, snapshot, disks, broker }: SignedExport,
  { known, isOwn }: { readonly known: MachineRecord | undefined; readonly isOwn: boolean },
): void {
  const why = ((): string | undefined => {
    const before = store.transfers.arrival(id);
    if (before !== undefined && before.wrapped === undefined) return 'this very export has been here before';
    // At home, going back to a copy wants a word by itself.
    const isOwnCopy = isOwn && mode === 'backup';
    if (!isOwnCopy && store.transfers.hasArrived(snapshotIdSchema.parse(snapshot.id)))
      return 'this very state has been here before, by another export';
    if (known === undefined && store.keys.findErasure('machine', machine.id) !== undefined)
      return 'its keys were destroyed here on purpose';
    for (const { id: disk, name } of disks) {
      const isGone = store.vmmKeys.find(diskIdSchema.parse(disk)) === undefined;
      if (isGone && store.keys.findErasure('disk', disk) !== undefined)
        return `the key of its disk ${name} was destroyed here on purpose`;
    }
    if (mode === 'backup' && !isOwn)
      return `it is a copy: the machine itself stays with broker ${fingerprintOf(broker.publicKey).slice(0, 16)}…, and may run there`;
    if (mode === 'move' && !isOwn && known !== undefined && store.transfers.departure(known.id) === undefined)
      return `${known.name} lives here: it was never moved away`;
    return undefined;
  })();
  if (why === undefined) return;
  throw new RingwallError('conflict', why, {
    hint: 'if no other life of this machine goes on, say so, and it is written down: --rewind',
  });
}

function disposeAll<T extends Disposable>(all: readonly T[]): Disposable & { readonly all: readonly T[] } {
  const stack = new DisposableStack();
  for (const each of all) stack.use(each);
  return { all, [Symbol.dispose]: () => stack.dispose() };
}

async function openDiskKey(ticket: SignedExport, pair: Parameters<typeof openWith>[0]): Promise<Secret> {
  const opened = await openWith(pair, ticket.diskKey, { info: DISK_KEY_INFO, aad: exportContext(ticket) });
  if (opened?.length === KEY_BYTES) return Secret.take(opened);
  throw new RingwallError('proof-invalid', 'the key of the disk in its ticket does not open');
}

/** The same disk cannot have two keys of one number. */
function requireSameKey({ keys }: Transfers, known: MachineRecord, diskKey: Secret): void {
  using opened = keys.open(known);
  if (equalBytes(opened.current.expose(), diskKey.expose())) return;
  throw new RingwallError('proof-invalid', `the key of its disk is another than the one of ${known.name}`);
}

/** What the object says in clear of what it is; its records are bound to that. */
async function requireObject(head: Uint8Array, machine: MachineId, member: Member): Promise<void> {
  const about = await readObjectHead([head]).then(
    ({ manifest }) => manifest.about,
    (error: unknown) => {
      if (!(error instanceof SealError)) throw error;
      throw new RingwallError('proof-invalid', `what follows the ticket is no sealed object: ${error.message}`);
    },
  );
  const isIt =
    about['kind'] === 'machine' &&
    about['machine'] === machine &&
    about['snapshot'] === member.id &&
    about['sequence'] === member.sequence;
  if (!isIt)
    throw new RingwallError('proof-invalid', 'what follows the ticket is another object than the one it is for');
}
