// Joins the warden's decisions to the real components of this host.
import { openVtpmCa } from '@ringwall/control/ca';
import { isThere } from '@ringwall/control/files';
import { openRootKey, openSigningKey, unwrapKey, wrapKey, type KeyIdentity } from '@ringwall/control/keys';
import { type Layout, type WardenParts } from '@ringwall/control/warden';
import { UidLeases } from '@ringwall/host/jail';
import { makeDiskPart } from './disks.ts';
import { makeHostPart } from './host.ts';
import { makeHostTpmPart } from './host-tpm.ts';
import { makeImagePart } from './images.ts';
import { endLeasesBelow, makeJailPart, makeMachineLabel } from './jails.ts';
import { makeNetworkPart } from './networks.ts';
import { makeTpmPart, type TpmContext } from './tpms.ts';
import { makeVmmPart } from './vmms.ts';

export async function openParts(layout: Layout): Promise<WardenParts> {
  // A new host key would open none of the keys that the old one wrapped: it is made only where there are none.
  const hostKey = await openRootKey(layout.hostKey, async () => !(await isThere(layout.ca)));
  const leases = new UidLeases();
  // A probe guest of a warden that was killed.
  await endLeasesBelow(leases, layout.probe);
  // Disks that a killed warden was writing: what was flushed stays.
  await endLeasesBelow(leases, layout.runDisks);
  const context: TpmContext = {
    layout,
    hostKey,
    leases,
    ca: await openVtpmCa(layout.ca, hostKey),
    label: makeMachineLabel(layout),
  };
  // Made anew where it is missing: a broker that knows another asks a person before it believes this one.
  const referenceKey = await openSigningKey(layout.referenceKey, hostKey, { id: 'reference', mayCreate: true });
  return {
    host: await makeHostPart(layout, leases),
    jail: makeJailPart(layout, leases),
    tpm: makeTpmPart(context),
    vmm: makeVmmPart(context),
    hostTpm: makeHostTpmPart(layout, referenceKey),
    images: makeImagePart(layout, referenceKey),
    disks: makeDiskPart(layout, leases, referenceKey),
    networks: makeNetworkPart(leases, layout),
    peers: {
      signer: referenceKey,
      wrap: (id, key) => wrapKey(hostKey, tunnelKey(id), key),
      unwrap: (id, wrapped) => unwrapKey(hostKey, tunnelKey(id), wrapped),
    },
  };
}

function tunnelKey(id: string): KeyIdentity {
  return { kind: 'tunnel-key', id, version: 1 };
}
