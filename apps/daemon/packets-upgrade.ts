// HTTP Upgrade to a stream of packets: what a network drops, and what is on a machine's cable.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HTTP_ROUTES, RingwallError } from '@ringwall/api';
import { captureQuerySchema, PACKETS_PROTOCOL } from '@ringwall/api/packets';
import type { Packets } from '@ringwall/control/networks';
import { explain, type Note } from './answers.ts';
import { acceptUpgrade, closing, parameterOf, refuseUpgrade, requireProtocol } from './upgrade.ts';

export interface PacketsAsked {
  readonly of: 'network' | 'machine';
  readonly name: string;
}

/** What this request wants packets of; undefined where it asks for something else. */
export function packetsAsked(request: IncomingMessage): PacketsAsked | undefined {
  if (request.method !== 'GET') return undefined;
  const network = parameterOf(request, HTTP_ROUTES.networkRefused);
  if (network !== undefined) return { of: 'network', name: network };
  const machine = parameterOf(request, HTTP_ROUTES.machineCapture);
  return machine === undefined ? undefined : { of: 'machine', name: machine };
}

/** Never throws: what goes wrong is answered, or the connection is closed. */
export async function upgradeToPackets(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  asked: PacketsAsked,
  { packets, note }: { readonly packets: Packets; readonly note: Note },
): Promise<void> {
  client.on('error', () => {});
  let source: Duplex;
  let first = '';
  try {
    requireProtocol(request, PACKETS_PROTOCOL);
    if (asked.of === 'network') {
      const { begin, stream } = await packets.refused(asked.name);
      source = stream;
      first = `${JSON.stringify(begin)}\n`;
    } else {
      source = await packets.capture(asked.name, orderOf(request));
    }
  } catch (error) {
    refuseUpgrade(client, explain(error, note));
    return;
  }
  using _source = closing(source);
  using _client = closing(client);
  if (client.destroyed) return;
  acceptUpgrade(client, PACKETS_PROTOCOL, head);
  client.write(first);
  // Whoever has heard enough closes; nothing else that they send means anything.
  client.resume();
  client.once('end', () => source.destroy());
  await pipeline(source, client).catch(() => {});
}

function orderOf({ url = '' }: IncomingMessage): ReturnType<typeof captureQuerySchema.parse> {
  const query = Object.fromEntries(new URLSearchParams(url.split('?', 2)[1] ?? ''));
  const order = captureQuerySchema.safeParse(query);
  if (order.success) return order.data;
  const [issue] = order.error.issues;
  throw new RingwallError(
    'bad-request',
    `the capture cannot be as asked: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  );
}
