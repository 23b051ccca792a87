// What a verdict costs: full judgements per second on one core, each with its signatures, a log of 100 events and a policy,
// against the rate at which the same process verifies one bare signature with a key that it has already, and against
// `tpm2_checkquote`, which is started anew for each quote as its users do.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, timeProcess, type Figure } from './measure.ts';

const WORKLOAD = join(import.meta.dirname, '../lib/evidence/testing/measure-verdicts.ts');
const CHECKQUOTE = '/usr/bin/tpm2_checkquote';
const CHECKQUOTE_RUNS = 9;
const GOAL_RATIO = 0.6;
/** Of a boot: quote and certification. Those of certificate and reference values were verified at an earlier boot. */
const SIGNATURES = 2;

export function benchVerify(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ringwall-bench-'));
  try {
    return Promise.resolve(measure(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Measured {
  readonly rounds: readonly { readonly bareMs: number; readonly verdictMs: number }[];
  readonly nonce: string;
}

function measure(directory: string): Figure[] {
  const printed = execFileSync(process.execPath, ['--conditions=ringwall-source', WORKLOAD, directory]);
  const { rounds, nonce }: Measured = JSON.parse(printed.toString());
  const ratio = median(rounds.map(({ bareMs, verdictMs }) => bareMs / verdictMs));
  const verdictMs = median(rounds.map((round) => round.verdictMs));
  const bareMs = median(rounds.map((round) => round.bareMs));
  const perSecond = (milliseconds: number): string => Math.round(1000 / milliseconds).toLocaleString('en');
  return [
    {
      name: `full verdicts (${SIGNATURES} signatures, 100 events, policy, signed reference) per second and core`,
      value: `${perSecond(verdictMs)} against ${perSecond(bareMs)} bare signatures: ratio ${ratio.toFixed(2)}`,
      goal: { text: `at least ${GOAL_RATIO}`, met: ratio >= GOAL_RATIO },
    },
    {
      name: 'share of a verdict’s processor time that its own signatures take',
      value: (ratio * SIGNATURES).toFixed(2),
    },
    againstCheckquote(directory, nonce, verdictMs),
  ];
}

function againstCheckquote(directory: string, nonce: string, verdictMs: number): Figure {
  const name = 'a full verdict against one run of tpm2_checkquote, which replays no log';
  if (!existsSync(CHECKQUOTE)) return { name, value: 'skipped: needs tpm2-tools' };
  const file = (part: string): string => join(directory, part);
  const argv = [
    CHECKQUOTE,
    ...['-q', nonce],
    ...['-u', file('ak.pem')],
    ...['-m', file('quote')],
    ...['-s', file('signature')],
  ];
  const runs = Array.from({ length: CHECKQUOTE_RUNS }, () => timeProcess(argv, { PATH: '/usr/sbin:/usr/bin' }));
  return { name, value: `${verdictMs.toFixed(2)} ms against ${median(runs).toFixed(1)} ms` };
}
