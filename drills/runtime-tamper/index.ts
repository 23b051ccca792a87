// Drill: after a machine has proven what it booted, somebody who got into it runs a program that is not of its image.
import { toHex } from '@ringwall/bytes';
import type { Instance } from '@ringwall/testkit';
import { parseAttest } from '@ringwall/tpm';
import type { Attempt, Drill } from '../drill.ts';
import { plainVerify } from '../plain/verifier.ts';
import { bootPlainVm } from '../plain/vm.ts';
import { kernelOf, newCanary, oldEvidence, untilTrust } from '../victim.ts';

/** What counts as seen: an interval under emulation, an answer, and a busy host. */
const SEEN_MS = 60_000;

/** A program of no image: harmless, and never there before. */
const tool = (path: string, canary: string): string =>
  `printf "#!/bin/sh\\necho ${canary}\\n" > ${path}; chmod 755 ${path}; ${path}`;

export const runtimeTamper: Drill = {
  name: 'runtime-tamper',
  title: 'A program that is not of the image runs on a machine that was attested',
  adversaries: ['A1', 'A7'],
  inPart: [
    {
      adversary: 'A6',
      only: 'as far as they work from inside the guest: root on the host reads its memory, and answers with its TPM',
    },
  ],
  story:
    'A machine has booted what it should, and has its key. Later somebody gets in by a hole of a service and brings a program of their own: a miner, a shell, a backdoor.',
  leavesVictim: 'off',
  mustBeTrue: 'The program runs while the machine is still taken for what it was when it booted.',
  stoppedBy:
    'The kernel measures whatever runs into the TPM, before it runs; the broker asks every few seconds, and holds it against the image’s list of files: quarantine, and no key at the next start.',

  async without({ directory, ringwall, victim, step }) {
    step('a plain VM runs a program that came later');
    const canary = newCanary();
    const printed = await bootPlainVm({ directory, kernel: kernelOf(ringwall), script: tool('/tmp/tool', canary) });
    const ran = printed.includes(canary);
    step('tpm2_checkquote judges the machine by the quote of its boot');
    const evidence = await oldEvidence(ringwall, victim);
    const { accepted, seen } = await plainVerify(directory, evidence, toHex(parseAttest(evidence.quote).extraData));
    return [
      { what: 'run it on a plain VM', succeeded: ran, seen: ran ? 'it ran, and nobody looked' : printed.slice(-200) },
      { what: 'still be taken for the machine that booted', succeeded: accepted, seen },
    ];
  },

  async with({ ringwall, victim, step }) {
    const attempts: Attempt[] = [];
    step('the same on the machine');
    const canary = newCanary();
    using console = await ringwall.openConsole(victim);
    await console.run(tool('/data/tool', canary));
    const ranMs = performance.now();
    const reasons = await untilTrust(ringwall, victim, ['quarantined'], SEEN_MS);
    const seconds = ((performance.now() - ranMs) / 1000).toFixed(1);
    attempts.push({
      what: 'run it and stay attested',
      succeeded: reasons === undefined,
      seen: reasons === undefined ? 'attested for a minute' : `quarantined after ${seconds} s: ${reasons}`,
    });
    if (reasons !== undefined && !reasons.includes('/data/tool')) {
      throw new Error(`quarantined, but no reason names the program: ${reasons}`);
    }
    attempts.push(await keyAgain(ringwall, victim, step));
    return attempts;
  },
};

async function keyAgain(ringwall: Instance, victim: string, step: (what: string) => void): Promise<Attempt> {
  step('the machine is started again, for its key');
  await ringwall.ok('stop', victim, '--grace', '1');
  const start = await ringwall.cli('start', victim);
  const [said = ''] = start.stderr.split('\n');
  const attempt = { what: 'have its key again by a restart', succeeded: start.code === 0, seen: said };
  if (start.code === 0) return attempt;
  step('an operator readmits it');
  await ringwall.ok('readmit', victim, '--yes');
  return attempt;
}
