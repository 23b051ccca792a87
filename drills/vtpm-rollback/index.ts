// Drill: the state of a machine's vTPM is put back to an earlier copy, or started a second time beside the original.
import { copyFileSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { VtpmEvidence } from '@ringwall/evidence';
import type { Instance } from '@ringwall/testkit';
import { BrokerSession, type BrokerAnswer } from '../attacker/broker-session.ts';
import { RelayedMachine, type GuestPort } from '../attacker/relay.ts';
import type { Attempt, Drill } from '../drill.ts';
import { keepInTpm, readFromTpm, revokeInTpm, TPM_STATE_FILE } from '../plain/tpm-secret.ts';
import { newCanary } from '../victim.ts';

const ROLLED_BACK = /rolled back/;

export const vtpmRollback: Drill = {
  name: 'vtpm-rollback',
  title: 'The vTPM of a machine is put back to an earlier state, or copied',
  adversaries: ['A4'],
  inPart: [
    {
      adversary: 'A6',
      only: 'as far as they start the copy where the broker sees it: root counts it up beside Ringwall first',
    },
  ],
  story:
    'Somebody copies the file in which a vTPM keeps its state, and puts it back later: keys that were revoked are there again, counters of wrong PINs begin anew. Or the copy is started beside the original.',
  mustBeTrue: 'The attacker reads and writes the machine’s files on the host, and can start the machine.',
  stoppedBy:
    'The broker keeps the TPM’s counters of starts, and the clock that a watched machine has its TPM write down each minute; no snapshot of the machine puts them back, and a TPM that falls behind them is quarantined until a person readmits it. Each TPM’s state is encrypted for one machine.',

  async without({ directory, step }) {
    step('a plain swtpm has a secret revoked, and its state is put back');
    const secret = newCanary();
    const [original, copy] = [join(directory, 'tpm'), join(directory, 'copy')];
    await keepInTpm(original, secret);
    copyState(original, copy);
    await revokeInTpm(original, secret);
    copyState(copy, original);
    const attempts: Attempt[] = [];
    for (const [what, state] of [
      ['read the revoked secret after the state was put back', original],
      ['read it from the copy, started as a second TPM', copy],
    ] as const) {
      const succeeded = (await readFromTpm(state, secret)) === secret;
      attempts.push({ what, succeeded, seen: succeeded ? 'the canary' : 'something else' });
    }
    return attempts;
  },

  async with({ directory, ringwall, step }) {
    await using machine = await RelayedMachine.make(ringwall);
    const copy = join(directory, 'copy');
    copyState(stateOf(ringwall, machine), copy);
    step('the machine boots and unlocks its disk');
    const first = await boot(machine);
    if (first.release === undefined) throw new Error(`the healthy boot was refused: ${first.reasons.join('; ')}`);
    const attempts: Attempt[] = [];
    step('a boot is refused, and the attacker puts back disk and TPM from before it');
    const [before, diskBefore] = [join(directory, 'before'), join(directory, 'disk-before')];
    copyState(stateOf(ringwall, machine), before);
    copyFileSync(diskOf(ringwall, machine), diskBefore);
    const refused = await boot(machine, ({ eventLog }) => eventLog.subarray(0, -1));
    if (refused.release !== undefined) throw new Error('a boot with a log that ends early was given its key');
    copyState(before, stateOf(ringwall, machine));
    copyFileSync(diskBefore, diskOf(ringwall, machine));
    attempts.push(
      attemptOf('start from a copy, the disk too, that was made before a boot that was refused', await boot(machine)),
    );
    await machine.broker.call({ op: 'readmit-machine', machine: machine.id });
    step('the attacker puts the vTPM’s state back');
    copyState(copy, stateOf(ringwall, machine));
    attempts.push(attemptOf('start the machine with the earlier state', await boot(machine)));
    step('the attacker starts it again, so that its counter catches up');
    attempts.push(
      attemptOf('start it once more, until the TPM has counted as far as the original', await boot(machine)),
    );
    step('the attacker starts the copy as a second machine');
    attempts.push(await startClone(ringwall, machine, copy));
    return attempts;
  },
};

/** One boot, all of which the relay passes on, or with another log; the machine is off afterwards. */
async function boot(
  machine: RelayedMachine,
  logOf: (evidence: VtpmEvidence) => Uint8Array = ({ eventLog }) => eventLog,
): Promise<BrokerAnswer> {
  const { boot: id, reference } = await machine.start();
  await machine.broker.call({ op: 'expect-boot', machine: machine.id, boot: id, reference });
  try {
    using guest = await machine.openPort();
    using session = await BrokerSession.open(machine.broker, machine.id, id);
    await guest.hello();
    const evidence = await guest.answer(await session.challenge());
    const answer = await session.present({ ...evidence, eventLog: logOf(evidence) });
    if (answer.release !== undefined) await unlock(guest, session, answer);
    return answer;
  } finally {
    await machine.stop();
  }
}

async function unlock(guest: GuestPort, session: BrokerSession, { lines }: BrokerAnswer): Promise<void> {
  guest.send(`${lines.join('\n')}\n`);
  session.send(`${await guest.until('unlocked ')}\n`);
  const done = await session.line();
  if (done !== 'done') throw new Error(`the broker did not take the report: ${done}`);
  guest.send('done\n');
}

function attemptOf(what: string, { release, reasons }: BrokerAnswer): Attempt {
  if (release !== undefined) return { what, succeeded: true, seen: 'a released key' };
  const seen = reasons.find((reason) => ROLLED_BACK.test(reason));
  if (seen === undefined) throw new Error(`${what}: refused, but no reason names it: ${reasons.join('; ')}`);
  return { what, succeeded: false, seen };
}

/** All that the original's TPM is, in the place of another machine's; the warden knows both. */
async function startClone(ringwall: Instance, original: RelayedMachine, copy: string): Promise<Attempt> {
  const what = 'start the copy as a second machine';
  await using clone = await RelayedMachine.make(ringwall);
  copyState(copy, stateOf(ringwall, clone));
  const keyOf = ({ id }: RelayedMachine): string => join(ringwall.stateDir, 'warden', 'machines', id, 'tpm-state.key');
  cpSync(keyOf(original), keyOf(clone));
  try {
    await clone.start();
    return { what, succeeded: true, seen: 'it runs' };
  } catch (error) {
    return { what, succeeded: false, seen: error instanceof Error ? error.message : String(error) };
  }
}

function stateOf(ringwall: Instance, { id }: RelayedMachine): string {
  return join(ringwall.stateDir, 'machines', id, 'tpm');
}

function diskOf(ringwall: Instance, { id }: RelayedMachine): string {
  return join(ringwall.stateDir, 'machines', id, 'disk.img');
}

/** The file in which swtpm keeps everything, encrypted or not. */
function copyState(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  rmSync(join(to, TPM_STATE_FILE), { force: true });
  cpSync(join(from, TPM_STATE_FILE), join(to, TPM_STATE_FILE), { preserveTimestamps: true });
}
