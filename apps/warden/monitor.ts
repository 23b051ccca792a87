// The monitor of a machine's VMM, used only as the VMM's own (see openVmmSocket), and briefly: an escaped guest answers there as
// it likes, and must not keep the warden waiting.
import { openVmmSocket, type MachineLayout } from '@ringwall/control/warden';
import { QmpClient } from '@ringwall/host/qemu';

/** An honest monitor answers within milliseconds, also on a loaded host. */
export const QMP_TIMEOUT_MS = 2_000;

export async function withMonitor<T>(
  machine: MachineLayout,
  { vmm }: { readonly vmm: { readonly uid: number } },
  use: (qmp: QmpClient) => Promise<T>,
): Promise<T> {
  await using socket = await openVmmSocket(machine.qmpSocket, vmm.uid);
  await using qmp = await QmpClient.connect(socket.path, QMP_TIMEOUT_MS);
  return await use(qmp);
}
