// `ringwall reference`: what images must measure, and the one reviewed step by which an update of it is put in force.
import { readFileSync, statSync } from 'node:fs';
import type { ReferenceList, ReferenceSubject, ReferenceTrial } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { HOST_REFERENCE_FORMAT, MAX_REFERENCE_BYTES } from '@ringwall/evidence';
import { printJson, type Invocation } from '../invocation.ts';
import { formatAge } from '../quantities.ts';
import { renderTable, type Cell } from '../table.ts';
import { plainText, type Style } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** Of 64 hex digits: enough to tell images of one host apart. */
const SHOWN_DIGEST_CHARACTERS = 16;

export async function run(invocation: Invocation): Promise<void> {
  const [action, target] = invocation.arguments;
  if (action === undefined) return list(invocation);
  if (action === 'host' && target === undefined) return (await import('./reference-host.ts')).run(invocation);
  if (target === undefined) {
    throw usage(`reference ${action} needs an image or a file`, `as in: ${invocation.self} reference ${action} hello`);
  }
  switch (action) {
    case 'build':
      if (isFile(target)) return (await import('./reference-own.ts')).buildOwn(invocation, target);
      return build(invocation, target);
    case 'sign':
      return (await import('./reference-own.ts')).signOwn(invocation, target);
    case 'diff':
      return diff(invocation, target);
    case 'try':
      return tryIt(invocation, target);
    case 'accept':
      return accept(invocation, target);
    default:
      throw usage(`reference has no ${JSON.stringify(action)}`, 'it has build, sign, host, diff, try and accept');
  }
}

async function list(invocation: Invocation): Promise<void> {
  const answer = await invocation.withApi((api) => api.call('listReferences'));
  if (invocation.json) printJson(invocation, answer);
  else for (const line of renderReferences(invocation, answer)) invocation.out.line(line);
}

async function build(invocation: Invocation, image: string): Promise<void> {
  const { out, self, values, json } = invocation;
  const { references } = await invocation.withApi((api) => api.call('buildReference', { params: { image } }));
  const output = values.get('output');
  // One for each size of machine; the first is for the size that a machine has where nobody names one.
  if (output !== undefined)
    writeWhole(output, `${JSON.stringify(references[0], undefined, 2)}\n`, invocation.environment);
  if (json) {
    printJson(invocation, { image, references });
    return;
  }
  const sizes = references.length === 1 ? 'one size of machine' : `${String(references.length)} sizes of machine`;
  out.line(`What ${image} must measure was computed for ${sizes}, and proposed to the broker.`);
  if (output !== undefined) out.line(`It is in ${output}.`);
  out.line(`What it would change: ${self} reference diff ${image}`);
}

async function diff(invocation: Invocation, target: string): Promise<void> {
  const { out, self } = invocation;
  const subject = subjectOf(target);
  const answer = await invocation.withApi((api) => api.call('diffReference', { body: { subject } }));
  if (invocation.json) {
    printJson(invocation, answer);
    return;
  }
  for (const sentence of answer.sentences) out.line(plainText(sentence));
  out.line();
  if ('reference' in subject && subject.reference['format'] === HOST_REFERENCE_FORMAT) {
    out.line(`If this host is sound now: ${self} reference accept ${target}`);
    return;
  }
  out.line(`What it would have meant for each machine: ${self} reference try ${target}`);
}

async function tryIt(invocation: Invocation, target: string): Promise<void> {
  const { out, self } = invocation;
  const trial = await invocation.withApi((api) => api.call('tryReference', { body: { subject: subjectOf(target) } }));
  if (invocation.json) {
    printJson(invocation, trial);
    return;
  }
  for (const line of renderTrial(invocation, trial)) out.line(line);
  out.line();
  out.line(`Nothing was changed. To put it in force: ${self} reference accept ${target}`);
}

async function accept(invocation: Invocation, target: string): Promise<void> {
  const { out } = invocation;
  const answer = await invocation.withApi((api) =>
    api.call('acceptReference', { body: { subject: subjectOf(target) } }),
  );
  if (invocation.json) {
    printJson(invocation, answer);
    return;
  }
  const { subject, retired } = answer;
  out.line(`${plainText(subject)} is accepted from now on.`);
  if (retired.length > 0)
    out.line(
      'What was accepted of it before counts no longer: machines that still run it go on until they start again.',
    );
}

/** By how it is written; an image otherwise. */
function isFile(target: string): boolean {
  return target.includes('/') || target.endsWith('.json');
}

/** The content of a file says what it is. */
function subjectOf(target: string): ReferenceSubject {
  if (!isFile(target)) return { image: target };
  if (statSync(target).size > MAX_REFERENCE_BYTES)
    throw usage(`${target} is too large`, 'it holds neither a policy nor reference values');
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(target, 'utf8'));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw usage(`${target} is not JSON`, 'a policy or reference values are');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw usage(`${target} holds no object`, '');
  const object: Record<string, unknown> = Object.fromEntries(Object.entries(value));
  return 'format' in object ? { reference: object } : { policy: object };
}

const STATE_STYLES: Readonly<Record<ReferenceList['references'][number]['state'], Style>> = {
  accepted: 'green',
  proposed: 'yellow',
  retired: 'dim',
};

const HOW: Readonly<Record<ReferenceList['references'][number]['how'], string>> = {
  'first-use': 'the first of its image',
  'same-artefacts': 'the same files, another size of machine',
  command: 'by a person',
  'not-yet': '',
};

function renderReferences({ out, self, now }: Invocation, { references }: ReferenceList): string[] {
  if (references.length === 0)
    return [`Nothing is expected of any image yet: the first start of a machine proposes it.`];
  const rows = references.map(({ image, state, how, at, by, kernel }): Cell[] => [
    { text: plainText(image.name), style: 'bold' },
    { text: image.digest.slice(0, SHOWN_DIGEST_CHARACTERS) },
    { text: plainText(kernel.name) },
    { text: state, style: STATE_STYLES[state] },
    { text: formatAge(at, now()), style: 'dim' },
    { text: HOW[how] },
    { text: plainText(by) },
  ]);
  const table = renderTable(
    out,
    [
      { title: 'IMAGE' },
      { title: 'DIGEST' },
      { title: 'KERNEL', elastic: true },
      { title: 'STATE' },
      { title: 'SINCE', align: 'right' },
      { title: 'WHY', elastic: true },
      { title: 'BY', elastic: true },
    ],
    rows,
  );
  const waits = references.find(({ state }) => state === 'proposed')?.image.name;
  const first = references.find(({ state, how }) => state === 'accepted' && how === 'first-use')?.image.name;
  return [
    ...table,
    ...(waits === undefined ? [] : ['', `What waits is looked at first: ${self} reference diff ${waits}`]),
    ...(first === undefined ? [] : ['', ...FIRST_USE, `  ${self} reference accept ./${plainText(first)}.json`]),
  ];
}

/** What "the first of its image" is worth. */
const FIRST_USE = [
  'The first of an image is accepted on first use: only this host has said that it is right. To have your own word',
  'in its place, accept reference values that you have signed:',
] as const;

function renderTrial({ out }: Invocation, { tried, left }: ReferenceTrial): string[] {
  if (tried.length === 0) return ['No evidence is kept to try it on.'];
  const lines = tried.flatMap(({ name, at, was, would, reasons }) => {
    const sign = would === 'accepted' ? out.tick : out.cross;
    const change = was === would ? `${would}, as it was` : `${would}, and was ${was}`;
    return [`${sign} ${plainText(name)}, ${at}: ${change}`, ...reasons.map((reason) => `    ${plainText(reason)}`)];
  });
  return left === 0 ? lines : [...lines, `and ${String(left)} more that were not tried`];
}

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, hint === '' ? {} : { hint });
}
