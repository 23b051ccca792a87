// Rules about what RUN runs, beside packages.
import { commandsNamed, hasOption } from './arguments.ts';
import { those } from './flaws.ts';
import { hadolint, type Rule } from './rule.ts';
import type { RunView, StageView } from './view.ts';

/** They make no sense where nobody looks and nothing else runs. */
const POINTLESS: readonly string[] = [
  'ssh',
  'vim',
  'shutdown',
  'service',
  'ps',
  'free',
  'top',
  'kill',
  'mount',
  'ifconfig',
];
/** Above it `/var/log/lastlog`, which is sparse, fills the layer with zeros. */
const HIGH_UID_DIGITS = 5;

function hasPipefail(run: RunView): boolean {
  if (run.commands.some(({ name, args }) => name === 'set' && args.some((arg) => arg.includes('pipefail'))))
    return true;
  const before = run.stage?.lineage.flatMap(({ instructions }) => instructions) ?? [];
  const own = run.stage?.instructions ?? [];
  const above = own.slice(0, own.indexOf(run.instruction)).findLast(({ keyword }) => keyword === 'SHELL');
  const shell = above ?? before.slice(own.length).findLast(({ keyword }) => keyword === 'SHELL');
  return shell?.words.some(({ text }) => /pipefail/.test(text)) ?? false;
}

function usesIn(stage: StageView, name: string): boolean {
  return stage.runs.some(({ commands }) => commands.some((command) => command.name === name));
}

export const SHELL_COMMAND_RULES: readonly Rule[] = [
  {
    id: 'RW1001',
    title: 'the script of this RUN can be read',
    severity: 'info',
    reason: 'what cannot be read was not judged: no other rule has seen it',
    reference: 'https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html',
    fix: 'COPY script.sh /tmp/ and RUN sh /tmp/script.sh',
    *check({ runs }) {
      for (const { trouble } of runs) if (trouble !== undefined) yield { at: trouble.at, detail: trouble.message };
    },
  },
  {
    id: 'DL3001',
    title: 'commands that do nothing of use in a build',
    severity: 'info',
    reason: 'nothing else runs there, nobody looks, and nothing that they start stays',
    reference: hadolint('DL3001'),
    fix: 'leave the command out',
    *check(view) {
      for (const { at, name } of commandsNamed(view, POINTLESS))
        yield { at, detail: `“${name}” does nothing of use in a build` };
    },
  },
  {
    id: 'DL3003',
    title: 'WORKDIR to change the folder',
    severity: 'warning',
    reason: 'cd ends with its RUN, and the next instruction is elsewhere again',
    reference: hadolint('DL3003'),
    fix: 'WORKDIR /app',
    check: (view) =>
      those(
        commandsNamed(view, ['cd']),
        () => true,
        ({ args }) => `WORKDIR ${args[0] ?? '/app'}`,
      ),
  },
  {
    id: 'DL3004',
    title: 'no sudo in a build',
    severity: 'error',
    reason: 'it passes neither signals nor terminals on, and leaves a way to root in the image',
    reference: hadolint('DL3004'),
    fix: 'USER root above, USER 10001 below',
    check: (view) => those(commandsNamed(view, ['sudo']), () => true),
  },
  {
    id: 'DL3046',
    title: 'useradd with a high uid writes no lastlog',
    severity: 'warning',
    reason: 'the log is as long as the uid says, and the layer with it',
    reference: hadolint('DL3046'),
    fix: 'useradd --no-log-init --uid 1000123 …',
    check: (view) =>
      those(
        commandsNamed(view, ['useradd']),
        (command) => {
          const uid = /(?:^| )(?:-[a-zA-Z]*u|--uid)[ =]?(\d+)/.exec(command.args.join(' '))?.[1] ?? '';
          return uid.length > HIGH_UID_DIGITS && !hasOption(command, '-l', '--no-log-init');
        },
        () => 'useradd --no-log-init …',
      ),
  },
  {
    id: 'DL3047',
    title: 'wget draws no progress bar into the log',
    severity: 'info',
    reason: 'a large file fills the log of the build with dots',
    reference: hadolint('DL3047'),
    fix: 'wget --progress=dot:giga https://…',
    check: (view) =>
      those(
        commandsNamed(view, ['wget']),
        (command) => {
          const quiet = hasOption(
            command,
            '-q',
            '--quiet',
            '-o',
            '--output-file',
            '-a',
            '--append-output',
            '--no-verbose',
            '--progress',
          );
          return !quiet && !command.args.includes('-nv') && !command.args.includes('--version');
        },
        () => 'wget --progress=dot:giga …',
      ),
  },
  {
    id: 'DL3059',
    title: 'RUNs that follow each other could be one',
    severity: 'info',
    reason: 'each makes a layer, and what a later one deletes stays in the earlier',
    reference: hadolint('DL3059'),
    fix: 'RUN first && second',
    *check({ stages }) {
      for (const { instructions } of stages) {
        for (const [index, instruction] of instructions.entries()) {
          const before = instructions[index - 1];
          if (
            instruction.keyword !== 'RUN' ||
            before?.keyword !== 'RUN' ||
            before.heredocs.length + instruction.heredocs.length > 0
          )
            continue;
          const flags = [before, instruction].map((each) =>
            each.flags.map(({ name, value }) => `${name}=${value}`).join(' '),
          );
          if (flags[0] === flags[1]) yield { at: instruction.at };
        }
      }
    },
  },
  {
    id: 'DL4001',
    title: 'wget or curl, not both',
    severity: 'warning',
    reason: 'each brings its own libraries to keep up to date',
    reference: hadolint('DL4001'),
    fix: 'curl --fail --silent --show-error --location …',
    *check({ stages }) {
      for (const stage of stages) {
        if (!stage.lineage.some((each) => usesIn(each, 'curl')) || !stage.lineage.some((each) => usesIn(each, 'wget')))
          continue;
        const [first] = stage.runs.flatMap(({ commands }) =>
          commands.filter(({ name }) => name === 'wget' || name === 'curl'),
        );
        if (first !== undefined) yield { at: first.at };
      }
    },
  },
  {
    id: 'DL4005',
    title: 'SHELL to change the shell',
    severity: 'warning',
    reason: 'a link changes /bin/sh for all programs of the image',
    reference: hadolint('DL4005'),
    fix: 'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
    check: (view) =>
      those(commandsNamed(view, ['ln']), ({ args }) => args.some((arg) => /^(?:\/usr)?\/bin\/sh$/.test(arg))),
  },
  {
    id: 'DL4006',
    title: 'a pipe fails where any of its commands does',
    severity: 'warning',
    reason: 'only the last command decides: a download that broke off counts as done',
    reference: hadolint('DL4006'),
    fix: 'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
    *check({ runs }) {
      for (const run of runs) {
        const [pipe] = run.pipes;
        if (pipe?.[0] !== undefined && run.instruction.form === 'shell' && !hasPipefail(run)) {
          yield { at: pipe[0].at, fix: 'RUN set -o pipefail && …' };
        }
      }
    },
  },
];
