// HTTP Upgrade to the serial console: the connection becomes the guest's console, raw bytes both ways.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CONSOLE_PROTOCOL, HTTP_ROUTES, RingwallError } from '@ringwall/api';
import type { Machines } from '@ringwall/control/machines';
import { explain, type Note } from './answers.ts';
import { acceptUpgrade, closing, parameterOf, refuseUpgrade, requireProtocol } from './upgrade.ts';

/** Never throws: what goes wrong is answered, or the connection is closed. */
export async function upgradeToConsole(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  machines: Pick<Machines, 'openConsole'>,
  note: Note,
): Promise<void> {
  client.on('error', () => {});
  let guest: Duplex;
  try {
    guest = await machines.openConsole(machineOf(request));
  } catch (error) {
    refuseUpgrade(client, explain(error, note));
    return;
  }
  using _guest = closing(guest);
  using _client = closing(client);
  if (client.destroyed) return;
  acceptUpgrade(client, CONSOLE_PROTOCOL, head);
  // Where one side has ended there is no console any more for the other.
  await Promise.race([pipeline(client, guest).catch(() => {}), pipeline(guest, client).catch(() => {})]);
}

function machineOf(request: IncomingMessage): string {
  const machine = parameterOf(request, HTTP_ROUTES.machineConsole);
  if (request.method !== 'GET' || machine === undefined) {
    const { machineConsole, diskContents } = HTTP_ROUTES;
    throw new RingwallError('not-found', 'this route cannot be upgraded', {
      hint: `only ${machineConsole.path} and ${diskContents.path} can`,
    });
  }
  requireProtocol(request, CONSOLE_PROTOCOL);
  return machine;
}
