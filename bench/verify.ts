// What a verdict costs: full judgements per second on one core, each with its signatures, a log of 100 events and a policy,
// against the rate at which the same process verifies one bare signature with a key that it has already (ECDSA P-256, the
// only algorithm of our attestation keys), and against `tpm2_checkquote`, which is started anew for each quote as its
// users do.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, timeProcess, type Figure } from './measure.ts';

const WORKLOAD = join(import.meta.dirname, '../lib/evidence/testing/measure-verdicts.ts');
const CHECKQUOTE = '/usr/bin/tpm2_checkquote';
const CHECKQUOTE_RUNS = 9;
const GOAL_RATIO = 0.6;

/** Each judges answers that were never seen before: another nonce, another boot key, other signatures. */
const CASES = [
  {
    key: 'known',
    name: 'verdicts on a boot (2 signatures, 100 events as a boot before had them, policy, signed reference)',
    signatures: 2,
  },
  { key: 'fresh', name: 'the same with a log that no boot before had', signatures: 2 },
  {
    key: 'host',
    name: 'verdicts on a host (1 signature, 100 events and what ran as before, policy, signed reference)',
    signatures: 1,
  },
  { key: 'watch', name: 'verdicts on a running machine that has run nothing new (1 signature, policy)', signatures: 1 },
] as const;

export function benchVerify(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ringwall-bench-'));
  try {
    return Promise.resolve(measure(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Pair {
  readonly bareMs: number;
  readonly verdictMs: number;
}

type Measured = Readonly<Record<(typeof CASES)[number]['key'], readonly Pair[]>> & { readonly nonce: string };

function measure(directory: string): Figure[] {
  const printed = execFileSync(process.execPath, ['--conditions=ringwall-source', WORKLOAD, directory]);
  const measured: Measured = JSON.parse(printed.toString());
  const figures = CASES.map(({ key, name, signatures }): Figure => {
    const pairs = measured[key];
    const ratio = median(pairs.map(({ bareMs, verdictMs }) => bareMs / verdictMs));
    const [verdicts, bare] = [
      perSecond(pairs.map((pair) => pair.verdictMs)),
      perSecond(pairs.map((pair) => pair.bareMs)),
    ];
    const share = `its own signatures take ${(ratio * signatures).toFixed(2)} of it`;
    return {
      name: `${name}, per second and core`,
      value: `${verdicts} against ${bare} bare ECDSA P-256 signatures: ratio ${ratio.toFixed(2)}; ${share}`,
      goal: { text: `at least ${GOAL_RATIO}`, met: ratio >= GOAL_RATIO },
    };
  });
  const knownMs = median(measured.known.map(({ verdictMs }) => verdictMs));
  return [...figures, againstCheckquote(directory, measured.nonce, knownMs)];
}

function perSecond(milliseconds: readonly number[]): string {
  return Math.round(1000 / median(milliseconds)).toLocaleString('en');
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
