// Carries the broker's question to this host's own TPM, and the answer back, before a guest is judged. Nothing here is
// decided or believed: where the host does not prove itself, the broker refuses the machine if its policy says so.
import { RingwallError, type MachineId } from '@ringwall/api';
import type { WorkParts } from './work.ts';

/** A discrete TPM takes seconds for its keys. */
const TPM_TIMEOUT_MS = 60_000;

type Parts = Pick<WorkParts, 'broker' | 'warden' | 'note'>;

/** Of one daemon: machines that start together share one answer, as the broker asks anew only for an old one. */
const underWay = new WeakMap<Parts['broker'], Promise<void>>();

/** Resolves when the broker has an answer, or needs none. Never rejects. */
export async function proveHost(parts: Parts, machine: MachineId, signal: AbortSignal): Promise<void> {
  const before = underWay.get(parts.broker) ?? Promise.resolve();
  const mine = before.then(() => prove(parts, machine, signal)).catch((error: unknown) => tell(parts, error));
  underWay.set(parts.broker, mine);
  await mine;
}

async function prove({ broker, warden, note }: Parts, machine: MachineId, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { wanted } = await broker.call({ op: 'ask-host', machine }, { signal });
  if (!wanted) return;
  const options = { timeoutMs: TPM_TIMEOUT_MS, signal };
  const { vtpmCa, tpm } = await warden.call({ op: 'host-identity' }, options);
  const identity = { vtpmCa, ...(tpm === undefined ? {} : { tpm }) };
  const { question } = await broker.call({ op: 'ask-host', machine, identity }, { signal });
  if (question === undefined) return;
  const answer = await warden.call({ op: 'host-evidence', ...question }, options);
  const { outcome, reasons } = await broker.call({ op: 'judge-host', nonce: question.nonce, ...answer }, options);
  if (outcome === 'refused') note(`this host has not proven itself: ${reasons.join('; ')}`);
}

function tell({ note }: Parts, error: unknown): void {
  const message = error instanceof RingwallError ? error.message : String(error);
  note(`this host could not be asked to prove itself: ${message}`);
}
