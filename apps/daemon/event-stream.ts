// Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html. A slow reader costs nothing: of
// an operation only the newest state is sent, and the audit trail is read from the store as fast as it is taken.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Event,
  type Operation,
  OPERATION_EVENT_INTERVAL_MS,
  type OperationId,
  RingwallError,
} from '@ringwall/api';
import type { Operations } from '@ringwall/control/machines';
import type { Store } from '@ringwall/control/store';

/** A build tells of hundreds of files a second; an eye takes ten. */
const SHORTEST_INTERVAL_MS = 100;

/** A comment, so that a connection whose client is gone is noticed. */
const KEEP_ALIVE_MS = 15_000;

/** The operation now, at each change and at least each second, until it has ended. */
export async function streamOperation(operations: Operations, id: OperationId): Promise<ReadableStream<Uint8Array>> {
  const first = await operations.find(id);
  if (first === undefined) throw new RingwallError('not-found', `there is no operation ${id}`);
  return streamOf(async function* (signal) {
    let operation: Operation | undefined = first;
    while (operation !== undefined && !signal.aborted) {
      yield frame('operation', operation);
      if (operation.state !== 'running') return;
      using change = nextChange((notify) => operations.watch(id, notify));
      // It may have ended between the look and the watch.
      const now = await operations.find(id);
      if (now?.state === 'running') {
        await waitFor(change.happened, OPERATION_EVENT_INTERVAL_MS, signal);
        if ((await operations.find(id))?.state === 'running') await pause(SHORTEST_INTERVAL_MS, signal);
      }
      operation = await operations.find(id);
    }
  });
}

/** What the trail holds after `since`, then what happens. */
export function streamAudit(store: Store, since: number): ReadableStream<Uint8Array> {
  return streamOf(async function* (signal) {
    let last = since;
    while (!signal.aborted) {
      using change = nextChange((notify) => store.watchEvents(notify));
      const events: Event[] = await store.listEvents(last);
      for (const event of events) {
        last = event.seq;
        yield `id: ${String(event.seq)}\n${frame('audit', event)}`;
      }
      if (events.length > 0) continue;
      await waitFor(change.happened, KEEP_ALIVE_MS, signal);
      yield ': still here\n\n';
    }
  });
}

/** JSON has no raw line feed, so a frame is always one `data` line. */
function frame(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function streamOf(generate: (signal: AbortSignal) => AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const frames = generate(gone.signal);
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const next = await frames.next();
      if (next.done === true) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    cancel(): void {
      gone.abort();
    },
  });
}

function nextChange(watch: (notify: () => void) => Disposable): Disposable & { readonly happened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watching = watch(() => resolve());
  return { happened: promise, [Symbol.dispose]: () => watching[Symbol.dispose]() };
}

async function waitFor(happened: Promise<void>, limitMs: number, signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const either = AbortSignal.any([done.signal, signal]);
  await Promise.race([happened, pause(limitMs, either)]);
  done.abort();
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
}
