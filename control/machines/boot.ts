// One start of a machine: broker key, boot id, VMM, expected measurements. Whether the guest then gets its key is for
// attest.ts to watch and for the broker to decide.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  FOREIGN_IMAGE,
  type Machine,
  type MachineId,
  type MachineStatus,
  newBootId,
  RingwallError,
} from '@ringwall/api';
import type { RunningMachine } from '@ringwall/api/warden';
import type { WatchMode } from '@ringwall/api/watch';
import { watchAttestation } from './attest.ts';
import { fetchDiskKeys } from './disk-keys.ts';
import { EMULATED_LABEL } from './not-protected.ts';
import { orderWatch } from './order-watch.ts';
import { QUIET } from './quarantine.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { changeMachine, cleanSentence, isUnavailable, patiently, type Work } from './work.ts';

/** Control sequences of ECMA-48, section 5.4: firmware clears the screen with them, and they say nothing. */
// oxlint-disable-next-line no-control-regex -- ESC is what they begin with
const TERMINAL_CONTROL = /\u001b\[[\u0030-\u003f]*[\u0020-\u002f]*[\u0040-\u007e]/g;

/** Enough for the last line of a console. */
const LAST_WORDS_BYTES = 4096;

/** How our initrd begins to say why it stands there. A guest that says something else is only waited for in vain. */
const REFUSAL_ON_CONSOLE = 'ringwall: refused';

/**
 * Starts the machine and answers, with what came of it, once it is attested and unlocked, or was learned. Throws AttestationRefused where the evidence was
 * judged and refused (the machine then stands in its initrd), and RingwallError for all else.
 */
export async function bootMachine(work: Work, id: MachineId): Promise<string> {
  work.progress.step('asking the broker for its key');
  const { key } = await patiently(work, () => work.broker.call({ op: 'status' }, { signal: work.signal }));
  const resumed = await findOwnBoot(work, id);
  if (resumed === undefined) await endWhatRuns(work, id);
  const boot = resumed?.boot ?? newBootId();
  const machine = await changeMachine(work.store, id, (seen) => ({
    spec: { ...seen.spec, running: true },
    status: { ...QUIET, phase: 'starting', bootId: boot },
  }));

  const { card } = await work.networks.cardFor(machine, work.signal);
  work.progress.step('starting the TPM and the virtual machine');
  const { running, reference } = await patiently(work, async () =>
    work.warden.call(
      {
        op: 'start-machine',
        machine: id,
        boot,
        brokerKey: key,
        ...(card === undefined ? {} : { card }),
        ...(await fetchDiskKeys(work, machine, boot)),
      },
      { timeoutMs: CALL_TIMEOUT_MS['start-machine'], signal: work.signal },
    ),
  );
  if (resumed !== undefined && running.startedAt !== resumed.startedAt) {
    // It died between the two answers, and the warden has started it anew under an id that was judged already.
    throw new RingwallError('vmm-failed', 'the virtual machine ended while ringwalld was restarted', {
      hint: `start it again: ringwall start ${machine.name}`,
    });
  }
  await work.store.saveBoot(id, { boot, reference });
  const live = work.observer.watch(id, boot);
  await changeMachine(work.store, id, () => ({ status: { ...statusOf(running), phase: 'attesting' } }));
  const expectBoot = async (): Promise<WatchMode | undefined> => {
    await work.broker.call({ op: 'expect-boot', machine: id, boot, reference }, { signal: work.signal });
    return orderWatch(work, machine, running);
  };
  const watch = await patiently(work, expectBoot);

  const { proven, tookMs, unlocked, learning, relay } = await watchAttestation(work, {
    machine,
    live,
    running,
    resumed: resumed !== undefined,
    expectBoot,
  });
  if (watch === undefined) relay.finish();
  else await work.watches.keep(id, boot, relay);
  await work.store.saveBoot(id, { boot, reference, proven });
  if (resumed === undefined) await work.store.saveBootTime(machine.spec.image, running.accelerator, tookMs);
  if (learning !== undefined) {
    await changeMachine(
      work.store,
      id,
      () => ({ status: { ...statusOf(running), phase: 'running', trust: 'learning', reasons: [...learning] } }),
      { kind: 'machine.learned', machine: id, message: `what ${machine.name} measured waits to be accepted` },
    );
    return 'booted: what it measured waits to be accepted';
  }
  const isOurs = machine.spec.image !== FOREIGN_IMAGE;
  const said = isOurs ? saidOf(unlocked) : 'was attested: it booted what was accepted';
  await changeMachine(
    work.store,
    id,
    () => ({
      status: {
        ...statusOf(running),
        phase: 'running',
        trust: 'attested',
        reasons: unlocked ? [] : [`${machine.name} ${said}`],
        attestedAt: new Date().toISOString(),
        diskUnlocked: unlocked && isOurs,
        ...(watch === undefined ? {} : { watch: { mode: watch } }),
      },
    }),
    { kind: 'machine.attested', machine: id, message: `${machine.name} ${said}` },
  );
  return isOurs ? 'attested, and its disk unlocked' : 'attested';
}

function saidOf(unlocked: boolean): string {
  return unlocked
    ? 'was attested, and its disk unlocked'
    : 'was attested and given its key; its word that the disk is unlocked was lost when ringwall was restarted';
}

/** Ends a boot that failed, and says what the guest said last; a warden that is away is told later. */
export async function endFailedBoot(
  work: Work,
  machine: Machine,
): Promise<{ lastWords: string | undefined; ended: boolean }> {
  const lastWords = await readLastWords(work, machine.id);
  try {
    await work.warden.call(
      { op: 'stop-machine', machine: machine.id, graceMs: 0 },
      { timeoutMs: CALL_TIMEOUT_MS['stop-machine'] },
    );
    work.observer.unwatch(machine.id);
    work.watches.drop(machine.id);
    return { lastWords, ended: true };
  } catch (error) {
    work.note(`${machine.id} is not ended yet: ${error instanceof Error ? error.message : String(error)}`);
    return { lastWords, ended: !isUnavailable(error) };
  }
}

/** The guest hears of its refusal when we do, and tells it on its console later: until then its log is empty. */
export async function waitForRefusalOnConsole(work: Work, id: MachineId): Promise<void> {
  work.progress.step('waiting for the guest to tell it on its console');
  const deadlineMs = performance.now() + work.timing.lastWordsMs;
  while (performance.now() < deadlineMs && !work.signal.aborted) {
    const lines = await readConsoleLines(work, id).catch(() => []);
    if (lines.some((line) => line.includes(REFUSAL_ON_CONSOLE))) return;
    await sleep(work.timing.verdictMs, undefined, { signal: work.signal }).catch(() => {});
  }
}

export function statusOf(running: RunningMachine): Omit<MachineStatus, 'phase'> {
  const { accelerator, boot, startedAt } = running;
  return {
    ...QUIET,
    accelerator,
    ...(accelerator === 'tcg' ? { label: EMULATED_LABEL } : {}),
    bootId: boot,
    startedAt,
  };
}

/** The boot that the daemon's last life had begun, if it is alive: it is gone on with. */
async function findOwnBoot(work: Work, id: MachineId): Promise<RunningMachine | undefined> {
  const machine = await work.store.findMachine(id);
  const { phase, bootId } = machine?.status ?? {};
  if (phase !== 'starting' && phase !== 'attesting') return undefined;
  const list = await patiently(work, () => work.warden.call({ op: 'list-machines' }, { signal: work.signal }));
  const seen = list.machines.find((running) => running.machine === id && running.boot === bootId);
  return seen?.state === 'running' ? seen : undefined;
}

/** Nothing runs of a machine that was stopped properly. After anything else the warden is asked to see to it. */
async function endWhatRuns(work: Work, id: MachineId): Promise<void> {
  const machine = await work.store.findMachine(id);
  if (machine?.status.phase === 'stopped') return;
  await patiently(work, () =>
    work.warden.call(
      { op: 'stop-machine', machine: id, graceMs: 0 },
      { timeoutMs: CALL_TIMEOUT_MS['stop-machine'], signal: work.signal },
    ),
  );
}

async function readLastWords(work: Work, machine: MachineId): Promise<string | undefined> {
  try {
    return (await readConsoleLines(work, machine)).findLast((line) => line !== '');
  } catch {
    return undefined;
  }
}

async function readConsoleLines(work: Work, machine: MachineId): Promise<string[]> {
  const { text } = await work.warden.call({ op: 'read-console', machine, bytes: LAST_WORDS_BYTES });
  const lines = Buffer.from(text, 'base64').toString('utf8').replaceAll(TERMINAL_CONTROL, '').split('\n');
  return lines.map(cleanSentence);
}
