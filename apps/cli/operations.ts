// Follows an operation of the daemon to its end and shows how far it is. A daemon that is restarted meanwhile goes on
// with the operation, so a lost connection is no failure yet.
import type { Operation } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { errorFrom } from './api-client.ts';
import type { Invocation } from './invocation.ts';
import type { Progress } from './progress.ts';

const RECONNECTS = 5;
const RECONNECT_PAUSE_MS = 500;
/** A service that was started and died at once is not started again and again. */
const REVIVE_INTERVAL_MS = 5_000;

/** Throws the operation's error where it failed. */
export async function followOperation(
  invocation: Invocation,
  operation: Operation,
  progress: Progress,
): Promise<Operation> {
  let latest = operation;
  let lost: unknown;
  for (let attempt = 0; attempt <= RECONNECTS; attempt += 1) {
    try {
      latest = await followStream(invocation, latest, progress);
    } catch (error) {
      if (!(error instanceof RingwallError) || !isLostConnection(error)) throw error;
      lost = error;
    }
    // Out here: what it failed with may be a time-out, too.
    if (latest.state !== 'running') return endOf(latest, progress);
    progress.step('waiting for ringwalld to come back');
    await invocation.reviveServices((text) => progress.step(text));
    await new Promise((resolve) => {
      setTimeout(resolve, RECONNECT_PAUSE_MS);
    });
  }
  throw new RingwallError('daemon-unavailable', `lost sight of it while ringwalld was doing: ${latest.step}`, {
    hint: `see how it ended: ${invocation.self} ls`,
    cause: lost,
  });
}

/** Ctrl-C ends only the watching: says what goes on, and how to end that. */
export async function whileWatching<Result>(
  invocation: Invocation,
  farewell: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const { err } = invocation;
  const onInterrupt = (): void => {
    err.write(err.live ? '\r\u001b[2K' : '');
    err.line(farewell);
    process.exit(130);
  };
  process.once('SIGINT', onInterrupt);
  try {
    return await work();
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

async function followStream(invocation: Invocation, operation: Operation, progress: Progress): Promise<Operation> {
  let latest = operation;
  let revivedMs = Number.NEGATIVE_INFINITY;
  for await (const seen of invocation.api.operationEvents(operation.id)) {
    latest = seen;
    if (seen.state !== 'running') return seen;
    progress.step(seen.step, seen.fraction);
    if (seen.waitsFor === undefined || performance.now() - revivedMs < REVIVE_INTERVAL_MS) continue;
    await invocation.reviveServices((text) => progress.step(text));
    revivedMs = performance.now();
  }
  return latest;
}

function endOf(operation: Operation, progress: Progress): Operation {
  if (operation.state === 'done') {
    progress.done();
    return operation;
  }
  progress.fail();
  throw operation.error === undefined
    ? new RingwallError('internal', `${operation.kind} failed without saying why`)
    : errorFrom(operation.error);
}

function isLostConnection({ code }: RingwallError): boolean {
  return code === 'daemon-unavailable' || code === 'timeout';
}
