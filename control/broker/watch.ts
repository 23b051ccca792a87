// The watch of one machine over one stream: bytes to the session's state machine, answers to the judge, questions to the
// guest, for as long as somebody holds the other end.
import type { Duplex } from 'node:stream';
import type { BootId, MachineId } from '@ringwall/api';
import type { WatchBook } from './watch-book.ts';
import { WatchSession, WatchSessionError, type WatchStep } from './watch-session.ts';

export interface WatchStream {
  readonly stream: Duplex;
  /** What was read of the stream already. */
  readonly rest: Uint8Array;
  readonly machine: MachineId;
  readonly boot: BootId;
}

/** Ends at once where the boot is not watched, else with the stream, or where the guest sends more than any answer has. Rejects with what is a defect of ours. */
export async function runWatch(
  { stream, rest, machine, boot }: WatchStream,
  { watches: book, monotonicMs }: { readonly watches: WatchBook; readonly monotonicMs: () => number },
): Promise<void> {
  const ids = { machine, boot };
  const first = book.intervalMs(machine, boot);
  if (first === undefined) return;
  const session = new WatchSession({
    // A policy that is accepted meanwhile counts from the next answer on.
    intervalMs: () => book.intervalMs(machine, boot) ?? first,
    ask: () => book.ask(machine, boot),
    now: monotonicMs,
  });
  let timer: NodeJS.Timeout | undefined;
  const send = (text: string): void => {
    // A question is a line; one that nobody takes is given up by its age.
    if (stream.writable && !stream.writableNeedDrain) stream.write(text);
  };
  const act = async (step: WatchStep | undefined): Promise<void> => {
    if (step?.kind === 'send') send(step.text);
    if (step?.kind === 'nothing') book.nothing(ids, step.reason);
    if (step?.kind === 'judge') await act(session.judged(await book.judge(ids, step)));
  };
  const arm = (): void => {
    clearTimeout(timer);
    const { remainingMs } = session;
    if (remainingMs === undefined) return;
    timer = setTimeout(() => void tick().catch(() => stream.destroy()), remainingMs);
  };
  const tick = async (): Promise<void> => {
    await act(session.tick());
    arm();
  };
  const take = async (chunk: Uint8Array): Promise<void> => {
    clearTimeout(timer);
    session.push(chunk);
    for (let step = session.next(); step !== undefined; step = session.next()) await act(step);
    arm();
  };
  try {
    await take(rest);
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('a stream of bytes was expected');
      await take(chunk);
    }
  } catch (error) {
    if (!(error instanceof WatchSessionError)) throw error;
    book.nothing(ids, error.message);
  } finally {
    clearTimeout(timer);
  }
}
