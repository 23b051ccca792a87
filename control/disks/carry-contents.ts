// Carries a disk's contents from whoever imports to the warden, and reads what the warden says of them.
import type { Duplex } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { importMessageSchema } from '@ringwall/api/disks';
import { carry } from '../rpc/index.ts';

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
  try {
    // Where the client goes, the warden keeps what came, and says so.
    for await (const line of carry(client, warden, LINE_LIMIT_BYTES)) {
      const message = importMessageSchema.parse(line);
      if ('progress' in message) progress(message.progress.step, message.progress.fraction);
      else if ('done' in message) return message.done;
      else return { error: RingwallError.fromBody(bodyOf(message.error)), destroyed: message.destroyed };
    }
  } catch (cause) {
    return { error: gone(cause), destroyed: false };
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
