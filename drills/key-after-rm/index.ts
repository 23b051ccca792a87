// Drill: a machine was removed; somebody has an old copy of its disk, and gets everything that is left of where its key lay.
import { randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { opensDisk, stolenDiskKeys } from '@ringwall/testkit';
import type { Attempt, Drill } from '../drill.ts';
import { diskOf } from '../victim.ts';

const WHAT = 'open the old copy of the disk';
const MIB = 1024 * 1024;
const HEADER_MIB = 16;
const DRIVE_MIB = 8;
const BLOCK_BYTES = 1024;
const KEY_BYTES = 32;

export const keyAfterRm: Drill = {
  name: 'key-after-rm',
  title: 'The key of a removed disk is searched for where it lay',
  adversaries: ['A4'],
  story:
    'A machine was removed a while ago. Somebody has a copy of its disk from an old backup, and then gets hold of the drive, or of the files, that held its key.',
  mustBeTrue: 'The copy of the disk is from before the removal; what they have of the key’s place is from after it.',
  stoppedBy:
    'The broker overwrites the wrapped key in its store and in the log beside it before it lets go of them, looks for the bytes, and signs a record of it. A backup of the broker’s files from before, with their root key, still has the key: keep those apart, and let them expire.',
  leavesVictim: 'removed',
  needsVictim: 'there',

  async without({ directory, step }) {
    step('a disk is encrypted with a key file, and the file is removed');
    const key = randomBytes(KEY_BYTES);
    const [disk, file, drive] = [
      join(directory, 'disk.img'),
      join(directory, 'disk.key'),
      join(directory, 'drive.img'),
    ];
    writeFileSync(file, key);
    for (const [path, mib] of [
      [disk, HEADER_MIB],
      [drive, DRIVE_MIB],
    ] as const) {
      writeFileSync(path, '');
      truncateSync(path, mib * MIB);
    }
    const format = [
      'luksFormat',
      '--batch-mode',
      '--type',
      'luks2',
      '--pbkdf',
      'pbkdf2',
      '--pbkdf-force-iterations',
      '1000',
    ];
    await must(['/usr/sbin/cryptsetup', ...format, disk, file]);
    await must(['/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-b', String(BLOCK_BYTES), drive]);
    await must(['/usr/sbin/debugfs', '-w', '-R', `write ${file} disk.key`, drive]);
    await must(['/usr/sbin/debugfs', '-w', '-R', 'rm disk.key', drive]);
    step('the drive that held the file is searched');
    return [await tryKeys(disk, keysOnDrive(readFileSync(drive)), 'found on the drive')];
  },

  async with({ directory, ringwall, victim, step }) {
    const copy = join(directory, 'old-copy.img');
    const { machine } = await ringwall.show(victim);
    const broker = join(ringwall.stateDir, 'broker');
    copyFileSync(await diskOf(ringwall, victim), copy);
    truncateSync(copy, HEADER_MIB * MIB);
    // The search itself works: while the machine is there, its key comes out.
    const control = await tryKeys(copy, stolenDiskKeys(broker, machine.id), 'in the files of the broker');
    if (!control.succeeded) throw new Error('the key of a machine that is there was not found');
    step('the machine is removed');
    await ringwall.ok('rm', '--force', victim);
    step('all files of its broker are searched, with their root key');
    return [await tryKeys(copy, stolenDiskKeys(broker, machine.id), 'in the files of the broker')];
  },
};

async function tryKeys(disk: string, keys: readonly Uint8Array[], where: string): Promise<Attempt> {
  let opened = 0;
  for (const key of keys) if (await opensDisk(disk, key)) opened += 1;
  return { what: WHAT, succeeded: opened > 0, seen: `${opened} of ${keys.length} keys ${where} open it` };
}

/** A block that holds as many bytes as a key has and then nothing: what a small file is on a drive. */
function keysOnDrive(drive: Buffer): Uint8Array[] {
  const rest = Buffer.alloc(BLOCK_BYTES - KEY_BYTES);
  const keys: Uint8Array[] = [];
  for (let at = 0; at + BLOCK_BYTES <= drive.length; at += BLOCK_BYTES) {
    const block = drive.subarray(at, at + BLOCK_BYTES);
    const [key, behind] = [block.subarray(0, KEY_BYTES), block.subarray(KEY_BYTES)];
    if (key.some((byte) => byte !== 0) && behind.equals(rest)) keys.push(key);
  }
  return keys;
}

async function must(argv: readonly string[]): Promise<void> {
  const { code, stderr } = await run(argv);
  if (code !== 0) throw new Error(`${argv[0] ?? ''}: ${stderr.toString()}`);
}
