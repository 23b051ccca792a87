// Joins the warden to host/jail: which jails are this instance's, by the host-wide register of leased uids.
import { createHash } from 'node:crypto';
import { join, sep } from 'node:path';
import { FOREIGN_IMAGE } from '@ringwall/api';
import { diskLayout, imageDir, type JailPart, type Layout, type MachineLayout } from '@ringwall/control/warden';
import { tapName } from '@ringwall/host/network';
import { TEMPLATE_MAPPING } from '@ringwall/host/memory';
import { VMM_PATHS } from '@ringwall/host/qemu';
import { endLease, readProtections, type Lease, type UidLeases } from '@ringwall/host/jail';

/** Names a machine's control groups and leases: two instances on one host may have a machine of the same id. */
export type MachineLabel = (machine: MachineLayout) => string;

export function makeMachineLabel(layout: Layout): MachineLabel {
  const instance = createHash('sha256').update(layout.run).digest('hex').slice(0, 8);
  return ({ id }) => `${id}-${instance}`;
}

export function makeJailPart(layout: Layout, leases: UidLeases): JailPart {
  return {
    machinesWithJails: () => {
      const inside = `${layout.runMachines}${sep}`;
      return leases.list().flatMap(({ runDir }) => {
        const id = runDir?.startsWith(inside) === true ? runDir.slice(inside.length).split(sep)[0] : undefined;
        return id === undefined ? [] : [id];
      });
    },
    endJails: async (machine) => await endLeasesBelow(leases, machine.runDir),
    readProtections: async (machine, spec, { vmm, tpm, witness, card, looseCard, goesOnFrom }) => [
      ...(await readProtections({
        part: 'vmm',
        process: vmm,
        files: [
          machine.disk,
          ...(spec.image === FOREIGN_IMAGE ? [] : [join(imageDir(layout, spec.image), 'system.img')]),
          ...(spec.disks ?? []).map((id) => diskLayout(layout, id).file),
        ],
        ownDirs: [machine.vmmDir],
        ...((card ?? looseCard) === undefined ? {} : { tap: tapName(machine.id) }),
        ...(goesOnFrom === undefined
          ? { memory: VMM_PATHS.memory }
          : { memory: TEMPLATE_MAPPING, ownDescriptors: VMM_PATHS.descriptors }),
      })),
      ...(await readProtections({
        part: 'tpm',
        process: tpm,
        files: [],
        ownDirs: [machine.tpmDir, machine.tpmState],
      })),
      ...(witness === undefined
        ? []
        : await readProtections({ part: 'witness', process: witness, files: [], ownDirs: [machine.witnessDir] })),
    ],
  };
}

/** Ends every jail whose run directory lies below `dir`, with all that was made for it. */
export async function endLeasesBelow(leases: UidLeases, dir: string): Promise<void> {
  const below = ({ runDir }: Lease): boolean => runDir?.startsWith(`${dir}${sep}`) === true;
  for (const lease of leases.list().filter(below)) await endLease(leases, lease);
}
