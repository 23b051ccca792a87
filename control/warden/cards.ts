// The card of a machine: in it while its boot is admitted to its network, and out of it otherwise. Whether anything passes is never
// the card's to decide, but the walls' and the cable's: these do not wait for a guest.
import { RingwallError, type MachineId } from '@ringwall/api';
import type { VmSpec, WardenRequest } from '@ringwall/api/warden';
import type { WardenContext } from './context.ts';
import { machineLayout, type MachineLayout } from './layout.ts';
import type { BootOrder } from './parts.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';

type Order<Op extends WardenRequest['op']> = Extract<WardenRequest, { op: Op }>;
export type Card = NonNullable<Order<'start-machine'>['card']>;

/** Where the cable of a start shall end; nothing where the machine has no network. */
export function requireCable(context: WardenContext, spec: VmSpec, card: Card | undefined): Pick<BootOrder, 'cable'> {
  if (spec.network !== card?.network) {
    throw new RingwallError('bad-request', 'the card is not in the network of the machine’s specification');
  }
  return card === undefined ? {} : { cable: { pin: context.networks.requirePin(card.network) } };
}

/** Runs inside the machine's queue. */
export async function admitMachine(
  context: WardenContext,
  { machine: id, network, boot }: Order<'admit-machine'>,
): Promise<Record<string, never>> {
  await context.networks.admit(id, network, boot);
  await settleCardOf(context, id);
  return {};
}

/** Runs inside the machine's queue. */
export async function settleCardOf(context: WardenContext, id: MachineId): Promise<void> {
  const machine = machineLayout(context.layout, id);
  const record = await readBoot(machine);
  if (record !== undefined && isRunningBoot(record)) await settleCard(context, machine, record);
}

/** Makes the card be as the admission says. Of a machine without a network there is nothing to do. */
export async function settleCard(context: WardenContext, machine: MachineLayout, record: RunningBoot): Promise<void> {
  if (record.card === undefined) return;
  const admitted = context.networks.isAdmitted(machine.id, record.boot);
  await context.parts.vmm.setCard(machine, record, admitted ? record.card.mac : undefined);
}
