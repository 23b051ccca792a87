// Turns a connection of ringwalld into packets: what a network drops, or what is on a machine's cable. The warden looks at none.
import { lstat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RingwallError } from '@ringwall/api';
import type { WardenRequest, WardenResponse } from '@ringwall/api/warden';
import type { WardenContext } from './context.ts';
import type { StreamCall } from './streams.ts';

/** Somebody watches for a day; what is logged in it is bounded by the second (lib/netpolicy). */
const WATCH = { seconds: 86_400, bytes: Number.MAX_SAFE_INTEGER } as const;

type PacketsRequest = Extract<WardenRequest, { op: 'open-refused' | 'open-capture' }>;

export async function openPackets(
  context: WardenContext,
  request: PacketsRequest,
  call: StreamCall,
): Promise<WardenResponse<PacketsRequest['op']>> {
  const tenant = context.networks.require(request.network);
  if (request.op === 'open-refused') {
    const cables = await tenant.cables();
    handOn(await tenant.sniff('refused', WATCH), call);
    return { cables: cables.map((cable) => ({ ...cable })) };
  }
  await requireConsent(context.layout.captureConsent);
  const { seconds, bytes, filter } = request;
  handOn(await tenant.sniff(request.machine, { seconds, bytes, ...(filter === undefined ? {} : { filter }) }), call);
  return {};
}

/**
 * What machines say to each other is not for everybody who may use the API: root on this host has said so by a file of their own.
 * No request can make it.
 */
async function requireConsent(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile() === true && found.uid === 0 && (found.mode & 0o022) === 0) return;
  throw new RingwallError('unauthorized', 'captures are not allowed on this host', {
    hint: `root allows them: touch ${path}; removing the file ends that`,
  });
}

function handOn(packets: Readable, { upgrade, signal }: StreamCall): void {
  // The asker may be gone before it takes its stream.
  packets.on('error', () => undefined);
  if (signal.aborted) packets.destroy();
  signal.addEventListener('abort', () => packets.destroy(), { once: true });
  upgrade(async (asker) => {
    asker.on('error', () => undefined);
    // Whoever has heard enough ends their half; nothing else that they send means anything.
    for (const event of ['end', 'close']) asker.once(event, () => packets.destroy());
    asker.resume();
    await pipeline(packets, asker).catch(() => undefined);
  });
}
