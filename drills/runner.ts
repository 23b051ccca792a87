// Runs drills one after the other against a Ringwall of their own, and judges each by what the attacker saw.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Instance, type InstanceOptions } from '@ringwall/testkit';
import type { Attempt, Drill, DrillContext, DrillResult, Outcome } from './drill.ts';

const VICTIM = 'victim';

export interface RunDrillsOptions extends InstanceOptions {
  readonly onStep?: (drill: string, step: string) => void;
  readonly onResult?: (result: DrillResult) => void;
}

/** Runs `drills` in order, but those that need no victim afterwards last. Everything that was made is gone when this returns, also after an error. */
export async function runDrills(drills: readonly Drill[], options: RunDrillsOptions = {}): Promise<DrillResult[]> {
  options.onStep?.('setup', 'starting a Ringwall for the drills');
  await using ringwall = await Instance.start(options);
  options.onStep?.('setup', `booting the machine under attack, ${VICTIM}`);
  await ringwall.ok('run', 'hello', '--name', VICTIM, '--encryption', 'authenticated', '--json');
  const results: DrillResult[] = [];
  for (const drill of drills.toSorted((a, b) => Number(a.endsVictim ?? false) - Number(b.endsVictim ?? false))) {
    const directory = mkdtempSync(join(ringwall.directory, `${drill.name}-`));
    chmodSync(directory, 0o755);
    const step = (what: string): void => options.onStep?.(drill.name, what);
    try {
      const result = await runDrill(drill, { directory, ringwall, victim: VICTIM, step });
      results.push(result);
      options.onResult?.(result);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return results;
}

async function runDrill(drill: Drill, context: DrillContext): Promise<DrillResult> {
  const startedAt = performance.now();
  const { name, title, adversaries, inPart = [] } = drill;
  const told = { name, title, adversaries, inPart };
  let without: readonly Attempt[] = [];
  let withRingwall: readonly Attempt[] = [];
  let error: string | undefined;
  try {
    context.step('without Ringwall');
    without = await drill.without(context);
    context.step('with Ringwall');
    withRingwall = await drill.with(context);
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause);
  }
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  const outcome = error === undefined ? judgeDrill(without, withRingwall) : 'error';
  return { ...told, outcome, without, with: withRingwall, seconds, ...(error === undefined ? {} : { error }) };
}

/** A drill whose attack does not work without us proves nothing, and neither does one that tried nothing. */
export function judgeDrill(without: readonly Attempt[], withRingwall: readonly Attempt[]): Outcome {
  if (without.length === 0 || withRingwall.length === 0 || without.some((attempt) => !attempt.succeeded)) return 'void';
  return withRingwall.some((attempt) => attempt.succeeded) ? 'not stopped' : 'stopped';
}
