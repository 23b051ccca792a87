// A machine that goes on from the memory of another, as a template has it: it has a TPM, an id and a registration of its own from the
// first moment, and has booted nothing. So nobody trusts it before its next start, which is that of any clone.
import { type Machine, RingwallError } from '@ringwall/api';
import { statusOf } from './boot.ts';
import type { CloneSource } from './clone.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { changeMachine, patiently, type Work } from './work.ts';

/** Of a machine that is `starting`, in the boot that its record names. Idempotent: another life of the daemon repeats it. */
export async function goOnFromTemplate(
  work: Work,
  { id, name: clone, status }: Pick<Machine, 'id' | 'name' | 'status'>,
  { machine, snapshot, name }: CloneSource,
): Promise<string> {
  const { bootId: boot = '' } = status;
  work.progress.step(`asking the broker whether it may go on from ${name}`);
  const { running, reference } = await patiently(work, async () => {
    const { key: brokerKey } = await work.broker.call({ op: 'status' }, { signal: work.signal });
    const asked = { op: 'ask-snapshot-key', snapshot, machine, use: 'live', clone: id } as const;
    const { request } = await work.warden.call(asked, { signal: work.signal });
    const { sealed } = await work.broker.call({ op: 'clone-live', request }, { signal: work.signal });
    const key = { publicKey: request.publicKey, sealed };
    return work.warden.call(
      { op: 'clone-live', machine: id, from: machine, snapshot, boot, brokerKey, key },
      {
        timeoutMs: CALL_TIMEOUT_MS['clone-live'],
        signal: work.signal,
        onProgress: ({ step, fraction }) => work.progress.step(step, fraction),
      },
    );
  });
  await work.store.saveBoot(id, { boot, reference });
  work.observer.watch(id, boot);
  await changeMachine(
    work.store,
    id,
    () => ({
      status: {
        ...statusOf(running),
        phase: 'running',
        trust: 'unknown',
        reasons: [`it goes on from the memory of ${name}, and proves itself at its next start`],
        goesOnFrom: name,
      },
    }),
    { kind: 'machine.went-on', machine: id, message: `${clone} goes on from the memory of ${name}` },
  );
  return `goes on from the memory of ${name}; it proves itself at its next start`;
}

/** The memory of a machine that goes on from a template is no file that could be copied. */
export function refuseUnsaved({ name, status: { goesOnFrom } }: Machine): void {
  if (goesOnFrom === undefined) return;
  throw new RingwallError('conflict', `${name} goes on from the memory of ${goesOnFrom}, and cannot be saved`, {
    hint: `stop it and start it, so that it boots as itself: ringwall stop ${name}; ringwall start ${name}`,
  });
}
