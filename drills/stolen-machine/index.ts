// Drill: disk, vTPM state and configuration of a machine are copied to a host of the thief's.
import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { wardenResponseSchemas, WARDEN_LINE_LIMIT_BYTES, type WardenRequest } from '@ringwall/api/warden';
import { newBootId } from '@ringwall/api';
import { LineClient } from '@ringwall/control/rpc';
import { Instance, PlainTpm } from '@ringwall/testkit';
import { bodyOf, commands } from '@ringwall/tpm';
import type { Attempt, Drill, DrillContext } from '../drill.ts';
import { keepInTpm, readFromTpm, TPM_STATE_FILE } from '../plain/tpm-secret.ts';
import { diskOf, newCanary } from '../victim.ts';

const LOOT = 'loot';

export const stolenMachine: Drill = {
  name: 'stolen-machine',
  title: 'A whole machine is copied to another host',
  adversaries: ['A4'],
  story:
    'Disk, vTPM state and configuration are copied, from a backup for instance, and started on a host that the thief owns.',
  mustBeTrue:
    'The thief has every file of the machine, and a Ringwall of his own with its own CA, broker and root keys.',
  stoppedBy:
    'The vTPM’s state is encrypted with a key wrapped by the host’s; the disk key exists only in the broker, wrapped by its root key.',

  async without({ directory, step }) {
    step('a plain swtpm keeps a disk key; its directory is copied');
    const canary = newCanary();
    const original = join(directory, 'tpm');
    await keepInTpm(original, canary);
    const copy = join(directory, 'copy');
    mkdirSync(copy);
    copyFileSync(join(original, TPM_STATE_FILE), join(copy, TPM_STATE_FILE));
    const read = (await readFromTpm(copy, canary)) === canary;
    return [
      { what: 'read the disk key from the copied vTPM', succeeded: read, seen: read ? 'the canary' : 'something else' },
    ];
  },

  async with(context) {
    const { ringwall, victim, step } = context;
    const canary = newCanary();
    using console = await ringwall.openConsole(victim);
    await console.run(`echo ${canary} > /data/canary && sync`);
    step('the thief starts a Ringwall of his own');
    await using thief = await Instance.start({ images: join(ringwall.stateDir, 'images') });
    return [
      await startStolenState(context, thief),
      await startStolenTpm(context),
      await readStolenDisk(context, thief, canary),
    ];
  },
};

/** All of the machine's files, put where the thief's warden looks for them. */
async function startStolenState({ ringwall, victim, step }: DrillContext, thief: Instance): Promise<Attempt> {
  step('the stolen machine is started on the thief’s host');
  const { machine } = await ringwall.show(victim);
  for (const place of ['machines', join('warden', 'machines')]) {
    cpSync(join(ringwall.stateDir, place, machine.id), join(thief.stateDir, place, machine.id), { recursive: true });
  }
  const warden = new LineClient<WardenRequest, typeof wardenResponseSchemas>({
    path: join(thief.runDir, 'warden', 'warden.sock'),
    responseSchemas: wardenResponseSchemas,
    lineLimitBytes: WARDEN_LINE_LIMIT_BYTES,
    peer: 'the thief’s warden',
    unavailable: 'warden-unavailable',
    hint: 'it is started by the drill',
  });
  const what = 'start the copied machine under the thief’s host key';
  try {
    await warden.call(
      { op: 'start-machine', machine: machine.id, boot: newBootId(), brokerKey: 'ab'.repeat(64) },
      { timeoutMs: 60_000 },
    );
    return { what, succeeded: true, seen: 'it runs' };
  } catch (error) {
    return { what, succeeded: false, seen: error instanceof Error ? error.message : String(error) };
  } finally {
    await warden.call({ op: 'remove-machine', machine: machine.id }).catch(() => undefined);
  }
}

/** Without any Ringwall: swtpm on the copied state. */
async function startStolenTpm({ directory, ringwall, victim, step }: DrillContext): Promise<Attempt> {
  step('a plain swtpm is started on the stolen TPM state');
  const what = 'open the vTPM’s state without the key that encrypts it';
  const { machine } = await ringwall.show(victim);
  const copy = join(directory, 'stolen-tpm');
  cpSync(join(ringwall.stateDir, 'machines', machine.id, 'tpm'), copy, { recursive: true });
  try {
    await using tpm = await PlainTpm.start(copy);
    bodyOf(await tpm.run(commands.getRandom(8)));
    return { what, succeeded: true, seen: 'the TPM answers' };
  } catch (error) {
    return { what, succeeded: false, seen: error instanceof Error ? error.message : String(error) };
  }
}

/** The stolen disk in a machine of the thief's, which proves itself to the thief's own broker and gets a key from it. */
async function readStolenDisk(
  { ringwall, victim, step }: DrillContext,
  thief: Instance,
  canary: string,
): Promise<Attempt> {
  step('the stolen disk boots in a machine of the thief’s, attested by the thief’s broker');
  const what = 'unlock the stolen disk with a key of the thief’s broker';
  await thief.ok('run', 'hello', '--name', LOOT, '--json');
  await thief.ok('stop', LOOT);
  copyFileSync(await diskOf(ringwall, victim), await diskOf(thief, LOOT));
  const started = await thief.cli('start', LOOT, '--json');
  const { machine } = await thief.show(LOOT);
  if (started.code !== 0 || !machine.status.diskUnlocked) {
    return { what, succeeded: false, seen: machine.status.reasons[0] ?? 'the disk did not open' };
  }
  using console = await thief.openConsole(LOOT);
  const read = (await console.run('cat /data/canary || true')).includes(canary);
  return { what, succeeded: read, seen: read ? 'the canary' : 'another disk' };
}
