// Starts a machine's TPM in its jail. Its only ways in are one end of an unnamed socket pair, and the key of its state,
// read once from a descriptor; so no path leads to it, and nobody else can speak to it.
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import { run, socketPair } from '../exec/index.ts';
import { readClosure, startJail, type StartedJail, type UidLeases } from '../jail/index.ts';
import { STATE_TARGET, SWTPM, swtpmArgv } from './argv.ts';

export const TPM_STATE_KEY_BYTES = 32;

/** What swtpm 0.7.1 was seen to need, doubled and more. */
const TPM_LIMITS = {
  memoryBytes: 64 * 1024 * 1024,
  tasks: 16,
  cpus: 1,
  openFiles: 64,
  /** The state of a TPM is some 10 KiB; the same limit bounds its log. */
  fileBytes: 1024 * 1024,
  runDirBytes: 1024 * 1024,
} as const;

export interface TpmOptions {
  /** The machine's id; names its cgroup and its lease. */
  readonly machine: string;
  /** The state directory, 0700; every directory above it must let others pass (0711). */
  readonly stateDir: string;
  /** An empty or absent directory. */
  readonly runDir: string;
  /** Where socket pairs are made: a directory that only root may enter. */
  readonly privateDir: string;
  readonly stateKey: Uint8Array;
  readonly leases: UidLeases;
}

export interface StartedTpm extends StartedJail {
  /** The other end: `startVmm` takes over that of a control channel, `startWitness` one for commands. */
  readonly channel: Socket;
}

/** A TPM that is being started: whoever has the channel may speak already, and is answered once it is there. */
export interface StartingTpm {
  readonly channel: Socket;
  /** Where it rejects, the channel is closed, at both ends. */
  readonly started: Promise<StartedJail>;
}

/**
 * The TPM of a boot. `control`: QEMU initializes it, and from then on it ends with QEMU; before, it waits for ever (swtpm
 * 0.7.1 looks at its data channel alone, which QEMU opens): where QEMU does not start, the caller ends the TPM.
 * `commands`: it is switched on, waits for its first command, and ends with whoever holds the other end.
 */
export async function openTpm(options: TpmOptions, kind: 'control' | 'commands'): Promise<StartingTpm> {
  const [channel, theirs] = await socketPair(options.privateDir);
  const started = startSwtpm(options, { kind, socket: theirs }).catch((error: unknown) => {
    theirs.destroy();
    channel.destroy();
    throw error;
  });
  started.catch(() => undefined); // told to whoever waits for it
  return { channel, started };
}

/** A TPM whose commands pass a witness. */
export interface WitnessedTpm extends StartingTpm {
  /** The other end of its control channel (control-channel.ts). */
  readonly control: Socket;
}

/** As `openTpm` for `commands`. `waiting`: it goes on from a state that it is given by its control channel, and is switched on there. */
export async function openWitnessedTpm(options: TpmOptions, waiting: boolean): Promise<WitnessedTpm> {
  const [channel, theirs] = await socketPair(options.privateDir);
  const [control, theirControl] = await socketPair(options.privateDir);
  const line = { kind: 'witness', socket: theirs, control: theirControl, waiting } as const;
  const started = startSwtpm(options, line).catch((error: unknown) => {
    for (const end of [theirs, channel, theirControl, control]) end.destroy();
    throw error;
  });
  started.catch(() => undefined); // told to whoever waits for it
  return { channel, control, started };
}

export async function startTpm(options: TpmOptions, kind: 'control' | 'commands' = 'control'): Promise<StartedTpm> {
  const { channel, started } = await openTpm(options, kind);
  return { ...(await started), channel };
}

/** Ends of socket pairs. */
export type SwtpmLine =
  | { readonly kind: 'control' | 'commands'; readonly socket: Socket }
  | { readonly kind: 'witness'; readonly socket: Socket; readonly control: Socket; readonly waiting: boolean };

/** Starts swtpm on its ends, which it takes over. */
export async function startSwtpm(options: TpmOptions, line: SwtpmLine): Promise<StartedJail> {
  if (options.stateKey.length !== TPM_STATE_KEY_BYTES) {
    throw new RingwallError(
      'internal',
      `a TPM state key of ${options.stateKey.length} bytes, expected ${TPM_STATE_KEY_BYTES}`,
    );
  }
  return startJail({
    purpose: `${options.machine} tpm`,
    name: `${options.machine}-tpm`,
    leases: options.leases,
    runDir: options.runDir,
    runDirBytes: TPM_LIMITS.runDirBytes,
    ownedDir: { source: options.stateDir, target: STATE_TARGET },
    cgroup: TPM_LIMITS,
    limits: TPM_LIMITS,
    profile: 'tpm',
    readOnly: await readClosure(run, [SWTPM]),
    descriptors: [
      { kind: 'socket', socket: line.socket },
      { kind: 'bytes', bytes: options.stateKey },
      ...(line.kind === 'witness'
        ? [{ kind: 'socket', socket: line.control } as const, { kind: 'bytes', bytes: options.stateKey } as const]
        : []),
    ],
    command: (fd) =>
      swtpmArgv({
        keyFd: fd(1),
        channel:
          line.kind === 'witness'
            ? { kind: 'witness', fd: fd(0), controlFd: fd(2), keyFd: fd(3), waiting: line.waiting }
            : { kind: line.kind, fd: fd(0) },
      }),
    failure: 'tpm-failed',
  });
}
