// Drill: a machine is to go on from an older state than its newest: the older snapshot's file in place of the newest, the older snapshot
// itself, or the TPM alone of the older one.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attempt, Drill } from '../drill.ts';
import { SavedVm } from '../plain/saved-vm.ts';
import { keepInTpm, readFromTpm, revokeInTpm, TPM_STATE_FILE } from '../plain/tpm-secret.ts';
import { putBack } from '../put-back.ts';
import { newCanary, snapshotsOf } from '../victim.ts';
import { withLastPartOf } from './splice.ts';

const EXCHANGE = 'put an older snapshot’s file in place of the newest';
const OLDER_TPM = 'put the TPM of the older one into the newest';
const GO_BACK = 'have the machine put back to the older one, TPM and all, without a word to anybody';
/** Version, flags, size; kind and size of the one thing in it. */
const SWTPM_HEADER_BYTES = 16;

export const rollback: Drill = {
  name: 'rollback',
  title: 'A machine is put back to an older state, its TPM too',
  adversaries: ['A4'],
  story:
    'Since a machine was saved, its password was changed, and a key in its TPM was revoked. Somebody who writes where snapshots lie puts that state in place of the newest, all of it or its TPM alone, and waits until the machine is put back. Or has it put back to the old one, as if that were the newest.',
  needsVictim: 'running',
  leavesVictim: 'unproven',
  mustBeTrue:
    'The attacker reads and writes the files of snapshots, and has the machine put back, or waits until somebody does.',
  stoppedBy:
    'The broker numbers the states of a machine, TPM included, and keeps the root of each where no snapshot puts it back: another object is refused before a VMM is started, and an older state wants a word that is written down. A part of one is none of another: each has a key of its own.',

  async without({ directory, step }) {
    const [passwordBefore, passwordNow, key] = [newCanary(), newCanary(), newCanary()];
    const state = join(directory, 'tpm');
    await keepInTpm(state, key);
    step(
      'a plain VM and its TPM are saved by savevm; again after a password was changed, and a key revoked in the TPM',
    );
    const vm = await SavedVm.make(directory, state);
    await vm.save('before', passwordBefore);
    const older = join(directory, 'older.qcow2');
    copyFileSync(vm.disk, older);
    const olderTpm = readFileSync(join(state, TPM_STATE_FILE));
    await revokeInTpm(state, key);
    await vm.save('now', passwordNow);
    const newerTpm = readFileSync(join(state, TPM_STATE_FILE));

    const tell = async (what: string, from: string, password: string): Promise<Attempt> => {
      const [memory, tpm] = [await vm.load(from, password.length), await readFromTpm(state, key)];
      const seen = `${memory === passwordBefore ? 'the old password' : 'the new password'}, ${tpm === key ? 'the revoked key' : 'no key'}`;
      return { what, succeeded: memory === password && tpm === key, seen };
    };
    const goneBack = await tell(GO_BACK, 'before', passwordBefore);
    writeFileSync(vm.disk, withTpm(readFileSync(vm.disk), newerTpm, olderTpm));
    const olderInNewest = await tell(OLDER_TPM, 'now', passwordNow);
    copyFileSync(older, vm.disk);
    return [await tell(EXCHANGE, 'before', passwordBefore), olderInNewest, goneBack];
  },

  async with({ directory, ringwall, victim, step }) {
    step('the machine is saved twice, and stopped');
    await ringwall.ok('snapshot', victim);
    await ringwall.ok('snapshot', victim);
    const [newest, older] = await snapshotsOf(ringwall, victim);
    if (newest === undefined || older === undefined) throw new Error('there are not two snapshots');
    await ringwall.ok('stop', victim, '--grace', '0');
    const kept = join(directory, 'kept');
    copyFileSync(newest.file, kept);
    const attempts: Attempt[] = [];
    step(EXCHANGE);
    copyFileSync(older.file, newest.file);
    attempts.push(await putBack(ringwall, EXCHANGE, [newest.name]));
    step(OLDER_TPM);
    writeFileSync(newest.file, withLastPartOf(readFileSync(kept), readFileSync(older.file)));
    // Its key was given out for the first attempt: the word is given by whoever means this one.
    attempts.push(await putBack(ringwall, OLDER_TPM, [newest.name, '--rewind']));
    copyFileSync(kept, newest.file);
    step(GO_BACK);
    attempts.push(await putBack(ringwall, GO_BACK, [older.name]));
    step('the newest, as it was saved, is put back: the machine runs on');
    await ringwall.ok('restore', newest.name, '--rewind');
    for (const { name } of [newest, older]) await ringwall.ok('snapshot', 'rm', name);
    return attempts;
  },
};

/** The snapshot with another state of its TPM. Both are as swtpm writes them to the disk; in the snapshot they lie without what it puts before. */
function withTpm(snapshot: Buffer, now: Buffer, wanted: Buffer): Buffer {
  const [those, these] = [now.subarray(SWTPM_HEADER_BYTES), wanted.subarray(SWTPM_HEADER_BYTES)];
  const at = snapshot.indexOf(those);
  if (at < 0 || these.length !== those.length) throw new Error('the TPM’s state is not found in the snapshot');
  these.copy(snapshot, at);
  return snapshot;
}
