// `ringwall run`: the main job. Makes a machine, follows it until it is attested and unlocked, and reports.
import { RingwallError } from '@ringwall/api/errors';
import { FOREIGN_IMAGE } from '@ringwall/api/ids';
import type { Invocation } from '../invocation.ts';
import { followNewMachine } from '../new-machine.ts';
import { CLONES, ENCRYPTIONS, WATCH_MODES } from '../command.ts';
import { parseLabels } from '../network/labels.ts';
import { parseCount, parseMiB } from '../quantities.ts';

const DEFAULT_IMAGE = 'hello';

export async function run(invocation: Invocation): Promise<number> {
  const body = { ...wantedMachine(invocation), ...(await broughtDisk(invocation)), start: true };
  return followNewMachine(invocation, (api) => api.call('createMachine', { body }));
}

/** The disk that `--disk-image` becomes, encrypted, for the machine to have. */
async function broughtDisk(invocation: Invocation): Promise<{ attach?: string[] }> {
  const { values, flags } = invocation;
  const path = values.get('disk-image');
  if (path === undefined) return {};
  if (!flags.has('learn')) {
    throw new RingwallError('bad-request', `nobody knows yet what ${path} measures when it boots`, {
      hint: 'with --learn its first boot is written down, for you to look at and to accept',
    });
  }
  if (values.has('attach')) {
    throw new RingwallError('bad-request', '--disk-image and --attach are named', {
      hint: 'import it first (disk import), then name all disks by --attach: the first is booted',
    });
  }
  const { bringDisk, openToImport } = await import('./disk-import.ts');
  using source = await openToImport(invocation, path, { member: undefined, alongside: false });
  for (const note of source.notes) invocation.err.line(note);
  return { attach: [(await bringDisk(invocation, source)).imported.name] };
}

function wantedMachine({ values, flags, arguments: words }: Invocation): Record<string, unknown> {
  const [word] = words;
  const option = values.get('image');
  if (flags.has('learn') && (word ?? option) !== undefined) {
    throw new RingwallError('bad-request', 'what an image of Ringwall’s measures is known: there is nothing to learn', {
      hint: 'name a disk image in place of the image: --disk-image FILE --learn',
    });
  }
  if (word !== undefined && option !== undefined && word !== option) {
    throw new RingwallError('bad-request', `two images are named: ${word} and --image ${option}`, { hint: 'name one' });
  }
  const [name, cpus, memory, disk] = ['name', 'cpus', 'memory', 'disk'].map((key) => values.get(key));
  const [watch, encryption, clones, attach] = ['watch', 'encryption', 'clones', 'attach'].map((key) => values.get(key));
  const [network, labels] = ['network', 'label'].map((key) => values.get(key));
  return {
    image: flags.has('learn') ? FOREIGN_IMAGE : (word ?? option ?? DEFAULT_IMAGE),
    ...(name === undefined ? {} : { name }),
    ...(cpus === undefined ? {} : { cpus: parseCount(cpus, '--cpus') }),
    ...(memory === undefined ? {} : { memoryMiB: parseMiB(memory, '--memory') }),
    ...(disk === undefined ? {} : { diskMiB: parseMiB(disk, '--disk') }),
    ...(watch === undefined ? {} : { watch: parseWord(watch, WATCH_MODES, '--watch', 'way to watch a machine') }),
    ...(encryption === undefined
      ? {}
      : { encryption: parseWord(encryption, ENCRYPTIONS, '--encryption', 'way to encrypt a disk') }),
    ...(clones === undefined ? {} : { clones: parseWord(clones, CLONES, '--clones', 'way to treat clones') }),
    ...(attach === undefined ? {} : { attach: attach.split(',') }),
    ...(network === undefined ? {} : { network }),
    ...(labels === undefined ? {} : { labels: parseLabels(labels) }),
  };
}

function parseWord(text: string, known: readonly string[], option: string, what: string): string {
  if (known.includes(text)) return text;
  throw new RingwallError('bad-request', `${option} ${JSON.stringify(text)} is no ${what}`, {
    hint: `the ways are: ${known.join(', ')}`,
  });
}
