// Turns a connection of ringwalld into packets: what a network drops, or what is on a machine's cable. The warden looks at none.
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { requireConsent } from './consent.ts';
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
  await requireConsent(context.layout.captureConsent, 'captures');
  const { seconds, bytes, filter } = request;
  handOn(await tenant.sniff(request.machine, { seconds, bytes, ...(filter === undefined ? {} : { filter }) }), call);
  return {};
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
