// What one machine's VMM could want of another's: the files, sockets and processes that a neighbour has on the host.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance } from '@ringwall/testkit';
import { z } from 'zod';

export interface Target {
  readonly what: string;
  readonly path: string;
  /** How an attacker would get at it. */
  readonly kind: 'file' | 'socket' | 'directory' | 'process';
}

const bootRecord = z.object({
  vmm: z.object({ pid: z.int() }),
  tpm: z.object({ pid: z.int() }),
});

/** Everything of the running machine `name`, as root can list it. */
export async function targetsOf(ringwall: Instance, name: string): Promise<Target[]> {
  const { machine } = await ringwall.show(name);
  const kept = join(ringwall.stateDir, 'machines', machine.id);
  const running = join(ringwall.runDir, 'machines', machine.id);
  const record = bootRecord.parse(JSON.parse(readFileSync(join(running, 'boot.json'), 'utf8')));
  return [
    { what: 'its disk', path: join(kept, 'disk.img'), kind: 'file' },
    { what: 'its TPM’s state', path: join(kept, 'tpm', 'tpm2-00.permall'), kind: 'file' },
    { what: 'its run directory', path: join(running, 'vmm'), kind: 'directory' },
    { what: 'its monitor', path: join(running, 'vmm', 'qmp.sock'), kind: 'socket' },
    { what: 'its console', path: join(running, 'vmm', 'console.sock'), kind: 'socket' },
    { what: 'its attestation port', path: join(running, 'vmm', 'attest.sock'), kind: 'socket' },
    { what: 'its memory', path: `/proc/${record.vmm.pid}/mem`, kind: 'process' },
    { what: 'its TPM’s memory', path: `/proc/${record.tpm.pid}/mem`, kind: 'process' },
  ];
}
