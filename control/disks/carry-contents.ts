// Carries a disk's contents from whoever imports to the warden, and reads what the warden says of them.
import type { Duplex } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { importMessageSchema } from '@ringwall/api/disks';
import { LineSplitter } from '../rpc/index.ts';

/** Progress, an error or a digest. */
const LINE_LIMIT_BYTES = 16 * 1024;

export type ImportOutcome =
  | { readonly digest: string }
  | { readonly error: RingwallError; readonly destroyed: boolean };

/** Ends once the warden has said how it ended, or is gone. The client's connection stays open, the warden's is closed. */
export async function carryContents(
  client: Duplex,
  warden: Duplex,
  progress: (step: string, fraction: number) => void,
): Promise<ImportOutcome> {
  // The client's going is an end of the contents: the warden then keeps what came, and says so.
  const end = (): void => void warden.end();
  client.on('error', end).on('close', end);
  warden.on('error', () => warden.destroy());
  client.pipe(warden);
  try {
    const lines = new LineSplitter(LINE_LIMIT_BYTES);
    for await (const chunk of warden) {
      if (!Buffer.isBuffer(chunk)) continue;
      lines.push(chunk);
      for (let line = lines.next(); line !== undefined; line = lines.next()) {
        const message = importMessageSchema.parse(JSON.parse(Buffer.from(line).toString('utf8')));
        if ('progress' in message) progress(message.progress.step, message.progress.fraction);
        else if ('done' in message) return message.done;
        else return { error: RingwallError.fromBody(bodyOf(message.error)), destroyed: message.destroyed };
      }
    }
  } catch (cause) {
    return { error: gone(cause), destroyed: false };
  } finally {
    client.unpipe(warden);
    client.off('close', end);
    warden.destroy();
  }
  return { error: gone(), destroyed: false };
}

function bodyOf({ code, message, hint }: { code: RingwallError['code']; message: string; hint?: string | undefined }): {
  code: RingwallError['code'];
  message: string;
  hint?: string;
} {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

function gone(cause?: unknown): RingwallError {
  return new RingwallError('warden-unavailable', 'the warden ended in the middle of the import', {
    hint: 'the same command goes on where it was',
    ...(cause === undefined ? {} : { cause }),
  });
}
