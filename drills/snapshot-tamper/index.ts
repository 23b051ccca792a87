// Drill: a snapshot is altered, cut, or exchanged for an older one before its machine is put back to it.
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance } from '@ringwall/testkit';
import type { Attempt, Drill } from '../drill.ts';
import { SavedVm } from '../plain/saved-vm.ts';
import { newCanary, snapshotsOf } from '../victim.ts';

const ALTER = 'alter a byte of the memory in a snapshot, and have the machine put back to it';
const CUT = 'cut the end of it off';
const EXCHANGE = 'put an older snapshot in its place';
const GO_BACK = 'have the machine put back to the older one, TPM and all, without a word to anybody';
const CUT_BYTES = 4096;

export const snapshotTamper: Drill = {
  name: 'snapshot-tamper',
  title: 'A snapshot is altered, or an older one is slipped in',
  adversaries: ['A4'],
  story:
    'Somebody who can write where snapshots lie changes a check in the saved memory of a machine. Or puts in place of the newest the one from before a password was changed, and waits until the machine is put back.',
  leavesVictim: 'off',
  mustBeTrue: 'The attacker reads and writes the files of snapshots, and somebody puts the machine back.',
  stoppedBy:
    'Each chunk, its place and the end are authenticated, before a VMM is started. The broker keeps the root and the number of each: another object is refused, an older state wants a word that is written down.',

  async without({ directory, step }) {
    const [before, now] = [newCanary(), newCanary()];
    step('a plain VM is saved by savevm, and again after its secret was changed');
    const vm = await SavedVm.make(directory);
    await vm.save('before', before);
    const older = join(directory, 'older.qcow2');
    copyFileSync(vm.disk, older);
    await vm.save('now', now);
    const goneBack = await vm.load('before', before.length);
    alterAt(vm.disk, readFileSync(vm.disk).indexOf(now));
    const altered = await vm.load('now', now.length);
    copyFileSync(older, vm.disk);
    const exchanged = await vm.load('before', before.length);
    return [
      { what: ALTER, succeeded: altered !== now && altered.slice(1) === now.slice(1), seen: altered },
      { what: EXCHANGE, succeeded: exchanged === before, seen: exchanged },
      { what: GO_BACK, succeeded: goneBack === before, seen: goneBack },
    ];
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
    await change(EXCHANGE, () => copyFileSync(older.file, newest.file));
    step(GO_BACK);
    attempts.push(await putBack(ringwall, GO_BACK, [older.name]));
    for (const { name } of [newest, older]) await ringwall.ok('snapshot', 'rm', name);
    return attempts;
  },
};

async function putBack(ringwall: Instance, what: string, names: readonly string[]): Promise<Attempt> {
  const { code, stderr } = await ringwall.cli('restore', ...names);
  if (code === 0) return { what, succeeded: true, seen: 'the machine runs' };
  const said = /error: (.*)/.exec(stderr)?.[1] ?? stderr.trim();
  if (!REFUSED.test(said)) throw new Error(`it was not put back for another reason: ${said}`);
  return { what, succeeded: false, seen: said };
}

const REFUSED = /not what was sealed|is not the newest state/;

function alterAt(file: string, at: number): void {
  if (at < 0) throw new Error('what is to be altered is not there');
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}
