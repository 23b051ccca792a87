// What the broker says to a guest goes through a relay, which may read it or not: it is waited for, and not for ever.
import type { Duplex } from 'node:stream';

/** How long a relay may leave our answer unread; its pipe holds far more than all we ever send. */
export const SEND_TIMEOUT_MS = 10_000;

/** Ends when the relay has taken it, or the stream is over. */
export async function sendToGuest(stream: Duplex, text: string): Promise<void> {
  if (stream.destroyed || !stream.writable) return;
  if (stream.write(text)) return;
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      stream.off('drain', settle);
      stream.off('close', settle);
      resolve();
    };
    const timer = setTimeout(() => stream.destroy(), SEND_TIMEOUT_MS);
    stream.once('drain', settle);
    stream.once('close', settle);
  });
}
