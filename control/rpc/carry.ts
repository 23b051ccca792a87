// Carries what somebody sends to a service, and reads the lines of JSON that the service says meanwhile.
import type { Duplex } from 'node:stream';
import { LineSplitter } from './lines.ts';

/**
 * Yields each line's value, unchecked. Ends once the service has; the sender's connection stays open, the service's is closed, also
 * where the caller has heard enough. The sender's going is an end of what it sends: the service may still say something.
 */
export async function* carry(from: Duplex, to: Duplex, lineLimitBytes: number): AsyncGenerator<unknown, void> {
  const end = (): void => void to.end();
  from.on('error', end).on('close', end);
  to.on('error', () => to.destroy());
  from.pipe(to);
  try {
    const lines = new LineSplitter(lineLimitBytes);
    for await (const chunk of to) {
      if (!Buffer.isBuffer(chunk)) continue;
      lines.push(chunk);
      for (let line = lines.next(); line !== undefined; line = lines.next()) {
        yield JSON.parse(Buffer.from(line).toString('utf8'));
      }
    }
  } finally {
    from.unpipe(to);
    from.off('close', end);
    to.destroy();
  }
}
