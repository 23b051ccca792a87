// Requests about reference values and policies: what is kept, what an update would change, what it would have meant, and the
// one step that puts it in force.
import { RingwallError, type ReferenceSubject } from '@ringwall/api';
import type { BrokerResponse } from '@ringwall/api/broker';
import { toHex } from '@ringwall/bytes';
import {
  compareHostReferences,
  comparePolicies,
  encodeHostReference,
  encodeReference,
  EvidenceError,
  HOST_REFERENCE_FORMAT,
  parseHostReference,
  parsePolicy,
  parseSignedReference,
  type HostReference,
  type Policy,
  type SignedReference,
} from '@ringwall/evidence';
import { dryRun } from './dry-run.ts';
import type { HostBook } from './host-book.ts';
import type { References } from './references.ts';
import type { BrokerStore } from './store.ts';

export interface ReferenceParts {
  readonly store: BrokerStore;
  readonly references: References;
  readonly hosts: HostBook;
  readonly now: () => Date;
}

/** Reference values as they came, and that can be kept as a file. Throws `bad-request`. */
export function readReference(value: unknown): SignedReference {
  return checked(() => {
    const reference = parseSignedReference(value);
    encodeReference(reference);
    return reference;
  });
}

export function listReferences(references: References): BrokerResponse<'list-references'> {
  return {
    references: references.list().map(({ state, how, at, reference: { id, for: about, by, publicKey, notAfter } }) => ({
      id,
      ...about,
      by,
      publicKey: toHex(publicKey),
      notAfter: notAfter.toISOString(),
      state,
      how,
      at,
    })),
    signers: [...references.signers()],
  };
}

export function diffReference(
  { references, hosts }: ReferenceParts,
  given: ReferenceSubject,
): BrokerResponse<'diff-reference'> {
  const host = hostOf(given);
  if (host !== undefined) {
    return { subject: host.host, sentences: [...compareHostReferences(hosts.reference(host.host), host)] };
  }
  const subject = readSubject(references, given);
  const sentences =
    subject.policy === undefined
      ? subject.references.flatMap((reference) => references.diff(reference))
      : comparePolicies(references.policy, subject.policy);
  return { subject: subject.name, sentences: [...new Set(sentences)] };
}

export async function tryReference(
  parts: ReferenceParts,
  given: ReferenceSubject,
): Promise<BrokerResponse<'try-reference'>> {
  if (hostOf(given) !== undefined) {
    throw new RingwallError('bad-request', 'what a host is cannot be tried on what it has sent before', {
      hint: 'ringwall reference diff FILE shows what accepting it changes',
    });
  }
  const { name, references, policy } = readSubject(parts.references, given);
  const trial = policy === undefined ? { image: imageOf(references), references } : { policy };
  const { tried, left } = await dryRun(parts, trial);
  const answers = tried.map(({ machine, reasons, ...rest }) => ({ ...rest, machine, reasons: [...reasons] }));
  return { subject: name, tried: answers, left };
}

export async function acceptReference(
  { references, hosts }: ReferenceParts,
  given: ReferenceSubject,
): Promise<BrokerResponse<'accept-reference'>> {
  const host = hostOf(given);
  if (host !== undefined) {
    const before = hosts.reference(host.host);
    await hosts.accept(host);
    return { subject: host.host, accepted: [host.id], retired: before === undefined ? [] : [before.id] };
  }
  const subject = readSubject(references, given);
  if (subject.policy !== undefined) {
    references.acceptPolicy(subject.policy);
    return { subject: subject.name, accepted: ['policy'], retired: [] };
  }
  const { retired } = await references.accept(subject.references);
  return {
    subject: subject.name,
    accepted: subject.references.map(({ id }) => id),
    retired: retired.map(({ id }) => id),
  };
}

type Subject = {
  readonly name: string;
  readonly references: readonly SignedReference[];
  readonly policy: Policy | undefined;
};

function readSubject(references: References, given: ReferenceSubject): Subject {
  if ('policy' in given) {
    return { name: 'the policy', references: [], policy: checked(() => parsePolicy(given.policy)) };
  }
  if ('reference' in given) {
    const reference = readReference(given.reference);
    return { name: reference.for.image.name, references: [reference], policy: undefined };
  }
  const waiting = references.waiting(given.image);
  if (waiting.length > 0) return { name: given.image, references: waiting, policy: undefined };
  const known = references.list(given.image).length > 0;
  throw new RingwallError('not-found', `nothing waits to be accepted for ${given.image}`, {
    hint: known
      ? 'what boots now is accepted; a changed image waits here after its next start'
      : 'no machine of it was started yet: the first start proposes what it must measure',
  });
}

/** What a host is, where that is the subject, and as it can be kept. Throws `bad-request`. */
function hostOf(given: ReferenceSubject): HostReference | undefined {
  if (!('reference' in given) || given.reference['format'] !== HOST_REFERENCE_FORMAT) return undefined;
  const value = given.reference;
  return checked(() => {
    const reference = parseHostReference(value);
    encodeHostReference(reference);
    return reference;
  });
}

function imageOf([first]: readonly SignedReference[]): string | undefined {
  return first?.for.image.name;
}

function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof EvidenceError) throw new RingwallError('bad-request', error.message, { cause: error });
    throw error;
  }
}
