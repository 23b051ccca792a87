// Why a machine did not come up, in full: the error of its operation names the first reason, its status has all of them.
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from './invocation.ts';

/** The error with all reasons, where to look, and how to go on. Whatever is no error of ours is handed back. */
export async function explainMachine(
  { self, api }: Invocation,
  name: string,
  error: unknown,
  wayOn: string,
): Promise<unknown> {
  if (!(error instanceof RingwallError)) return error;
  const detail = await api.call('showMachine', { params: { machine: name } }).catch(() => undefined);
  if (detail === undefined) return error;
  const reasons = detail.machine.status.reasons.filter(
    (reason) => !error.message.includes(reason) && !reason.includes(error.message),
  );
  const message = [error.message, ...reasons.map((reason) => `  ${reason}`)].join('\n');
  const hints = [
    ...(error.hint === undefined ? [] : [error.hint]),
    ...(error.hint?.includes('logs') === true ? [] : [`what it said: ${self} logs ${name}`]),
    wayOn,
  ];
  return new RingwallError(error.code, message, { hint: hints.join('\n'), cause: error });
}
