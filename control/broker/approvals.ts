// The word of two people, where a machine asks for it: an export is done once two of those who are enrolled have signed the very text
// that says which object leaves, for whom, and whether its machine goes along. What would weaken that (another person, one less, the
// word given up) needs two people itself, as soon as one machine asks for it.
import { RingwallError, type MachineId } from '@ringwall/api';
import {
  approvalIdSchema,
  type Approval,
  type ApprovalId,
  type Approvals,
  type ChangedOrWaits,
} from '@ringwall/api/approvals';
import type { BrokerRequest } from '@ringwall/api/broker';
import { fromHex } from '@ringwall/bytes';
import { contentOf, type KeptApproval } from './approval-store.ts';
import { fingerprintOf } from './snapshot-import.ts';
import type { Transfers } from './snapshot-export.ts';

const PEOPLE_NEEDED = 2;
/** Long enough for somebody who sleeps. */
const LIFE_MS: number = 24 * 60 * 60 * 1000;
/** Far more than wait; then somebody asks for nothing. */
const MAX_OPEN = 256;
const ID_CHARACTERS = 20;

type Parts = Pick<Transfers, 'store' | 'signer' | 'now'>;

/** What two people are asked for. Its JSON is what makes two requests the same one. */
type Wanted =
  | {
      readonly do: 'export';
      readonly snapshot: string;
      readonly root: string;
      readonly recipient: string;
      readonly mode: string;
    }
  | { readonly do: 'person'; readonly name: string; readonly key: string | null }
  | { readonly do: 'waive'; readonly machine: MachineId };

export function listApprovals({ store, now }: Parts): Approvals {
  const { approvals } = store;
  return {
    people: approvals.people(),
    machines: approvals.machines(),
    requests: approvals.open(now()).map((kept) => shown({ store, now }, kept)),
  };
}

/** Enrols a person, or ends that. */
export function changePerson(
  parts: Parts,
  { name, key }: Extract<BrokerRequest, { op: 'change-person' }>,
): ChangedOrWaits {
  const { approvals } = parts.store;
  checkPerson(parts, name, key);
  if (approvals.machines().length === 0) {
    approvals.setPerson(name, key, parts.now());
    return {};
  }
  const does = key === null ? 'strike off' : 'enrol';
  const lines = [`${does} the person ${name}`, ...(key === null ? [] : [`with the key ringwall-person:${key}`])];
  return { waits: ask(parts, { do: 'person', name, key }, lines) };
}

/** Raised by anybody; lowered by two people. */
export function requireApproval(
  parts: Parts,
  { machine: id, required }: Extract<BrokerRequest, { op: 'require-approval' }>,
): ChangedOrWaits {
  const { approvals } = parts.store;
  const machine = parts.store.readMachine(id);
  if (machine === undefined) throw new RingwallError('not-found', `the broker knows no machine ${id}`);
  if (required && approvals.people().length < PEOPLE_NEEDED) {
    throw new RingwallError('conflict', 'nobody could approve an export: two people must be enrolled first', {
      hint: 'each makes a key: ringwall keygen --person -o FILE; then: ringwall approvals enrol NAME ringwall-person:…',
    });
  }
  if (required || !approvals.machines().includes(id)) {
    approvals.require(id, required);
    return {};
  }
  return {
    waits: ask(parts, { do: 'waive', machine: id }, [`let ${machine.name} (${id}) be exported without approval`]),
  };
}

/** Returns where the export may go on, once. Else throws, and names the request that waits. */
export function spendApproval(
  parts: Parts,
  machine: { readonly id: MachineId; readonly name: string },
  wanted: Omit<Extract<Wanted, { do: 'export' }>, 'do'> & { readonly sequence: number },
): void {
  const { approvals } = parts.store;
  if (!approvals.machines().includes(machine.id)) return;
  const { sequence, snapshot, root, recipient, mode } = wanted;
  const kept = askFor(parts, { do: 'export', snapshot, root, recipient, mode }, [
    `export ${machine.name}@${String(sequence)} (${snapshot} of ${machine.id})`,
    `with the root ${root}`,
    `to ringwall-recipient:${recipient}`,
    mode === 'move' ? 'and its machine moves along' : 'as a copy',
  ]);
  if (countOf(parts, kept) >= PEOPLE_NEEDED) {
    approvals.use(kept.id);
    return;
  }
  throw new RingwallError(
    'unauthorized',
    `an export of ${machine.name} needs the word of two people: request ${kept.id} waits`,
    {
      hint: `two of them sign: ringwall approve ${kept.id} --as KEYFILE; then export it again, the same way`,
    },
  );
}

export function readApproval(parts: Parts, id: ApprovalId): Approval {
  return shown(parts, requireApprovalRequest(parts, id));
}

/** The first who signs asks, the second approves; one person is not two. */
export async function signApproval(
  parts: Parts,
  { approval: id, key, signature }: Extract<BrokerRequest, { op: 'sign-approval' }>,
): Promise<Approval> {
  const { approvals } = parts.store;
  const before = requireApprovalRequest(parts, id);
  const person = approvals.people().find((each) => each.key === key);
  if (person === undefined) throw new RingwallError('unauthorized', 'nobody is enrolled with this key');
  if (!(await isSignedBy(key, signature, before.statement))) {
    throw new RingwallError('unauthorized', `this is not what ${person.name} has signed`);
  }
  // Somebody may have signed meanwhile.
  const kept = requireApprovalRequest(parts, id);
  if (kept.used || kept.expiresAt <= parts.now().toISOString()) {
    throw new RingwallError('conflict', `${id} is ${shown(parts, kept).state}`, { hint: 'ask again' });
  }
  if (kept.signers.includes(key)) {
    throw new RingwallError('conflict', `${person.name} has signed ${id} already: the second word is another person’s`);
  }
  approvals.sign(id, [...kept.signers, key]);
  const signed = requireApprovalRequest(parts, id);
  if (countOf(parts, signed) >= PEOPLE_NEEDED) carryOut(parts, signed);
  return readApproval(parts, id);
}

/** An export is done by whoever exports; the rest at once. */
function carryOut(parts: Parts, kept: KeptApproval): void {
  const { approvals } = parts.store;
  const wanted = contentOf(kept);
  if (wanted['do'] === 'export') return;
  if (wanted['do'] === 'waive') {
    const machine = approvals.machines().find((each) => each === wanted['machine']);
    if (machine !== undefined) approvals.require(machine, false);
  } else {
    const [name, key] = [String(wanted['name']), typeof wanted['key'] === 'string' ? wanted['key'] : null];
    checkPerson(parts, name, key);
    approvals.setPerson(name, key, parts.now());
  }
  approvals.use(kept.id);
}

function checkPerson({ store }: Parts, name: string, key: string | null): void {
  const people = store.approvals.people();
  const known = people.find((each) => each.name === name);
  if (key === null) {
    if (known === undefined) throw new RingwallError('not-found', `nobody is enrolled as ${name}`);
    if (people.length > PEOPLE_NEEDED || store.approvals.machines().length === 0) return;
    throw new RingwallError('conflict', `without ${name} nobody could approve anything any more`, {
      hint: 'enrol another person first',
    });
  }
  if (known !== undefined) throw new RingwallError('name-taken', `${name} is enrolled already`);
  const same = people.find((each) => each.key === key);
  if (same !== undefined) throw new RingwallError('conflict', `this is the key of ${same.name}: one person is not two`);
}

function ask(parts: Parts, wanted: Wanted, lines: readonly string[]): Approval {
  return shown(parts, askFor(parts, wanted, lines));
}

/** The one that waits for the same, or a new one. */
function askFor(parts: Parts, wanted: Wanted, lines: readonly string[]): KeptApproval {
  const { store, signer, now } = parts;
  const content = JSON.stringify(wanted);
  const open = store.approvals.open(now());
  const waiting = open.find((kept) => kept.content === content);
  if (waiting !== undefined) return waiting;
  if (open.length >= MAX_OPEN) {
    throw new RingwallError('conflict', `${String(MAX_OPEN)} requests wait for approval`, {
      hint: 'sign those, or wait',
    });
  }
  const id = newApprovalId();
  const expiresAt = new Date(now().getTime() + LIFE_MS).toISOString();
  const statement = [
    ...['ringwall approval 1', `request ${id}`, ...lines, `until ${expiresAt}`],
    ...[`by the broker ${fingerprintOf(signer.publicKey)}`, ''],
  ].join('\n');
  store.approvals.add({ id, content, statement, expiresAt }, now());
  return requireApprovalRequest(parts, id);
}

/** Of those who are still enrolled. */
function countOf({ store }: Pick<Parts, 'store'>, { signers }: KeptApproval): number {
  return store.approvals.people().filter(({ key }) => signers.includes(key)).length;
}

function shown({ store, now }: Pick<Parts, 'store' | 'now'>, kept: KeptApproval): Approval {
  const { id, statement, signers, used, expiresAt } = kept;
  const people = store.approvals.people().filter(({ key }) => signers.includes(key));
  const words = (['new', 'asked', 'approved'] as const)[Math.min(people.length, PEOPLE_NEEDED)] ?? 'new';
  const state = used ? 'used' : expiresAt <= now().toISOString() ? 'expired' : words;
  return { id, statement, state, signedBy: people.map(({ name }) => name), expiresAt };
}

function requireApprovalRequest({ store }: Pick<Parts, 'store'>, id: ApprovalId): KeptApproval {
  const kept = store.approvals.find(id);
  if (kept !== undefined) return kept;
  throw new RingwallError('not-found', `there is no request ${id}`, { hint: 'see which wait: ringwall approvals' });
}

async function isSignedBy(key: string, signature: string, statement: string): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey('raw', fromHex(key), 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, fromHex(signature), new TextEncoder().encode(statement));
  } catch {
    return false; // no point of the curve
  }
}

function newApprovalId(): ApprovalId {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  const random = crypto.getRandomValues(new Uint8Array(ID_CHARACTERS));
  return approvalIdSchema.parse(`apr_${Array.from(random, (byte) => alphabet[byte & 31]).join('')}`);
}
