// `ringwall logs`: what the serial console said. The guest wrote it, so a reader gets text only, unless --raw is given.
import { RingwallError } from '@ringwall/api/errors';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { parseCount } from '../quantities.ts';
import { plainLog } from '../terminal-filter.ts';

/** As the API's. */
const LOGS_LIMIT_BYTES = 512 * 1024;
const POLL_INTERVAL_MS = 500;
/** How much of what was printed must be found again to know where the new part begins. */
const OVERLAP_BYTES = 4096;

export async function run(invocation: Invocation): Promise<void> {
  const { flags, values, out, err, json } = invocation;
  const machine = argumentOf(invocation, 0);
  const bytes = values.get('bytes');
  const asked = bytes === undefined ? undefined : parseCount(bytes, '--bytes', LOGS_LIMIT_BYTES);
  const show = (log: Uint8Array): void =>
    out.write(flags.has('raw') ? Buffer.from(log).toString('latin1') : plainLog(log));
  if (json && flags.has('follow')) {
    throw new RingwallError('bad-request', '--json prints one document, and --follow never ends', {
      hint: 'leave one out',
    });
  }
  let log = await readLog(invocation, machine, asked);
  if (json) {
    printJson(invocation, { machine, text: flags.has('raw') ? Buffer.from(log).toString('latin1') : plainLog(log) });
    return;
  }
  show(log);
  if (out.live && !flags.has('follow') && plainLog(log) === '')
    err.line(err.paint('dim', `${machine} has said nothing yet.`));
  while (flags.has('follow')) {
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_INTERVAL_MS);
    });
    const longer = await readLog(invocation, machine, undefined);
    show(newPart(log, longer));
    log = longer;
  }
}

async function readLog(invocation: Invocation, machine: string, bytes: number | undefined): Promise<Buffer> {
  const query: Record<string, string> = bytes === undefined ? {} : { bytes: String(bytes) };
  const { text } = await invocation.withApi((api) => api.call('machineLogs', { params: { machine }, query }));
  return Buffer.from(text, 'base64');
}

/** What came after `seen` in `now`, which is the end of the same log, or of a new one after a restart. */
export function newPart(seen: Uint8Array, now: Uint8Array): Uint8Array {
  if (seen.length === 0) return now;
  const tail = seen.subarray(-OVERLAP_BYTES);
  const at = Buffer.from(now.buffer, now.byteOffset, now.length).lastIndexOf(tail);
  return at === -1 ? now : now.subarray(at + tail.length);
}
