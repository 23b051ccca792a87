// Runs pieces of the guest's own scripts under busybox on this host, with the broker's side and the TPM's answers given
// as text: for what would otherwise need a boot for each case.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { guestCommands } from '@ringwall/tpm';
import { run } from '../../exec/index.ts';
import { renderShellCommands } from '../shell-commands.ts';

export const BUSYBOX: string | undefined = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
export const GUEST_SCRIPTS: string = resolve(import.meta.dirname, '../../../apps/guest/initrd');
const PARTS = [
  'report',
  'checks',
  'tpm',
  'devices',
  'attest',
  'disk',
  'authenticated-disk',
  'rotate-key',
  'system',
  'watching',
  'watch',
];
const TIMEOUT_MS = 120_000;

export interface ShellResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What `fail` was called with, and the reasons of a broker. */
  readonly reasons: readonly string[];
}

/** Runs `body` after the scripts' functions were read. `fromBroker` is what descriptor 4 gives. */
export async function runGuestShell(body: string, fromBroker: string | Uint8Array = ''): Promise<ShellResult> {
  const dir = await mkdtemp(join(tmpdir(), 'ringwall-shell-'));
  try {
    await writeFile(join(dir, 'broker'), fromBroker);
    await writeFile(join(dir, 'tpm-commands.sh'), renderShellCommands(guestCommands));
    const script = [
      'set -euf',
      'export LC_ALL=C',
      ...PARTS.map((part) => `. ${GUEST_SCRIPTS}/${part}.sh`),
      `. ${dir}/tpm-commands.sh`,
      `dir=${dir} REASONS=${dir}/reasons SENTENCES=${dir}/sentences HEADER=${dir}/header DISK_STATE=${dir}/state DISK_DEVICE=${dir}/device LOG=${dir}/log NEXT_KEY=${dir}/next-key IMA_POLICY=${dir}/policy MEASUREMENTS=${dir}/list PIECE=${dir}/piece`,
      `exec 4<${dir}/broker`,
      body,
    ].join('\n');
    const result = await run([BUSYBOX ?? 'busybox', 'sh', '-c', script], { timeoutMs: TIMEOUT_MS, cwd: dir });
    const reasons = await readFile(join(dir, 'reasons'), 'latin1').catch(() => '');
    return {
      code: result.code,
      stdout: result.stdout.toString('latin1'),
      stderr: result.stderr.toString('latin1'),
      reasons: reasons.split('\n').filter((line) => line !== ''),
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
