// HTTP Upgrade to a disk's import: what comes on the connection are the contents of the disk, which this process hands on.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { HTTP_ROUTES } from '@ringwall/api';
import { IMPORT_PROTOCOL } from '@ringwall/api/disk-stream';
import type { Disks } from '@ringwall/control/disks';
import { explain, type Note } from './answers.ts';
import { acceptUpgrade, closing, parameterOf, refuseUpgrade, requireProtocol } from './upgrade.ts';

/** The disk that this request sends the contents of; undefined where it asks for something else. */
export function diskOfImport(request: IncomingMessage): string | undefined {
  return request.method === 'GET' ? parameterOf(request, HTTP_ROUTES.diskContents) : undefined;
}

/** Never throws: what goes wrong is answered, or told by the operation. */
export async function upgradeToImport(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  disk: string,
  { disks, note }: { readonly disks: Pick<Disks, 'takeContents'>; readonly note: Note },
): Promise<void> {
  client.on('error', () => {});
  let accepted = false;
  try {
    requireProtocol(request, IMPORT_PROTOCOL);
    await disks.takeContents(disk, () => {
      accepted = true;
      acceptUpgrade(client, IMPORT_PROTOCOL, head);
      return client;
    });
  } catch (error) {
    const explained = explain(error, note);
    if (!accepted) {
      refuseUpgrade(client, explained);
      return;
    }
  }
  using _client = closing(client);
}
