// Of a chain of snapshots that comes from elsewhere, what is on this host already. The broker says which (the same object, of the same
// machine); it stays as it lies here, and only the rest is sent, received and written down.
import { machineIdSchema, RingwallError, type SnapshotId } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import type { ImportSnapshot } from '@ringwall/api/transfers';
import type { SealedKey } from '@ringwall/api/warden';
import type { SignedExport } from '@ringwall/evidence';
import { CALL_TIMEOUT_MS } from './timing.ts';
import type { WorkParts } from './work.ts';

/** A ticket whose object is to come. */
export interface Waiting {
  readonly ticket: SignedExport;
  readonly asked: ImportSnapshot;
  /** Of what it continues. */
  readonly here: ReadonlySet<SnapshotId>;
}

interface Came {
  readonly key: SealedKey;
  readonly head: string;
}

/** The broker's answers for an object, and for those that it continues, in their order. */
export interface Began extends Came {
  readonly ekCertificate: string;
  /** `came` is absent of what is here. */
  readonly bases?: { readonly snapshot: SnapshotId; readonly root: string; readonly came?: Came }[];
}

/** Of an object, and of those that it continues, in their order. */
export interface Heads {
  readonly head: string;
  readonly bases?: readonly string[] | undefined;
}

export function hereOf({ bases = [] }: Began): Set<SnapshotId> {
  return new Set(bases.filter(({ came }) => came === undefined).map(({ snapshot }) => snapshot));
}

/** What of all that it continues is to be sent. */
export function comingOf({ bases }: SignedExport, here: ReadonlySet<string>): SignedExport['bases'] {
  return bases.filter(({ id }) => !here.has(id));
}

/** Those that came, and for what is here those that were shown at first. */
export function headsOfAll({ ticket, asked, here }: Waiting, { head, bases: came = [] }: Heads): Heads {
  const left = [...came];
  const bases = ticket.bases.map(({ id }, index) => {
    const isHere = here.has(snapshotIdSchema.parse(id));
    return (isHere ? asked.bases?.[index] : left.shift()) ?? '';
  });
  return { head, bases };
}

/** Throws where what is here is not what the ticket says, to the last byte: before anything comes that continues it. */
export async function requireWholeHere(
  { store, warden }: Pick<WorkParts, 'store' | 'warden'>,
  ticket: SignedExport,
  here: ReadonlySet<SnapshotId>,
): Promise<void> {
  if (here.size === 0) return;
  const machine = machineIdSchema.parse(ticket.machine.id);
  const listed = await store.snapshots.list(machine);
  const machineName = (await store.findMachine(machine))?.name ?? ticket.machine.name;
  for (const [index, { id, root, sequence }] of ticket.bases.entries()) {
    const snapshot = snapshotIdSchema.parse(id);
    if (!here.has(snapshot)) continue;
    const name = `${machineName}@${String(sequence)}`;
    if (!listed.some((each) => each.id === snapshot && each.root === root)) {
      throw new RingwallError('conflict', `${name}, which it continues, is being made or removed here`, {
        hint: 'import it again',
      });
    }
    const parent = ticket.bases[index - 1]?.root;
    const report = await warden.call(
      { op: 'check-snapshot', machine, snapshot, root, ...(parent === undefined ? {} : { parent }) },
      { timeoutMs: CALL_TIMEOUT_MS['check-snapshot'] },
    );
    if (report.whole) continue;
    const why = report.reason ?? `${String(report.damaged)} of its records are damaged`;
    throw new RingwallError('proof-invalid', `${name}, which it continues, is here already and not whole: ${why}`, {
      hint: `import it again once that is removed, with what continues it: ringwall snapshot rm ${name}`,
    });
  }
}
