// The attacker's program: tries each target and says what it got. Perl and dash are there on every Debian.
import { run, runChecked, waitForExit } from '@ringwall/host/exec';
import { endJail, readClosure, readRunFile, startJail, UidLeases } from '@ringwall/host/jail';
import { join } from 'node:path';
import type { Attempt } from '../drill.ts';
import type { Target } from './targets.ts';

const PERL = '/usr/bin/perl';
const SETPRIV = '/usr/bin/setpriv';
const SHELL = '/usr/bin/dash';
const MIB = 1024 * 1024;
const PROBE_TIMEOUT_MS = 60_000;
const ANSWER_LIMIT_BYTES = 64 * 1024;

/** Opens, connects to, lists or attaches to each target; one line each: `kind path` → `got` or the kernel's refusal. */
const PERL_PROBE = `
use Socket;
while (@ARGV) {
  my ($kind, $path) = splice @ARGV, 0, 2;
  my $got = 0;
  if ($kind eq 'socket') { socket(my $s, PF_UNIX, SOCK_STREAM, 0); $got = connect($s, sockaddr_un($path)); }
  elsif ($kind eq 'directory') { $got = opendir(my $d, $path); }
  else { $got = open(my $f, '<', $path); }
  print $got ? "got\\n" : "$!\\n";
}`;

/** In the jail there is only a shell, and nothing that forks: what it cannot see it cannot try. */
const SHELL_PROBE = `
while [ $# -gt 0 ]; do
  if { :; } 2>/dev/null <"$2" || [ -e "$2" ]; then echo got; else echo 'no such file'; fi
  shift 2
done >/run/answer`;

/** As a process of that uid outside every jail: only the permissions of files and processes stand in the way. */
export async function probeAsUid(uid: number, targets: readonly Target[]): Promise<Attempt[]> {
  const drop = [
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    '--inh-caps=-all',
    '--bounding-set=-all',
    '--no-new-privs',
  ];
  const wanted = targets.flatMap(({ kind, path }) => [kind, path]);
  const { stdout } = await runChecked(run, [SETPRIV, ...drop, '--', PERL, '-e', PERL_PROBE, ...wanted], {
    timeoutMs: PROBE_TIMEOUT_MS,
  });
  return toAttempts(targets, stdout.toString(), 'with the uid of a VMM, outside its jail');
}

/** In a jail as another machine's VMM has it: the same walls, filter and kind of uid. */
export async function probeInJail(directory: string, targets: readonly Target[]): Promise<Attempt[]> {
  const leases = new UidLeases();
  const jail = await startJail({
    purpose: 'drill neighbour-files',
    name: 'ringwall-drill-neighbour',
    leases,
    runDir: join(directory, 'neighbour'),
    runDirBytes: MIB,
    cgroup: { memoryBytes: 64 * MIB, tasks: 8, cpus: 1 },
    limits: { openFiles: 64, fileBytes: MIB, tasks: 8 },
    profile: 'vmm-tcg',
    readOnly: await readClosure(run, [SHELL]),
    command: () => [
      SHELL,
      '-c',
      `${SHELL_PROBE}; while [ ! -e /run/seen ]; do :; done`,
      'probe',
      ...targets.flatMap(({ kind, path }) => [kind, path]),
    ],
    failure: 'internal',
  });
  try {
    const deadline = performance.now() + PROBE_TIMEOUT_MS;
    let text = '';
    while (performance.now() < deadline && text.split('\n').length <= targets.length) {
      await waitForExit(jail.process, 50);
      text = (await readRunFile(jail.runDir, 'answer', ANSWER_LIMIT_BYTES))?.toString() ?? '';
    }
    return toAttempts(targets, text, 'inside another VMM’s jail');
  } finally {
    await endJail(jail, leases);
  }
}

function toAttempts(targets: readonly Target[], printed: string, where: string): Attempt[] {
  const answers = printed.split('\n');
  return targets.map(({ what }, index) => {
    const answer = answers[index] ?? '';
    if (answer === '') throw new Error(`the probe ${where} said nothing of ${what}`);
    return { what: `${what}, ${where}`, succeeded: answer === 'got', seen: answer };
  });
}
