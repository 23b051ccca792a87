// Checklist 6: a vTPM that was put back to an earlier state, or started twice, is seen by a record outside of the machine.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bootEvents } from './testing/boot-log.ts';
import { BrokerInstance, type TestMachine } from './testing/instance.ts';
import { watchBoot, watchReport } from './testing/watching.ts';
import { CLOCK_LAG_MS, NOTED_LAG_MS } from './tpm-start.ts';

const HOUR_MS = 3_600_000n;

type ClockInfo = TestMachine['tpm']['clockInfo'];

let broker: BrokerInstance;
let machine: TestMachine;

beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
});
afterEach(() => broker[Symbol.asyncDispose]());

/** Why the next boot is refused. */
async function boot(): Promise<string> {
  const { guest } = await broker.boot(machine);
  return (await guest.send(await guest.evidence(await guest.hello()))).reasons.join('\n');
}

async function unlock(): Promise<void> {
  await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
}

/** As somebody finds the TPM's state who copies it, and as the copy starts. */
function copyState(): ClockInfo {
  return { ...machine.tpm.clockInfo };
}

function putBack(copy: ClockInfo): void {
  machine.tpm.clockInfo = copy;
}

/** A boot whose watcher has answered once, an hour after it was unlocked; its TPM had written that down, or had not. */
async function watchForAnHour({ noted }: { readonly noted: boolean }): Promise<void> {
  const watching = await watchBoot(broker, { machine });
  runFor(HOUR_MS);
  watching.guest.notes = noted;
  watching.guest.sayThere();
  await watching.guest.answerQuestions(1);
  await expect.poll(async () => (await watchReport(broker, watching)).state, { interval: 10 }).toBe('expected');
}

function runFor(milliseconds: bigint): void {
  const { clockInfo } = machine.tpm;
  machine.tpm.clockInfo = { ...clockInfo, clock: clockInfo.clock + milliseconds };
}

async function readmit(): Promise<boolean> {
  return (await broker.client.call({ op: 'readmit-machine', machine: machine.id })).lifted;
}

describe('checklist 6: a TPM that was put back', () => {
  test('is quarantined, and stays so when its counters have caught up', async () => {
    const copy = copyState();
    await unlock();
    putBack(copy);
    expect(await boot()).toContain('the TPM was rolled back: it says start 1.0');
    expect(await boot()).toMatch(/quarantined since .*the TPM was rolled back.*ringwall readmit/);
    await broker.restart();
    expect(await boot()).toContain('quarantined since');
  });

  test('gets its key again by the word of a person, who counts from there', async () => {
    const copy = copyState();
    for (let boots = 0; boots < 3; boots += 1) await unlock();
    putBack(copy);
    expect(await boot()).toContain('the TPM was rolled back');
    expect(await readmit()).toBe(true);
    await unlock();
    expect(await readmit()).toBe(false);
  });

  test('makes room for the original by the same word', async () => {
    const copy = copyState();
    await unlock();
    const original = copyState();
    putBack(copy);
    expect(await boot()).toContain('the TPM was rolled back');
    putBack(original);
    expect(await boot()).toContain('quarantined since');
    await readmit();
    await unlock();
  });

  test('after a boot that was refused is seen, too: its start was in the evidence', async () => {
    await unlock();
    const copy = copyState();
    const { guest } = await broker.boot(machine, { measured: bootEvents('another kernel') });
    expect((await guest.send(await guest.evidence(await guest.hello()))).reasons.join()).toContain('kernel (PCR 4');
    putBack(copy);
    expect(await boot()).toMatch(/the TPM is a copy, or was rolled back: it says start .* was seen in another boot/);
    expect(await boot()).toContain('quarantined since');
  });

  test('is not what a machine is that starts again after a refused boot', async () => {
    await unlock();
    const { guest } = await broker.boot(machine, { measured: bootEvents('another kernel') });
    await guest.send(await guest.evidence(await guest.hello()));
    await unlock();
    expect(await readmit()).toBe(false);
  });

  test('is told by its clock where its counters caught up unseen', async () => {
    machine.tpm.clockInfo = { ...machine.tpm.clockInfo, clock: BigInt(10 * CLOCK_LAG_MS) };
    await unlock();
    const { clock, resetCount } = copyState();
    putBack({ ...copyState(), clock: clock - BigInt(CLOCK_LAG_MS) - 6_000n, resetCount: resetCount + 1 });
    expect(await boot()).toMatch(/the TPM was rolled back: its clock is \d+ s behind/);
    putBack({ ...copyState(), clock, resetCount: resetCount + 2 });
    expect(await boot()).toContain('quarantined since');
  });

  test('is seen where the copy was made in the boot before, which noted how late it was', async () => {
    await unlock();
    const { resetCount } = copyState();
    await watchForAnHour({ noted: true });
    const late = copyState();
    const copy = { ...late, clock: late.clock - HOUR_MS };
    await broker.restart();
    putBack(copy);
    expect(copyState().resetCount).toBeGreaterThan(resetCount);
    expect(await boot()).toMatch(/the TPM was rolled back: its clock is 3[56]\d\d s behind/);
    expect(await boot()).toContain('quarantined since');
    // The word of a person makes room for either of the two.
    await readmit();
    await unlock();
  });

  test('is no TPM that a power cut made forget what was never noted, or the last note', async () => {
    await watchForAnHour({ noted: false });
    runFor(-HOUR_MS);
    await unlock();
    await watchForAnHour({ noted: true });
    runFor(-BigInt(NOTED_LAG_MS) + 10_000n);
    await unlock();
    runFor(-BigInt(NOTED_LAG_MS) - 60_000n);
    expect(await boot()).toContain('the TPM was rolled back');
  });
});
