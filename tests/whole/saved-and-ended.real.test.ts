// A machine that ends while it is saved. Its VMM is killed, in the moment in which it stands still and when what was copied of it is
// sealed; or somebody stops it. There is a whole snapshot or none, the machine is known to have ended, and it starts and is saved again.
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseSync } from 'node:sqlite';
import { acceptedSchema, type MachineId, type Operation } from '@ringwall/api';
import { Instance, type CommandResult } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leftovers } from './leftovers.ts';
import { trouble, troubleOf } from './trouble.ts';
import { phaseOf, until } from './waiting.ts';

const NAME = 'saved';
const MAX_ATTEMPTS = 5;

describe('a machine that ends while it is saved', () => {
  let ringwall: Instance;
  let id: MachineId;
  beforeAll(async () => {
    ringwall = await Instance.start();
    await ringwall.ok('run', 'hello', '--name', NAME);
    ({ id } = (await ringwall.detail(NAME)).machine);
  });
  afterAll(() => ringwall?.[Symbol.asyncDispose]());

  const runDir = (): string => join(ringwall.runDir, 'machines', id);
  const pidOf = (process: 'vmm' | 'tpm'): number => {
    const found = new RegExp(`"${process}":\\{"pid":(\\d+)`).exec(readFileSync(join(runDir(), 'boot.json'), 'utf8'));
    if (found === null) throw new Error(`the machine has no ${process}`);
    return Number(found[1]);
  };
  const snapshots = (): string[] => {
    const folder = join(ringwall.stateDir, 'snapshots', id);
    return existsSync(folder) ? readdirSync(folder).toSorted() : [];
  };
  /**
   * A TPM that does not answer holds QEMU in the middle of writing its devices, which it does only while the guest stands still. Where
   * it was stopped while QEMU waited for it anyway, nothing is saved: then once more.
   */
  const heldInPause = async (): Promise<{ readonly taking: Promise<CommandResult> }> => {
    const [vmm, tpm] = [pidOf('vmm'), pidOf('tpm')];
    let said = '';
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      process.kill(tpm, 'SIGSTOP');
      let hasEnded = false;
      const taking = ringwall.cli('snapshot', NAME).finally(() => (hasEnded = true));
      await until(() => Promise.resolve(hasEnded || bringsDevices(vmm)));
      if (!hasEnded) return { taking };
      process.kill(tpm, 'SIGCONT');
      said = (await taking).stderr;
    }
    throw new Error(`it was not held while it was saved:\n${said}`);
  };
  /** The warden stands still from when the guest goes on, so that it cannot come to an end of it. */
  const heldWhileSealed = async (): Promise<{ readonly taking: Promise<CommandResult>; readonly goOn: () => void }> => {
    const warden = (await ringwall.health()).processes.find(({ name }) => name === 'ringwall-warden')?.pid;
    if (warden === undefined) throw new Error('the warden does not run');
    const taking = ringwall.cli('snapshot', '--full', NAME);
    // It is there for the moment of the stop, which no poll would see.
    for (const isThere of [true, false]) {
      while (existsSync(join(runDir(), 'saving')) !== isThere) await Promise.race([nextTurn(), endedEarly(taking)]);
    }
    process.kill(warden, 'SIGSTOP');
    expect(snapshots().filter((name) => name.endsWith('.new'))).not.toEqual([]);
    return { taking, goOn: () => void process.kill(warden, 'SIGCONT') };
  };
  const askToStop = async (body: object): Promise<Operation> =>
    operationOf(await ringwall.api('POST', `/v1/machines/${NAME}/stop`, body));
  const hasEnded = async (): Promise<void> => {
    await until(async () => (await phaseOf(ringwall, NAME)) === 'failed');
    await until(async () => (await leftovers(ringwall)).length === 0);
    const { status } = (await ringwall.detail(NAME)).machine;
    expect(status).toMatchObject({ trust: 'unknown', reasons: [expect.stringMatching(/ended/)] });
  };
  const startsAgain = async (): Promise<void> => {
    await ringwall.ok('start', NAME);
    const { status } = (await ringwall.detail(NAME)).machine;
    expect(status).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
  };
  /** Of how many snapshots the broker keeps a key. */
  const keysOfBroker = (): number => {
    // A copy: the broker lets nobody else into its own.
    const copy = join(ringwall.directory, 'copy-of-broker');
    cpSync(join(ringwall.stateDir, 'broker'), copy, { recursive: true });
    using db = new DatabaseSync(join(copy, 'broker.db'));
    return db.prepare('SELECT 1 FROM snapshot').all().length;
  };

  test('by its VMM, in the moment in which it stands still: there is none, and the next one is taken', async () => {
    const [vmm, tpm] = [pidOf('vmm'), pidOf('tpm')];
    const { taking } = await heldInPause();
    expect(existsSync(join(runDir(), 'saving'))).toBe(true);
    process.kill(vmm, 'SIGKILL');
    process.kill(tpm, 'SIGCONT');
    expect(troubleOf(await taking)).toEqual(trouble(1, /QEMU ended while the machine stood still/, /take it again/));
    await hasEnded();
    expect([snapshots(), keysOfBroker()]).toEqual([[], 0]);
    expect(JSON.parse(await ringwall.ok('snapshot', 'ls', '--json'))).toEqual({ snapshots: [] });

    await startsAgain();
    const said = await ringwall.ok('snapshot', NAME);
    expect(said).toMatch(/ is there; .* stood still for \d+ ms/);
    expect(await ringwall.ok('snapshot', 'verify', namedIn(said))).toContain('is whole');
    expect([snapshots().length, keysOfBroker()]).toEqual([1, 1]);
  });

  test('by its VMM, while what was copied is sealed: it is whole, and the machine is put back to it', async () => {
    using console = await ringwall.openConsole(NAME);
    await console.run('kept=in-memory; echo on-disk > /data/kept; sync');
    const vmm = pidOf('vmm');
    const { taking, goOn } = await heldWhileSealed();
    process.kill(vmm, 'SIGKILL');
    goOn();
    const { code, stdout } = await taking;
    expect(code).toBe(0);
    await hasEnded();
    expect([snapshots().length, keysOfBroker()]).toEqual([2, 2]);
    expect(await ringwall.ok('snapshot', 'verify', namedIn(stdout))).toContain('is whole');

    await ringwall.ok('restore', NAME);
    using back = await ringwall.openConsole(NAME);
    expect(await back.run('echo $kept; cat /data/kept')).toBe('in-memory\non-disk\n');
  });

  test('by a stop, which waits until the snapshot is sealed', async () => {
    const { taking, goOn } = await heldWhileSealed();
    expect(await askToStop({})).toMatchObject({ step: 'waiting until its snapshot is sealed' });
    expect(await phaseOf(ringwall, NAME)).toBe('running');
    goOn();
    const { code, stdout } = await taking;
    expect(code).toBe(0);
    await until(async () => (await phaseOf(ringwall, NAME)) === 'stopped');
    expect(await ringwall.ok('snapshot', 'verify', namedIn(stdout))).toContain('is whole');
    expect([await leftovers(ringwall), snapshots().length, keysOfBroker()]).toEqual([[], 3, 3]);
  });

  test('by a stop with force: there is no snapshot', async () => {
    await startsAgain();
    const { taking, goOn } = await heldWhileSealed();
    await askToStop({ force: true });
    goOn();
    expect(troubleOf(await taking)).toEqual(trouble(7, /cancelled: something else was asked of saved/, /^/));
    await until(async () => (await phaseOf(ringwall, NAME)) === 'stopped');
    expect([await leftovers(ringwall), snapshots().length, keysOfBroker()]).toEqual([[], 3, 3]);
  });
});

async function endedEarly(taking: Promise<CommandResult>): Promise<never> {
  const { code, stderr } = await taking;
  throw new Error(`it was not seen to be saved: exit ${String(code)}\n${stderr}`);
}

function operationOf(answer: unknown): Operation {
  return acceptedSchema.parse(answer).operation;
}

/** The snapshot that was taken. */
function namedIn(said: string): string {
  return /\S+@\d+/.exec(said)?.[0] ?? '';
}

/** The other end of a connection is in the network namespace of whoever has made it, under the name that was connected to. */
function bringsDevices(vmm: number): boolean {
  return readFileSync(`/proc/${String(vmm)}/net/unix`, 'utf8').includes('/state.sock');
}
