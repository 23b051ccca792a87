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

/** Runs `drills` in order, but those that leave no running victim last. Everything that was made is gone when this returns, also after an error. */
export async function runDrills(drills: readonly Drill[], options: RunDrillsOptions = {}): Promise<DrillResult[]> {
  options.onStep?.('setup', 'starting a Ringwall for the drills');
  await using ringwall = await Instance.start(options);
  const victim = new Victim(ringwall);
  const results: DrillResult[] = [];
  for (const drill of drills.toSorted((a, b) => rankOf(a) - rankOf(b))) {
    const directory = mkdtempSync(join(ringwall.directory, `${drill.name}-`));
    chmodSync(directory, 0o755);
    const step = (what: string): void => options.onStep?.(drill.name, what);
    try {
      await victim.prepare(drill, step);
      const result = await runDrill(drill, { directory, ringwall, victim: VICTIM, step });
      victim.wasLeft(drill);
      results.push(result);
      options.onResult?.(result);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return results;
}

/** By what is left of the victim, and first those that need it whole: it is booted again as rarely as can be. */
function rankOf({ leavesVictim, needsVictim }: Drill): number {
  if (leavesVictim === undefined) return 0;
  if (leavesVictim === 'removed') return 3;
  return needsVictim === 'there' ? 2 : 1;
}

/** The machine under attack: made once a drill needs it. */
class Victim {
  readonly #ringwall: Instance;
  #state: 'none' | 'off' | 'unproven' | 'attested' = 'none';

  constructor(ringwall: Instance) {
    this.#ringwall = ringwall;
  }

  async prepare({ needsVictim }: Drill, step: (what: string) => void): Promise<void> {
    if (needsVictim === 'no' || this.#state === 'attested') return;
    if (needsVictim === 'running' && this.#state === 'unproven') return;
    if (needsVictim === 'there' && this.#state !== 'none') return;
    step(`booting the machine under attack, ${VICTIM}`);
    if (this.#state === 'unproven') await this.#ringwall.ok('stop', VICTIM, '--grace', '0');
    if (this.#state === 'none') {
      await this.#ringwall.ok('run', 'hello', '--name', VICTIM, '--encryption', 'authenticated', '--json');
    } else await this.#ringwall.ok('start', VICTIM);
    this.#state = 'attested';
  }

  wasLeft({ leavesVictim }: Drill): void {
    if (leavesVictim !== undefined) this.#state = leavesVictim === 'removed' ? 'none' : leavesVictim;
  }
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
