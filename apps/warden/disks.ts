// Joins the warden to host/disk: each tool that touches an imported disk runs in a jail of its own, with the key by a pipe.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectToVmm, type DiskLayout, type DiskPart, type Layout } from '@ringwall/control/warden';
import type { Secret } from '@ringwall/control/keys';
import type { Signer } from '@ringwall/evidence';
import {
  createLuksFile,
  NbdClient,
  readBack,
  serveLuksFile,
  type LuksFileOptions,
  type LuksServer,
} from '@ringwall/host/disk';
import { isAlive, waitForExit } from '@ringwall/host/exec';
import { endedAtStart, endJail, type UidLeases } from '@ringwall/host/jail';
import { DISK_COMPONENTS, requireComponents } from './components.ts';

/** The tool opens its socket within milliseconds of its start; a loaded host may take longer. */
const SOCKET_TIMEOUT_MS = 20_000;
const SOCKET_POLL_MS = 10;
/** After the goodbye it writes what is left to write. */
const EXIT_TIMEOUT_MS = 60_000;

export function makeDiskPart(layout: Layout, leases: UidLeases, signer: Signer): DiskPart {
  const instance = createHash('sha256').update(layout.run).digest('hex').slice(0, 8);
  const options = (disk: DiskLayout, sizeBytes: number, key: Secret): LuksFileOptions => ({
    label: `${disk.id}-${instance}`,
    dir: disk.data,
    sizeBytes,
    key: key.expose(),
    runDir: disk.runDir,
    leases,
  });
  return {
    signer: async () => signer,
    create: async (disk, sizeBytes, key) => {
      await requireComponents(DISK_COMPONENTS);
      await createLuksFile(options(disk, sizeBytes, key));
    },
    open: async (disk, sizeBytes, key) => {
      await requireComponents(DISK_COMPONENTS);
      const server = await serveLuksFile(options(disk, sizeBytes, key));
      try {
        const nbd = await connectTo(server, disk);
        return {
          write: (offset, bytes) => nbd.write(offset, bytes),
          writeZeros: (offset, length) => nbd.writeZeros(offset, length),
          flush: () => nbd.flush(),
          [Symbol.asyncDispose]: async () => {
            await nbd.close();
            await waitForExit(server.jail.process, EXIT_TIMEOUT_MS);
            await endJail(server.jail, leases);
          },
        };
      } catch (error) {
        await endJail(server.jail, leases);
        throw error;
      }
    },
    readBack: (disk, { key, ...order }) => readBack({ path: disk.file, key: key.expose(), ...order }),
  };
}

async function connectTo({ jail, socket }: LuksServer, disk: DiskLayout): Promise<NbdClient> {
  const deadline = performance.now() + SOCKET_TIMEOUT_MS;
  for (;;) {
    try {
      return await NbdClient.open(await connectToVmm(socket, jail.uid));
    } catch (error) {
      if (!isAlive(jail.process)) throw await endedAtStart('image-failed', `the writer of ${disk.id}`, jail);
      if (performance.now() > deadline) throw error;
    }
    await sleep(SOCKET_POLL_MS);
  }
}
