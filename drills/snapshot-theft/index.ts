// Drill: somebody carries a snapshot away. What the guest had in its memory is looked for in the stolen file.
import type { Drill } from '../drill.ts';
import { SavedVm } from '../plain/saved-vm.ts';
import { searchFile } from '../search-file.ts';
import { newCanary, snapshotsOf } from '../victim.ts';

const SEARCH = 'search the stolen snapshot for the canary';

export const snapshotTheft: Drill = {
  name: 'snapshot-theft',
  title: 'A stolen snapshot is searched for what was in memory',
  adversaries: ['A4'],
  story:
    'A machine is saved while it runs, keys and passwords in its memory as they are. Somebody copies the file from the host or from a backup of it.',
  mustBeTrue: 'The thief has the whole file, and nothing else of the host.',
  stoppedBy:
    'Memory, devices, TPM and disk of a snapshot are encrypted with a key of its own, which the broker keeps and the daemon never sees.',

  async without({ directory, step }) {
    const canary = newCanary();
    step('a plain VM with a canary in its memory is saved by savevm');
    const vm = await SavedVm.make(directory);
    await vm.save('night', canary);
    return [searchFile(vm.disk, canary, SEARCH)];
  },

  async with({ ringwall, victim, step }) {
    const canary = newCanary();
    step('the machine, with a canary in its memory, is saved');
    using console = await ringwall.openConsole(victim);
    await console.run(`kept=${canary}`);
    await ringwall.ok('snapshot', victim);
    const [newest] = await snapshotsOf(ringwall, victim);
    if (newest === undefined) throw new Error('there is no snapshot');
    const found = searchFile(newest.file, canary, SEARCH);
    await ringwall.ok('snapshot', 'rm', newest.name);
    return [found];
  },
};
