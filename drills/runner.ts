// Runs drills one after the other against a Ringwall of their own, and judges each by what the attacker saw.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Instance, type InstanceOptions } from '@ringwall/testkit';
import {
  type Attempt,
  type Drill,
  type DrillContext,
  type DrillResult,
  type Outcome,
  ProvesNothingError,
} from './drill.ts';

const VICTIM = 'victim';
const MOST_ROUNDS = 3;

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
    const step = (what: string): void => options.onStep?.(drill.name, what);
    await victim.prepare(drill, step);
    const result = await runRounds(drill, step, async () => {
      const directory = mkdtempSync(join(ringwall.directory, `${drill.name}-`));
      chmodSync(directory, 0o755);
      try {
        return await runDrill(drill, { directory, ringwall, victim: VICTIM, step });
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
    victim.wasLeft(drill);
    results.push(result);
    options.onResult?.(result);
  }
  return results;
}

type Round = Omit<DrillResult, 'rounds'> & { readonly provesNothing: boolean };

/**
 * Until it has proved something: on a busy host, what honest machines say may come too late, and so may an attack. One that worked against
 * Ringwall has proved enough, and so has one after which the machine under attack is no more what it was.
 */
export async function runRounds(
  { leavesVictim }: Pick<Drill, 'leavesVictim'>,
  step: (what: string) => void,
  run: () => Promise<Round>,
): Promise<DrillResult> {
  let seconds = 0;
  for (let rounds = 1; ; rounds += 1) {
    const { provesNothing, ...result } = await run();
    seconds = Math.round((seconds + result.seconds) * 10) / 10;
    if (!provesNothing || leavesVictim !== undefined || rounds === MOST_ROUNDS) return { ...result, seconds, rounds };
    step(`${result.error ?? 'the attack did not work without Ringwall: this proves nothing'}; once more`);
  }
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

async function runDrill(drill: Drill, context: DrillContext): Promise<Round> {
  const startedAt = performance.now();
  const { name, title, adversaries, inPart = [] } = drill;
  const told = { name, title, adversaries, inPart };
  let without: readonly Attempt[] = [];
  let withRingwall: readonly Attempt[] = [];
  let error: string | undefined;
  let provesNothing = false;
  try {
    context.step('without Ringwall');
    without = await drill.without(context);
    context.step('with Ringwall');
    withRingwall = await drill.with(context);
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause);
    provesNothing = cause instanceof ProvesNothingError;
  }
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  const outcome = error === undefined ? judgeDrill(without, withRingwall) : 'error';
  provesNothing ||= outcome === 'void' && !withRingwall.some((attempt) => attempt.succeeded);
  const failed = error === undefined ? {} : { error };
  return { ...told, outcome, without, with: withRingwall, seconds, ...failed, provesNothing };
}

/** A drill whose attack does not work without us proves nothing, and neither does one that tried nothing. */
export function judgeDrill(without: readonly Attempt[], withRingwall: readonly Attempt[]): Outcome {
  if (without.length === 0 || withRingwall.length === 0 || without.some((attempt) => !attempt.succeeded)) return 'void';
  return withRingwall.some((attempt) => attempt.succeeded) ? 'not stopped' : 'stopped';
}
