// What the policies of hardware evidence are made of: values that are allowed, each with a reason, and exceptions from what
// is otherwise refused, each with a reason. A list that allows nothing is an error of whoever wrote it: it would refuse all.
import { equalBytes, fromHex, toHex } from '@ringwall/bytes';
import { fails, holds, type Answer } from '../checks.ts';
import { EvidenceError } from '../errors.ts';
import { ClosedObject, type Refuse } from '../json.ts';

/** A fleet has a few images, firmware builds and processors; a list of hundreds is generated and belongs elsewhere. */
const MAX_ALLOWED = 256;
const MAX_REASON_CHARACTERS = 200;

/** One value that evidence may show, lower-case hexadecimal, and why it is fine. */
export interface AllowedValue {
  readonly value: string;
  readonly reason: string;
}

/** `any` must be written out: leaving a list away allows nothing. */
export type Allowed = 'any' | readonly AllowedValue[];

/** One thing that is otherwise refused, and why it is not here. */
export interface PolicyException<What extends string> {
  readonly what: What;
  readonly reason: string;
}

export const refusePolicy: Refuse = (message) => {
  throw new EvidenceError('policy-invalid', message);
};

/** A list of values of `bytes` bytes each, at least one. */
export function readValues(object: ClosedObject, key: string, bytes: number): readonly AllowedValue[] {
  const form = new RegExp(`^[0-9a-f]{${bytes * 2}}$`);
  const values = object.array(key, MAX_ALLOWED, (item, path): AllowedValue => {
    const entry = new ClosedObject(item, path, refusePolicy);
    const value = entry.matching('value', form, `${bytes} bytes in lower-case hexadecimal`);
    const reason = readReason(entry);
    entry.end();
    return { value, reason };
  });
  if (values.length === 0) refusePolicy(`${key} allows nothing`);
  return values;
}

/** The same, or the word `any`. Keys are taken once, so the word is looked for first. */
export function readAllowed(object: ClosedObject, key: string, bytes: number): Allowed {
  if (object.is(key, 'any')) return 'any';
  return readValues(object, key, bytes);
}

export function readExceptions<const What extends string>(
  object: ClosedObject,
  known: readonly What[],
): readonly PolicyException<What>[] {
  const exceptions = object.array('exceptions', known.length, (item, path): PolicyException<What> => {
    const entry = new ClosedObject(item, path, refusePolicy);
    const exception = { what: entry.oneOf('what', known), reason: readReason(entry) };
    entry.end();
    return exception;
  });
  if (new Set(exceptions.map(({ what }) => what)).size !== exceptions.length) refusePolicy('an exception comes twice');
  return exceptions;
}

/** A reason that says something: it stands in the verdict beside what it excuses. */
export function readReason(object: ClosedObject): string {
  const reason = object.string('reason', MAX_REASON_CHARACTERS);
  if (reason.trim() === '') refusePolicy('a reason is empty');
  return reason;
}

/** Why a policy excuses something; undefined where it does not. */
export function excuseOf<What extends string>(
  exceptions: readonly PolicyException<What>[],
  what: What,
): string | undefined {
  return exceptions.find((exception) => exception.what === what)?.reason;
}

export function checkAllowed(allowed: Allowed, seen: Uint8Array, what: string): Answer {
  if (allowed === 'any') return holds('the policy allows any');
  const found = allowed.find(({ value }) => equalBytes(fromHex(value), seen));
  if (found === undefined) return fails(`${what} is ${toHex(seen)}, which the policy does not allow`);
  return holds(`${toHex(seen)}: ${found.reason}`);
}

/** Fails with `wrong`, unless the policy has a reason for it. */
export function failsUnless(excuse: string | undefined, wrong: string): Answer {
  return excuse === undefined ? fails(wrong) : holds(`${wrong}: allowed by the policy, because ${excuse}`);
}
