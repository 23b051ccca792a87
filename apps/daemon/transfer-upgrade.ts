// HTTP Upgrade to the bytes of a sealed snapshot: of one that leaves, or of one that comes.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HTTP_ROUTES } from '@ringwall/api';
import { TRANSFER_PROTOCOL } from '@ringwall/api/transfers';
import type { Transfers } from '@ringwall/control/machines';
import { explain, type Note } from './answers.ts';
import { acceptUpgrade, closing, parameterOf, refuseUpgrade, requireProtocol } from './upgrade.ts';

export interface TransferAsked {
  readonly way: 'out' | 'in';
  readonly name: string;
}

/** Undefined where this request asks for something else. */
export function transferAsked(request: IncomingMessage): TransferAsked | undefined {
  if (request.method !== 'GET') return undefined;
  const leaving = parameterOf(request, HTTP_ROUTES.snapshotContents);
  if (leaving !== undefined) return { way: 'out', name: leaving };
  const coming = parameterOf(request, HTTP_ROUTES.importContents);
  return coming === undefined ? undefined : { way: 'in', name: coming };
}

/** Never throws: what goes wrong is answered, or told on the connection. */
export async function upgradeToTransfer(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  { way, name }: TransferAsked,
  { transfers, note }: { readonly transfers: Transfers; readonly note: Note },
): Promise<void> {
  client.on('error', () => {});
  let accepted = false;
  const accept = (): Duplex => {
    accepted = true;
    acceptUpgrade(client, TRANSFER_PROTOCOL, head);
    return client;
  };
  try {
    requireProtocol(request, TRANSFER_PROTOCOL);
    if (way === 'in') {
      await transfers.takeObject(name, accept);
      return;
    }
    const body = await transfers.openBody(name);
    using _body = closing(body);
    if (client.destroyed) return;
    accept().resume();
    client.once('end', () => body.destroy());
    await pipeline(body, client).catch(() => {});
  } catch (error) {
    const explained = explain(error, note);
    if (!accepted) refuseUpgrade(client, explained);
  }
}
