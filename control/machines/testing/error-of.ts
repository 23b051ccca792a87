// What a promise was refused with, for tests that look at it.
import { RingwallError } from '@ringwall/api';

export async function errorOf(promise: Promise<unknown>): Promise<RingwallError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof RingwallError) return error;
  throw new Error(`expected a RingwallError, got ${String(error)}`);
}
