// What `start`, `stop` and `rm` have in common: one operation for each named machine, one after the other. A machine
// that fails does not keep the others from being tried; the first failure decides the exit code.
import type { Operation } from '@ringwall/api';
import { RingwallError, type ErrorBody } from '@ringwall/api/errors';
import type { ApiClient } from '../api-client.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { followOperation, whileWatching } from '../operations.ts';
import { printTrouble } from '../trouble.ts';

export interface EachOptions {
  readonly request: (api: ApiClient, machine: string) => Promise<{ readonly operation: Operation }>;
  /** As in `hello is stopped.`, or `hello: it runs already.` */
  readonly done: (operation: Operation) => string;
  /** What can be done next, where it is done. */
  readonly next?: (machine: string) => string;
  readonly farewell: (machine: string) => string;
  /** More about the failure of an operation. */
  readonly explain?: (machine: string, error: unknown) => Promise<unknown>;
}

interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: ErrorBody;
}

export async function onEach(invocation: Invocation, options: EachOptions): Promise<number> {
  const { out, err, json } = invocation;
  const outcomes: Outcome[] = [];
  let exit = 0;
  await invocation.needServices();
  for (const name of new Set(invocation.arguments)) {
    using progress = invocation.progress();
    try {
      const { operation } = await invocation.withApi((api) => options.request(api, name));
      const ended = await whileWatching(invocation, options.farewell(name), () =>
        followOperation(invocation, operation, progress),
      ).catch(async (error: unknown) => {
        throw (await options.explain?.(name, error)) ?? error;
      });
      outcomes.push({ name, ok: true });
      if (json) continue;
      out.line(`${name}${options.done(ended)}`);
      if (options.next !== undefined) out.line(options.next(name));
    } catch (error) {
      if (!(error instanceof RingwallError)) throw error;
      progress.fail();
      if (exit === 0) exit = exitCodeOf(error);
      outcomes.push({ name, ok: false, error: error.toBody() });
      if (!json) printTrouble(err, invocation.self, error);
    }
  }
  if (json) printJson(invocation, { machines: outcomes });
  return exit;
}
