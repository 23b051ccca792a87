// Guests that go on from a template: how fast one does against a bare QEMU that maps it, and how little of their memory twenty have of
// their own. What the warden decides, and the copy of the disk, are not in it.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, pairs, type Figure } from './measure.ts';
import { TemplatedGuests, type MadeMachine, type MemoryUse, type RunningGuest } from './templated-guests.ts';

const IMAGE = '/var/lib/ringwall/images/hello';
const MEMORY_MIB = 512;
const FILLED_MIB = 200;
const RUNS = 11;
const AT_ONCE = 20;
/** In which each has done what it does when it goes on. */
const SETTLE_MS = 5_000;
const GOAL_RATIO = 1.5;

export async function benchTemplate(): Promise<Figure[]> {
  const dir = mkdtempSync('/var/tmp/ringwall-bench-');
  chmodSync(dir, 0o711);
  try {
    await using guests = await TemplatedGuests.hold(dir, IMAGE, { memoryMiB: MEMORY_MIB, filledMiB: FILLED_MIB });
    return [await measureStart(guests), ...(await measureSharing(guests))];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measureStart(guests: TemplatedGuests): Promise<Figure> {
  const made: MadeMachine[] = [];
  for (let run = 0; run < RUNS; run += 1) made.push(await guests.make());
  const ours = async (): Promise<number> => {
    const machine = made.pop();
    if (machine === undefined) throw new Error('no machine is left');
    const startedAt = performance.now();
    const guest = await guests.goOn(machine);
    const tookMs = performance.now() - startedAt;
    await guests.end(guest);
    return tookMs;
  };
  const { a, b, ratio, ratios } = await pairs(RUNS, ours, () => guests.timeBare());
  const best = Math.min(...ratios);
  return {
    name: 'a guest that goes on from a template, TPM and VMM in their jails, against a bare QEMU that maps it',
    value: `${a.toFixed(0)} ms until it runs, against ${b.toFixed(0)} ms until its monitor answers: ratio ${ratio.toFixed(2)} (best ${best.toFixed(2)})`,
    goal: { text: `at most ${String(GOAL_RATIO)}`, met: ratio <= GOAL_RATIO },
  };
}

async function measureSharing(guests: TemplatedGuests): Promise<Figure[]> {
  const running: RunningGuest[] = [];
  try {
    const startedAt = performance.now();
    for (let index = 0; index < AT_ONCE; index += 1) running.push(await guests.goOn(await guests.make()));
    const seconds = (performance.now() - startedAt) / 1000;
    await sleep(SETTLE_MS);
    const uses = running.map((guest) => guests.readUse(guest));
    const heldMiB = await guests.heldMiB();
    const togetherMiB = heldMiB + sum(uses, 'ownMiB');
    const mib = (value: number): string => `${value.toFixed(0)} MiB`;
    return [
      {
        name: `${String(AT_ONCE)} guests of ${mib(MEMORY_MIB)} that go on from one template of ${mib(heldMiB)}`,
        value: `${mib(togetherMiB)} together, against ${mib(AT_ONCE * heldMiB)} without sharing: ${((100 * togetherMiB) / (AT_ONCE * heldMiB)).toFixed(0)} %; each has ${medianOf(uses, 'ownMiB')} MiB of its own and reads ${medianOf(uses, 'sharedMiB')} MiB of the template; Pss of a whole VMM ${medianOf(uses, 'pssMiB')} MiB`,
      },
      { name: 'making and starting them, one after the other', value: `${seconds.toFixed(1)} s, with their TPMs made` },
    ];
  } finally {
    for (const guest of running) await guests.end(guest);
  }
}

function sum(uses: readonly MemoryUse[], of: keyof MemoryUse): number {
  return uses.reduce((total, use) => total + use[of], 0);
}

function medianOf(uses: readonly MemoryUse[], of: keyof MemoryUse): string {
  return median(uses.map((use) => use[of])).toFixed(1);
}
