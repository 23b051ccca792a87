// Takes down what stands of networks by itself, for whoever removes Ringwall: namespaces, who serves names in them, switches, tunnels, and
// the way out, whose interface is the host's again. No machine runs by then; what is wanted of the networks stays on the disk.
import { join } from 'node:path';
import { namesIn } from '@ringwall/control/files';
import type { Layout } from '@ringwall/control/warden';
import { run } from '@ringwall/host/exec';
import { UidLeases } from '@ringwall/host/jail';
import { closeNamespace, isNamespace } from '@ringwall/host/network';
import { Edge } from '@ringwall/host/network/egress';
import { endLeasesBelow } from './jails.ts';

export async function endNetworks({ edge, runNetworks, runTunnels, runSwitches }: Layout): Promise<void> {
  const leases = new UidLeases();
  await new Edge({ pin: edge }).close();
  for (const dir of [runNetworks, runTunnels, runSwitches]) await endLeasesBelow(leases, dir);
  for (const pin of (await namesIn(runNetworks)).map((name) => join(runNetworks, name))) {
    if (await isNamespace(pin)) await closeNamespace(run, pin);
  }
}
