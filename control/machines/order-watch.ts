// Orders the watch of a boot at the broker, before the guest is attested: how, how often, and what may run. The list of
// what may run comes from the warden's own copy, and goes to the broker once for each image.
import { RingwallError, type Machine } from '@ringwall/api';
import type { RunningMachine } from '@ringwall/api/warden';
import type { WatchMode } from '@ringwall/api/watch';
import { WATCH_INTERVALS_MS } from '@ringwall/evidence';
import type { Work } from './work.ts';

type Parts = Pick<Work, 'warden' | 'broker' | 'signal'>;

/** Undefined where nobody wants this boot to be watched. */
export async function orderWatch(
  work: Parts,
  { id, spec }: Machine,
  { boot, accelerator }: RunningMachine,
): Promise<WatchMode | undefined> {
  const { warden, broker, signal } = work;
  const { image, watch: mode } = spec;
  if (mode === 'off') return undefined;
  const list = await warden.call({ op: 'read-image-files', image }, { signal });
  const { parts } = list;
  if (parts === undefined) throw new RingwallError('internal', 'a list of files without its image');
  const intervalMs = WATCH_INTERVALS_MS[accelerator];
  const order = { op: 'expect-watch', machine: id, boot, mode, intervalMs, image: parts } as const;
  const { wantsFiles } = await broker.call(order, { signal });
  if (wantsFiles) await sendFiles(work, image, list);
  return mode;
}

/** An image that was exchanged meanwhile: the machine is unknown until it is started anew. */
async function sendFiles(
  { warden, broker, signal }: Parts,
  image: string,
  { sha256, bytes }: { readonly sha256: string; readonly bytes: number },
): Promise<void> {
  for (let offset = 0; offset < bytes;) {
    const { part = '', ...whole } = await warden.call({ op: 'read-image-files', image, offset }, { signal });
    const partBytes = Buffer.byteLength(part, 'base64');
    if (whole.sha256 !== sha256 || partBytes === 0) return;
    const last = offset + partBytes >= bytes;
    await broker.call({ op: 'add-image-files', sha256, offset, part, last }, { signal });
    offset += partBytes;
  }
}
