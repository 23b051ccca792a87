// A quarantine outlives the boot in which it began: what is kept of it in a machine's status when the machine ends, what a
// start is told, and how an operator lifts it.
import { type Machine, type MachineStatus, RingwallError } from '@ringwall/api';
import type { WorkParts } from './work.ts';
import { changeMachine } from './work.ts';

/** What holds while nothing runs. */
export const QUIET: Pick<MachineStatus, 'trust' | 'reasons' | 'diskUnlocked'> = {
  trust: 'unknown',
  reasons: [],
  diskUnlocked: false,
};

/** The same of a machine that has just ended: it stays quarantined, and says why first. */
export function quietAfter(
  { trust, reasons, watch }: MachineStatus,
  more: readonly string[] = [],
): Pick<MachineStatus, 'trust' | 'reasons' | 'diskUnlocked'> {
  const stays = trust === 'quarantined' && watch?.readmittedAt === undefined;
  return stays ? { ...QUIET, trust, reasons: [...reasons, ...more] } : { ...QUIET, reasons: [...more] };
}

/** Its key is with the broker, which would refuse it after the boot: nobody has to wait for that. */
export function refuseQuarantined({ name, status }: Machine): void {
  if (status.trust !== 'quarantined') return;
  const runs = status.phase === 'running';
  const stop = runs ? `ringwall stop ${name}; then ` : '';
  const lift = status.watch?.readmittedAt === undefined ? `ringwall readmit ${name}; then ` : '';
  throw new RingwallError(
    'attestation-refused',
    `${name} is quarantined: ${status.reasons[0] ?? 'it did not say why'}`,
    { hint: `see what ran: ringwall show ${name}; once you trust it again: ${stop}${lift}ringwall start ${name}` },
  );
}

/** The operator's word. What has run in a boot that still runs stays what it is: the next one gets its key. */
export async function readmitMachine(
  parts: Pick<WorkParts, 'store' | 'broker' | 'warden'>,
  machine: Machine,
): Promise<void> {
  const { store, broker, warden } = parts;
  const { id, name, status } = machine;
  const { lifted } = await broker.call({ op: 'readmit-machine', machine: id });
  if (!lifted && status.trust !== 'quarantined') {
    throw new RingwallError('conflict', `${name} is not quarantined`, { hint: `see how it is: ringwall show ${name}` });
  }
  const { bootId: boot, phase, watch } = status;
  if (phase === 'running' && watch?.mode === 'pause' && boot !== undefined) {
    await warden.call({ op: 'resume-machine', machine: id, boot });
  }
  const at = new Date().toISOString();
  await changeMachine(
    store,
    id,
    (seen) => ({
      status:
        seen.status.phase === 'running' && seen.status.watch !== undefined
          ? { ...seen.status, watch: { ...seen.status.watch, readmittedAt: at } }
          : { ...seen.status, ...QUIET },
    }),
    { kind: 'machine.watch.readmitted', machine: id, message: `${name} was readmitted: its next start gets its key` },
  );
}
