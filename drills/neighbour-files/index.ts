// Drill: a guest has broken out into its VMM. What can that process reach of the machine next door?
import { chownSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killProcess, spawnDetached, type ProcessRef } from '@ringwall/host/exec';
import { open } from 'node:fs/promises';
import { LEASE_RANGE } from '@ringwall/host/jail';
import type { Attempt, Drill } from '../drill.ts';
import { probeAsUid, probeInJail } from './probe.ts';
import { targetsOf, type Target } from './targets.ts';

/** `nobody`, the user under which QEMU is often started where nothing else was set up. */
const SHARED_UID = 65534;
const PTRACE_SCOPE = '/proc/sys/kernel/yama/ptrace_scope';
const START_TIMEOUT_MS = 60_000;

export const neighbourFiles: Drill = {
  name: 'neighbour-files',
  title: 'An escaped VMM reaches for the machine next door',
  adversaries: ['A1', 'A2'],
  story:
    'A guest exploits its VMM and now runs code as that process. It opens the disk, the TPM state, the sockets and the memory of the neighbour.',
  mustBeTrue: 'The attacker runs any code as the VMM’s process, and knows every path.',
  stoppedBy:
    'A uid of its own for each VMM and TPM, a root directory with only its own files, empty namespaces, disks as descriptors.',

  async without({ directory, step }) {
    step('two plain QEMUs run as the same user');
    const disk = join(directory, 'neighbour.img');
    writeFileSync(disk, 'canary', { mode: 0o600 });
    truncateSync(disk, 1024 * 1024);
    chownSync(disk, SHARED_UID, SHARED_UID);
    const sockets = join(directory, 'sockets');
    mkdirSync(sockets, { mode: 0o700 });
    chownSync(sockets, SHARED_UID, SHARED_UID);
    const monitor = join(sockets, 'qmp.sock');
    const neighbour = await startPlainNeighbour(directory, disk, monitor);
    try {
      const targets: Target[] = [
        { what: 'its disk', path: disk, kind: 'file' },
        { what: 'its run directory', path: sockets, kind: 'directory' },
        { what: 'its monitor', path: monitor, kind: 'socket' },
        ...(ptraceIsFree()
          ? [{ what: 'its memory', path: `/proc/${neighbour.pid}/mem`, kind: 'process' } as const]
          : []),
      ];
      return await probeAsUid(SHARED_UID, targets);
    } finally {
      await killProcess(neighbour);
    }
  },

  async with({ directory, ringwall, victim, step }): Promise<Attempt[]> {
    const targets = await targetsOf(ringwall, victim);
    const missing = targets.filter(({ path }) => !existsSync(path));
    if (missing.length > 0) throw new Error(`the targets are not there: ${missing.map(({ path }) => path).join(', ')}`);
    step('a process in the jail of another VMM tries');
    const jailed = await probeInJail(directory, targets);
    step('a process with the uid of another VMM tries, outside every jail');
    return [...jailed, ...(await probeAsUid(LEASE_RANGE.last, targets))];
  },
};

/** Where Yama is on, it keeps even processes of one user from each other's memory. */
function ptraceIsFree(): boolean {
  return !existsSync(PTRACE_SCOPE) || readFileSync(PTRACE_SCOPE, 'utf8').trim() === '0';
}

async function startPlainNeighbour(directory: string, disk: string, monitor: string): Promise<ProcessRef> {
  const log = await open(join(directory, 'plain.log'), 'a');
  try {
    const neighbour = await spawnDetached(
      [
        ...['/usr/bin/setpriv', `--reuid=${SHARED_UID}`, `--regid=${SHARED_UID}`, '--clear-groups', '--'],
        ...['/usr/bin/qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg', '-m', '64', '-nodefaults'],
        ...['-display', 'none', '-S', '-qmp', `unix:${monitor},server=on,wait=off`],
        ...['-drive', `file=${disk},format=raw,if=virtio`],
      ],
      { logFd: log.fd, descriptors: [] },
    );
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!existsSync(monitor)) {
      if (performance.now() > deadline) throw new Error('the plain QEMU did not start');
      await sleep(50);
    }
    return neighbour;
  } finally {
    await log.close();
  }
}
