// Drill: root on the host changes what the machine boots: its kernel, its initrd, its command line, one at a time.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE_FILES, imageDigest, MANIFEST_FILE, parseManifest, renderManifest } from '@ringwall/host/guestimage';
import type { Instance } from '@ringwall/testkit';
import { alterInitrd, alterKernel } from './alter.ts';
import type { Attempt, Drill, DrillContext } from '../drill.ts';
import { bootPlainVm, plainInitrd } from '../plain/vm.ts';
import { kernelOf, newCanary } from '../victim.ts';

const DISK_BYTES = 1024 * 1024;

/** One change of the boot set, as a change of the image's files. */
interface Tampering {
  readonly what: string;
  /** How the reason must name the event that shows it. */
  readonly event: RegExp;
  readonly files: (image: string) => Readonly<Record<string, Uint8Array | string>>;
}

const TAMPERINGS: readonly Tampering[] = [
  {
    what: 'the kernel',
    event: /kernel .*PCR 4/i,
    files: (image) => ({ kernel: alterKernel(readFileSync(join(image, 'kernel'))) }),
  },
  {
    what: 'the initrd',
    event: /initrd .*PCR 9/i,
    files: (image) => ({ initrd: alterInitrd(readFileSync(join(image, 'initrd'))) }),
  },
  {
    // The attacker keeps the image's own books in order: only what was expected from the first boot on gives it away.
    what: 'the command line (another system image is named)',
    event: /command line .*PCR 9/i,
    files: (image) => {
      const manifest = parseManifest(readFileSync(join(image, MANIFEST_FILE), 'utf8'));
      const changed = { ...manifest, verityRootHash: 'ab'.repeat(32) };
      return { [MANIFEST_FILE]: renderManifest({ ...changed, digest: imageDigest(changed) }) };
    },
  },
];

export const bootTamper: Drill = {
  name: 'boot-tamper',
  title: 'Kernel, initrd or command line are replaced on the host',
  adversaries: ['A5', 'A7'],
  inPart: [
    { adversary: 'A6', only: 'as far as they change files: root reads the memory of a guest that runs unaltered' },
  ],
  story: 'Somebody with write access to the host’s files changes what the machine boots, to read its disk from inside.',
  leavesVictim: 'off',
  needsVictim: 'there',
  mustBeTrue: 'The altered system boots, and nothing inside it looks different.',
  stoppedBy:
    'Measured boot: firmware measures kernel, initrd and command line into the vTPM; no key for other digests.',

  async without({ directory, ringwall, step }) {
    const canary = newCanary();
    const disk = join(directory, 'key.img');
    const script = 'head -c 39 /dev/nvme0n1; echo';
    const attempts: Attempt[] = [];
    const boot = async (
      what: string,
      change: { kernel?: Uint8Array; initrd?: Uint8Array; commandLine?: string },
    ): Promise<void> => {
      step(`a plain VM boots with ${what} altered`);
      const kernel = join(directory, 'kernel');
      writeFileSync(kernel, change.kernel ?? readFileSync(kernelOf(ringwall)));
      // Without attestation, whatever boots is given the disk and its key.
      writeFileSync(disk, Buffer.concat([Buffer.from(canary), Buffer.alloc(DISK_BYTES - canary.length)]));
      const { initrd, commandLine } = change;
      const printed = await bootPlainVm({
        directory,
        kernel,
        disk,
        script,
        ...(initrd === undefined ? {} : { initrd }),
        ...(commandLine === undefined ? {} : { commandLine }),
      });
      const succeeded = printed.includes(canary);
      attempts.push({
        what: `boot with ${what} altered`,
        succeeded,
        seen: succeeded ? 'it got the key' : printed.slice(-200),
      });
    };
    await boot('the kernel', { kernel: alterKernel(readFileSync(kernelOf(ringwall))) });
    await boot('the initrd', { initrd: alterInitrd(plainInitrd(script)) });
    await boot('the command line', { commandLine: 'tampered=1' });
    return attempts;
  },

  async with(context) {
    const { ringwall, victim } = context;
    const attempts: Attempt[] = [];
    await ringwall.ok('stop', victim);
    for (const tampering of TAMPERINGS) attempts.push(await bootTampered(context, tampering));
    return attempts;
  },
};

async function bootTampered({ ringwall, victim, step }: DrillContext, tampering: Tampering): Promise<Attempt> {
  step(`the machine boots with ${tampering.what} altered`);
  const what = `boot with ${tampering.what} altered`;
  const restore = replaceFiles(ringwall, tampering.files);
  try {
    await ringwall.cli('start', victim, '--json');
    const { machine } = await ringwall.show(victim);
    const { trust, diskUnlocked, reasons } = machine.status;
    if (trust === 'attested' || diskUnlocked) return { what, succeeded: true, seen: 'it got the key' };
    const named = reasons.find((reason) => tampering.event.test(reason));
    if (named === undefined) throw new Error(`${what}: refused, but no reason names the event: ${reasons.join('; ')}`);
    return { what, succeeded: false, seen: named };
  } finally {
    restore();
    await ringwall.cli('stop', victim);
  }
}

/** Puts altered files in place, each whole, and gives back how to undo it. */
function replaceFiles(ringwall: Instance, files: Tampering['files']): () => void {
  const image = join(ringwall.stateDir, 'images', 'hello');
  const put = (name: string, content: Uint8Array | string): void => {
    writeFileSync(join(image, `${name}.new`), content);
    renameSync(join(image, `${name}.new`), join(image, name));
  };
  const altered = Object.entries(files(image));
  const originals = [...IMAGE_FILES, MANIFEST_FILE]
    .filter((name) => altered.some(([other]) => other === name))
    .map((name) => [name, readFileSync(join(image, name))] as const);
  for (const [name, content] of altered) put(name, content);
  return () => {
    for (const [name, content] of originals) put(name, content);
  };
}
