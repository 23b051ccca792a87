// Drill: a snapshot is altered or cut before its machine is put back to it.
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attempt, Drill } from '../drill.ts';
import { SavedVm } from '../plain/saved-vm.ts';
import { putBack } from '../put-back.ts';
import { newCanary, snapshotsOf } from '../victim.ts';

const ALTER = 'alter a byte of the memory in a snapshot, and have the machine put back to it';
const CUT = 'cut the end of it off';
const CUT_BYTES = 4096;

export const snapshotTamper: Drill = {
  name: 'snapshot-tamper',
  title: 'A snapshot is altered before its machine is put back to it',
  adversaries: ['A4'],
  story:
    'Somebody who can write where snapshots lie changes a check in the saved memory of a machine, or cuts its end off, and waits until the machine is put back.',
  needsVictim: 'running',
  leavesVictim: 'off',
  mustBeTrue: 'The attacker reads and writes the files of snapshots, and somebody puts the machine back.',
  stoppedBy: 'Each chunk, its place and the end are authenticated, before a VMM is given any of it.',

  async without({ directory, step }) {
    const check = newCanary();
    step('a plain VM is saved by savevm');
    const vm = await SavedVm.make(directory);
    await vm.save('now', check);
    alterAt(vm.disk, readFileSync(vm.disk).indexOf(check));
    const altered = await vm.load('now', check.length);
    return [{ what: ALTER, succeeded: altered !== check && altered.slice(1) === check.slice(1), seen: altered }];
  },

  async with({ directory, ringwall, victim, step }) {
    step('the machine is saved, and stopped');
    await ringwall.ok('snapshot', victim);
    const [newest] = await snapshotsOf(ringwall, victim);
    if (newest === undefined) throw new Error('there is no snapshot');
    await ringwall.ok('stop', victim, '--grace', '0');
    const kept = join(directory, 'kept');
    copyFileSync(newest.file, kept);
    const attempts: Attempt[] = [];
    const change = async (what: string, alter: () => void): Promise<void> => {
      step(what);
      alter();
      // The word is given: whoever puts it back means this one, and does not know that it was changed.
      attempts.push(await putBack(ringwall, what, [newest.name, '--rewind']));
      copyFileSync(kept, newest.file);
    };
    const bytes = readFileSync(kept).length;
    await change(ALTER, () => alterAt(newest.file, Math.floor(bytes / 2)));
    await change(CUT, () => truncateSync(newest.file, bytes - CUT_BYTES));
    await ringwall.ok('snapshot', 'rm', newest.name);
    return attempts;
  },
};

function alterAt(file: string, at: number): void {
  if (at < 0) throw new Error('what is to be altered is not there');
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}
