// Drill: two machines go on from one saved state. What either draws at random the other draws too, unless somebody tells them.
import type { Instance } from '@ringwall/testkit';
import type { Attempt, Drill } from '../drill.ts';
import { DrawingVm } from '../plain/drawing-vm.ts';
import { kernelOf, snapshotsOf } from '../victim.ts';

const SAME = 'have two machines go on from one saved state, and foretell by the one what the other draws at random';
const AGAIN = 'bring back, without a word to anybody, a state that a machine went on from before';
/** Some are saved just before their kernel takes in something new by itself. */
const STATES = 3;

export const cloneTwins: Drill = {
  name: 'clone-twins',
  title: 'Two machines with one state draw the same random numbers',
  adversaries: ['A1'],
  story:
    'A machine is saved, and brought back twice: a template, a restore after a test. Session keys and tokens that the second makes are those that the first has made already, whose user knows them.',
  needsVictim: 'running',
  leavesVictim: 'unproven',
  mustBeTrue: 'A state is brought back more than once, and the attacker is a user of one of the machines.',
  stoppedBy:
    'Each start from a state has a new VM Generation ID. Within about a second the machine’s initrd has the kernel make new keys from new random numbers of the host. The key of a state is given out once; again is a word that is written down.',

  async without({ directory, ringwall, step }) {
    for (let state = 1; ; state += 1) {
      step(`a plain VM that draws random numbers is saved by savevm${state === 1 ? '' : ', once more'}`);
      const vm = await DrawingVm.save(directory, kernelOf(ringwall));
      const [first, second] = [await vm.goOn(), await vm.goOn()];
      if (first !== second && state < STATES) continue;
      return [
        { what: SAME, succeeded: first === second, seen: seenOf(first, second) },
        { what: AGAIN, succeeded: true, seen: 'it runs' },
      ];
    }
  },

  async with({ ringwall, victim, step }) {
    step('the machine is saved, and put back twice');
    await ringwall.ok('snapshot', victim);
    const [newest] = await snapshotsOf(ringwall, victim);
    if (newest === undefined) throw new Error('there is no snapshot');
    await ringwall.ok('stop', victim, '--grace', '0');
    const first = await goOn(ringwall, victim);
    await ringwall.ok('stop', victim, '--grace', '0');
    const again = await refusedAgain(ringwall, victim);
    const second = await goOn(ringwall, victim, '--rewind');
    await ringwall.ok('snapshot', 'rm', newest.name);
    return [{ what: SAME, succeeded: first === second, seen: seenOf(first, second) }, again];
  },
};

/** What it draws once it has noticed. */
async function goOn(ringwall: Instance, victim: string, ...word: readonly string[]): Promise<string> {
  await ringwall.ok('restore', victim, ...word);
  using console = await ringwall.openConsole(victim);
  await console.run(`until dmesg | grep -q 'goes on from a saved state'; do sleep 1; done`);
  return (await console.run('head -c 16 /dev/urandom | xxd -p')).trim();
}

async function refusedAgain(ringwall: Instance, victim: string): Promise<Attempt> {
  const { code, stderr } = await ringwall.cli('restore', victim);
  if (code === 0) return { what: AGAIN, succeeded: true, seen: 'it runs' };
  const said = /error: (.*)/.exec(stderr)?.[1] ?? stderr.trim();
  if (!said.includes('was given out already')) throw new Error(`it was not put back for another reason: ${said}`);
  return { what: AGAIN, succeeded: false, seen: said };
}

function seenOf(first: string, second: string): string {
  return first === second ? `both draw ${first.slice(0, 12)}…` : `${first.slice(0, 12)}… and ${second.slice(0, 12)}…`;
}
