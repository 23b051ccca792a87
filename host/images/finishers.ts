// What programs of this host add to the facts of layers, and say of samples of them.
import type { FactFinisher } from '@ringwall/oci';
import { passwordFinisher } from '../crypt/index.ts';
import { run } from '../exec/index.ts';
import { openMalwareScanner, type MalwareScanner } from '../malware/index.ts';

/** For one scan: their budgets of time are of all layers together. */
export function hostFinishers(): readonly FactFinisher[] {
  return [passwordFinisher(run)];
}

/** For many images in one run: each layer has a budget of its own, so that the first images do not use up the others'. */
export function finishersOfEachLayer(): readonly FactFinisher[] {
  return hostFinishers().map((finisher, at) => ({
    ...finisher,
    finish: async (facts) => (await hostFinishers()[at]?.finish(facts)) ?? facts,
  }));
}

/** For one scan, as `hostFinishers`. `yaraRules` beside our own. Throws RingwallError for rules that are none. */
export function hostScanner(now: Date, yaraRules: Uint8Array | undefined): Promise<MalwareScanner> {
  return openMalwareScanner({ run, now, yaraRules });
}
