// Starts the witness of a boot in its jail. It holds the one way to the machine's TPM, and runs what this process runs:
// Node, on one bundle, or on the checkout where there is none.
import { realpath } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, run, socketPair } from '../exec/index.ts';
import {
  endedAtStart,
  endJail,
  readClosure,
  startJail,
  type JailFile,
  type StartedJail,
  type UidLeases,
} from '../jail/index.ts';

/** Node takes 50 MiB for itself here; the record of a boot some hundred KiB. */
const WITNESS_LIMITS = {
  memoryBytes: 192 * 1024 * 1024,
  tasks: 32,
  cpus: 1,
  openFiles: 64,
  fileBytes: 1024 * 1024,
  runDirBytes: 1024 * 1024,
} as const;
/** It listens 0.1 s after its start here. */
const READY_TIMEOUT_MS = 45_000;
const PORT_IN_JAIL = '/run/port.sock';
const STATES_IN_JAIL = '/run/states.sock';
/** Below its run directory: where the broker is relayed from, and where it is saved (state-port.ts). */
export const WITNESS_PORT_NAME: string = basename(PORT_IN_JAIL);
export const WITNESS_STATES_NAME: string = basename(STATES_IN_JAIL);

export interface WitnessOptions {
  readonly machine: string;
  /** Its ends of the TPM's commands and of its control channel; taken over. */
  readonly tpm: Socket;
  readonly control: Socket;
  /** It is told what it goes on from (`loadWitness`) before a VMM is there. */
  readonly waiting: boolean;
  /** An empty or absent directory. */
  readonly runDir: string;
  readonly privateDir: string;
  readonly leases: UidLeases;
}

export interface StartedWitness extends StartedJail {
  /** The VMM's end; `startVmm` takes it over. */
  readonly channel: Socket;
}

export async function startWitness(options: WitnessOptions): Promise<StartedWitness> {
  const purpose = `${options.machine} witness`;
  const [ours, theirs] = await socketPair(options.privateDir);
  try {
    const program = await programFiles();
    const jail = await startJail({
      purpose,
      name: `${options.machine}-witness`,
      leases: options.leases,
      runDir: options.runDir,
      runDirBytes: WITNESS_LIMITS.runDirBytes,
      cgroup: WITNESS_LIMITS,
      limits: WITNESS_LIMITS,
      profile: 'witness',
      readOnly: program.files,
      descriptors: [
        { kind: 'socket', socket: theirs },
        { kind: 'socket', socket: options.tpm },
        { kind: 'socket', socket: options.control },
      ],
      command: (fd) => [
        ...program.argv,
        ...[0, 1, 2].map((index) => String(fd(index))),
        ...[PORT_IN_JAIL, STATES_IN_JAIL],
        ...(options.waiting ? ['waiting'] : []),
      ],
      failure: 'tpm-failed',
    });
    try {
      const deadline = performance.now() + READY_TIMEOUT_MS;
      while (!existsSync(join(options.runDir, WITNESS_PORT_NAME))) {
        if (!isAlive(jail.process) || performance.now() > deadline) {
          throw await endedAtStart('tpm-failed', purpose, { uid: jail.uid, runDir: options.runDir });
        }
        await sleep(10);
      }
      return { ...jail, channel: ours };
    } catch (error) {
      await endJail(jail, options.leases);
      throw error;
    }
  } catch (error) {
    ours.destroy();
    options.tpm.destroy();
    options.control.destroy();
    throw error;
  }
}

/** Beside the bundle of whoever starts it, or in the source tree; its paths are the same inside the jail. */
async function programFiles(): Promise<{ readonly argv: readonly string[]; readonly files: readonly JailFile[] }> {
  const node = await realpath(process.execPath);
  const closure = await readClosure(run, [node]);
  const bundle = join(import.meta.dirname, 'witness.mjs');
  if (existsSync(bundle)) {
    return { argv: [node, bundle], files: [...closure, { source: bundle, target: bundle }] };
  }
  const checkout = resolve(import.meta.dirname, '../..');
  const source = join(import.meta.dirname, 'main.ts');
  return {
    argv: [node, ...process.execArgv.filter((option) => option.startsWith('--conditions=')), source],
    files: [...closure, { source: checkout, target: checkout }],
  };
}
