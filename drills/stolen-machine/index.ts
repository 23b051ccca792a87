// Drill: disk, vTPM state and configuration of a machine are copied to a host of the thief's.
import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { wardenResponseSchemas, WARDEN_LINE_LIMIT_BYTES, type WardenRequest } from '@ringwall/api/warden';
import { newBootId } from '@ringwall/api';
import { toHex, utf8 } from '@ringwall/bytes';
import { LineClient } from '@ringwall/control/rpc';
import { Instance, PlainTpm } from '@ringwall/testkit';
import { bodyOf, commands, EK_CERTIFICATE_NV_ATTRIBUTES, parseFields } from '@ringwall/tpm';
import type { Attempt, Drill, DrillContext } from '../drill.ts';
import { diskOf, newCanary } from '../victim.ts';

/** An index of the owner's range: where a plain set-up keeps a disk key in its TPM. */
const KEY_NV_INDEX = 0x01500016;
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
    {
      await using tpm = await PlainTpm.start(original);
      const [nvIndex, data] = [KEY_NV_INDEX, utf8(canary)];
      const define = { nvIndex, attributes: EK_CERTIFICATE_NV_ATTRIBUTES, dataSize: data.length };
      bodyOf(await tpm.run(commands.nvDefineSpace(define)));
      bodyOf(await tpm.run(commands.nvWrite({ nvIndex, data, offset: 0 })));
    }
    const copy = join(directory, 'copy');
    mkdirSync(copy);
    copyFileSync(join(original, 'tpm2-00.permall'), join(copy, 'tpm2-00.permall'));
    await using stolen = await PlainTpm.start(copy);
    const size = utf8(canary).length;
    const { data } = parseFields(
      'nvRead',
      await stolen.run(commands.nvRead({ nvIndex: KEY_NV_INDEX, size, offset: 0 })),
    );
    const read = toHex(data) === toHex(utf8(canary));
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
