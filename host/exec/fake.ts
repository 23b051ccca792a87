// A stand-in for `run` in tests: answers by rules, first match wins, and keeps what was asked.
import type { Run, RunOptions, RunResult } from './run.ts';

export interface FakeAnswer {
  readonly code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

export interface FakeRun {
  readonly run: Run;
  readonly calls: { readonly argv: readonly string[]; readonly options: RunOptions }[];
}

/** A rule matches where the arguments begin with its key, written with single spaces. No rule: status 127. */
export function fakeRun(
  rules: Readonly<Record<string, FakeAnswer | ((argv: readonly string[]) => FakeAnswer)>>,
): FakeRun {
  const calls: { argv: readonly string[]; options: RunOptions }[] = [];
  const fake: Run = async (argv, options = {}) => {
    calls.push({ argv, options });
    const line = argv.join(' ');
    const rule = Object.entries(rules).find(([prefix]) => line === prefix || line.startsWith(`${prefix} `))?.[1];
    const result = toResult(typeof rule === 'function' ? rule(argv) : (rule ?? { code: 127, stderr: 'no rule' }));
    options.onOutput?.(result.stdout);
    return result;
  };
  return { run: fake, calls };
}

function toResult(answer: FakeAnswer): RunResult {
  return {
    code: answer.code ?? 0,
    stdout: Buffer.from(answer.stdout ?? ''),
    stderr: Buffer.from(answer.stderr ?? ''),
  };
}
