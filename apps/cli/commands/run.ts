// `ringwall run`: the main job. Makes a machine, follows it until it is attested and unlocked, and reports.
import { RingwallError } from '@ringwall/api/errors';
import { FOREIGN_IMAGE } from '@ringwall/api/ids';
import { exitCodeOf } from '../exit-codes.ts';
import { explainMachine } from '../explain-machine.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { followOperation, whileWatching } from '../operations.ts';
import { ENCRYPTIONS, WATCH_MODES } from '../command.ts';
import { renderOutdated } from '../outdated-image.ts';
import { parseLabels } from '../network/labels.ts';
import { parseCount, parseMiB } from '../quantities.ts';
import { renderRunReport } from '../report.ts';

const DEFAULT_IMAGE = 'hello';

export async function run(invocation: Invocation): Promise<number> {
  const { out, self, now, json } = invocation;
  const body = { ...wantedMachine(invocation), ...(await broughtDisk(invocation)), start: true };
  await invocation.needServices();
  using progress = invocation.progress();
  const { machine, operation } = await invocation.withApi((api) => {
    progress.step('asking for the machine');
    return api.call('createMachine', { body });
  });
  const name = machine.name;
  const farewell = `${name} goes on starting. See it: ${self} show ${name}   End it: ${self} rm --force ${name}`;
  try {
    await whileWatching(invocation, farewell, () => followOperation(invocation, operation, progress));
  } catch (error) {
    progress.fail();
    throw await explainMachine(invocation, name, error, `remove it: ${self} rm --force ${name}`);
  }
  const detail = await invocation.withApi((api) => api.call('showMachine', { params: { machine: machine.id } }));
  if (json) {
    printJson(invocation, detail);
  } else {
    const { images } = await invocation.withApi((api) => api.call('listImages'));
    const image = images.find(({ name: each }) => each === detail.machine.spec.image);
    const report = renderRunReport(detail, { terminal: out, self, nowMs: now() });
    for (const line of [...report, ...renderOutdated(image, out, self)]) out.line(line);
  }
  const refused = !GOOD.has(detail.machine.status.trust);
  return refused ? exitCodeOf(new RingwallError('attestation-refused', '')) : 0;
}

/** A boot that was learned is what was asked for. */
const GOOD: ReadonlySet<string> = new Set(['attested', 'learning']);

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
  const [watch, encryption, attach] = ['watch', 'encryption', 'attach'].map((key) => values.get(key));
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
