// Makes docs/threats.md: the adversaries and the drills as they stand in drills/, and the threat model by interface, which
// is written by hand in tools/threats/by-interface.md. Results of runs are not in it: whoever doubts runs the drills.
//
//   node --conditions=ringwall-source tools/threats.ts            writes it
//   node --conditions=ringwall-source tools/threats.ts --check    exits 1 where it is stale
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ADVERSARIES, drills, type Adversary, type Drill } from '@ringwall/drills';

const BY_INTERFACE = join(import.meta.dirname, 'threats/by-interface.md');
const DEFAULT_OUTPUT = join(import.meta.dirname, '../docs/threats.md');
const COMMAND = 'node --conditions=ringwall-source tools/threats.ts';

if (import.meta.main) process.exitCode = main(process.argv.slice(2), (said) => process.stderr.write(said));

/** The exit code. */
export function main(argv: string[], say: (text: string) => void): number {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { check: { type: 'boolean', default: false } },
  });
  const output = positionals[0] ?? DEFAULT_OUTPUT;
  const text = renderThreats(drills, readFileSync(BY_INTERFACE, 'utf8'));
  if (!values.check) {
    writeFileSync(output, text);
    return 0;
  }
  if (readFileSync(output, 'utf8') === text) return 0;
  say(`${output} is stale; write it again: ${COMMAND}\n`);
  return 1;
}

function renderThreats(told: readonly Drill[], byInterface: string): string {
  return [
    '# Threat model',
    '',
    `<!-- Made by tools/threats.ts from drills/ and tools/threats/by-interface.md. Do not edit; run \`${COMMAND}\`. -->`,
    '',
    'Who attacks, what each attack is and what stops it, and what each interface lets through. Each attack is a program',
    'that anyone can run: `ringwall drill` runs it against the plain component, where it must succeed, or else it proves',
    'nothing, and against Ringwall, where it must fail as seen by the attacker. Drills are harmless: they touch only',
    'machines and files that they make and remove.',
    '',
    '## Adversaries',
    '',
    '| | who | drills |',
    '| --- | --- | --- |',
    ...adversaries().map((id) => `| ${id} | ${cell(ADVERSARIES[id])} | ${drillsAgainst(id, told)} |`),
    '',
    '## Drills',
    '',
    ...told.flatMap((drill) => [...renderDrill(drill), '']),
    byInterface.trimEnd(),
    '',
  ].join('\n');
}

function renderDrill(drill: Drill): string[] {
  return [
    `### \`${drill.name}\``,
    '',
    `**${drill.title}** (stops ${drill.adversaries.join(', ')})`,
    '',
    drill.story,
    '',
    `- *What must be true:* ${drill.mustBeTrue}`,
    '- *Without Ringwall:* it succeeds, or the drill is void.',
    '- *With Ringwall:* every attempt fails.',
    `- *What stops it:* ${drill.stoppedBy}`,
    ...(drill.inPart ?? []).map(
      ({ adversary, only }) => `- *Stops ${adversary} only* ${only}. See [Nobody stops](#nobody-stops).`,
    ),
    `- *Try it:* \`ringwall drill ${drill.name}\``,
  ];
}

function adversaries(): Adversary[] {
  return Object.keys(ADVERSARIES).filter(isAdversary);
}

function isAdversary(id: string): id is Adversary {
  return Object.hasOwn(ADVERSARIES, id);
}

function drillsAgainst(id: Adversary, told: readonly Drill[]): string {
  const named = (drillsOf: readonly Drill[]): string => drillsOf.map(({ name }) => `\`${name}\``).join(', ');
  const whole = named(told.filter(({ adversaries: against }) => against.includes(id)));
  const part = named(told.filter(({ inPart = [] }) => inPart.some(({ adversary }) => adversary === id)));
  if (part === '') return whole === '' ? 'none yet' : whole;
  return `${whole === '' ? 'none' : whole}; for one step of theirs: ${part}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
